"""All benchmarks: python -m benchmarks [--list | --table] [NAME ...]"""

from benchmarks.launch import main

if __name__ == "__main__":
    main()
