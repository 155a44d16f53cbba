"""The metrics of a report, and what becomes of one that is undefined."""

import difflib
import math
from collections.abc import Iterable

import numpy as np

from undin.errors import InputError, MissingExtraError
from undin.metrics import METRICS, Metric
from undin.spectrum import Array

DEFAULT = ("pesq_wb", "estoi", "si_sdr_db")


def choose(names: Iterable[str] | None, sr: int) -> tuple[list[Metric], list[str]]:
    """Take the wanted metrics; by default those whose packages are installed and that are defined at the rate.

    Args:
        names: of `METRICS`; `DEFAULT` when None.
        sr: sample rate of the mixtures in Hz.

    Returns:
        the metrics, and a sentence for each default one that is left out.

    Raises:
        InputError: there is no such metric, or it is not defined at sr.
        MissingExtraError: the package of a metric that was asked for is not installed.

    >>> [metric.name for metric in choose(["si_sdr_db"], 16000)[0]]
    ['si_sdr_db']
    """
    chosen, left_out = [], []
    for name in DEFAULT if names is None else dict.fromkeys(names):
        if name not in METRICS:
            near = difflib.get_close_matches(name, METRICS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(METRICS)}"
            raise InputError(f"{name!r} is no metric: {hint}")
        metric = METRICS[name]
        try:
            _try_out(metric, sr)
        except (MissingExtraError, InputError) as error:
            if names is not None:
                raise
            left_out.append(f"{metric.title} is left out: {error}.")
        else:
            chosen.append(metric)
    return chosen, left_out


def measure_all(measures: Iterable[Metric], ref: Array, est: Array, sr: int) -> tuple[dict[str, float], dict[str, str]]:
    """Score one pair by every measure.

    Args:
        measures: what to score by.
        ref: (n_samples,) clean.
        est: (n_samples,) its estimate.
        sr: sample rate in Hz.

    Returns:
        name -> score, and name -> reason for those without one: undefined, or infinite, which no mean could hold.
    """
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    for measure in measures:
        try:
            value = float(measure(ref, est, sr))
        except InputError as error:
            missing[measure.name] = " ".join(str(error).split())
            continue
        if math.isfinite(value):
            values[measure.name] = value
        else:
            missing[measure.name] = f"{measure.label} is infinite: no mean could hold it"
    return values, missing


def _try_out(metric: Metric, sr: int) -> None:
    """Raise where a metric cannot be used at all, at this rate or without its package."""
    if metric.rate_at(sr) is None:
        least = max(metric.min_sr, min(metric.rates, default=0))
        raise InputError(f"{metric.name} needs {least} Hz or more; the mixtures have {sr} Hz: choose another metric")
    try:
        metric(np.zeros(1, np.float32), np.zeros(1, np.float32), sr)
    except InputError:
        return
