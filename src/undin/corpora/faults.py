"""Faults of a recording that show in its samples."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from undin import audio
from undin.audio.check import Array

SILENT_DB = -80.0  # RMS re full scale
CUT_DB = 65.0  # what never comes up to here below the strongest band is taken for empty
N_FFT = 1024
N_LOOKS = 2000  # frames of a recording that are looked at


def faults(x: Array, sr: int, *, is_noise: bool = False) -> Iterator[str]:
    """Find suspicious properties of a recording.

    Args:
        x: (n_samples,), floating point, full scale 1.
        sr: its sample rate, Hz.
        is_noise: report digital silence, which is normal in speech.

    Yields:
        one reason a fault, with the number it rests on: silent, clipped, offset, band-limited, padded.
    """
    rms = audio.rms(x)
    if rms < 10 ** (SILENT_DB / 20):
        yield f"silent: {f'RMS {20 * np.log10(rms):.0f} dBFS' if rms else 'every sample is 0'}"
        return
    if n := count_clipped(x):
        yield f"clipped: {n} samples at its peak of {np.abs(x).max():.3f}"
    mean = float(np.mean(x, dtype=np.float64))
    if abs(mean) > max(0.2 * rms, 1e-3):
        yield f"DC offset: its mean is {mean:+.4f} at an RMS of {rms:.4f}"
    if 0 < (top := bandwidth_hz(x, sr)) < sr / 4:
        yield f"band-limited: nothing above {top / 1000:.1f} kHz at a sample rate of {sr} Hz"
    if is_noise and (share := share_of_zeros(x, sr // 10)) > 0.2:
        yield f"padded: {100 * share:.0f} % of it is digital silence"


def count_clipped(x: Array) -> int:
    """Count samples on flat tops, of which clipping makes many.

    A top is 3 samples or more within 1e-4 of the peak, entered by a step of more than 1e-3 of it. Low tones have flat
    tops too, but glide into them: a sine of f Hz comes by ½ (2πf/sr)² of its peak, 2e-4 at 50 Hz and 16 kHz.

    Args:
        x: (n_samples,).

    Returns:
        samples on such tops; 0 where there are fewer than 10.
    """
    a = np.abs(x)
    peak = a.max(initial=0.0)
    edges = np.diff(np.pad(a >= (1 - 1e-4) * peak, 1).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    steps = peak - a[np.maximum(starts - 1, 0)]
    lengths = (stops - starts)[(stops - starts >= 3) & (steps > 1e-3 * peak)]
    return int(lengths.sum()) if lengths.sum() >= 10 else 0


def bandwidth_hz(x: Array, sr: int) -> float:
    """The highest frequency that ever comes within 65 dB of the strongest; 0 where x is shorter than a frame.

    Source: none; the threshold is above the quantization noise of 16 bits, which in bins of 1024 samples is about
    100 dB below a voice's strongest one, and below the sibilants of speech, which are 30 to 50 dB below it.
    """
    n_frames = len(x) // N_FFT
    if not n_frames:
        return 0.0
    w = np.hanning(N_FFT)
    looks = np.unique(np.linspace(0, n_frames - 1, min(n_frames, N_LOOKS)).round().astype(int))
    highest = np.zeros(N_FFT // 2 + 1)
    for some in np.array_split(looks, -(-len(looks) // 256)):
        frames = x[: n_frames * N_FFT].reshape(-1, N_FFT)[some]
        highest = np.maximum(highest, (np.abs(np.fft.rfft(w * frames)) ** 2).max(0))
    highest[:2] = 0  # an offset is not a band
    return float(np.flatnonzero(highest >= 10 ** (-CUT_DB / 10) * highest.max())[-1] * sr / N_FFT)


def share_of_zeros(x: Array, n_min: int) -> float:
    """Share of samples in runs of at least n_min zeros."""
    edges = np.diff(np.pad(x == 0, 1).astype(np.int8))
    lengths: NDArray[np.int64] = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return float(lengths[lengths >= n_min].sum() / max(len(x), 1))
