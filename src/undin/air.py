"""The air: a gain for the bins above those that a method knows, from their own noise floor and the speech below.

In bands of 1 kHz, with P_t the mean power of a band and g_t the gain that the method gave the top of what it knows:

    p_t  = min(4 g_t, 1)        presence of speech: a gain of -12 dB is enough, as the top may hold much noise
    N_t  = N_{t-1} + w_t (P_t - N_{t-1})        noise: falls within 0.1 s, rises over 0.5 s / (1 - p_t)
    xi_t = a G_{t-1}^2 P_{t-1} / N_t + (1 - a) max(P_t / N_t - 1, 0)        a priori SNR, decision-directed
    G_t  = G_min^(1 - p_t) max(xi_t / (1 + xi_t), G_min)^p_t

A band without speech thus keeps the gain G_min within words too, where a gain taken from below would follow syllables.

Source: of xi, Ephraim and Malah 1984, eq. 51; of the weighting by presence, Cohen 2002, eq. 14.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin.spectrum import Array, ComplexArray

Gains = NDArray[np.float32]
State = dict[str, Any]  # arrays, batch first

BAND_HZ = 1000.0
FALL_S, RISE_S = 0.1, 0.5  # time constants of the noise floor
CREEP_DB = 3.0  # per second, by which it rises where a method leaves noise: g_t < 1 throughout
START_S = 0.25  # at first it is a mean
MEMORY = 0.9  # a
FLOOR = np.float32(10 ** (-15 / 20))  # G_min
TINY, LEAST = np.float32(1e-20), np.float32(1e-12)


def mean_masks(X: ComplexArray, Y: ComplexArray) -> Array:
    """One gain per source and frame for the bins above those that a separating method knows.

    Re Σ_k Y_i X* / Σ_k |X|² is the mean over bins of the mask of source i, weighted by power. It is linear in Y_i, so
    that the gains sum to one where the masks do: in silence too, where they are equal.

    Args:
        X: (batch, n_bins, T), the uppermost bins that it knows.
        Y: (n_src, batch, n_bins, T), its answer.

    Returns:
        (n_src, batch, 1, T).
    """
    power = (X.real**2 + X.imag**2).sum(-2, keepdims=True)
    shared = (Y.real * X.real + Y.imag * X.imag).sum(-2, keepdims=True)
    M: Array = (shared + TINY / len(Y)) / (power + TINY)
    return M


class Air:
    """Gains of the upper bins, frame by frame.

    Args:
        n_upper: bins above those that the method knows.
        bin_hz: distance of bins in Hz.
        frames_per_s: frames per second.
    """

    def __init__(self, n_upper: int, bin_hz: float, frames_per_s: float) -> None:
        self.n_upper, self.frames_per_s = n_upper, frames_per_s
        self._starts = np.arange(0, n_upper, max(round(BAND_HZ / bin_hz), 1))
        self._counts = np.diff(self._starts, append=n_upper).astype(np.float32)

    def initial_state(self, batch: int) -> State:
        """State before the first frame: frames so far, noise floor N and speech S = G^2 P."""
        empty = np.zeros((batch, len(self._starts)), np.float32)
        return {"n": np.zeros((batch, 1), np.float32), "N": empty, "S": empty}

    def gains(self, power: Gains, below: Gains, state: State) -> tuple[Gains, State]:
        """Gains of the next frames.

        Args:
            power: (batch, n_upper, T), power of the upper bins.
            below: (batch, T), the gain that the method gave the top of what it knows, 0 to 1.
            state: for these frames.

        Returns:
            (batch, n_upper, T), `FLOOR` to 1; and the next state.
        """
        P = (np.add.reduceat(power, self._starts, 1) / self._counts[:, None]).astype(np.float32)  # (batch, n_bands, T)
        G = np.empty_like(P)
        for t in range(P.shape[-1]):
            G[..., t], state = self._gain(P[..., t], below[:, None, t], state)
        return np.repeat(G, self._counts.astype(int), 1), state

    def _gain(self, P_t: Gains, g_t: Gains, state: State) -> tuple[Gains, State]:
        n = state["n"] + 1
        p_t = np.minimum(4 * g_t, 1)
        N = self._noise(P_t, g_t, p_t, state["N"], n)
        least = np.maximum(np.maximum(P_t, state["S"]) * LEAST, TINY)  # of the noise, against overflow
        ratio = P_t / np.maximum(N, least)
        xi = MEMORY * state["S"] / np.maximum(N, least) + (1 - MEMORY) * np.maximum(ratio - 1, 0)
        G: Gains = FLOOR ** (1 - p_t) * np.maximum(xi / (1 + xi), FLOOR) ** p_t
        return G, {"n": n, "N": N, "S": G**2 * P_t}

    def _noise(self, P_t: Gains, g_t: Gains, p_t: Gains, N: Gains, n: Gains) -> Gains:
        """The next noise floor, from that before the n-th frame."""
        N = np.where(n == 1, np.float32(1e-3) * (1 - g_t) * P_t, N)
        fall, rise = (1 - np.exp(-1 / (tau_s * self.frames_per_s)) for tau_s in (FALL_S, RISE_S))
        rise = np.where(n <= START_S * self.frames_per_s, np.maximum(rise, 1 / n), rise)
        creep = N * (10 ** (CREEP_DB / 10 / self.frames_per_s * (1 - g_t)) - 1)
        up = np.maximum(rise * (1 - p_t) * (P_t - N), np.minimum(creep, P_t - N))
        N_t: Gains = np.where(P_t < N, N + fall * (P_t - N), N + up).astype(np.float32)
        return N_t
