"""Frequency-weighted segmental SNR."""

import numpy as np
from numpy.typing import ArrayLike

from undin.metrics.frames import EPS, MAX_DB, MIN_DB, MIN_SR, by_frame, check_framed, critical_bands, magnitudes
from undin.metrics.pairs import Score, Signal, by_keyword

GAMMA = 0.2


@by_keyword
def fw_segmental_snr(*, ref: ArrayLike, est: ArrayLike, sr: int) -> Score:
    """Frequency-weighted segmental SNR in dB, each frame clamped to -10 ... 35 dB; higher is better.

    Frames of 30 ms every 7.5 ms. Each magnitude spectrum is scaled to a sum of one, so the level of a frame does not
    matter, and gathered in 25 critical bands that end at 3.8 kHz, so nothing above counts. With X and Y the band
    magnitudes of reference and estimate, a frame scores Σ X^0.2 · 10 log10 (X² / (X - Y)²) / Σ X^0.2.

    Args:
        ref: (..., n_samples) clean, floating point, full scale 1.
        est: (..., n_samples) its estimate.
        sr: sample rate of both in Hz, 8000 or more.

    Returns:
        A float for (n_samples,), else (...) float64; 35 for est == ref.

    Raises:
        InputError: shapes differ, a signal is not floating point or not finite, sr is below 8000, or the score is
            undefined: a signal is empty, silent or shorter than 37.5 ms.

    Source: Hu and Loizou 2008, "Evaluation of objective quality measures for speech enhancement", with the bands and
    frames of their program.
    """
    r, e = check_framed("fwSegSNR", ref, est, sr, min_sr=MIN_SR)

    def score(ref: Signal, est: Signal) -> Signal:
        bands = critical_bands(ref.shape[-1], sr)
        X, Y = (m / m.sum(-1, keepdims=True) @ bands.T for m in (magnitudes(ref), magnitudes(est)))  # (..., T, 25)
        snr_db = 10 * np.log10(X**2 / np.maximum((X - Y) ** 2, EPS))
        W = X**GAMMA
        return np.asarray(np.clip((W * snr_db).sum(-1) / W.sum(-1), MIN_DB, MAX_DB))

    scores: Signal = by_frame("fwSegSNR", score, r + EPS, e + EPS, sr).mean(-1)
    return scores if scores.ndim else float(scores)
