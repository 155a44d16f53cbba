"""Which estimate belongs to which reference, when a method does not say."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from undin.errors import InputError
from undin.metrics.pairs import Score, Signal

MAX_SOURCES = 8  # 8! = 40320 orders are tried


def permute_best(scores: NDArray[np.float64], *, higher_is_better: bool = True) -> NDArray[np.intp]:
    """Choose one estimate for each reference so that the mean score is best.

    Args:
        scores: (..., n_src, n_src), of estimate j against reference i at [..., i, j].
        higher_is_better: what best means.

    Returns:
        (..., n_src), the estimate of each reference.

    Raises:
        InputError: there are more than 8 sources, or the scores are not square or NaN.
    """
    n_src = scores.shape[-1]
    if scores.shape[-2:] != (n_src, n_src) or not 1 <= n_src <= MAX_SOURCES or np.isnan(scores).any():
        raise InputError(
            f"scores must be (..., n_src, n_src) without NaN, with n_src in 1 to {MAX_SOURCES}; got {scores.shape}"
        )
    orders = np.array(list(permutations(range(n_src))))  # (n_orders, n_src)
    finite = np.clip(scores if higher_is_better else -scores, -1e6, 1e6)  # so that inf - inf does not hide the rest
    totals = finite[..., np.arange(n_src), orders].sum(-1)  # (..., n_orders)
    best: NDArray[np.intp] = orders[totals.argmax(-1)]
    return best


def best_permutation(
    metric: Callable[..., Score],
    *,
    ref: ArrayLike,
    est: ArrayLike,
    higher_is_better: bool | None = None,
    **settings: Any,
) -> tuple[Signal, NDArray[np.intp]]:
    """Score separated sources in the best order.

    Args:
        metric: any metric of one reference and one estimate, called as `metric(ref=, est=, **settings)`; or one of
            `METRICS`, with sr among the settings.
        ref: (..., n_src, n_samples) clean sources, floating point.
        est: (..., n_src, n_samples) estimates in any order.
        higher_is_better: direction of the metric; None for that in `METRICS`, or True.
        **settings: further arguments of the metric, e.g. sr.

    Returns:
        scores: (..., n_src) by reference.
        permutation: (..., n_src); permutation[..., i] is the estimate that belongs to reference i.

    Raises:
        InputError: the axis of sources is missing, more than 8 sources, or the metric is undefined for some pair.

    >>> from undin.metrics import si_sdr
    >>> talkers, noise = np.random.default_rng(0).standard_normal((2, 3, 8000))
    >>> scores, order = best_permutation(si_sdr, ref=talkers, est=(talkers + 0.1 * noise)[[2, 0, 1]])
    >>> order
    array([1, 2, 0])
    """
    r, e = np.asarray(ref), np.asarray(est)
    if r.ndim < 2 or r.shape != e.shape:
        raise InputError(f"ref and est must both be (..., n_src, n_samples); got {r.shape} and {e.shape}")
    if not 1 <= r.shape[-2] <= MAX_SOURCES:
        raise InputError(f"n_src must be in 1 to {MAX_SOURCES}; got {r.shape[-2]}: sources are the axis before samples")
    pairs = (*r.shape[:-1], *r.shape[-2:])  # (..., n_src, n_src, n_samples)
    scores = np.asarray(
        metric(
            ref=np.broadcast_to(r[..., :, None, :], pairs), est=np.broadcast_to(e[..., None, :, :], pairs), **settings
        )
    )
    order = permute_best(scores, higher_is_better=rises(metric, higher_is_better))
    return np.take_along_axis(scores, order[..., None], -1)[..., 0], order


def rises(metric: Callable[..., Score], higher_is_better: bool | None) -> bool:
    """Whether a higher score is better: as said, else as `METRICS` says, else yes."""
    return bool(getattr(metric, "higher_is_better", True)) if higher_is_better is None else higher_is_better
