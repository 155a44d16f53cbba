"""Noises that are made up: more kinds than any set of recordings has, each of them new every time.

Sounds with a pitch are one period, a table of samples made from its harmonics, read at a gliding phase; two such tables
with other levels, faded into each other, let the harmonics drift. Sounds with events are short resonances laid at
random moments. Sounds without either are random spectra.
"""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from undin.errors import InputError
from undin.mixing.augment.effects import convolved, fast_length, normalized
from undin.mixing.mix import Samples

TABLE = 1 << 14  # samples of a period: the 40th harmonic is read to within -47 dB
RMS = 0.1

Phase = NDArray[np.uint32]
Values = NDArray[np.float64]


def synthesise(kind: str, n_samples: int, sr: int, rng: np.random.Generator) -> Samples:
    """Make a noise.

    Args:
        kind: of `SYNTHETIC`.
        n_samples: how long, 1 or more.
        sr: sample rate in Hz.
        rng: draws its properties.

    Returns:
        (n_samples,) float32 of RMS 0.1.

    Raises:
        InputError: no such kind, or n_samples is below 1.

    >>> synthesise("rain", 16000, 16000, np.random.default_rng(0)).std().round(3)
    np.float32(0.1)
    """
    if kind not in SYNTHETIC:
        raise InputError(f"kind must be one of {', '.join(SYNTHETIC)}; got {kind!r}")
    if n_samples < 1:
        raise InputError(f"n_samples must be 1 or more; got {n_samples}")
    x = SYNTHETIC[kind](n_samples, sr, rng)
    if not np.abs(x).max() > 1e-9:  # too short to contain an event
        x = rng.choice(np.array([-1, 1], np.float32), n_samples)
    return normalized(x, RMS)


def _colored(n: int, sr: int, rng: np.random.Generator) -> Samples:
    """Noise of 1/f^a, a = -0.5 ... 2.5, of a random smooth shape, whose level wanders by up to 10 dB."""
    a, knots_db = rng.uniform(-0.5, 2.5), rng.normal(0, 4, 10)

    def level_db(f: Values) -> Values:
        return np.interp(np.log2(f), np.linspace(5.5, np.log2(sr / 2), 10), knots_db) - 10 * a * np.log10(f / 1000)

    x = _shaped(n, sr, rng, level_db)
    x *= _wandering(n, sr, rng, rng.uniform(0, 10))
    return x


def _hum(n: int, sr: int, rng: np.random.Generator) -> Samples:
    """Mains at 50 or 60 Hz: drifting harmonics, more of the odd or the even, or the buzz of a rectifier."""
    f = rng.choice([50.0, 60.0]) + rng.normal(0, 0.02)
    k = np.arange(1, min(40, int(0.45 * sr / f)) + 1)
    amps = k ** -rng.uniform(0.5, 2.0) * np.where(k % 2, rng.uniform(0.2, 1), rng.uniform(0.2, 1))
    if rng.random() < 0.3:  # |sin| at f: even harmonics of 1 / (k² - 1)
        amps = np.where(k % 2, 0.02, 1 / np.maximum(k**2 - 1.0, 1)) * k ** rng.uniform(0, 1)
    return _harmonic(_phase(f, n, sr, rng), amps, rng, drift_db=4.0, mix=_wandering(n, sr, rng, 20.0))


def _engine(n: int, sr: int, rng: np.random.Generator) -> Samples:
    """A motor: harmonics of a firing rate of 10 ... 300 Hz that glides as it is revved, over a rumble."""
    knots = rng.uniform(15, 150) * np.exp2(np.cumsum(rng.normal(0, 0.15, _n_knots(n, sr, 0.4))))
    f = _curve(np.clip(knots, 10, 300), n)
    k = np.arange(1, min(60, int(0.45 * sr / float(f.max()))) + 1)
    amps = k ** -rng.uniform(0.5, 1.5) * rng.lognormal(0, 0.5, len(k))
    x = _harmonic(_phase(f, n, sr, rng), amps, rng, drift_db=6.0, mix=_wandering(n, sr, rng, 20.0))
    low = _shaped(n // 8 + 2, sr // 8, rng, lambda f: -12 * np.log2(np.maximum(f, 60) / 60))
    rumble = _curve(low, n)  # eight times as many samples
    return _sum(x, rumble, rng.uniform(0.05, 0.7))


def _fan(n: int, sr: int, rng: np.random.Generator) -> Samples:
    """A fan: a broad band of air noise that breathes as it turns, and the tones of its blades."""
    center, width = rng.uniform(7, np.log2(0.3 * sr)), rng.uniform(0.7, 2.0)  # octaves re 1 Hz
    air = _shaped(n, sr, rng, lambda f: -6 * ((np.log2(f) - center) / width) ** 2)
    turns_hz, n_blades = rng.uniform(5, 40), int(rng.integers(3, 9))
    phase = _phase(turns_hz, n, sr, rng)
    k = n_blades * np.arange(1, min(8, int(0.45 * sr / turns_hz / n_blades)) + 1)
    amps = np.zeros(k[-1])
    amps[k - 1] = (k / n_blades) ** -rng.uniform(0.5, 2)
    turn = turns_hz / sr * np.arange(0, n + 32, 32) + rng.random()  # every 32 samples
    air *= _curve(1 + rng.uniform(0, 0.4) * np.sin(2 * np.pi * turn), n)
    return _sum(air, _harmonic(phase, amps, rng), rng.uniform(0.05, 0.8))


def _siren(n: int, sr: int, rng: np.random.Generator) -> Samples:
    """A siren between 400 and 1900 Hz: wail (2 ... 8 s up and down), yelp (0.2 ... 0.5 s), or two tones in turn."""
    low, ratio = rng.uniform(400, 800), rng.uniform(1.3, 2.3)
    way = str(rng.choice(["wail", "yelp", "two-tone"]))
    period_s = {"wail": rng.uniform(2, 8), "yelp": rng.uniform(0.2, 0.5), "two-tone": rng.uniform(0.6, 1.6)}[way]
    cycle = (np.arange(0, n + 16, 16) / (period_s * sr) + rng.random()) % 1
    place = np.where(cycle < 0.5, 0.0, 1.0) if way == "two-tone" else 1 - np.abs(2 * cycle - 1)
    f = _curve(np.append(low * ratio**place, low), n)  # every 16 samples
    k = np.arange(1, max(min(6, int(0.45 * sr / (low * ratio))), 1) + 1)
    return _harmonic(_phase(f, n, sr, rng), k ** -rng.uniform(1, 2.5), rng)


def _beeps(n: int, sr: int, rng: np.random.Generator) -> Samples:
    """An alarm clock, a microwave, a lorry in reverse: 1 ... 4 beeps of one or two pitches, a pause, and again."""
    n_beep, n_gap, n_pause = (round(rng.uniform(*range_s) * sr) for range_s in ((0.05, 0.4), (0.03, 0.4), (0, 1)))
    count, top = int(rng.integers(1, 5)), min(3500.0, 0.4 * sr)
    hz = rng.uniform(500, top, 2) if rng.random() < 0.3 else np.repeat(rng.uniform(500, top), 2)
    ends = np.minimum(np.arange(n_beep), np.arange(n_beep)[::-1])
    beep = np.clip(ends / (0.004 * sr), 0, 1).astype(np.float32)  # 4 ms up and down
    f, level = np.full((count, n_beep + n_gap), hz[0], np.float32), np.zeros((count, n_beep + n_gap), np.float32)
    f[1::2], level[:, :n_beep] = hz[1], beep
    start = int(rng.integers(0, n_beep))
    f, level = (np.resize(np.pad(v.ravel(), (0, n_pause)), n + start)[start:] for v in (f, level))
    k = np.arange(1, max(min(5, int(0.45 * sr / hz.max())), 1) + 1)
    return _harmonic(_phase(f, n, sr, rng), k ** -rng.uniform(1, 4), rng) * level


def _clicks(n: int, sr: int, rng: np.random.Generator) -> Samples:
    """Clicks through resonances of 1 ... 8 ms at 0.6 ... 6 kHz, singly or in pairs as of a key, 2 ... 15 a second."""
    sounds = [_ring(sr, rng, (600, 6000), (0.001, 0.008)) for _ in range(4)]
    times = _moments(n, sr, rng, rng.uniform(2, 15))
    if rng.random() < 0.6:  # a key goes down and up
        times = np.concatenate([times, times + (rng.uniform(0.06, 0.14, len(times)) * sr).astype(int)])
    return _laid(n, times, sounds, rng, spread_db=5.0)


def _knocks(n: int, sr: int, rng: np.random.Generator) -> Samples:
    """Knocks, steps and thumps: resonances of 10 ... 60 ms at 70 ... 500 Hz, in groups of 1 ... 4."""
    sounds = [_ring(sr, rng, (70, 500), (0.010, 0.060)) for _ in range(3)]
    first = _moments(n, sr, rng, rng.uniform(0.7, 3))
    apart = rng.uniform(0.12, 0.35) * sr
    times = (first[:, None] + apart * np.arange(rng.integers(1, 5))).astype(int).ravel()
    return _laid(n, times, sounds, rng, spread_db=3.0)


def _rain(n: int, sr: int, rng: np.random.Generator) -> Samples:
    """Rain, frying, crackle: 50 ... 5000 drops a second of all sizes, each a short ring, coming and going."""
    n_drops = max(round(10 ** rng.uniform(1.7, 3.7) * n / sr), 1)
    drops = np.zeros(n, np.float32)
    sizes = rng.standard_exponential(n_drops, np.float32) ** np.float32(1.5)
    drops[rng.integers(0, n, n_drops)] = sizes * rng.choice(np.array([-1, 1], np.float32), n_drops)
    rings = [_ring(sr, rng, (500, 7000), (0.0003, 0.003), n_samples=round(0.02 * sr)) for _ in range(3)]
    ring = cast(Samples, np.sum(rings, 0))
    x = convolved(drops, ring)
    x *= _wandering(n, sr, rng, 6.0)
    return x


SYNTHETIC: dict[str, Callable[[int, int, np.random.Generator], Samples]] = {
    "coloured": _colored,
    "hum": _hum,
    "engine": _engine,
    "fan": _fan,
    "siren": _siren,
    "beeps": _beeps,
    "clicks": _clicks,
    "knocks": _knocks,
    "rain": _rain,
}


def _shaped(n: int, sr: int, rng: np.random.Generator, level_db: Callable[[Values], Values]) -> Samples:
    """Gaussian noise whose spectrum has a level in dB over f in Hz, asked at 200 places between 20 Hz and sr / 2."""
    size = fast_length(n)
    f = np.geomspace(20, sr / 2, 200)
    factor = 10 ** (np.maximum(level_db(f), -100) / 20)  # no denormal numbers, which are slow
    gain = np.interp(np.linspace(0, sr / 2, 2049), f, factor, left=0)  # 4 Hz apart at 16 kHz
    X = rng.standard_normal(size + 2, np.float32).view(np.complex64)  # (size // 2 + 1,)
    X *= _curve(gain, len(X))
    return cast(Samples, np.fft.irfft(X, size, norm="ortho")[:n])


def _phase(f: float | Samples, n: int, sr: int, rng: np.random.Generator) -> Phase:
    """The phase of a tone of f Hz, a number or (n,), in 2^-32 periods, (n,): the carry falls off, so it is a phase."""
    scale, start = 2.0**32 / sr, np.uint32(rng.integers(1 << 32))
    if isinstance(f, np.ndarray):
        return np.cumsum((f * np.float32(scale)).astype(np.uint32), dtype=np.uint32) + start
    return np.arange(n, dtype=np.uint32) * np.uint32(round(f * scale)) + start


def _harmonic(
    phase: Phase,
    amps: NDArray[np.floating],
    rng: np.random.Generator,
    drift_db: float = 0.0,
    mix: Samples | None = None,
) -> Samples:
    """Read a period made of harmonics at a phase.

    Args:
        phase: (n,), see `_phase`.
        amps: (n_harmonics,) of harmonics 1, 2, ...; their phases are drawn.
        rng: draws.
        drift_db: standard deviation of each harmonic's level between two such periods ...
        mix: (n,) of any level: ... of which the second has a share of mix / (1 + mix); None for the first alone.

    Returns:
        (n,) float32.
    """
    X = np.zeros((2, TABLE // 2 + 1), np.complex64)
    X[:, 1 : len(amps) + 1] = amps * np.exp(2j * np.pi * rng.random(len(amps)))
    X[1, 1 : len(amps) + 1] *= 10 ** (rng.normal(0, drift_db, len(amps)) / 20)
    at = (phase >> np.uint32(32 - TABLE.bit_length() + 1)).astype(np.intp)
    periods = np.fft.irfft(X if mix is not None else X[:1], norm="ortho") * np.float32(np.sqrt(TABLE) / 2)
    x = cast(Samples, periods[0].take(at))
    if mix is not None:
        second = periods[1].take(at)  # in place from here on: fresh memory costs more than the arithmetic
        second -= x
        second *= mix
        second /= mix + 1
        x += second
    return x


def _sum(x: Samples, other: Samples, share: float) -> Samples:
    """x and another sound at a share of its RMS, in the place of x."""
    energy, of_other = float(np.dot(x, x)), float(np.dot(other, other))
    x += other * np.float32(share * np.sqrt(energy / max(of_other, 1e-12)))
    return x


def _curve(knots: NDArray[np.floating], n: int) -> Samples:
    """Straight lines between evenly spaced knots, (n,) float32: a product instead of a search."""
    k = np.asarray(knots, np.float32)
    step = -(-n // (len(k) - 1))
    ramp = np.arange(step, dtype=np.float32) / np.float32(step)
    return (k[:-1, None] + np.diff(k)[:, None] * ramp).reshape(-1)[:n]


def _n_knots(n: int, sr: int, every_s: float) -> int:
    return max(round(n / sr / every_s), 1) + 1


def _wandering(n: int, sr: int, rng: np.random.Generator, range_db: float) -> Samples:
    """A level that wanders by range_db within seconds, as factors about 1, (n,) float32."""
    knots_db = rng.uniform(-range_db / 2, range_db / 2, _n_knots(n, sr, float(rng.uniform(0.3, 2))))
    return _curve(10 ** (knots_db / 20), n)


def _ring(
    sr: int,
    rng: np.random.Generator,
    hz: tuple[float, float],
    decay_s: tuple[float, float],
    n_samples: int | None = None,
) -> Samples:
    """A decaying sine of a drawn frequency and time constant, as long as 6 of these, or n_samples."""
    f = min(float(np.exp(rng.uniform(*np.log(hz)))), 0.45 * sr)
    tau = float(np.exp(rng.uniform(*np.log(decay_s)))) * sr
    t = np.arange(max(round(6 * tau), 2) if n_samples is None else n_samples)
    ring = np.exp(-t / tau) * np.sin(2 * np.pi * (f / sr * t + rng.random()))
    return cast(Samples, ring.astype(np.float32))


def _moments(n: int, sr: int, rng: np.random.Generator, a_second: float) -> NDArray[np.int_]:
    """Random sample numbers, at least one of them."""
    return rng.integers(0, n, max(rng.poisson(a_second * n / sr), 1))


def _laid(
    n: int,
    times: NDArray[np.int_],
    sounds: Sequence[Samples],
    rng: np.random.Generator,
    spread_db: float,
) -> Samples:
    """Lay one of the sounds at each time, at levels that spread by spread_db (standard deviation)."""
    x = np.zeros(n, np.float32)
    which, factors = rng.integers(0, len(sounds), len(times)), 10 ** (rng.normal(0, spread_db, len(times)) / 20)
    for start, k, factor in zip(times.tolist(), which.tolist(), factors.astype(np.float32), strict=True):
        if start < n:
            piece = x[start : start + len(sounds[k])]
            piece += factor * sounds[k][: len(piece)]
    return x
