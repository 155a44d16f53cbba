"""Names that a recipe or a user gives, and the nearest right one; how a stage tells what it does."""

import difflib
from typing import Any, Protocol

from undin.errors import InputError


def check_known(name: str, names: Any, what: str) -> None:
    """Refuse a name that is none of names, and suggest the nearest."""
    if name not in names:
        near = difflib.get_close_matches(name, list(names), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
        raise InputError(f"{name!r} is no {what}: {hint}")


class Told(Protocol):
    """What a stage tells as it goes."""

    def __call__(self, done: int, of: int, facts: str = "") -> object:
        """How far it is, and more in words."""
