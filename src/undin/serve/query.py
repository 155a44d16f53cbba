"""The settings of a request, from its query: unknown names and invalid values are refused."""

import sys
from collections.abc import Collection, Iterable
from typing import Any

from starlette.datastructures import QueryParams

from undin.checks import suggest
from undin.serve.refusal import Refusal


class Query:
    """Reads the values of a query by name.

    Args:
        params: the client's parameters.
        known: names that may occur, once each.

    Raises:
        Refusal: an unknown name, or one that occurs twice.
    """

    def __init__(self, params: QueryParams, known: Iterable[str]) -> None:
        known = tuple(known)
        names = [name for name, _ in params.multi_items()]
        for name in names:
            if name not in known:
                raise _invalid(f"unknown setting {name[:40]!r}: {suggest(name[:40], known)}")
            if names.count(name) > 1:
                raise _invalid(f"{name} must occur once")
        self._params = params

    def text(self, name: str) -> str | None:
        """The raw value; None if missing."""
        return self._params.get(name)

    def choice(self, name: str, choices: Collection[str], default: str | None = None) -> str | None:
        """One of `choices`.

        Args:
            name: of the setting.
            choices: the valid values.
            default: where it is missing; None for none.
        """
        value = self._params.get(name, default)
        if value is not None and value not in choices:
            raise _invalid(f"{name} must be one of {', '.join(choices)}; got {value[:40]!r}")
        return value

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number from `least` to `most`.

        Args:
            name: of the setting.
            default: where it is missing.
            least, most: the bounds, both valid.
        """
        text = self._params.get(name, str(default))
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
            raise _invalid(f"{name} must be a whole number from {least} to {most}; got {text[:40]!r}")
        return int(text)

    def limit_db(self) -> float | None:
        """The setting limit_db."""
        text = self._params.get("limit_db")
        try:
            return None if text is None else check_limit_db(float(text))
        except ValueError:
            raise _invalid(f"limit_db must be a number, 0 or more dB; got {text!r:.40}") from None


def check_limit_db(value: Any) -> float | None:
    """Accept a limit of attenuation in dB, or None for no limit.

    Raises:
        Refusal: not a finite number of 0 or more.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= sys.float_info.max:
        raise _invalid(f"limit_db must be a number, 0 or more dB; got {value!r:.40}")
    return float(value)


def _invalid(message: str) -> Refusal:
    return Refusal(422, "invalid_setting", message)
