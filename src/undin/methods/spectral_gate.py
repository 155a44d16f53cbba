"""`spectral-gate`: bins that do not exceed the noise floor are attenuated.

Source: the noise gate of sound editors, per frequency; the floor by minimum statistics after R. Martin, "Noise power
spectral density estimation based on optimal smoothing and minimum statistics", IEEE TSAP 9(5), 2001, without the
optimal smoothing: the least smoothed power of the last 1.5 s, times the bias of a minimum.

Causal, no look-ahead, delay n_fft; nothing is learned; about 20 operations per bin and frame.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from undin.checks import Count, Positive, check_fields
from undin.cores import State
from undin.methods.base import Card, Method
from undin.spectrum import ComplexArray, Window


@dataclass(frozen=True)
class SpectralGateConfig:
    """Settings.

    Attributes:
        sr: sample rate in Hz that n_fft and hop_length refer to; other rates use the same durations.
        n_fft: samples a frame spans.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
        memory_s: the noise floor is the minimum power of this many seconds.
        bias_db: the mean noise is this much above its minimum smoothed power.
        threshold_db: the gate is half open this much above the mean noise.
        slope: dB that the gate opens per dB of level, around the threshold.
        gain_floor_db: gain of the closed gate.
        release_s: time constant of closing; opening takes one frame.
    """

    sr: Count = 16000
    n_fft: Count = 512
    hop_length: Count = 256
    window: Window = "sqrt_hann"
    memory_s: Positive = 1.5
    bias_db: float = 4.0
    threshold_db: float = 6.0
    slope: Positive = 1.5
    gain_floor_db: Annotated[float, "<= 0"] = -14.0
    release_s: Positive = 0.04

    def __post_init__(self) -> None:
        check_fields(self)


N_PARTS = 8  # the memory is kept as the minima of this many parts


class SpectralGate(Method):
    """A noise gate per bin, the simplest method."""

    id = "spectral-gate"
    Config = SpectralGateConfig
    config: SpectralGateConfig
    bins = "any"
    card = Card(
        summary="per-bin noise gate on a minimum-statistics floor; fast and crude",
        source="classical; floor after Martin 2001",
        si_sdr_gain_db=5.5,
    )

    def initial_state(self, batch: int) -> State:
        """State before the first frame; the arrays take their n_freq from the first frame."""
        return {
            "n": 0,  # frames so far
            "smooth": np.zeros((batch, 1), np.float32),  # smoothed power
            "minima": np.full((batch, N_PARTS, 1), np.inf, np.float32),  # of the parts of the memory, newest first
            "gain": np.zeros((batch, 1), np.float32),
        }

    def step(self, X: ComplexArray, state: State) -> tuple[ComplexArray, State]:
        """Process frames X (batch, n_freq, T) without look-ahead."""
        c = self.config
        frame_s = c.hop_length / c.sr
        n_part = max(round(c.memory_s / frame_s / N_PARTS), 1)
        release = np.float32(np.exp(-frame_s / c.release_s))
        floor_gain = np.float32(10 ** (c.gain_floor_db / 20))
        n, smooth, gain = state["n"], state["smooth"], state["gain"]
        minima = np.repeat(state["minima"], X.shape[1] // state["minima"].shape[-1], -1)  # (batch, N_PARTS, n_freq)
        power = np.ascontiguousarray(np.moveaxis(X.real**2 + X.imag**2, -1, 0), np.float32)  # (T, batch, n_freq)
        G = np.empty_like(power)
        for t, power_t in enumerate(power):
            smooth = smooth + np.float32(0.2) * (power_t - smooth) if n else power_t
            if n % n_part == 0:  # a new part begins: the oldest is forgotten
                minima = np.concatenate([smooth[:, None], minima[:, :-1]], 1)
            else:
                minima[:, 0] = np.minimum(minima[:, 0], smooth)
            noise_db = 10 * np.log10(minima.min(1) + np.float32(1e-20)) + np.float32(c.bias_db)
            above_db = 10 * np.log10(smooth + np.float32(1e-20)) - noise_db - np.float32(c.threshold_db)
            target = floor_gain + (1 - floor_gain) / (1 + np.exp(np.clip(-above_db * np.float32(c.slope / 2), -60, 60)))
            gain = np.maximum(target, release * gain + (1 - release) * target)
            G[t], n = gain, n + 1
        return np.moveaxis(G, 0, -1) * X, {"n": n, "smooth": smooth, "minima": minima, "gain": gain}
