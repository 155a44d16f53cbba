"""`undin.checks`: what a type hint allows, and what an error says where it does not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from undin.checks import Count, Positive, Range, Share, check, check_fields, check_known, suggest
from undin.errors import InputError

Mode = Literal["fast", "exact", 3]
Semitones = Annotated[Range, ">= -12", "<= 12"]


@pytest.mark.parametrize(
    ("hint", "allowed", "refused", "rule"),
    [
        (int, [0, -3, np.int64(4)], [1.0, True, "1", None, np.float32(1)], "a whole number"),
        (float, [0, 2.5, np.float32(1)], [True, "1", None, math.nan, -math.inf, 1j], "a finite number"),
        (bool, [True, False], [0, 1, "true", None], "true or false"),
        (str, ["", "a"], [1, None, ["a"]], "a text"),
        (Count, [1, 7], [0, -1, 1.0], "a whole number, 1 or more"),
        (Positive, [1, 1e-9], [0, -1.0], "a finite number, above 0"),
        (Share, [0, 0.5, 1], [-0.1, 1.1], "a finite number, 0 to 1"),
        (Annotated[float, ">= 0", "< 1"], [0, 0.99], [1, -1], "a finite number, 0 or more and below 1"),
        (Mode, ["fast", 3], ["slow", "3", 3.0, ["fast"], {}], "one of fast, exact, 3"),
        (Mode | None, [None, "exact"], ["none", False], "one of fast, exact, 3, or none"),
        (Positive | None, [None, 2], [0, ""], "a finite number, above 0, or none"),
        (tuple[Count, ...], [(), [1, 2], (3,)], [1, "12", [0], (1, "a")], "a list, each a whole number, 1 or more"),
        (Sequence[str], [(), ["a"], "kind"], [1, ["a", 1]], "a list, each a text"),
        (Range, [(0, 0), [1.5, 2]], [(2, 1), (1,), (1, 2, 3), ("a", "b"), 1], "two numbers (low, high), low <= high"),
        (Semitones, [(-12, 12)], [(-13, 0), (0, 12.5), (1, -1)], "two numbers (low, high), low <= high, -12 to 12"),
        (Mapping[str, int], [{}, {"a": 1}], [[], "a", None], "a table"),
        (Any, [None, object()], [], ""),
    ],
)
def test_a_hint_allows_and_refuses(hint: Any, allowed: list[Any], refused: list[Any], rule: str) -> None:
    for value in allowed:
        check("x", value, hint)
    for value in refused:
        with pytest.raises(InputError) as caught:
            check("x", value, hint)
        assert str(caught.value) == f"x must be {rule}; got {value!r}"


@dataclass(frozen=True)
class Base:
    n: Count = 1


@dataclass(frozen=True)
class Config(Base):
    mode: Literal["fast", "exact"] = "fast"

    def __post_init__(self) -> None:
        check_fields(self, "train.")


def test_fields_are_checked_those_inherited_too() -> None:
    Config()
    with pytest.raises(InputError, match=r"train\.n must be a whole number, 1 or more; got 0"):
        Config(n=0)
    with pytest.raises(InputError, match=r"train\.mode must be one of fast, exact; got 'slow'"):
        Config(mode="slow")  # type: ignore[arg-type]


def test_unknown_names_are_met_with_the_nearest() -> None:
    check_known("hum", ["hum", "rain"], "kind")
    with pytest.raises(InputError, match=r"^unknown kind 'rian' in \[mix\]: did you mean rain\?$"):
        check_known("rian", ["hum", "rain"], "kind", "[mix]")
    with pytest.raises(InputError, match=r"^unknown kind 'zzz': known: hum, rain$"):
        check_known("zzz", {"hum": 1, "rain": 2}, "kind")
    assert suggest("zzz", []) == "known: none"
