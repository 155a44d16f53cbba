"""Scale-invariant signal-to-distortion ratio."""

import numpy as np
from numpy.typing import ArrayLike

from undin.metrics.pairs import Score, Signal, by_keyword, check_pair


@by_keyword
def si_sdr(*, ref: ArrayLike, est: ArrayLike) -> Score:
    """Scale-invariant signal-to-distortion ratio in dB; higher is better, gain and DC of both signals do not matter.

    Args:
        ref: (..., n_samples) clean, floating point.
        est: (..., n_samples) its estimate.

    Returns:
        A float for (n_samples,), else (...) float64. An estimate that differs from the reference by nothing but gain,
        DC and float64 rounding scores +inf, one without any of it -inf.

    Raises:
        InputError: shapes differ, a signal is not floating point or not finite, or the ratio is undefined because one
            is empty or silent (constant counts as silent).

    Source: Le Roux, Wisdom, Erdogan and Hershey 2019, "SDR: half-baked or well done?", eq. 3-5, on zero-mean signals.

    >>> rng = np.random.default_rng(0)
    >>> speech, noise = rng.standard_normal((2, 16000))
    >>> bool(abs(si_sdr(ref=speech, est=speech + 0.1 * noise) - 20) < 0.2)
    True
    """
    s, e = (_zero_mean(x) for x in check_pair("SI-SDR", ref, est))
    # The part of e along s is a·s with a = <s, e> / <s, s>; the rest, orthogonal to s, is distortion.
    a: Signal = (s * e).sum(-1, keepdims=True) / (s * s).sum(-1, keepdims=True)  # (..., 1)
    target, distortion = np.square(a * s).sum(-1), np.square(e - a * s).sum(-1)  # (...)
    # Every sample of these peak-one signals carries a rounding of some eps: a sum of squares that small is zero.
    rounding = s.shape[-1] * (16 * np.finfo(np.float64).eps) ** 2 * (1 + a[..., 0] ** 2)
    with np.errstate(divide="ignore"):
        ratio_db = 10 * np.log10(np.where(target <= rounding, 0, target) / np.maximum(distortion, rounding))
    scores: Signal = np.where(distortion <= rounding, np.inf, ratio_db)
    return scores if scores.ndim else float(scores)


def _zero_mean(x: Signal) -> Signal:
    x = x / np.abs(x).max(-1, keepdims=True)  # so that squares neither overflow nor underflow
    x -= x.mean(-1, keepdims=True)
    return x
