"""Scores of a file against a reference, or by metrics that need none."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from undin import audio
from undin.errors import InputError
from undin.evaluation.lag import find_lag
from undin.evaluation.measures import choose, measure_all
from undin.evaluation.recognizer import WER, Recognizer
from undin.metrics import METRICS, Metric
from undin.spectrum import Array

FREE = ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl")  # the default without a reference
HIGHEST_SR = 48000
SLACK_S = 0.1  # by which lengths may differ


@dataclass(frozen=True)
class Reference:
    """A clean file, read once.

    Attributes:
        path: its name.
        x: (..., n_samples).
        sr: Hz.
    """

    path: str
    x: Array
    sr: int

    @classmethod
    def read(cls, path: str) -> "Reference":
        """Read it; raises what `undin.read` raises."""
        return cls(path, *audio.read(path))


@dataclass(frozen=True)
class FileScores:
    """Scores of one file, means over its channels.

    Attributes:
        file: its name.
        sr: Hz.
        duration_s: scored duration.
        lag_ms: delay against the reference that was taken out.
        scores: metric -> score.
        undefined: metric -> why it has none.
    """

    file: str
    sr: int
    duration_s: float
    lag_ms: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)


def choose_for_files(
    names: Iterable[str] | None, ref: Reference | None, *, wer: bool = False
) -> tuple[list[Metric], list[str]]:
    """Choose metrics; see `choose`. By default those of enhancement, or DNSMOS without a reference.

    Args:
        names: of metrics; None for the default.
        ref: the reference, if there is one.
        wer: there is a recognizer.

    Raises:
        InputError: a metric is unknown, not defined at the reference's rate, or needs a reference.
        MissingExtraError: a package is not installed.
    """
    if ref is not None:
        return choose(names, ref.sr, wer=wer)
    names = list(FREE if names is None else names)
    for name in names:
        if name in METRICS and METRICS[name].reference:
            raise InputError(
                f"{name} needs a reference: use --ref FILE, or a metric that needs none, such as {FREE[-1]}"
            )
    return choose(names, HIGHEST_SR, wer=wer)  # a file of a lower rate reports undefined metrics itself


def score_file(
    path: str,
    measures: Iterable[Metric],
    ref: Reference | None,
    *,
    align: bool = True,
    recognizer: Recognizer | None = None,
) -> FileScores:
    """Score one file.

    Args:
        path: its name.
        measures: from `choose_for_files`.
        ref: the reference; None if no metric needs it.
        align: take out a constant lag of up to 100 ms, found by cross-correlation; what both have is scored.
        recognizer: for the word error rate, with the words of files by their names.

    Raises:
        InputError: the file cannot be read, or its sample rate, channels or length differ from the reference's.
    """
    est, sr = audio.read(path)
    if recognizer:
        measures = [recognizer.metric([_names(path)]) if metric is WER else metric for metric in measures]
    if ref is None:
        values, undefined = measure_all(measures, None, est, sr)
        return FileScores(path, sr, est.shape[-1] / sr, 0.0, values, undefined)
    _check_alike(path, est, sr, ref)
    lag = find_lag(_mono(est), _mono(ref.x), sr) if align else 0
    x, y = ref.x[..., max(-lag, 0) :], est[..., max(lag, 0) :]
    n = min(x.shape[-1], y.shape[-1])
    values, undefined = measure_all(measures, x[..., :n], y[..., :n], sr)
    return FileScores(path, sr, n / sr, 1000 * lag / sr, values, undefined)


def _names(path: str) -> list[str]:
    """The names under which a file's words may be found: noisy.enhanced, noisy."""
    return [Path(path).stem, Path(path).name.partition(".")[0]]


def _check_alike(path: str, est: Array, sr: int, ref: Reference) -> None:
    if sr != ref.sr:
        raise InputError(f"{path} has {sr} Hz and {ref.path} {ref.sr} Hz: resample one of them")
    if est.shape[:-1] != ref.x.shape[:-1]:
        got, wanted = (x.shape[0] if x.ndim > 1 else 1 for x in (est, ref.x))
        raise InputError(f"{path} has {got} channels and {ref.path} {wanted}: they must have the same channels")
    if abs(est.shape[-1] - ref.x.shape[-1]) > SLACK_S * sr:
        got_s, wanted_s = est.shape[-1] / sr, ref.x.shape[-1] / sr
        raise InputError(
            f"{path} lasts {got_s:.2f} s and {ref.path} {wanted_s:.2f} s: they must be of the same recording and may "
            f"differ by {SLACK_S:g} s"
        )


def _mono(x: Array) -> Array:
    return x if x.ndim == 1 else np.asarray(x.mean(0))
