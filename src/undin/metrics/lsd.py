"""Log-spectral distance."""

import numpy as np
from numpy.typing import ArrayLike

from undin.errors import InputError
from undin.metrics.frames import check_framed
from undin.metrics.pairs import Score, Signal, by_keyword
from undin.spectrum import stft

FRAME_S = 0.032


@by_keyword
def lsd(*, ref: ArrayLike, est: ArrayLike, sr: int, range_db: float = 50.0) -> Score:
    """Log-spectral distance in dB; lower is better, 0 is best. Phase does not matter, gain does.

    The root mean square over frequency of the difference of two log spectra, averaged over frames of 32 ms every 16 ms
    (Hann). Both spectra are raised to a floor `range_db` below the reference's highest bin: without it, a bin that is
    silent in one and all but silent in the other would outweigh all speech.

    Args:
        ref: (..., n_samples) clean, floating point.
        est: (..., n_samples) its estimate, in the scale of ref.
        sr: sample rate of both in Hz.
        range_db: the floor, below the reference's highest bin.

    Returns:
        A float for (n_samples,), else (...) float64.

    Raises:
        InputError: shapes differ, a signal is not floating point or not finite, sr or range_db is not positive, or the
            distance is undefined: a signal is empty or silent.

    Source: Gray and Markel 1976, "Distance measures for speech processing"; the range of 50 dB is that of Cohen and
    Gannot 2008, "Spectral enhancement methods". Published values differ in frame, floor and order of the means: compare
    with your own only.
    """
    r, e = check_framed("LSD", ref, est, sr)
    if not range_db > 0:
        raise InputError(f"range_db must be above 0 dB; got {range_db}")
    peak = np.abs(r).max(-1, keepdims=True)  # against overflow
    hop_length = max(1, round(FRAME_S / 2 * sr))
    X, Y = (np.abs(stft(x / peak, 2 * hop_length, hop_length, window="hann")) for x in (r, e))
    floor = 10 ** (-range_db / 20) * X.max((-2, -1), keepdims=True)
    difference_db = 20 * np.log10(np.maximum(X, floor) / np.maximum(Y, floor))  # (..., n_freq, n_frames)
    scores: Signal = np.sqrt(np.square(difference_db).mean(-2)).mean(-1)
    return scores if scores.ndim else float(scores)
