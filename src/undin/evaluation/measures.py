"""Which metrics are scored, and the scores of one pair."""

import math
from collections.abc import Iterable

import numpy as np

from undin.checks import check_known
from undin.errors import InputError, MissingExtraError
from undin.evaluation.enhancement import Enhancement
from undin.evaluation.recognizer import WER
from undin.evaluation.task import Task
from undin.metrics import Metric, score_all
from undin.spectrum import Array


def choose(
    names: Iterable[str] | None, sr: int, task: Task | None = None, *, wer: bool = False
) -> tuple[list[Metric], list[str]]:
    """Choose metrics; by default those of the task whose packages are installed and that are defined at the rate.

    Args:
        names: of the task's metrics; None for its default.
        sr: sample rate of the mixtures in Hz.
        task: kind of evaluation; `Enhancement()` when None.
        wer: there is a recognizer, so the word error rate is one of them.

    Returns:
        the metrics, and a sentence for each default one that is left out.

    Raises:
        InputError: a metric is unknown, or not defined at sr.
        MissingExtraError: the package of a metric that was asked for is not installed.

    >>> [metric.name for metric in choose(["si_sdr_db"], 16000)[0]]
    ['si_sdr_db']
    """
    task = task or Enhancement()
    chosen, left_out = [], []
    known = {**task.metrics, WER.name: WER}
    for name in dict.fromkeys([*(task.default if names is None else names), *([WER.name] if wer else [])]):
        check_known(name, known, "metric")
        metric = known[name]
        if metric is WER and not wer:
            raise InputError("wer needs a recognizer: use --wer-cmd 'COMMAND {in}'")
        try:
            _try_out(metric, sr)
        except (MissingExtraError, InputError) as error:
            if names is not None:
                raise
            left_out.append(f"{metric.title} is left out: {error}.")
        else:
            chosen.append(metric)
    return chosen, left_out


def measure_all(
    measures: Iterable[Metric], ref: Array | None, est: Array, sr: int
) -> tuple[dict[str, float], dict[str, str]]:
    """Score one mixture by every measure.

    Args:
        measures: what to score by.
        ref: (n_samples,) or (n_src, n_samples) clean; None where no measure needs it.
        est: its estimate, in the same order.
        sr: sample rate in Hz.

    Returns:
        name -> score, the mean over sources; and name -> reason where it is undefined or infinite.
    """
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    measures = list(measures)
    scores = score_all(measures, ref, est, sr)
    for measure in measures:
        score = scores[measure.name]
        if isinstance(score, InputError):
            missing[measure.name] = " ".join(str(score).split())
        elif math.isfinite(value := float(np.mean(score))):
            values[measure.name] = value
        else:
            missing[measure.name] = f"{measure.label} is infinite"
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
