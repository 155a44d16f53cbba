"""Checks that every metric makes on its two signals, and the loop of those that score one pair at a time."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from undin.errors import InputError

Signal = NDArray[np.float64]
Score = float | NDArray[np.float64]
P = ParamSpec("P")
R = TypeVar("R")


def by_keyword(metric: Callable[P, R]) -> Callable[P, R]:
    """Make a metric that is called with positional signals say how it is called."""

    @wraps(metric)
    def named(*args: P.args, **kwargs: P.kwargs) -> R:
        if args:
            needed = [p.name for p in inspect.signature(metric).parameters.values() if p.default is p.empty]
            call = ", ".join(f"{name}={name}" for name in needed)
            raise TypeError(f"{metric.__name__} takes its arguments by keyword: {metric.__name__}({call})")
        return metric(*args, **kwargs)

    return named


def check_pair(metric: str, ref: ArrayLike, est: ArrayLike) -> tuple[Signal, Signal]:
    """Check that `metric` is defined for a reference and its estimate.

    Args:
        metric: its name, for the messages.
        ref: (..., n_samples), floating point.
        est: (..., n_samples), the same shape.

    Returns:
        ref and est as float64; the caller's own arrays if they were float64 already, so never write to them.

    Raises:
        InputError: one is not floating point or not finite, the shapes differ, or one is empty or silent.
    """
    r, e = _floating("ref", ref), _floating("est", est)
    if r.shape != e.shape:
        raise InputError(
            f"ref and est must have the same shape; got {r.shape} and {e.shape}: align them, then cut or pad est"
        )
    if not r.shape[-1]:
        raise InputError(f"{metric} is undefined: ref and est are empty, shape {r.shape}")
    for name, x in (("ref", r), ("est", e)):
        _check_values(metric, name, x)
    return r.astype(np.float64, copy=False), e.astype(np.float64, copy=False)


def check_estimate(metric: str, est: ArrayLike) -> Signal:
    """Check that `metric`, which needs no reference, is defined for an estimate.

    Args:
        metric: its name, for the messages.
        est: (..., n_samples), floating point.

    Returns:
        est as float64; the caller's own array if it was float64 already, so never write to it.

    Raises:
        InputError: est is not floating point or not finite, empty or silent.
    """
    e = _floating("est", est)
    if not e.shape[-1]:
        raise InputError(f"{metric} is undefined: est is empty, shape {e.shape}")
    _check_values(metric, "est", e)
    return e.astype(np.float64, copy=False)


def check_sr(sr: int) -> int:
    """Give sr back when it is a whole number of Hz above zero, else raise `InputError`."""
    if not isinstance(sr, int | np.integer) or sr <= 0:
        raise InputError(f"sr must be a positive whole number of Hz; got {sr!r}")
    return int(sr)


def score_each(score: Callable[[Signal, Signal], float], ref: Signal, est: Signal) -> Score:
    """Score (..., n_samples) pair by pair.

    Args:
        score: of two signals (n_samples,).
        ref, est: (..., n_samples), of one shape.

    Returns:
        A float for (n_samples,), else (...) float64.
    """
    lead = ref.shape[:-1]
    scores = np.empty(lead)
    for i in np.ndindex(lead):
        try:
            scores[i] = score(ref[i], est[i])
        except InputError as error:
            raise InputError(f"{error}{_at(i)}") from error
    return scores if lead else float(scores)


def _floating(name: str, signal: ArrayLike) -> NDArray[np.floating]:
    x = np.asarray(signal)
    if not np.issubdtype(x.dtype, np.floating) or x.ndim == 0:
        raise InputError(
            f"{name} must be floating point of shape (..., n_samples); got {x.dtype} of shape {x.shape}: "
            "use undin.read(path), or divide integers by their full scale"
        )
    return x


def _check_values(metric: str, name: str, x: NDArray[np.floating]) -> None:
    bad = ~np.isfinite(x)
    if bad.any():
        i = tuple(np.argwhere(bad)[0].tolist())
        raise InputError(f"{name} must be finite; got {x[i]} at {list(i)}: repair it before you score it")
    # A constant is silence too: metrics ignore DC, and the rounding error left without the mean is not a signal.
    silent = np.ptp(x, -1) <= 32 * np.finfo(np.float64).eps * np.abs(x).max(-1)
    if silent.any():
        i = tuple(np.argwhere(silent)[0].tolist()) if silent.ndim else ()
        raise InputError(f"{metric} is undefined: {name} is silent{_at(i)}")


def _at(i: tuple[int, ...]) -> str:
    return f" (at index {list(i)})" if i else ""
