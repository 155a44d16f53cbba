"""The frames and critical bands on which segmental SNR, its frequency-weighted form, LLR and WSS are defined.

These measures were published as programs, by Pellom and Hansen (1998) and after them Hu and Loizou (2008), and are
compared across papers by the numbers of those programs; so their frames of 30 ms and Gaussian bands are kept here to
the sample and to the hertz, instead of the frames of `undin.stft`.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from undin.errors import InputError
from undin.metrics.pairs import Signal, check_pair, check_sr

FRAME_MS, HOP_MS = 30.0, 7.5
MIN_DB, MAX_DB = -10.0, 35.0  # where a frame's SNR is clamped
EPS = float(np.finfo(np.float64).eps)  # added to the sound, so that digital silence has a spectrum
BLOCK = 2048  # frames at a time, so that an hour fits in memory

# Critical bands: center and width in Hz. Linear below 500 Hz, then wider by some 13 % each; they end at 3.8 kHz.
CENTERS = np.array([
    50.0, 120.0, 190.0, 260.0, 330.0, 400.0, 470.0, 540.0, 617.372, 703.378, 798.717, 904.128, 1020.38, 1148.30,
    1288.72, 1442.54, 1610.70, 1794.16, 1993.93, 2211.08, 2446.71, 2701.97, 2978.04, 3276.17, 3597.63,
])  # fmt: skip
WIDTHS = np.array([
    70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 77.3724, 86.0056, 95.3398, 105.411, 116.256, 127.914, 140.423,
    153.823, 168.154, 183.457, 199.776, 217.153, 235.631, 255.255, 276.072, 298.126, 321.465, 346.136,
])  # fmt: skip
MIN_SR = 8000  # the least that holds all bands


def check_framed(metric: str, ref: ArrayLike, est: ArrayLike, sr: int, *, min_sr: int = 1) -> tuple[Signal, Signal]:
    """`check_pair` for a metric of frames at `sr`, which needs min_sr.

    Args:
        metric: its name, for the message.
        ref, est: (..., n_samples).
        sr: in Hz.
        min_sr: least sample rate of the metric, in Hz.
    """
    if check_sr(sr) < min_sr:
        raise InputError(f"{metric} needs sr >= {min_sr}, for bands up to 3.8 kHz; got {sr}: resample both signals")
    return check_pair(metric, ref, est)


def by_frame(
    metric: str,
    score: Callable[[Signal, Signal], Signal],
    ref: Signal,
    est: Signal,
    sr: int,
    *,
    frame_ms: float = FRAME_MS,
    hop_ms: float = HOP_MS,
) -> Signal:
    """Score every frame of a pair.

    Args:
        metric: its name, for the message.
        score: (..., T, frame) and (..., T, frame), windowed, to (..., T).
        ref: (..., n_samples).
        est: (..., n_samples).
        sr: sample rate in Hz.
        frame_ms: length of a frame.
        hop_ms: from frame to frame.

    Returns:
        (..., n_frames); as in the published programs, the last frame that would just fit is left out.

    Raises:
        InputError: not one frame fits.
    """
    n, hop = int(frame_ms * sr / 1000 + 0.5), int(hop_ms * sr / 1000)
    if not 1 <= hop <= n:
        raise InputError(f"hop_ms must be at least a sample and at most frame_ms = {frame_ms:g}; got {hop_ms:g}")
    n_frames = (ref.shape[-1] - n) // hop
    if n_frames < 1:
        least = f"{frame_ms + hop_ms:g} ms"
        raise InputError(f"{metric} is undefined: it needs at least {least}; got {1e3 * ref.shape[-1] / sr:.3g} ms")
    # Hann without its zeros: w[m] = (1 - cos 2π(m + 1) / (n + 1)) / 2
    w = np.hanning(n + 2)[1:-1]
    r, e = (np.lib.stride_tricks.sliding_window_view(x, n, -1)[..., ::hop, :] for x in (ref, est))
    blocks = [slice(t, min(t + BLOCK, n_frames)) for t in range(0, n_frames, BLOCK)]
    return np.concatenate([score(r[..., block, :] * w, e[..., block, :] * w) for block in blocks], -1)


@cache
def critical_bands(n: int, sr: int) -> Signal:
    """Weights of the 25 critical bands on the spectrum of a frame of n samples, (25, n_fft // 2), Nyquist left out.

    A band is exp(-11 (f - center)² / width²), centers rounded down to a bin, with weights below -30 dB set to zero and
    all bands scaled to the same sum. n_fft is the least power of two that holds two frames.
    """
    n_freq = fft_size(n) // 2
    hz = sr / 2 / n_freq
    bins = np.arange(n_freq) - np.floor(CENTERS / hz)[:, None]
    bands: Signal = np.exp(-11 * (bins * hz / WIDTHS[:, None]) ** 2) * WIDTHS[0] / WIDTHS[:, None]
    bands[bands <= np.exp(-30 / (2 * 2.303))] = 0  # rounded as published
    bands.flags.writeable = False
    return bands


def fft_size(n: int) -> int:
    """The least power of two that holds two frames of n samples."""
    return 1 << (2 * n - 1).bit_length()


def magnitudes(frames: Signal) -> Signal:
    """(..., n) windowed to (..., n_fft // 2) magnitudes, Nyquist left out."""
    n_fft = fft_size(frames.shape[-1])
    return np.abs(np.fft.rfft(frames, n_fft)[..., : n_fft // 2])
