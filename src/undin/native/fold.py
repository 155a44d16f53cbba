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


def _reshape(a: Attributes, x: Array, shape: Array) -> Array:
    sizes = [x.shape[i] if n == 0 and not a.get("allowzero") else int(n) for i, n in enumerate(shape)]
    return x.reshape(sizes)


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


def _constant_of_shape(a: Attributes, shape: Array) -> Array:
    value = a.get("value", np.zeros(1, np.float32))
    return np.full([int(n) for n in shape], value.flat[0], value.dtype)


def _cast(a: Attributes, x: Array) -> Array:
    return x.astype({1: np.float32, 6: np.int32, 7: np.int64, 9: bool, 10: np.float16, 11: np.float32}[a["to"]])


def _div(a: Attributes, x: Array, y: Array) -> Array:
    return np.asarray(x / y, np.float32) if x.dtype.kind == "f" else np.asarray(np.trunc(x / y), x.dtype)


def _plain(function: Callable[..., Any]) -> Fold:
    return lambda a, *xs: np.asarray(function(*xs))


MOVES: dict[str, Fold] = {
    "Identity": lambda a, x: x,
    "Transpose": lambda a, x: np.transpose(x, a.get("perm")),
    "Reshape": _reshape,
    "Squeeze": lambda a, x, axes=None: np.squeeze(x, axes if axes is None else tuple(axes)),
    "Unsqueeze": lambda a, x, axes: np.expand_dims(x, tuple(axes)),
    "Flatten": lambda a, x: x.reshape(int(np.prod(x.shape[: a.get("axis", 1)], dtype=int)), -1),
    "Slice": _slice,
    "Split": _split,
    "Gather": lambda a, x, index: np.take(x, index, a.get("axis", 0)),
    "Expand": lambda a, x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape))),
}
FOLDS: dict[str, Fold] = MOVES | {
    "Constant": lambda a: a["value"],
    "ConstantOfShape": _constant_of_shape,
    "Concat": lambda a, *xs: np.concatenate(xs, a["axis"]),
    "Cast": _cast,
    "Div": _div,
    "Where": _plain(np.where),
    "Range": lambda a, *ends: np.arange(*(end.item() for end in ends), dtype=ends[0].dtype),
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
