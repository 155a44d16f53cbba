"""Who speaks when in an example: partly at the same time, in turns, or one talker alone.

Each talker's crop spans the example; a scene keeps some stretches of it and mutes the rest.
"""

from collections.abc import Callable, Sequence

import numpy as np

from undin.audio import rms
from undin.mixing.crops import FADE_S, faded
from undin.mixing.mix import Samples

Scene = list[list[tuple[int, int]]]  # when each talker speaks: stretches [start, stop) in samples

TURN_S = 1.0  # a turn lasts at least this long on average
AUDIBLE = 0.1  # RMS of what is kept of a talker, relative to the crop's: less is a pause
TRIES = 10  # to find stretches with sound


def overlapping(n_talkers: int, n_samples: int, sr: int, gap_s: tuple[float, float], rng: np.random.Generator) -> Scene:
    """Talkers who start and stop at their own times; all of them speak at one moment in the middle half.

    Args:
        n_talkers: number of talkers.
        n_samples: length of the scene.
        sr: in Hz.
        gap_s: range of the pause between turns, in seconds; not used here.
        rng: draws.
    """
    middle = rng.uniform(0.25, 0.75) * n_samples
    starts, stops = rng.uniform(0, middle, n_talkers), rng.uniform(middle, n_samples, n_talkers)
    return [[(int(start), int(stop))] for start, stop in zip(starts, stops, strict=True)]


def in_turns(n_talkers: int, n_samples: int, sr: int, gap_s: tuple[float, float], rng: np.random.Generator) -> Scene:
    """Talkers who alternate with pauses of gap_s (negative: they overlap), each with at least one turn.

    Args:
        n_talkers: number of talkers.
        n_samples: length of the scene.
        sr: in Hz.
        gap_s: range of the pause between turns, in seconds.
        rng: draws.
    """
    n_turns = int(rng.integers(n_talkers, max(n_talkers, int(n_samples / sr / TURN_S)) + 1))
    lengths = rng.uniform(0.5, 1.5, n_turns)
    edges = np.append(0.0, np.cumsum(lengths)) * (n_samples / lengths.sum())
    most = float(np.diff(edges).min()) / 3
    gaps = np.clip(rng.uniform(*gap_s, n_turns + 1) * sr / 2, -most, most)  # half of a pause on each side
    starts, stops = np.maximum(edges[:-1] + gaps[:-1], 0), np.minimum(edges[1:] - gaps[1:], n_samples)
    turns = [(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]
    first = int(rng.integers(n_talkers))
    return [turns[(k - first) % n_talkers :: n_talkers] for k in range(n_talkers)]


def alone(n_talkers: int, n_samples: int, sr: int, gap_s: tuple[float, float], rng: np.random.Generator) -> Scene:
    """The first talker alone, throughout.

    Args:
        n_talkers, n_samples, sr, gap_s, rng: as in `in_turns`.
    """
    return [[(0, n_samples)], *([[]] * (n_talkers - 1))]


SCENES: dict[str, Callable[..., Scene]] = {"partial": overlapping, "turns": in_turns, "alone": alone}


def act(
    kind: str, talkers: Sequence[Samples], sr: int, gap_s: tuple[float, float], rng: np.random.Generator
) -> list[Samples]:
    """Mute talkers where a drawn scene has them silent.

    Args:
        kind: key of `SCENES`.
        talkers: (n_samples,) float32 each.
        sr: their rate in Hz.
        gap_s: range of the pause between turns in seconds; negative where they overlap.
        rng: draws.

    Returns:
        (n_samples,) float32 each. The talkers unchanged if every scene drawn leaves one who should speak in a pause.
    """
    for _ in range(TRIES):
        scene = SCENES[kind](len(talkers), len(talkers[0]), sr, gap_s, rng)
        kept = [_kept(x, sr, spans) for x, spans in zip(talkers, scene, strict=True)]
        if all(not spans or rms(y) > AUDIBLE * rms(x) for x, y, spans in zip(talkers, kept, scene, strict=True)):
            return kept
    return list(talkers)


def _kept(x: Samples, sr: int, spans: Sequence[tuple[int, int]]) -> Samples:
    y = np.zeros_like(x)
    for start, stop in spans:
        y[start:stop] = faded(x[start:stop].copy(), round(FADE_S * sr))
    return y
