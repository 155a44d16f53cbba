"""Effects of voices and recording chains: arrays in, arrays of the same length out, nothing drawn.

Filters multiply the spectrum of the whole signal by a real gain: no phase changes, so the signal stays where it was,
and a filter of any shape costs the same. `augment.py` draws the settings.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from undin.audio import resample
from undin.mixing.mix import Samples

PAD_S = 0.05  # zeros behind the signal, into which a filter may ring before its wrapped start
LOWEST_HZ = 50.0  # a tilt ends here: what is lower keeps the gain of this frequency
OCTAVES = tuple(62.5 * 2**k for k in range(9))  # Hz, 62.5 ... 16000: the bands of `equalise`
FADE_S = 0.005  # of what is muted, so that no edge clicks

Spans = Sequence[tuple[int, int]]
Values = NDArray[np.float64]


def fast_length(n: int) -> int:
    """The least length of at least n and 16 samples that is 4, 5, 6 or 7 times a power of two: fast to transform."""
    n = max(n, 16)
    scale = 1 << ((n - 1).bit_length() - 3)
    return -(-n // scale) * scale


def filtered(x: Samples, sr: int, gain: Callable[[Values], Values]) -> Samples:
    """Multiply the spectrum of x by a real gain.

    Args:
        x: (..., n_samples) float32.
        sr: its rate in Hz.
        gain: from f in Hz, 400 values between 20 Hz and sr / 2, evenly over log f, to factors; straight lines over
            log f between these, and below 20 Hz the first of them.

    Returns:
        (..., n_samples) float32.
    """
    n = fast_length(x.shape[-1] + round(PAD_S * sr))
    # numpy computes float32 transforms in float64, in three times the time, unless a float32 norms them
    X = np.fft.rfft(x, n, norm="ortho")
    factors, (left, weight) = gain(_grid(sr)).astype(np.float32), _places(n, sr)
    G = np.diff(factors, append=factors[-1:]).take(left)
    G *= weight
    G += factors.take(left)
    X *= G
    return cast(Samples, np.fft.irfft(X, n, norm="ortho")[..., : x.shape[-1]])


def convolved(x: Samples, h: Samples) -> Samples:
    """x (n_samples,) through a filter h (any length,): (n_samples,), what rings on beyond is cut.

    Blocks that overlap by len(h) - 1, of whose circular convolution that part is dropped (overlap-save): transforms
    that stay in the processor's cache.
    """
    size = max(8192, 1 << len(h).bit_length() + 1)
    past, step = len(h) - 1, size - len(h) + 1
    n_blocks = max(-(-len(x) // step), 1)
    padded = np.zeros(past + n_blocks * step, np.float32)
    padded[past : past + len(x)] = x
    X = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::step], norm="ortho")
    X *= np.fft.rfft(h * np.float32(np.sqrt(size)), size, norm="ortho")
    return cast(Samples, np.fft.irfft(X, size, norm="ortho")[:, past:].reshape(-1)[: len(x)])


def equalise(x: Samples, sr: int, gains_db: Sequence[float], db_per_octave: float = 0.0) -> Samples:
    """Give x the drawn color of a voice, a microphone or a place.

    Args:
        x: (..., n_samples) float32.
        sr: its rate in Hz.
        gains_db: at `OCTAVES`, dB, straight lines between them over log f, the outer ones kept beyond.
        db_per_octave: additional tilt about 1 kHz.

    Returns:
        (..., n_samples) float32.
    """

    def gain(f: Values) -> Values:
        level_db = np.interp(np.log2(f), np.log2(OCTAVES), gains_db)
        return 10 ** ((level_db + db_per_octave * np.log2(np.maximum(f, LOWEST_HZ) / 1000)) / 20)

    return filtered(x, sr, gain)


def band_limit(
    x: Samples, sr: int, low_hz: float | None = None, high_hz: float | None = None, order: int = 8
) -> Samples:
    """Keep low_hz ... high_hz, by the magnitude of a Butterworth filter: -3 dB at each edge, 6 order dB/octave beyond.

    Args:
        x: (..., n_samples) float32.
        sr: its rate in Hz.
        low_hz: lower edge; None for none.
        high_hz: upper edge; None for none.
        order: of the filter.

    Returns:
        (..., n_samples) float32.
    """

    def gain(f: Values) -> Values:
        low = 0 if low_hz is None else (low_hz / f) ** (2 * order)
        high = 0 if high_hz is None else (f / high_hz) ** (2 * order)
        return cast(Values, (1 + low + high) ** -0.5)

    return filtered(x, sr, gain)


def low_pass(x: Samples, sr: int, edge_hz: float) -> Samples:
    """Remove everything above edge_hz, with a linear slope over the 300 Hz below it.

    Args:
        x: (..., n_samples) float32.
        sr: its rate in Hz.
        edge_hz: above it nothing is left.

    Returns:
        (..., n_samples) float32.
    """
    n = fast_length(x.shape[-1] + round(PAD_S * sr))
    X = np.fft.rfft(x, n, norm="ortho")
    edge, slope = math.ceil(edge_hz / sr * n), max(round(300 / sr * n), 1)
    X[..., edge:] = 0
    X[..., max(edge - slope, 0) : edge] *= np.linspace(1, 0, slope, dtype=np.float32)[-min(slope, edge) :]
    return cast(Samples, np.fft.irfft(X, n, norm="ortho")[..., : x.shape[-1]])


def clip(x: Samples, depth_db: float, *, soft: bool = False) -> Samples:
    """Clip x at depth_db under its peak: hard as a converter does, or soft (tanh) as an amplifier does.

    Args:
        x: (..., n_samples).
        depth_db: of the threshold below the peak.
        soft: tanh instead of a hard limit.
    """
    limit = np.float32(np.abs(x).max(initial=0) * 10 ** (-depth_db / 20))
    if not limit > 0:
        return x.copy()
    return cast(Samples, limit * np.tanh(x / limit) if soft else np.clip(x, -limit, limit))


def speed(x: Samples, sr: int, factor: float, place: float = 0.0) -> Samples:
    """Play x faster by a factor: a tone at f becomes f · factor, and the duration shrinks.

    Args:
        x: (n_samples,) float32.
        sr: its rate in Hz.
        factor: above 1 is faster and higher; taken to 1 / sr.
        place: share, 0 to 1, of the silence left by a shorter sound that is placed before it, or of the samples that a
            longer one has too many that are cut from its start.

    Returns:
        (n_samples,) float32.
    """
    y = cast(Samples, resample(x, max(round(factor * sr), 1), sr))
    missing = len(x) - len(y)
    before = round(place * abs(missing))
    if missing >= 0:
        return np.pad(y, (before, missing - before))
    return y[before : before + len(x)]


def stretch(x: Samples, sr: int, factor: float) -> Samples:
    """Make x last factor times as long at the same pitch.

    Every 16 ms a frame of 32 ms is taken near where it is due, within 8 ms, where it is most like what would have
    followed the frame before, and laid over that one by halves of a Hann window, which sum to 1.

    Source: Verhelst and Roelands, An overlap-add technique based on waveform similarity (WSOLA), ICASSP 1993.

    Args:
        x: (n_samples,) float32.
        sr: its rate in Hz.
        factor: above 1 is longer.

    Returns:
        (round(n_samples · factor),) float32.
    """
    hop, reach = max(round(0.016 * sr), 2), max(round(0.008 * sr), 1)
    n_out = round(len(x) * factor)
    n_frames = -(-n_out // hop) + 1
    padded = np.pad(x, (hop + reach, 3 * hop + 2 * reach))  # padded[hop + reach] is the first sample
    w = (0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)).astype(np.float32)
    y = np.zeros((n_frames + 1) * hop, np.float32)
    at = reach  # the first frame is half before the signal
    for k in range(n_frames):
        if k:
            due = round((k - 1) * hop / factor) + hop + reach
            like = padded[at + hop : at + 2 * hop]
            around = padded[due - reach : due + reach + hop]
            at = due - reach + _most_alike(around, like)
        y[k * hop : (k + 2) * hop] += w * padded[at : at + 2 * hop]
    return y[hop : hop + n_out]


def pitch(x: Samples, sr: int, semitones: float) -> Samples:
    """Shift the pitch and, by resampling, the formants with it; the length and the timing stay.

    A child's or a giant's voice, then, not the same throat at another pitch: within 3 semitones both are usual people.

    Args:
        x: (n_samples,) float32.
        sr: its rate in Hz.
        semitones: up where positive; 12 double every frequency.

    Returns:
        (n_samples,) float32.
    """
    factor = 2 ** (semitones / 12)
    y = cast(Samples, resample(stretch(x, sr, factor), max(round(factor * sr), 1), sr))[: len(x)]
    return np.pad(y, (0, len(x) - len(y)))


def muted(x: Samples, sr: int, spans: Spans) -> Samples:
    """Silence the samples [start, stop) of x (..., n_samples), faded over 5 ms within.

    Args:
        x: (..., n_samples).
        sr: in Hz.
        spans: (start, stop) in samples.
    """
    gain = np.ones(x.shape[-1], np.float32)
    fade = max(round(FADE_S * sr), 1)
    ramp = np.linspace(1, 0, fade + 2, dtype=np.float32)[1:-1]
    for start, stop in spans:
        n = min(fade, (stop - start) // 2)
        gain[start:stop] = 0
        gain[start : start + n] = ramp[:n]
        gain[stop - n : stop] = ramp[::-1][fade - n :]
    return x * gain


def curve(times: Sequence[float], levels_db: Sequence[float], n_samples: int) -> Samples:
    """Gain over time, (n_samples,) float32 factors: straight lines in dB between levels at times in samples.

    Args:
        times: in samples, rising.
        levels_db: one per time.
        n_samples: length of the curve.
    """
    level_db = np.interp(np.arange(n_samples), times, levels_db).astype(np.float32)
    return cast(Samples, np.exp2(level_db * np.float32(np.log2(10) / 20)))


def babble(talkers: Sequence[Samples], levels_db: Sequence[float]) -> Samples:
    """Sum talkers, each brought to its level; silent ones are left out.

    Args:
        talkers: (n_samples,) float32 each.
        levels_db: RMS of each in dB re each other.

    Returns:
        (n_samples,) float32 of RMS 0.1; zeros where all are silent.
    """
    total = np.zeros(len(talkers[0]), np.float32)
    for x, level_db in zip(talkers, levels_db, strict=True):
        total += normalized(x, 0.1 * 10 ** (level_db / 20))
    return normalized(total)


def normalized(x: Samples, rms: float = 0.1) -> Samples:
    """Scale x (n_samples,) to an RMS; silence is unchanged."""
    now = float(np.sqrt(np.dot(x, x) / max(len(x), 1)))
    return x * np.float32(rms / now) if now > 1e-12 else np.zeros_like(x)


@lru_cache(maxsize=16)
def _grid(sr: int) -> Values:
    return np.geomspace(20, sr / 2, 400)


@lru_cache(maxsize=16)
def _places(n: int, sr: int) -> tuple[NDArray[np.intp], Samples]:
    """Positions of the frequencies of a transform of n samples in `_grid`: the index to their left, and how far on."""
    grid = np.log2(_grid(sr))
    f = np.log2(np.maximum(np.fft.rfftfreq(n, 1 / sr), 20))
    place = np.clip((f - grid[0]) / (grid[-1] - grid[0]) * (len(grid) - 1), 0, len(grid) - 1)
    left = place.astype(np.intp)
    return left, (place - left).astype(np.float32)


def _most_alike(around: Samples, like: Samples) -> int:
    """The offset into `around` at which it correlates best with `like`, both normalized."""
    products = np.correlate(around, like, "valid")
    squares = np.concatenate([np.zeros(1), np.cumsum(around * around, dtype=np.float64)])
    energy = squares[len(like) :] - squares[: len(around) - len(like) + 1]
    return int(np.argmax(products / np.sqrt(energy + 1e-12)))
