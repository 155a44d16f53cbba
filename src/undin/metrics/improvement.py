"""What an estimate gained over the sound it was made from: SI-SDRi, SDRi and the like."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from undin.errors import InputError
from undin.metrics.pairs import Score
from undin.metrics.permutation import rises


def improvement(
    metric: Callable[..., Score],
    *,
    ref: ArrayLike,
    est: ArrayLike,
    noisy: ArrayLike,
    higher_is_better: bool | None = None,
    **settings: Any,
) -> Score:
    """Score of the estimate minus that of the unprocessed input; positive is better, whatever the metric's direction.

    Args:
        metric: any metric, called as `metric(ref=, est=, **settings)`; or one of `METRICS`, with sr among the settings.
        ref: (..., n_samples) clean, floating point.
        est: (..., n_samples) its estimate.
        noisy: what est was made from, of ref's shape or one that broadcasts to it: (n_samples,), one mixture, beside
            (n_src, n_samples) sources.
        higher_is_better: the metric's direction; None for what `METRICS` says, and True where it says nothing.
        **settings: what else the metric takes, e.g. sr.

    Returns:
        A float for (n_samples,), else (...) float64.

    Raises:
        InputError: the metric is undefined for a pair, shapes do not fit, or both scores are infinite.

    >>> from undin.metrics import si_sdr
    >>> speech, noise = np.random.default_rng(0).standard_normal((2, 16000))
    >>> gain_db = improvement(si_sdr, ref=speech, est=speech + 0.1 * noise, noisy=speech + noise)
    >>> bool(abs(gain_db - 20) < 0.1)
    True
    """
    r, x = np.asarray(ref), np.asarray(noisy)
    try:
        x = np.broadcast_to(x, r.shape)
    except ValueError as error:
        raise InputError(f"noisy must have ref's shape {r.shape}, or that of one mixture; got {x.shape}") from error
    after, before = metric(ref=r, est=est, **settings), metric(ref=r, est=x, **settings)
    with np.errstate(invalid="ignore"):
        change = np.subtract(after, before) if rises(metric, higher_is_better) else np.subtract(before, after)
    if np.isnan(change).any():
        raise InputError("the improvement is undefined: est and noisy have the same infinite score")
    return change if change.ndim else float(change)
