"""Rooms: shoeboxes with a microphone and one place for each talker and noise, from image sources.

The response of a room is cut at the arrival of the direct sound and divided by its peak, so that what was said comes
out at the same time and level as it went in, with reflections behind it.

Source: Allen and Berkley, Image method for efficiently simulating small-room acoustics, JASA 65(4), 1979, as in
pyroomacoustics; early reflections are those within 50 ms.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from undin.errors import InputError, require
from undin.mixing.mix import Samples

EARLY_S = 0.05  # reflections up to here add to the understanding of speech (ISO 3382: C50)
WALL_M, APART_M = 0.5, 0.5  # least distances from a wall and from the microphone
SMALLEST_M, LARGEST_M = (3.0, 3.0, 2.4), (8.0, 6.0, 3.5)  # width, depth, height
FRACTIONAL = 40  # samples that pyroomacoustics puts before an arrival, half the length of its interpolation filter

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Response:
    """Impulse response of a room in one place: h (n_samples,) float64, starting with the direct sound."""

    h: NDArray[np.float64]
    n_early: int

    def wet(self, x: Samples) -> Samples:
        """The sound x (n_samples,) in the room, as long as it was."""
        return _convolve(x, self.h)

    def early(self, x: Samples) -> Samples:
        """The direct sound and the reflections of the first 50 ms."""
        return _convolve(x, self.h[: self.n_early])


@dataclass(frozen=True)
class Room:
    """A shoebox, all lengths in metres.

    Attributes:
        size: width, depth, height.
        rt60_s: time in which its sound falls by 60 dB, by Sabine's formula.
        mic: where the microphone is.
        places: where the talkers are, then the noises.
    """

    size: Point
    rt60_s: float
    mic: Point
    places: tuple[Point, ...]

    @property
    def text(self) -> str:
        """size, rt60_s, mic and places as numbers with spaces between, to the centimetre and 10 ms."""
        return " ".join(f"{v:.2f}" for v in (*self.size, self.rt60_s, *self.mic, *np.ravel(self.places)))

    @classmethod
    def parse(cls, text: str, n_places: int) -> "Room":
        """Read `text` again.

        Raises:
            InputError: it does not have 7 + 3 n_places numbers, or a position is outside the room.
        """
        try:
            values = [float(word) for word in text.split()]
        except ValueError:
            values = []
        if len(values) != 7 + 3 * n_places or not np.isfinite(values).all():
            raise InputError(
                f"room must be size, RT60, microphone, {n_places} positions: {7 + 3 * n_places} numbers; got {text!r}"
            )
        points = np.array(values[4:]).reshape(-1, 3)
        if (points <= 0).any() or (points >= values[:3]).any() or values[3] <= 0:
            raise InputError(f"room must have an RT60 above 0 and all positions inside it; got {text!r}")
        size, mic, *places = ((float(a), float(b), float(c)) for a, b, c in (values[:3], *points))
        return cls(size, values[3], mic, tuple(places))

    def responses(self, sr: int) -> list[Response]:
        """Simulate the room: one Response per place, at sr Hz.

        Raises:
            MissingExtraError: pyroomacoustics is not installed.
            InputError: no wall absorbs enough for so short an RT60 in so large a room.
        """
        return list(_responses(self, sr))


def draw_room(rng: np.random.Generator, n_places: int, rt60_s: tuple[float, float]) -> Room:
    """Draw a room for a microphone and n_places sources, none nearer than half a metre to it or to a wall.

    Args:
        rng: draws it.
        n_places: number of sources.
        rt60_s: range of the reverberation time, in seconds.
    """
    size = tuple(float(v) for v in rng.uniform(SMALLEST_M, LARGEST_M).round(2))
    mic = _place(rng, size)
    places: list[Point] = []
    while len(places) < n_places:
        place = _place(rng, size)
        if np.linalg.norm(np.subtract(place, mic)) >= APART_M:
            places.append(place)
    return Room((size[0], size[1], size[2]), round(float(rng.uniform(*rt60_s)), 2), mic, tuple(places))


def _place(rng: np.random.Generator, size: tuple[float, ...]) -> Point:
    x, y, z = (round(float(rng.uniform(WALL_M, length - WALL_M)), 2) for length in size)
    return x, y, z


@lru_cache(maxsize=2)  # a row is measured and rendered
def _responses(room: Room, sr: int) -> tuple[Response, ...]:
    pra = require("pyroomacoustics", extra="rooms")
    try:
        absorption, order = pra.inverse_sabine(room.rt60_s, room.size)
    except ValueError as error:
        raise InputError(
            f"a room of {room.size} m cannot have an RT60 as short as {room.rt60_s} s: use a longer one"
        ) from error
    box = pra.ShoeBox(room.size, fs=sr, materials=pra.Material(absorption), max_order=order)
    for place in room.places:
        box.add_source(place)
    box.add_microphone(room.mic)
    box.compute_rir()
    c = pra.constants.get("c")
    delays_s = [float(np.linalg.norm(np.subtract(place, room.mic))) / c for place in room.places]
    return tuple(_aligned(box.rir[0][k], FRACTIONAL + delay_s * sr, sr) for k, delay_s in enumerate(delays_s))


def _aligned(h: NDArray[np.float64], delay: float, sr: int) -> Response:
    """Move a response forward by its delay, fractions of a sample too, and divide by its direct sound.

    h(t + d) has the spectrum H e^{2πj f d}. Sinc lobes before the direct sound go around to the end, where zeros were.
    """
    n = 2 * len(h)
    H = np.fft.rfft(h, n) * np.exp(2j * np.pi * delay * np.arange(n // 2 + 1) / n)
    h = np.fft.irfft(H, n)[: len(h)]
    return Response(h / h[0], round(EARLY_S * sr))


def _convolve(x: Samples, h: NDArray[np.float64]) -> Samples:
    """x * h by FFT, as long as x."""
    n = 1 << (len(x) + len(h) - 2).bit_length()
    y = np.fft.irfft(np.fft.rfft(x, n) * np.fft.rfft(h, n), n)[: len(x)]
    return y.astype(np.float32)
