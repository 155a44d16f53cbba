"""How loud sound is: its RMS, and the active speech level of ITU-T P.56, pauses left out.

An envelope q is drawn around the signal; what is above a threshold c, or was above it during the last 0.2 s, counts
as active. With n active samples out of a total energy E = Σ x²,

    A(c) = 10 log10(E / n),   C(c) = 20 log10 c,   and the active level is A where A - C = 15.9 dB:

the threshold that splits speech from silence is the one that is the margin below the resulting level. The
recommendation tries thresholds in steps of 6 dB and interpolates. Here every value of the envelope is tried: between
two neighboring ones n does not change, so A is exact, and a gain of g dB moves it by g dB exactly.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from undin.audio.check import Array, check_audio

TIME_CONSTANT_S = 0.03  # of each of the two smoothers
HANGOVER_S = 0.2  # gaps up to here belong to speech
MARGIN_DB = 15.9  # threshold below active level


def rms(x: Array) -> float:
    """Root mean square of all samples, summed in float64."""
    y = x.astype(np.float64)
    return math.sqrt(float(np.vdot(y, y)) / max(x.size, 1))


def rms_db(x: Array) -> float:
    """`rms` in dB re full scale; -inf for silence."""
    return 20 * math.log10(value) if (value := rms(x)) else -math.inf


def active_level_db(x: Array, sr: int) -> float:
    """Level of speech without its pauses (ITU-T P.56, method B), in dB re full scale 1.0.

    Args:
        x: (..., n_samples), floating point; the channels share one level, from their mean power. An DC offset counts
            as sound.
        sr: sample rate, Hz.

    Returns:
        dB: the RMS level of a sound without pauses; up to 3 dB more for speech that pauses half of the time (the first
        0.3 s of a pause still count as speech); -inf for silence or no samples.

    Raises:
        InputError: as `check_audio`.

    Source: ITU-T Recommendation P.56 (2011), clause 6 (envelope, hangover, margin) and its algorithm for a digital
    voltmeter. The envelope is sampled every millisecond: the recommendation asks for 600 Hz or more.

    >>> rng = np.random.default_rng(0)
    >>> x = 0.1 * rng.standard_normal(80000)
    >>> round(active_level_db(x, 16000), 1), round(active_level_db(np.append(x, 0 * x), 16000), 1)
    (-20.0, -20.2)
    """
    x = check_audio(x, sr)
    n_block = max(1, sr // 1000)
    a, energy = _magnitude(x, n_block)
    if not energy:
        return -math.inf
    q = _envelope(a, sr / n_block)
    n_hang = math.ceil(HANGOVER_S * sr / n_block)
    held = _greatest(np.concatenate([np.zeros(n_hang), q]), n_hang + 1)  # active at c exactly where held >= c
    held.sort()
    # Threshold held[i] has the len(held) - i highest values above it, and every threshold down to held[i - 1] has too.
    n_active = np.minimum((len(held) - np.arange(len(held))) * n_block, x.shape[-1])
    with np.errstate(divide="ignore"):
        level_db = 10 * np.log10(energy / n_active)
        over = level_db - 20 * np.log10(held) <= MARGIN_DB
    # From below, as the recommendation goes. A click never gets there: then all but the top of its envelope is pause.
    return float(level_db[over.argmax() if over.any() else np.searchsorted(held, held[-1])])


def _magnitude(x: Array, n_block: int) -> tuple[NDArray[np.float64], float]:
    """Mean magnitude of every n_block samples, and the energy of all, piece by piece: hours fit into memory."""
    means, energy, step = [np.zeros(0)], 0.0, n_block << 16
    weights = np.full(n_block, 1 / n_block)
    for start in range(0, x.shape[-1], step):
        part = x[..., start : start + step].astype(np.float64)
        a = np.abs(part) if x.ndim == 1 else np.sqrt(np.square(part).mean(tuple(range(x.ndim - 1))))
        energy += float(a @ a)
        if rest := -len(a) % n_block:
            a = np.pad(a, (0, rest))
        means.append(a.reshape(-1, n_block) @ weights)
    return np.concatenate(means), energy


def _envelope(a: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Smooth `rate` magnitudes a second twice: q = s * s * a with s[k] = (1 - g) g^k.

    s * s [k] = (k + 1) (1 - g)² g^k, truncated after 20 time constants, where 4e-8 of it remain. Convolved by
    FFT, whose rounding may put some 1e-17 in place of silence: far under any threshold.
    """
    n = len(a) + round(20 * TIME_CONSTANT_S * rate)
    step = 1 << max(n.bit_length() - 3, 0)
    n = -(-n // step) * step  # 4, 5, 6 or 7 times a power of two: fast to transform
    q = np.fft.irfft(np.fft.rfft(a, n) * _smoother(rate, n), n)[: len(a)]
    return np.maximum(q, 0)


@lru_cache(maxsize=8)
def _smoother(rate: float, n: int) -> NDArray[np.complex128]:
    """Spectrum of s * s over n samples."""
    g = math.exp(-1 / (rate * TIME_CONSTANT_S))
    k = np.arange(round(20 * TIME_CONSTANT_S * rate))
    return np.fft.rfft((k + 1) * (1 - g) ** 2 * g**k, n)


def _greatest(q: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Greatest of every `width` neighbors: of twice as many from those of half as many."""
    have = 1
    while have < width:
        step = min(have, width - have)
        q, have = np.maximum(q[step:], q[:-step]), have + step
    return q
