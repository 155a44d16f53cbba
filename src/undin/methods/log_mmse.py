"""`log-mmse`: optimally modified log-spectral amplitude estimation with an MMSE noise tracker.

Source: gain: Y. Ephraim and D. Malah, "Speech enhancement using a minimum mean-square error log-spectral amplitude
estimator", IEEE TASSP 33(2), 1985 (eq. 20) and I. Cohen, "Optimal speech enhancement under signal presence uncertainty
using log-spectral amplitude estimator", IEEE SPL 9(4), 2002 (OM-LSA, eqs. 8-15). Noise: T. Gerkmann and R. C. Hendriks,
"Unbiased MMSE-based noise power estimation with low complexity and low tracking delay", IEEE TASLP 20(4), 2012
(algorithm 1).

Causal, no look-ahead, delay n_fft; nothing is learned; about 60 operations per bin and frame.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from undin.checks import Count, Positive, ShareBelowOne, check_fields
from undin.cores import State
from undin.methods.base import Card, Method
from undin.spectrum import Array, ComplexArray, Window


@dataclass(frozen=True)
class LogMMSEConfig:
    """Settings, chosen on 120 mixtures of development speakers and recordings; see docs/classical.md.

    Attributes:
        sr: sample rate in Hz that n_fft and hop_length refer to; other rates use the same durations.
        n_fft: samples a frame spans.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
        start_s: duration of the initial noise estimate in seconds.
        tau_noise_s: time constant of the noise power.
        tau_presence_s: time constant of the presence that keeps the tracker from stagnating.
        snr_presence_db: a-priori SNR that the tracker assumes for speech (xi_H1).
        tau_speech_s: time constant of the decision-directed a-priori SNR; 0.4 s is alpha = 0.96 at a hop of 16 ms.
        snr_floor_db: least a-priori SNR (xi_min).
        gain_floor_db: gain where speech is certainly absent (G_min).
        absence_max: maximum probability of speech absence (q_max).
    """

    sr: Count = 16000
    n_fft: Count = 512
    hop_length: Count = 256
    window: Window = "sqrt_hann"
    start_s: Positive = 0.064
    tau_noise_s: Positive = 0.3
    tau_presence_s: Positive = 0.3
    snr_presence_db: float = 15.0
    tau_speech_s: Positive = 0.4
    snr_floor_db: float = -18.0
    gain_floor_db: Annotated[float, "<= 0"] = -18.0
    absence_max: ShareBelowOne = 0.95

    def __post_init__(self) -> None:
        check_fields(self)


class LogMMSE(Method):
    """Log-spectral amplitude estimator, the classical baseline."""

    id = "log-mmse"
    Config = LogMMSEConfig
    config: LogMMSEConfig
    bins = "any"
    card = Card(
        summary="OM-LSA gain with an MMSE noise tracker; the classical baseline",
        source="Ephraim and Malah 1985; Cohen 2002; Gerkmann and Hendriks 2012",
        si_sdr_gain_db=8.5,
    )

    def initial_state(self, batch: int) -> State:
        """State before the first frame; the arrays take their n_freq from the first frame."""
        return {
            "n_heard": np.zeros((batch, 1), np.float32),  # frames so far, those of digital silence as an eighth
            "noise": np.zeros((batch, 1), np.float32),  # noise power, lambda_d
            "presence": np.full((batch, 1), 0.5, np.float32),  # smoothed speech presence, P bar
            "speech": np.zeros((batch, 1), np.float32),  # the last frame's speech power, A^2
            "snr": np.zeros((batch, 1), np.float32),  # smoothed a-priori SNR, zeta
        }

    def step(self, X: ComplexArray, state: State) -> tuple[ComplexArray, State]:
        """Process frames X (batch, n_freq, T) without look-ahead."""
        power = np.moveaxis(X.real**2 + X.imag**2, -1, 0)  # (T, batch, n_freq)
        G = np.empty(power.shape, np.float32)
        for t, power_t in enumerate(np.ascontiguousarray(power, np.float32)):
            state = self._track_noise(power_t, state)
            G[t], state = self._gain(power_t, state)
        return np.moveaxis(G, 0, -1) * X, state

    def _forget(self, tau_s: float) -> np.float32:
        """Weight of the past in a one-pole smoothing of time constant tau_s."""
        return np.float32(np.exp(-self.config.hop_length / self.config.sr / tau_s))

    def _track_noise(self, power_t: Array, state: State) -> State:
        """Move the noise power toward this frame's by the probability that it holds no speech."""
        c, noise, presence = self.config, state["noise"], state["presence"]
        n_start = max(round(c.start_s * c.sr / c.hop_length), 1)
        # Half a second of digital silence ends the start: what follows is then an onset, not the noise.
        n_heard = state["n_heard"] + np.where(power_t.max(-1, keepdims=True) > 0, 1, np.float32(0.125))
        xi = np.float32(10 ** (c.snr_presence_db / 10))
        # P(H1 | y), equal priors (Gerkmann and Hendriks, eq. 18)
        p = 1 / (1 + (1 + xi) * np.exp(-np.minimum(_ratio(power_t, noise) * (xi / (1 + xi)), 80)))
        a = self._forget(c.tau_presence_s)
        presence = a * presence + (1 - a) * p
        p = np.where(presence > 0.99, np.minimum(p, 0.99), p)  # never certain for long
        a = self._forget(c.tau_noise_s)
        tracked = noise + (1 - a) * (1 - p) * (power_t - noise)
        started = n_heard > n_start
        noise = np.where(started, tracked, noise + (power_t - noise) / np.maximum(n_heard, 1)).astype(np.float32)
        presence = np.where(started, presence, np.float32(0.5))
        return {**state, "n_heard": n_heard, "noise": noise, "presence": presence}

    def _gain(self, power_t: Array, state: State) -> tuple[Array, State]:
        """G = G_H1^p G_min^(1-p): the log-spectral gain, weighted by speech presence (Cohen, eq. 14)."""
        c, noise = self.config, state["noise"]
        a = self._forget(c.tau_speech_s)
        gamma = np.minimum(_ratio(power_t, noise), 1e3)  # a-posteriori SNR
        xi = a * _ratio(state["speech"], noise) + (1 - a) * np.maximum(gamma - 1, 0)  # a-priori SNR, decision-directed
        xi = np.maximum(xi, np.float32(10 ** (c.snr_floor_db / 10)))
        wiener = xi / (1 + xi)
        v = wiener * gamma
        G_speech = np.minimum(wiener * np.exp(e1(v) / 2), 1)  # Ephraim and Malah, eq. 20
        q, snr = self._absence(xi, state["snr"])
        p = 1 / (1 + q / (1 - q) * (1 + xi) * np.exp(-np.minimum(v, 80)))
        G = G_speech**p * np.float32(10 ** (c.gain_floor_db / 20)) ** (1 - p)
        return G, {**state, "speech": G_speech**2 * power_t, "snr": snr}

    def _absence(self, xi: Array, snr: Array) -> tuple[Array, Array]:
        """Speech is absent where the SNR is low here, around here and in the whole frame (Cohen, eqs. 8-11)."""
        snr = snr + np.float32(0.3) * (xi - snr)
        cumulated = np.zeros((len(snr), snr.shape[1] + 1), np.float32)
        np.cumsum(snr, -1, out=cumulated[:, 1:])
        likely = (
            _scale(np.mean(snr, -1, keepdims=True))
            * _scale(_mean_over(cumulated, 1))
            * _scale(_mean_over(cumulated, 15))
        )
        return np.minimum(1 - likely, np.float32(self.config.absence_max)), snr


TINY = np.float32(1e-20)  # power far under any signal's: keeps 0 / 0 out


def _ratio(power: Array, noise: Array) -> Array:
    """power / noise, at most 1 / TINY, so that nothing overflows at any level."""
    ratio: Array = power / np.maximum(noise, TINY * np.maximum(power, 1))
    return ratio


def _scale(snr: Array) -> Array:
    """0 at -10 dB and below, 1 at -5 dB and above, linear in dB between (Cohen, eq. 9)."""
    scaled: Array = np.clip(2 * np.log10(np.maximum(snr, TINY)) + 2, 0, 1)
    return scaled


def _mean_over(cumulated: Array, half_width: int) -> Array:
    """Mean over 2 half_width + 1 neighboring bins, fewer at the edges, from the running sum (batch, n_freq + 1)."""
    low, high, n = _neighbors(cumulated.shape[-1] - 1, half_width)
    mean: Array = (cumulated.take(high, -1) - cumulated.take(low, -1)) / n
    return mean


@lru_cache(maxsize=16)
def _neighbors(n_freq: int, half_width: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    k = np.arange(n_freq)
    low, high = np.maximum(k - half_width, 0), np.minimum(k + half_width + 1, n_freq)
    return low, high, (high - low).astype(np.float32)


def e1(v: Array) -> Array:
    """Exponential integral E1(v) = ∫_v^∞ exp(-t) / t dt, within 3e-7 (v <= 1) or relatively 6e-5 (v > 1).

    Args:
        v: any shape, > 0; below 1e-10 it counts as 1e-10.

    Source: Abramowitz and Stegun 1964, 5.1.53 and 5.1.54, fitted there to 2e-7 and 5e-5.
    """
    v = np.maximum(v, np.float32(1e-10))
    s, b = np.minimum(v, 1), np.maximum(v, 1)
    series = -np.log(s) + _horner(s, (-0.57721566, 0.99999193, -0.24991055, 0.05519968, -0.00976004, 0.00107857))
    fraction = (
        _horner(b, (0.250621, 2.334733, 1)) / _horner(b, (1.681534, 3.330657, 1)) * np.exp(-np.minimum(b, 80)) / b
    )
    return np.where(v < 1, series, fraction)


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    y = np.float32(coefficients[-1]) * x + np.float32(coefficients[-2])
    for c in coefficients[-3::-1]:
        y *= x
        y += np.float32(c)
    return y
