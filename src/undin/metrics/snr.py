"""Signal-to-noise ratio: over the whole signal, and as the mean of short frames."""

import numpy as np
from numpy.typing import ArrayLike

from undin.errors import InputError
from undin.metrics.frames import FRAME_MS, HOP_MS, MAX_DB, MIN_DB, by_frame, check_framed
from undin.metrics.pairs import Score, Signal, by_keyword, check_pair


@by_keyword
def snr(*, ref: ArrayLike, est: ArrayLike) -> Score:
    """Signal-to-noise ratio in dB; higher is better. Any difference of est from ref is noise, gain and DC included.

    For an estimate at another level than the reference use `si_sdr`.

    Args:
        ref: (..., n_samples) clean, floating point.
        est: (..., n_samples) its estimate, in the scale of ref.

    Returns:
        A float for (n_samples,), else (...) float64; +inf for est == ref.

    Raises:
        InputError: shapes differ, a signal is not floating point or not finite, or the ratio is undefined because one
            is empty or silent (constant counts as silent).

    >>> rng = np.random.default_rng(0)
    >>> speech = rng.standard_normal(16000)
    >>> bool(abs(snr(ref=speech, est=1.1 * speech) - 20) < 1e-9)
    True
    """
    r, e = check_pair("SNR", ref, est)
    peak = np.maximum(np.abs(r).max(-1, keepdims=True), np.abs(e).max(-1, keepdims=True))  # against overflow
    signal, noise = np.square(r / peak).sum(-1), np.square(e / peak - r / peak).sum(-1)
    scores: Signal = _ratio_db(signal, noise)
    return scores if scores.ndim else float(scores)


@by_keyword
def segmental_snr(
    *, ref: ArrayLike, est: ArrayLike, sr: int, frame_ms: float = FRAME_MS, hop_ms: float = HOP_MS
) -> Score:
    """Mean over short frames of their SNR in dB, each clamped to -10 ... 35 dB; higher is better.

    The defaults are those of the published programs, frames of 30 ms every 7.5 ms under a Hann window, so that scores
    compare with the tables of the field. Pauses are included: the reference is weak and a frame scores -10 dB, however
    little noise is left. Frames in which both are digital silence are left out; the published program gives them -10.

    Args:
        ref: (..., n_samples) clean, floating point.
        est: (..., n_samples) its estimate, in the scale of ref.
        sr: sample rate of both in Hz.
        frame_ms: length of a frame.
        hop_ms: from frame to frame.

    Returns:
        A float for (n_samples,), else (...) float64; 35 for est == ref.

    Raises:
        InputError: as for `snr`; or sr, frame_ms or hop_ms break their rules, or the signal is shorter than a frame and
            a hop or silent in all of them.

    Source: Hansen and Pellom 1998, "An effective quality evaluation protocol for speech enhancement algorithms"; Hu and
    Loizou 2008, "Evaluation of objective quality measures for speech enhancement".
    """
    r, e = check_framed("segmental SNR", ref, est, sr)
    frames_db = by_frame("segmental SNR", _frame_snr_db, r, e, sr, frame_ms=frame_ms, hop_ms=hop_ms)
    valid = ~np.isnan(frames_db)
    if not valid.any(-1).all():
        raise InputError("segmental SNR is undefined: ref and est are silent in every frame")
    scores: Signal = np.where(valid, frames_db, 0).sum(-1) / valid.sum(-1)
    return scores if scores.ndim else float(scores)


def _frame_snr_db(ref: Signal, est: Signal) -> Signal:
    signal, noise = np.square(ref).sum(-1), np.square(est - ref).sum(-1)
    return np.where((signal == 0) & (noise == 0), np.nan, np.clip(_ratio_db(signal, noise), MIN_DB, MAX_DB))


def _ratio_db(signal: Signal, noise: Signal) -> Signal:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(10 * (np.log10(signal) - np.log10(noise)))
