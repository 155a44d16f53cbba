"""Rooms for training, a new one every time: the first reflections from image sources, the rest as the noise that it is.

`rooms.py` follows every reflection, which costs a second for an RT60 of 0.6 s and five, with 2 GB, for 0.9 s. After
50 ms they are so dense that only their energy is audible, and that is known: at a time t there are 4πc³t²/V of them a
second, each (ct)^-2 strong, and the walls leave exp(-13.8 t / RT60), so per sample of the rest

    E h² = 4πc / (V sr) · exp(-13.8 t / RT60),    relative to a direct sound of 1 at one metre.

A place takes half a millisecond, and no package. Above 2 kHz the rest dies sooner, by a drawn factor.

Source: Allen and Berkley 1979 (images); Lehmann and Johansson, Diffuse reverberation model for efficient image-source
simulation of room impulse responses, IEEE TASLP 18(6), 2010; Eyring 1930 for the walls.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from undin.mixing.augment.effects import convolved, fast_length
from undin.mixing.mix import Samples
from undin.mixing.rooms import EARLY_S, Room

SPEED = 343.0  # of sound, m/s
CROSSOVER_HZ = 2000.0


@dataclass(frozen=True)
class FastResponse:
    """Impulse response of a room in one place: h (n_samples,) float32, the direct sound of 1 first."""

    h: Samples
    n_early: int

    def wet(self, x: Samples) -> Samples:
        """The sound x (n_samples,) in the room, as long as it was."""
        return convolved(x, self.h)

    def early(self, x: Samples) -> Samples:
        """The direct sound and the reflections of the first 50 ms."""
        return convolved(x, self.h[: self.n_early])


def simulate(room: Room, sr: int, rng: np.random.Generator, *, damping: float = 1.0) -> list[FastResponse]:
    """Simulate a room.

    Args:
        room: its size, RT60, microphone and places.
        sr: sample rate in Hz.
        rng: draws the rest.
        damping: RT60 above 2 kHz re that below.

    Returns:
        a FastResponse per place, as long as the RT60.
    """
    volume, walls = np.prod(room.size), 2 * sum(np.prod(np.delete(room.size, k)) for k in range(3))
    # Eyring: RT60 = 24 ln 10 / c · V / (-S ln(1 - α)), and a wall reflects sqrt(1 - α)
    reflects = np.exp(-24 * np.log(10) / SPEED * volume / (walls * room.rt60_s) / 2)
    responses = []
    for place in room.places:
        direct_m = float(np.linalg.norm(np.subtract(place, room.mic)))
        h = _early(room, place, direct_m, float(reflects), sr)
        n = max(round(room.rt60_s * sr), len(h))
        rest = _rest(n, float(volume), room.rt60_s, direct_m, sr, rng, damping)
        # from the images to the rest within the last fifth of the first 50 ms, at constant power
        fade = np.linspace(0, np.pi / 2, len(h) // 5, dtype=np.float32)
        start = len(h) - len(fade)
        h[start:] *= np.cos(fade)
        rest[:start] = 0
        rest[start : len(h)] *= np.sin(fade)
        rest[: len(h)] += h
        responses.append(FastResponse(rest, round(EARLY_S * sr)))
    return responses


def _early(room: Room, place: tuple[float, float, float], direct_m: float, reflects: float, sr: int) -> Samples:
    """The direct sound and the reflections of the next 50 ms, relative to it."""
    reach = direct_m + EARLY_S * SPEED
    square, n_walls = np.zeros(1), np.zeros(1)
    for size, here, there in zip(room.size, room.mic, place, strict=True):
        m = np.arange(-int(reach / size / 2) - 1, int(reach / size / 2) + 2)
        along = np.concatenate([2 * m * size + there, 2 * m * size - there]) - here
        touched = np.concatenate([np.abs(2 * m), np.abs(2 * m - 1)])  # walls passed along this axis
        near = np.abs(along) < reach
        square = np.add.outer(square, along[near] ** 2).ravel()
        n_walls = np.add.outer(n_walls, touched[near]).ravel()
        n_walls, square = n_walls[square < reach**2], square[square < reach**2]
    distance = np.sqrt(square)
    n = round(EARLY_S * sr)
    at = np.maximum(distance - direct_m, 0) / SPEED * sr
    k = at.astype(int)
    level = direct_m / distance * reflects**n_walls
    # an arrival between two samples is shared by them, which damps the highest frequencies, as walls do
    h = np.bincount(k, level * (1 - (at - k)), n + 2) + np.bincount(k + 1, level * (at - k), n + 2)
    return cast(Samples, h[:n].astype(np.float32))


def _rest(
    n: int, volume: float, rt60_s: float, direct_m: float, sr: int, rng: np.random.Generator, damping: float
) -> Samples:
    """The diffuse rest from the direct sound on, relative to it, (n,)."""
    t = np.arange(n, dtype=np.float32) * np.float32(1 / sr) + np.float32(direct_m / SPEED)
    scale = np.float32(direct_m * np.sqrt(4 * np.pi * SPEED / (volume * sr)))
    noise, size = rng.standard_normal(n, np.float32), fast_length(n)
    X = np.fft.rfft(noise, size, norm="ortho")
    X /= 1 + (np.arange(len(X), dtype=np.float32) * np.float32(sr / size / CROSSOVER_HZ)) ** 2
    low = np.fft.irfft(X, size, norm="ortho")[:n]
    fall, fall_high = (np.exp(t * np.float32(-3 * np.log(10) / rt60)) for rt60 in (rt60_s, rt60_s * damping))
    return cast(Samples, scale * (low * fall + (noise - low) * fall_high))
