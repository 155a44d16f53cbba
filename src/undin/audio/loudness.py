"""Integrated loudness of a program, ITU-R BS.1770-4, block by block.

The K-weighting is a shelf (the head, +4 dB above 2 kHz) and a high-pass (38 Hz). Its impulse response fades by
exp(-2π 38 t), to 1e-10 within 0.1 s, so it is sampled from the frequency response once and applied by FFT: numpy has no
recursive filter. With z the mean weighted power in blocks of 400 ms every 100 ms, summed over channels,

    L = -0.691 + 10 log10 of the mean of z over the blocks above -70 LUFS and above the mean of those - 10 LU.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from undin.audio.check import Array

OFFSET_DB = -0.691
GATE_LUFS, RELATIVE_GATE_DB = -70.0, -10.0
STEP_S, N_STEPS = 0.1, 4  # a block is 4 steps
RESPONSE_S = 0.1
SURROUND = {5: (1, 1, 1, 1.41, 1.41), 6: (1, 1, 1, 0, 1.41, 1.41)}  # L R C (LFE) Ls Rs; else all channels count alike


class LoudnessMeter:
    """Takes a recording in pieces; its memory grows by one number for 100 ms.

    Args:
        sr: sample rate, Hz.
    """

    def __init__(self, sr: int) -> None:
        self._n_step = max(round(STEP_S * sr), 1)
        self._h = k_weighting(sr)
        self._x = np.zeros((1, 0))  # the latest samples, which reach into what comes
        self._powers: list[float] = []  # weighted power of each step
        self._rest = np.zeros(0)  # weighted power of the samples of an unfinished step

    def process(self, x: Array) -> None:
        """Take the next samples.

        Args:
            x: (n_channels, n_samples).
        """
        n = x.shape[-1]
        if not n:
            return
        past = np.broadcast_to(self._x, (len(x), self._x.shape[-1]))
        joined = np.concatenate([past, x], -1, dtype=np.float64)
        self._x = joined[:, -(len(self._h) - 1) :]
        n_fft = 1 << (joined.shape[-1] + len(self._h) - 1).bit_length()
        y = np.fft.irfft(np.fft.rfft(joined, n_fft) * np.fft.rfft(self._h, n_fft), n_fft)
        y = y[:, joined.shape[-1] - n : joined.shape[-1]]
        power = np.asarray(SURROUND.get(len(x), (1,) * len(x))) @ np.square(y)
        power = np.concatenate([self._rest, power])
        whole = len(power) // self._n_step * self._n_step
        self._powers += power[:whole].reshape(-1, self._n_step).mean(1).tolist()
        self._rest = power[whole:]

    @property
    def lufs(self) -> float:
        """Loudness of all samples so far; -inf for silence. Less than a block is measured as it is."""
        z = np.asarray(self._powers)
        if len(z) >= N_STEPS:
            z = np.convolve(z, np.full(N_STEPS, 1 / N_STEPS), "valid")
        else:
            n = len(z) * self._n_step + len(self._rest)
            z = np.atleast_1d((z.sum() * self._n_step + self._rest.sum()) / max(n, 1))
        loud = z[_lufs(z) > GATE_LUFS]
        if not len(loud):
            return -math.inf
        return float(_lufs(loud[_lufs(loud) > _lufs(loud.mean()) + RELATIVE_GATE_DB].mean()))


def _lufs(z: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return OFFSET_DB + 10 * np.log10(z)


def k_weighting(sr: int) -> NDArray[np.float64]:
    """Impulse response of the K-weighting; at 48 kHz that of the coefficients in the recommendation.

    Args:
        sr: sample rate, Hz.
    """
    n = round(RESPONSE_S * sr)
    k = math.tan(math.pi * min(1681.974450955533 / sr, 0.49))
    high, q = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    band = high**0.4996667741545416
    shelf = (
        (high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k),
        (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k),
    )
    k, q = math.tan(math.pi * 38.13547087602444 / sr), 0.5003270373238773
    high_pass = (1, -2, 1), (1, 2 * (k * k - 1) / (1 + k / q + k * k), (1 - k / q + k * k) / (1 + k / q + k * k))
    return np.fft.irfft(_response(shelf, 4 * n) * _response(high_pass, 4 * n), 4 * n)[:n]


def _response(filter: tuple[Sequence[float], Sequence[float]], n: int) -> NDArray[np.complex128]:
    b, a = filter
    return np.fft.rfft(b, n) / np.fft.rfft(a, n)
