"""Names that a recipe or a user gives, and the nearest right one."""

import difflib
from typing import Any

from undin.errors import InputError


def check_known(name: str, names: Any, what: str) -> None:
    """Refuse a name that is none of names, and suggest the nearest."""
    if name not in names:
        near = difflib.get_close_matches(name, list(names), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
        raise InputError(f"{name!r} is no {what}: {hint}")
