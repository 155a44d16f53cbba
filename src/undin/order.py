"""Which output of a separator is which talker, from chunk to chunk and within each: by the overlap, and by the voice.

Steps are those in which a method describes voices V (n_src, T', D); else the entire chunk is one step. In each step

    S_ij = <r_i, l_j V_j> / mean of l |V| + sum of |tail_i| |Y_j| / mean of |Y|^2

says how well output j is talker i, in steps of average level: l_j is the level of the output, r_i the voice of the
talker so far, of length 1, and tail_i what the last chunk gave for the talker where both overlap. A pause has no level
and says nothing. The orders of all steps together have the greatest sum of S_ij, less SWITCH_S for each change: an
output that changes to the other talker at a turn is followed, single errors are not.
"""

from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin.spectrum import Array, ComplexArray

SWITCH_S = 0.25  # a change of order must pay for more than this
ROUNDS = 3  # voices are learned from a chunk, its steps ordered by them, and both again

Orders = NDArray[np.intp]


def in_order(
    Y: ComplexArray,
    V: Array | None,
    tail: ComplexArray | None = None,
    voices: Array | None = None,
    *,
    frames_per_s: float,
    known: Array | None = None,
) -> tuple[ComplexArray, Array | None]:
    """Order the talkers of a chunk.

    Args:
        Y: (n_src, n_freq, T).
        V: (n_src, T', D), T' <= T; None if the method does not describe voices.
        tail: (n_src, n_freq, n), what the last chunk gave for the first n frames.
        voices: (n_src, D), sums over all chunks before.
        frames_per_s: frames in a second.
        known: (D,) of length 1, the voice of the first talker.

    Returns:
        Y in order, and the sums with this chunk, or None.
    """
    n_src, _, T = Y.shape
    step = np.arange(T) * (1 if V is None else V.shape[1]) // T  # of each frame
    first = np.flatnonzero(np.diff(step, prepend=-1))  # frame of each step
    S = np.zeros((n_src, n_src, len(first)))
    if tail is not None:
        S += _overlap_similarity(Y, tail, first)
    if V is None:
        return Y[source_path(S, 0.0)[:, 0]], None
    V = V * np.add.reduceat(np.abs(Y).sum(1), first, -1)[..., None]
    so_far = np.zeros((n_src, V.shape[-1])) if voices is None else voices
    total = V.sum(1) if voices is None and known is None else so_far
    mean = max(float(np.linalg.norm(V, axis=-1).sum() / len(first)), 1e-20)
    for _ in range(ROUNDS):
        r = total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-20)
        r[: known is not None] = known
        order = source_path(S + np.einsum("id,jtd->ijt", r, V) / mean, SWITCH_S * frames_per_s * len(first) / T)
        total = so_far + np.take_along_axis(V, order[..., None], 0).sum(1)
    return np.take_along_axis(Y, order[:, None, step], 0), total


def _overlap_similarity(Y: ComplexArray, tail: ComplexArray, first: NDArray[Any]) -> Array:
    """Products of magnitudes in the overlap in each step, (n_src, n_src, n_steps)."""
    T, n = Y.shape[-1], tail.shape[-1]
    products = np.einsum("ift,jft->ijt", np.abs(tail), np.abs(Y[..., :n]))
    mean = max(float(np.square(np.abs(Y)).sum()) / len(first), 1e-20)
    similarity: Array = np.add.reduceat(np.pad(products, [(0, 0), (0, 0), (0, T - n)]), first, -1) / mean
    return similarity


def source_path(S: Array, cost: float) -> Orders:
    """The orders of all steps with the greatest sum, less a cost for each change; of equals those without changes.

    Args:
        S: (n, n, n_steps), how well each source (second axis) is each talker (first axis).
        cost: of a change.

    Returns:
        (n, n_steps): the source that is each talker.
    """
    orders = np.array(list(permutations(range(len(S)))))  # (n_orders, n)
    gains = S[np.arange(len(S)), orders].sum(1)  # (n_orders, n_steps)
    total, came = gains[:, 0], []
    for gain in gains.T[1:]:
        best = total.argmax()
        came.append(np.where(total >= total[best] - cost, np.arange(len(orders)), best))
        total = np.maximum(total, total[best] - cost) + gain
    path = [int(total.argmax())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    found: Orders = orders[path[::-1]].T
    return found


def source_order(reference: ComplexArray, Y: ComplexArray) -> list[int]:
    """Order of the sources of Y that correlates best, in magnitude, with the reference's.

    Args:
        reference: (n_src, ..., n_freq, T).
        Y: the same shape.
    """
    a, b = (np.abs(Z).reshape(len(Z), -1) for Z in (reference, Y))
    order: list[int] = source_path((a @ b.T)[..., None], 0.0)[:, 0].tolist()
    return order
