"""Means with their 95 % intervals, and significance of the difference between two methods."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Z_95 = 1.959964  # of the normal distribution: 95 % is within ± this many standard errors


@dataclass(frozen=True)
class Mean:
    """A mean over n files and half the width of its 95 % interval (normal approximation); None for n = 1."""

    n: int
    mean: float
    half: float | None


@dataclass(frozen=True)
class PairedTest:
    """Two methods on the same files.

    Attributes:
        difference: mean of first minus second, with its interval.
        n_higher: files on which the first scores higher.
        n_lower: files on which it scores lower.
        p_t: of the paired t-test; None without scipy, below 2 files, or where all differences are equal.
        p_wilcoxon: of Wilcoxon's signed-rank test; None likewise.
        p_sign: of the sign test.
    """

    difference: Mean
    n_higher: int
    n_lower: int
    p_t: float | None
    p_wilcoxon: float | None
    p_sign: float


def mean_of(values: Iterable[float], weights: Iterable[float] | None = None) -> Mean | None:
    """Mean and interval, or None for no values.

    Args:
        values: one per file.
        weights: likewise, positive; None for equal ones. The weighted mean is the ratio of two sums, whose variance
            follows from the residuals w (v - mean) over n times the mean weight squared.

    Source: Cochran 1977, Sampling Techniques, eq. 6.13, for the ratio.

    >>> mean_of([1.0, 3.0])
    Mean(n=2, mean=2.0, half=1.959964)
    """
    v = np.asarray(list(values), float)
    if not len(v):
        return None
    w = np.ones(len(v)) if weights is None else np.asarray(list(weights), float)
    mean = float(np.average(v, weights=w))
    if len(v) == 1:
        return Mean(1, mean, None)
    spread = math.sqrt(float(np.square(w * (v - mean)).sum()) / (len(v) - 1)) / float(w.mean())
    return Mean(len(v), mean, Z_95 * spread / math.sqrt(len(v)))


def number(value: float, digits: int, *, sign: bool = False) -> str:
    """A number as text, with a real minus sign and no negative zero.

    Args:
        value: the number.
        digits: after the point.
        sign: write a plus too.

    >>> number(-0.04, 1), number(-1.0, 2), number(1.0, 0, sign=True)
    ('0.0', '−1.00', '+1')
    """
    value = round(value, digits) or 0.0
    return f"{value:{'+' if sign and value else ''}.{digits}f}".replace("-", "−")


def interval(mean: Mean, digits: int, *, sign: bool = False) -> str:
    """Mean ± half of its 95 % interval, as text.

    Args:
        mean: the mean.
        digits: after the point.
        sign: write a plus too.

    >>> interval(Mean(2, 2.0, 0.5), 1, sign=True)
    '+2.0 ± 0.5'
    """
    half = "" if mean.half is None else f" ± {mean.half:.{digits}f}"
    return number(mean.mean, digits, sign=sign) + half


def differences(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """First minus second, for every file scored for both."""
    return {id: value - second[id] for id, value in first.items() if id in second}


def paired_test(d: Sequence[float], weights: Sequence[float] | None = None) -> PairedTest | None:
    """Test whether paired differences are zero in the mean; None for no pairs.

    Args:
        d: first minus second, per file.
        weights: of the files in the mean, as in `mean_of`; the tests weigh all files alike.

    Source: Student 1908; Wilcoxon 1945; the sign test is binomial, files without a difference left out.
    """
    difference = mean_of(d, weights)
    if difference is None:
        return None
    n_higher, n_lower = sum(v > 0 for v in d), sum(v < 0 for v in d)
    p_t, p_wilcoxon = _scipy_tests(d)
    return PairedTest(difference, n_higher, n_lower, p_t, p_wilcoxon, sign_test(n_higher, n_lower))


def sign_test(n_higher: int, n_lower: int) -> float:
    """Two-sided p of a fair coin that falls at least this unevenly.

    >>> round(sign_test(9, 1), 4)
    0.0215
    """
    n = n_higher + n_lower
    tail = sum(math.comb(n, k) for k in range(min(n_higher, n_lower) + 1)) / 2**n
    return float(min(2 * tail, 1.0))


def _scipy_tests(d: Sequence[float]) -> tuple[float | None, float | None]:
    try:
        from scipy import stats
    except ImportError:
        return None, None
    if len(d) < 2 or np.ptp(d) == 0:
        return None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ties and small n turn the exact test into its approximation
        return float(stats.ttest_1samp(d, 0).pvalue), float(stats.wilcoxon(d).pvalue)
