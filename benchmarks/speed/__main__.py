"""Benchmarks of speed: python -m benchmarks.speed [--list | --table] [NAME ...]"""

from benchmarks.launch import main

if __name__ == "__main__":
    main("speed")
