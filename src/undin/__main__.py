"""The command `undin`, which `python -m undin` is too."""

import sys

from undin.signals import graceful_signals


def main() -> None:
    """Run the command, ready for signals before the imports, which take most of its start."""
    with graceful_signals():
        try:
            from undin.cli import main as run
        except KeyboardInterrupt:
            sys.exit(130)
        run()


if __name__ == "__main__":
    main()
