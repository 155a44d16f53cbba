"""How a stage reports its progress; and names that a recipe or a user gives, with the nearest right one."""

import difflib
from typing import Any, Protocol

from undin.errors import InputError


def check_known(name: str, names: Any, what: str) -> None:
    """Refuse a name that is not among names, and suggest the nearest."""
    if name not in names:
        near = difflib.get_close_matches(name, list(names), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
        raise InputError(f"{name!r} is no {what}: {hint}")


class StageProgress(Protocol):
    """Called by a stage as it proceeds."""

    def __call__(self, done: int, total: int, facts: str = "") -> object:
        """Take how many steps of how many are done, and the latest facts in words."""
