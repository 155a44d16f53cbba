"""Benchmarks of quality: python -m benchmarks.quality [--list | --table] [NAME ...]"""

from benchmarks.launch import main

if __name__ == "__main__":
    main("quality")
