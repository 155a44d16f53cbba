"""Values of a graph while it is translated: arrays that are known, and addresses of those that C will compute.

A `View` holds, for each element of an array, its address in a buffer. So whatever only moves elements (transpose,
slice, reshape, split, ...) is done by numpy on the addresses, now, and costs nothing when the C code runs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Addresses = NDArray[np.int64]


@dataclass(frozen=True)
class Constant:
    """An array that is known when the graph is translated.

    Attributes:
        array: its values; weights are float32, however they are stored.
        scale: of weights stored as 8-bit integers, what one step is, broadcast to the array's shape; None for others.
    """

    array: NDArray[Any]
    scale: NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.array.shape


@dataclass(frozen=True)
class View:
    """An array that the C code computes.

    Attributes:
        base: C text of the buffer that holds it, e.g. "$b3", or "$w3" among the weights.
        at: addresses of its elements in that buffer, in floats.
    """

    base: str
    at: Addresses

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.at.shape


Value = Constant | View


def strides_of(at: Addresses) -> tuple[int, ...] | None:
    """Distance of neighbors along each axis; None where it is not the same everywhere.

    Args:
        at: addresses.

    >>> strides_of(np.arange(6).reshape(2, 3).T)
    (1, 3)
    """
    strides = tuple(
        int(np.take(at, 1, axis).flat[0] - at.flat[0]) if size > 1 else 0 for axis, size in enumerate(at.shape)
    )
    grid = at.flat[0] + sum(
        np.arange(size).reshape(-1, *[1] * (at.ndim - 1 - axis)) * strides[axis] for axis, size in enumerate(at.shape)
    )
    return strides if np.array_equal(np.broadcast_to(grid, at.shape), at) else None


def merge_axes(shape: tuple[int, ...], strides: list[tuple[int, ...]]) -> tuple[list[int], list[list[int]]]:
    """As few loops as possible: axes in the order of the first operand's strides, joined where all operands allow it.

    Args:
        shape: of the loops.
        strides: of each operand, the first decides the order.

    Returns:
        Sizes of the loops, the outermost first, and for each operand its strides.

    >>> merge_axes((4, 1, 8), [(8, 0, 1), (8, 0, 1)])
    ([32], [[1], [1]])
    """
    order = sorted((a for a, size in enumerate(shape) if size > 1), key=lambda a: -abs(strides[0][a]))
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for a in order:
        if sizes and all(step[-1] == s[a] * shape[a] for step, s in zip(steps, strides, strict=True)):
            sizes[-1] *= shape[a]
            for step, s in zip(steps, strides, strict=True):
                step[-1] = s[a]
        else:
            sizes.append(shape[a])
            for step, s in zip(steps, strides, strict=True):
                step.append(s[a])
    return sizes, steps
