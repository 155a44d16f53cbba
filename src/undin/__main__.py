"""`python -m undin` is the command `undin`."""

from undin.cli import main

if __name__ == "__main__":
    main()
