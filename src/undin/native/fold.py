"""Operations that numpy does while a graph is translated: on known arrays, and on addresses where elements only move.

Each takes the node's attributes and its inputs, and gives an array or, of "Split", several.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Attributes = dict[str, Any]
Fold = Callable[..., Array | list[Array]]


def _transpose(a: Attributes, x: Array) -> Array:
    return np.transpose(x, a.get("perm"))


def _reshape(a: Attributes, x: Array, shape: Array) -> Array:
    sizes = [x.shape[i] if n == 0 and not a.get("allowzero") else int(n) for i, n in enumerate(shape)]
    return x.reshape(sizes)


def _squeeze(a: Attributes, x: Array, axes: Array | None = None) -> Array:
    return np.squeeze(x, None if axes is None else tuple(int(axis) for axis in axes))


def _unsqueeze(a: Attributes, x: Array, axes: Array) -> Array:
    return np.expand_dims(x, tuple(int(axis) for axis in axes))


def _flatten(a: Attributes, x: Array) -> Array:
    axis = a.get("axis", 1)
    return x.reshape(int(np.prod(x.shape[:axis], dtype=int)), -1)


def _slice(
    a: Attributes, x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None
) -> Array:
    index = [slice(None)] * x.ndim
    for i, axis in enumerate(range(len(starts)) if axes is None else axes):
        start, end, step = int(starts[i]), int(ends[i]), 1 if steps is None else int(steps[i])
        if step < 0 and end < -x.shape[axis]:
            index[axis] = slice(start, None, step)
        else:
            index[axis] = slice(start, end, step)
    return x[tuple(index)]


def _split(a: Attributes, x: Array, sizes: Array) -> list[Array]:
    return np.split(x, np.cumsum(sizes)[:-1], a.get("axis", 0))


def _gather(a: Attributes, x: Array, index: Array) -> Array:
    return np.take(x, index, a.get("axis", 0))


def _expand(a: Attributes, x: Array, shape: Array) -> Array:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(n) for n in shape)))


def _concat(a: Attributes, *xs: Array) -> Array:
    return np.concatenate(xs, a["axis"])


def _constant_of_shape(a: Attributes, shape: Array) -> Array:
    value = a.get("value", np.zeros(1, np.float32))
    return np.full([int(n) for n in shape], value.flat[0], value.dtype)


def _cast(a: Attributes, x: Array) -> Array:
    return x.astype({1: np.float32, 6: np.int32, 7: np.int64, 9: bool, 10: np.float16, 11: np.float32}[a["to"]])


def _div(a: Attributes, x: Array, y: Array) -> Array:
    return np.asarray(x / y, np.float32) if x.dtype.kind == "f" else np.asarray(np.trunc(x / y), x.dtype)


def _where(a: Attributes, c: Array, x: Array, y: Array) -> Array:
    return np.where(c, x, y)


def _range(a: Attributes, start: Array, end: Array, step: Array) -> Array:
    return np.arange(start.item(), end.item(), step.item(), dtype=start.dtype)


def _plain(function: Callable[..., Any]) -> Fold:
    return lambda a, *xs: np.asarray(function(*xs))


MOVES: dict[str, Fold] = {
    "Identity": lambda a, x: x,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "Expand": _expand,
}
FOLDS: dict[str, Fold] = MOVES | {
    "Constant": lambda a: a["value"],
    "ConstantOfShape": _constant_of_shape,
    "Concat": _concat,
    "Cast": _cast,
    "Div": _div,
    "Where": _where,
    "Range": _range,
    "Add": _plain(np.add),
    "Sub": _plain(np.subtract),
    "Mul": _plain(np.multiply),
    "Mod": _plain(np.mod),
    "Pow": _plain(np.power),
    "Sqrt": _plain(np.sqrt),
    "Exp": _plain(np.exp),
    "Neg": _plain(np.negative),
    "Equal": _plain(np.equal),
    "Less": _plain(np.less),
    "Greater": _plain(np.greater),
    "Min": _plain(np.minimum),
    "Max": _plain(np.maximum),
}
