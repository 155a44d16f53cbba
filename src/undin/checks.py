"""Settings checked against their type hints, and names against those that are known.

A field of a config says in its hint what it may be; rules for numbers are the metadata of `Annotated`:

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Config:
...     mode: Literal["fast", "exact"] = "fast"
...     gain: Annotated[float, ">= 0", "< 1"] = 0.5
...     band_hz: Annotated[Range, "> 0"] = (300.0, 3400.0)
...
...     def __post_init__(self) -> None:
...         check_fields(self)
>>> Config(gain=1.0)
Traceback (most recent call last):
undin.errors.InputError: gain must be a finite number, 0 or more and below 1; got 1.0
"""

import difflib
import math
import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from undin.errors import InputError

ORDER = "low <= high"  # the rule of a pair of numbers
COMPARISONS = {
    ">=": (operator.ge, "{} or more"),
    "<=": (operator.le, "{} or less"),
    ">": (operator.gt, "above {}"),
    "<": (operator.lt, "below {}"),
}
WORDS = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "a text",
    NoneType: "none",
    Mapping: "a table",
}

Count = Annotated[int, ">= 1"]
Natural = Annotated[int, ">= 0"]
Positive = Annotated[float, "> 0"]
NotNegative = Annotated[float, ">= 0"]
Share = Annotated[float, ">= 0", "<= 1"]
ShareBelowOne = Annotated[float, ">= 0", "< 1"]
Range = Annotated[tuple[float, float], ORDER]


def check_fields(config: Any, where: str = "") -> None:
    """Check every field of a dataclass against its type hint.

    Args:
        config: the dataclass.
        where: its fields are, before their names in the message: "train.".

    Raises:
        InputError: a value is not what its field may be; the message names field, rule and value.
    """
    for name, hint in _hints(config.__class__).items():
        check(where + name, getattr(config, name), hint)


def check(name: str, value: Any, hint: Any) -> None:
    """Check one value against a type hint.

    Args:
        name: of the value, for the message.
        value: anything. A list is accepted for a tuple, and an int for a float; floats must be finite.
        hint: int, float, bool, str, None, Literal, tuple, Sequence, Mapping, unions of these, and `Annotated` with
            rules: ">= 0" and the like for a number or for each number of a tuple, `ORDER` for a pair. Other types are
            not checked.

    Raises:
        InputError: the value does not fit.
    """
    if not fits(value, hint):
        raise InputError(f"{name} must be {rule(hint)}; got {value!r}")


def fits(value: Any, hint: Any) -> bool:
    """Whether a hint allows a value; see `check`."""
    kind, args = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return fits(value, args[0]) and all(_obeys(value, each) for each in args[1:])
    if kind in (Union, UnionType):
        return any(fits(value, arg) for arg in args)
    if kind is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if kind is tuple and args[-1] is not Ellipsis:
        return isinstance(value, (tuple, list)) and len(value) == len(args) and all(map(fits, value, args))
    if kind in (tuple, Sequence):
        return isinstance(value, (tuple, list) if kind is tuple else Sequence) and all(fits(v, args[0]) for v in value)
    if hint in (int, float):
        is_number = isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    return isinstance(value, kind or hint) if (kind or hint) in WORDS else True


def rule(hint: Any) -> str:
    """The values a hint allows, in words that follow "must be"."""
    kind, args = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return f"{rule(args[0])}, {_in_words(args[1:])}"
    if kind in (Union, UnionType):
        rules = list(map(rule, args))
        return (", or " if any("," in each for each in rules) else " or ").join(rules)
    if kind is Literal:
        return f"one of {', '.join(filter(None, map(str, args)))}" if len(args) > 1 else str(args[0])
    if kind is tuple and args[-1] is not Ellipsis:
        return "two numbers (low, high)" if args == (float, float) else f"({', '.join(map(rule, args))})"
    if kind in (tuple, Sequence):
        return f"a list, each {rule(args[0])}"
    return WORDS.get(kind or hint, str(hint))


def check_known(name: str, known: Collection[str], what: str, where: str = "") -> None:
    """Check a name against those that are known.

    Args:
        name: the name.
        known: those that are.
        what: a name is of, such as "metric", for the message.
        where: it was given, for the message; empty to leave that out.

    Raises:
        InputError: it is unknown; the message suggests the nearest, or lists all.
    """
    if name not in known:
        raise InputError(f"unknown {what} {name!r}{where and f' in {where}'}: {suggest(name, known)}")


def suggest(name: str, known: Iterable[str], others: str = "") -> str:
    """Suggest known names for an unknown one, for the end of an error.

    Args:
        name: the unknown name.
        known: the names that exist.
        others: what else could be given, in words.

    >>> suggest("log-mse", ["nmf", "log-mmse"]), suggest("x", ["nmf", "log-mmse"], " or a file")
    ('did you mean log-mmse?', 'known: nmf, log-mmse or a file')
    """
    near = difflib.get_close_matches(str(name), known := list(known), n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}{others}"


@lru_cache
def _hints(config: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(config, include_extras=True)
    return {field.name: hints[field.name] for field in fields(config)}


def _obeys(value: Any, bound: str) -> bool:
    if bound == ORDER:
        return bool(value[0] <= value[1])
    sign, number = bound.split()
    numbers = value if isinstance(value, (tuple, list)) else [value]
    return all(COMPARISONS[sign][0](each, float(number)) for each in numbers)


def _in_words(bounds: Sequence[str]) -> str:
    """Bounds as one reads them: "0 or more and below 1", "2 to 4"."""
    words = [COMPARISONS[sign][1].format(number) for sign, number in map(str.split, filter(ORDER.__ne__, bounds))]
    low, *others = words or [""]
    if low.endswith(" or more") and len(others) == 1 and others[0].endswith(" or less"):
        words = [f"{low.removesuffix(' or more')} to {others[0].removesuffix(' or less')}"]
    return ", ".join([*filter(ORDER.__eq__, bounds), *filter(None, [" and ".join(words)])])


def counted(n: int, thing: str) -> str:
    """1 file, 2 files."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"
