"""Short-time objective intelligibility, plain and extended, by pystoi."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike

from undin.errors import InputError, require
from undin.metrics.pairs import Score, Signal, by_keyword, check_pair, check_sr, score_each

FRAME_S = 256 / 10_000  # the frame of the measure, at its own rate of 10 kHz


@by_keyword
def stoi(*, ref: ArrayLike, est: ArrayLike, sr: int) -> Score:
    """Short-time objective intelligibility: about 0 (nothing understood) to 1 (everything).

    The metric is defined at 10 kHz: pystoi resamples other rates, so content above 5 kHz is ignored. Frames in which
    the reference is more than 40 dB below its loudest frame are left out.

    Args:
        ref: (..., n_samples) clean, floating point.
        est: (..., n_samples) its estimate, aligned to the sample.
        sr: sample rate of both in Hz.

    Returns:
        A float for (n_samples,), else (...) float64.

    Raises:
        InputError: shapes differ, a signal is not floating point or not finite, or the score is undefined: a signal is
            empty or silent, or the reference has fewer than 30 frames (0.4 s) of speech.
        MissingExtraError: pystoi is not installed.

    Source: Taal, Hendriks, Heusdens and Jensen 2011, "An algorithm for intelligibility prediction of time-frequency
    weighted noisy speech".
    """
    return _stoi("STOI", ref, est, sr, extended=False)


@by_keyword
def estoi(*, ref: ArrayLike, est: ArrayLike, sr: int) -> Score:
    """Extended STOI: like `stoi`, but correlates whole spectra, so that it also ranks fluctuating noise.

    Args:
        ref: as for `stoi`.
        est: as for `stoi`.
        sr: as for `stoi`.

    Returns:
        A float for (n_samples,), else (...) float64.

    Raises:
        InputError: as for `stoi`.
        MissingExtraError: pystoi is not installed.

    Source: Jensen and Taal 2016, "An algorithm for predicting the intelligibility of speech masked by modulated noise
    maskers".
    """
    return _stoi("ESTOI", ref, est, sr, extended=True)


def _stoi(metric: str, ref: ArrayLike, est: ArrayLike, sr: int, *, extended: bool) -> Score:
    pystoi = require("pystoi", extra="eval")
    sr = check_sr(sr)
    r, e = check_pair(metric, ref, est)
    too_short = f"{metric} is undefined: ref has fewer than 30 frames (0.4 s) of speech, silent frames left out"
    if r.shape[-1] <= 2 * FRAME_S * sr:  # pystoi would fail on an empty list of frames
        raise InputError(too_short)

    def score(ref: Signal, est: Signal) -> float:
        with _same_noise_every_time(), warnings.catch_warnings():
            warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)  # it would return 1e-5
            try:
                return float(pystoi.stoi(ref, est, sr, extended=extended))
            except RuntimeWarning as warning:
                raise InputError(too_short) from warning

    return score_each(score, r, e)


@contextmanager
def _same_noise_every_time() -> Iterator[None]:
    # pystoi dithers from numpy's global generator: equal inputs must score equally, and its state is the caller's.
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
