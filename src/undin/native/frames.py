"""A program for any number of frames T, from programs for three numbers: what differs between them is a + b T."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from undin.errors import WeightsError
from undin.native.program import Program
from undin.native.values import View

Translation = tuple[Program, View, View]
LENGTHS = (17, 19, 23)  # longer than what a memory takes at once
NUMBER = re.compile(r"(?<![\w.$])(\d+)(\.0f)?(?![\w.])")


def for_any_length(translate: Callable[[int], Translation], most: int) -> Translation:
    """Write a program whose statements contain T.

    Args:
        translate: gives the program for a number of frames, and where it takes X and leaves its answer.
        most: the largest T, which the memory is for.

    Raises:
        WeightsError: the programs differ in weights or words, or in numbers that do not grow linearly with T.
    """
    (program, X, Y), *others = [translate(n_frames) for n_frames in LENGTHS]
    programs = [program, *(other for other, _, _ in others)]
    merged = Program()
    merged.weights, merged.pinned = program.weights, program.pinned
    try:
        for first, *rest in zip(*(program.weights for program in programs), strict=True):
            if not all(np.array_equal(first.array, weight.array) for weight in rest):
                raise ValueError(first)
        for sizes in zip(*(program.sizes for program in programs), strict=True):
            a, b = _line(sizes)
            merged.sizes.append(a + b * most)
        for texts in zip(*(program.statements for program in programs), strict=True):
            merged.emit(_joined(texts))
    except ValueError as error:
        raise WeightsError(
            "export to C does not support networks whose cost grows faster than the length of the signal"
        ) from error
    return merged, X, Y


def _joined(texts: Sequence[str]) -> str:
    """One statement from those for each length.

    >>> _joined([f"NAME(gemm)({n}, 8, m + $b1 + {2 * n + 3}, 2.0f / {n}.0f);" for n in LENGTHS])
    'NAME(gemm)(T, 8, m + $b1 + (2 * T + 3), 2.0f / (float)T);'
    """
    rows = [NUMBER.split(text) for text in texts]
    words, numbers, suffixes = ([row[i::3] for row in rows] for i in range(3))
    if any(row != rest[0] for rest in (words, suffixes) for row in rest):
        raise ValueError(texts)
    out = [words[0][0]]
    for row, suffix, text in zip(zip(*numbers, strict=True), suffixes[0], words[0][1:], strict=True):
        a, b = _line([int(number) for number in row])
        number = _expression(a, b) if b else f"{a}{suffix or ''}"
        out += ["(float)" * bool(b and suffix), number, text]
    return "".join(out)


def _line(numbers: Sequence[int]) -> tuple[int, int]:
    """a and b of a + b T."""
    b = (numbers[1] - numbers[0]) // (LENGTHS[1] - LENGTHS[0])
    a = numbers[0] - b * LENGTHS[0]
    if any(a + b * T != number for T, number in zip(LENGTHS, numbers, strict=True)):
        raise ValueError(numbers)
    return a, b


def _expression(a: int, b: int) -> str:
    T = "T" if b == 1 else f"{b} * T"
    return f"({T} + {a})".replace("+ -", "- ") if a else T if b == 1 else f"({T})"
