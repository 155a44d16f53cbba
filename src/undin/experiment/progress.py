"""How a stage reports its progress."""

from typing import Protocol


class StageProgress(Protocol):
    """Called by a stage as it proceeds."""

    def __call__(self, done: int, total: int, facts: str = "") -> object:
        """Take how many steps of how many are done, and the latest facts in words."""
