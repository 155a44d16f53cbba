"""A look-ahead peak limiter: output stays below the ceiling, and everything else is unchanged."""

import numpy as np
from numpy.typing import NDArray

from undin.audio.check import Array
from undin.errors import InputError


class Limiter:
    """Stateful peak limiter with one gain for all leading axes, which preserves levels between channels.

    With the attenuation wanted at each sample, a[n] = max(0, 1 - ceiling / peak[n]), the gain is

        g[n] = 1 - Σ_k w[k] · max(a[n - k - hold] ... a[n - k + lookahead]),    k = 0 ... lookahead,  Σ w = 1.

    Every term of the sum has a[n] inside its window, so g[n] <= 1 - a[n] and |y| <= ceiling always; where nothing
    exceeds the ceiling in reach, g is exactly 1 and the samples pass bit for bit. w is a Hann window: the gain glides.

    Args:
        ceiling: greatest |y|, full scale = 1.
        lookahead: samples the gain needs to glide down (and up again); also the delay. About 5 ms is inaudible.
        hold: samples the gain stays down after a peak.
    """

    def __init__(self, ceiling: float = 1.0, *, lookahead: int = 240, hold: int = 480) -> None:
        if not ceiling > 0 or lookahead < 0 or hold < 0:
            raise InputError(
                f"ceiling must be > 0, lookahead and hold >= 0 samples; got {ceiling}, {lookahead} and {hold}"
            )
        self.ceiling, self.lookahead, self.hold = ceiling, lookahead, hold
        w = np.hanning(lookahead + 3)[1:-1]
        self._w = w / w.sum()
        self.reset()

    def reset(self) -> None:
        """Forget the signal so far."""
        self._x: Array | None = None  # the last samples, whose gain is not settled yet
        self._a = np.zeros(2 * self.lookahead + self.hold)  # attenuations that still reach what comes
        self._gain_min = 1.0

    @property
    def limited_db(self) -> float:
        """The greatest attenuation given so far, dB; 0.0 when every sample passed untouched."""
        return 0.0 if self._gain_min >= 1 else float(-20 * np.log10(max(self._gain_min, 1e-30)))

    def process(self, x: Array) -> Array:
        """Take the next samples, give those whose gain is settled.

        Args:
            x: (..., n_samples), any n_samples >= 0; the leading axes stay the same from call to call.

        Returns:
            (..., n_samples'), dtype kept: aligned with the input; the last `lookahead` samples wait for `flush`.
        """
        self._x = x if self._x is None else np.concatenate([self._x, x], -1)
        a = np.concatenate([self._a, self._attenuation(x)])
        self._a = a[len(a) - len(self._a) :]
        return self._emit(a, max(self._x.shape[-1] - self.lookahead, 0))

    def flush(self) -> Array:
        """Give the samples that waited: all outputs joined are as long as all inputs. Starts over afterwards."""
        if self._x is None:
            return np.zeros(0, np.float32)
        a = np.concatenate([self._a, np.zeros(self.lookahead)])
        y = self._emit(a, self._x.shape[-1])
        self._x, self._a = None, np.zeros_like(self._a)
        return y

    def _attenuation(self, x: Array) -> NDArray[np.float64]:
        if not x.size or max(x.max(), -x.min()) <= self.ceiling:  # nearly always
            return np.zeros(x.shape[-1])
        peak = np.abs(x).reshape(-1, x.shape[-1]).max(0).astype(np.float64)
        a: NDArray[np.float64] = 1 - self.ceiling / np.maximum(peak, self.ceiling)
        return a

    def _emit(self, a: NDArray[np.float64], n_out: int) -> Array:
        """Apply the gain to the first n_out samples kept; a reaches `lookahead` samples beyond them."""
        assert self._x is not None
        x, self._x = self._x[..., :n_out], self._x[..., n_out:].copy()
        if not n_out or not a.any():
            return x
        reach = _sliding_max(a, self.lookahead + self.hold + 1)
        g = 1 - np.convolve(reach, self._w, "valid")[-n_out:]
        self._gain_min = min(self._gain_min, float(g.min()))
        y = np.where(g < 1, x * g.astype(x.dtype), x)  # rounding may leave one unit in the last place above
        return np.clip(y, -self.ceiling, self.ceiling)


def _sliding_max(a: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Maximum of every n neighbors, by doubling: max over 2k = max of two overlapping maxima over k."""
    k = 1
    while k < n:
        step = min(k, n - k)
        a = np.maximum(a[:-step], a[step:])
        k += step
    return a
