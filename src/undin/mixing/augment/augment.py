"""Augmentation of training mixtures: settings, and random draws from them.

What belongs to the voice, or must not be undone, changes the target as well: speed, pitch and color of the voice, the
first reflections of a room, the band and the level of a channel, and where nothing comes through. What should be undone
or ignored changes the noisy signal alone: the rest of a room, clipping, codecs, lost packets.

kind(rng)                             what the mixture is of
voice(x, sr, rng)                     a talker, before mixing
scene(talkers, sr, rng)               when each of several talkers speaks
noise(x, sr, rng)                     a noise, before mixing
noises(n_samples, sr, rng, babble)    further noises
room(rng, n_sources, sr)              where talkers and noises are
channel(noisy, speech, noise, sr, rng)   what recording and transmission do, after mixing
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Literal

import numpy as np

from undin.checks import ORDER, Range, Share, check_fields, check_known
from undin.errors import InputError
from undin.mixing.augment import effects
from undin.mixing.augment.codecs import CODECS, codec
from undin.mixing.augment.fast_rooms import FastResponse, simulate
from undin.mixing.augment.synthetic import SYNTHETIC, synthesise
from undin.mixing.mix import Samples
from undin.mixing.rooms import draw_room
from undin.mixing.scenes import SCENES, act

TELEPHONE_HZ = (300.0, 3400.0)


@dataclass(frozen=True)
class Augment:
    """Share of mixtures for each augmentation, 0 to 1, and ranges (low, high) with uniform draws.

    Attributes:
        clean: mixtures without noise.
        noise_only: mixtures without speech.
        speed: talkers at another speed and, with it, pitch.
        speed_range: factors.
        pitch: talkers at another pitch and the same speed.
        semitones: up or down.
        eq: talkers with another spectral color: a tilt around 1 kHz and a random smooth curve.
        tilt_db: dB per octave.
        eq_db: standard deviation of the curve at octaves, dB.
        noise_eq: noises with another spectral color, in the same ranges.
        fill_band: recordings of noise of at most half the bandwidth that are played two or more times as fast, so that
            their sound reaches sr / 2.
        silence: talkers fall silent for stretches, while the noise continues.
        silence_s: length of each of 1 to 3 stretches in seconds.
        partial: mixtures of several talkers who overlap in part: each starts and stops at its own time.
        turns: mixtures of several talkers who take turns.
        alone: mixtures of several talkers in which only the first speaks. What partial, turns and alone leave of 1 is
            full overlap.
        gap_s: pause between two turns in seconds; negative where they overlap.
        synthetic: mixtures with an additional synthetic noise.
        kinds: of synthetic noise; see `undin.mixing.augment.synthetic`.
        babble: mixtures with other people talking.
        babble_talkers: their number.
        babble_db: their relative levels, dB.
        rooms: mixtures in a room.
        rt60_s: its reverberation time in seconds.
        band_limit: mixtures of a limited band: a telephone's, a low-pass or a high-pass.
        lowpass_hz: upper edge.
        highpass_hz: lower edge.
        band_order: of the filter, 1 to 32: 8 falls by 48 dB per octave, 32 by 192, a brick wall.
        floor: mixtures with the noise of a microphone.
        floor_db: its RMS in dB re full scale.
        clip: mixtures that are clipped, hard or soft.
        clip_db: depth under the peak, dB.
        gain_steps: mixtures whose level jumps or fades.
        gain_db: size of the change, dB.
        codec: mixtures that went through a lossy codec.
        codecs: names; see `undin.mixing.augment.codecs`.
        codec_strength: 0 for the highest bit rate, 1 for the lowest.
        dropouts: mixtures with lost packets.
        lost: share of the packets that are lost.
        pause: mixtures with a stretch of digital silence.
        pause_s: its length in seconds.

    Raises:
        InputError: a share or a range breaks its rule; a kind or a codec is unknown.
    """

    clean: Share = 0.0
    noise_only: Share = 0.0
    speed: Share = 0.0
    speed_range: Annotated[Range, ">= 0.5", "<= 2"] = (0.85, 1.15)
    pitch: Share = 0.0
    semitones: Annotated[Range, ">= -12", "<= 12"] = (-3.0, 3.0)
    eq: Share = 0.0
    tilt_db: Annotated[Range, ">= -12", "<= 12"] = (-3.0, 3.0)
    eq_db: Annotated[Range, ">= 0", "<= 20"] = (0.0, 4.0)
    noise_eq: Share = 0.0
    fill_band: Share = 0.0
    silence: Share = 0.0
    silence_s: Annotated[Range, ">= 0", "<= 3600"] = (0.3, 1.5)
    partial: Share = 0.0
    turns: Share = 0.0
    alone: Share = 0.0
    gap_s: Annotated[Range, ">= -3600", "<= 3600"] = (-0.3, 1.0)
    synthetic: Share = 0.0
    kinds: tuple[str, ...] = tuple(SYNTHETIC)
    babble: Share = 0.0
    babble_talkers: Annotated[tuple[int, int], ORDER, ">= 1", "<= 100"] = (3, 8)
    babble_db: Annotated[Range, ">= -60", "<= 60"] = (-10.0, 0.0)
    rooms: Share = 0.0
    rt60_s: Annotated[Range, ">= 0.05", "<= 3"] = (0.1, 0.9)
    band_limit: Share = 0.0
    lowpass_hz: Annotated[Range, ">= 100", "<= 1000000"] = (2000.0, 7000.0)
    highpass_hz: Annotated[Range, ">= 1", "<= 100000"] = (50.0, 300.0)
    band_order: Annotated[int, ">= 1", "<= 32"] = 8
    floor: Share = 0.0
    floor_db: Annotated[Range, ">= -200", "<= 0"] = (-80.0, -50.0)
    clip: Share = 0.0
    clip_db: Annotated[Range, ">= 0", "<= 60"] = (1.0, 12.0)
    gain_steps: Share = 0.0
    gain_db: Annotated[Range, ">= 0", "<= 60"] = (3.0, 20.0)
    codec: Share = 0.0
    codecs: tuple[str, ...] = tuple(CODECS)
    codec_strength: Annotated[Range, ">= 0", "<= 0.95"] = (0.5, 0.95)
    dropouts: Share = 0.0
    lost: Annotated[Range, ">= 0", "<= 1"] = (0.01, 0.1)
    pause: Share = 0.0
    pause_s: Annotated[Range, ">= 0", "<= 3600"] = (0.1, 1.0)

    def __post_init__(self) -> None:
        check_fields(self)
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), list):  # as a recipe gives it
                object.__setattr__(self, field.name, tuple(value))
        for name, known in (("kinds", SYNTHETIC), ("codecs", CODECS)):
            if not getattr(self, name):
                raise InputError(f"{name} must not be empty")
            for each in getattr(self, name):
                check_known(each, known, name)
        if self.clean + self.noise_only > 1:
            raise InputError(f"clean and noise_only must sum to 1 or less; got {self.clean} and {self.noise_only}")
        if sum(self._scenes.values()) > 1 + 1e-9:
            raise InputError(f"the shares of the scenes must sum to 1 or less; got {self._scenes}")

    def kind(self, rng: np.random.Generator) -> Literal["mix", "clean", "noise-only"]:
        """Draw the kind of a mixture."""
        place = rng.random()
        return "clean" if place < self.clean else "noise-only" if place < self.clean + self.noise_only else "mix"

    def voice(self, x: Samples, sr: int, rng: np.random.Generator, who: np.random.Generator | None = None) -> Samples:
        """Change a talker: speed, pitch, spectral color, silent stretches.

        Args:
            x: (n_samples,) float32.
            sr: its rate in Hz.
            rng: draws.
            who: draws speed and pitch instead, which are the talker's own.

        Returns:
            (n_samples,) float32; with the RMS of x, except for silent stretches; x itself if nothing was drawn.
        """
        y, who = x, rng if who is None else who
        if who.random() < self.speed:
            y = effects.speed(y, sr, who.uniform(*self.speed_range), place=rng.random())
        if who.random() < self.pitch:
            y = effects.pitch(y, sr, who.uniform(*self.semitones))
        if rng.random() < self.eq:
            y = self._colored(y, sr, rng)
        if rng.random() < self.silence:
            spans = [_span(len(y), sr, self.silence_s, rng) for _ in range(rng.integers(1, 4))]
            y = effects.muted(y, sr, spans)
        return y

    @property
    def _scenes(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in SCENES}

    def scene(self, talkers: list[Samples], sr: int, rng: np.random.Generator) -> list[Samples]:
        """Draw when each talker speaks: talkers (n_samples,) float32 each, silent where they do not speak.

        Args:
            talkers: (n_samples,) float32 each.
            sr: in Hz.
            rng: draws the scene.
        """
        if len(talkers) < 2 or not any(self._scenes.values()):
            return talkers
        place = rng.random()
        for kind, share in self._scenes.items():
            if place < share:
                return act(kind, talkers, sr, self.gap_s, rng)
            place -= share
        return talkers

    def noise(self, x: Samples, sr: int, rng: np.random.Generator) -> Samples:
        """Change the spectral color of a noise at the same RMS: (n_samples,) float32; x itself if not drawn.

        Args:
            x: (n_samples,) float32.
            sr: in Hz.
            rng: draws whether, and the color.
        """
        return self._colored(x, sr, rng) if rng.random() < self.noise_eq else x

    def noises(self, n_samples: int, sr: int, rng: np.random.Generator, babble: Callable[[], Samples]) -> list[Samples]:
        """Draw further noises.

        Args:
            n_samples: their length.
            sr: sample rate in Hz.
            rng: draws.
            babble: returns (n_samples,) of a random talker at each call.

        Returns:
            none to two arrays, (n_samples,) float32 of RMS 0.1; silent if all of the babble is.
        """
        made = []
        if rng.random() < self.synthetic:
            made.append(synthesise(str(rng.choice(self.kinds)), n_samples, sr, rng))
        if rng.random() < self.babble:
            talkers = [babble() for _ in range(rng.integers(self.babble_talkers[0], self.babble_talkers[1] + 1))]
            made.append(effects.babble(talkers, rng.uniform(*self.babble_db, len(talkers)).tolist()))
        return made

    def room(self, rng: np.random.Generator, n_sources: int, sr: int) -> list[FastResponse] | None:
        """Draw a room with positions of n_sources: `wet` is recorded, `early` is the target; None for no room.

        Args:
            rng: draws it.
            n_sources: number of talkers and noises.
            sr: in Hz.
        """
        if not rng.random() < self.rooms:
            return None
        room = draw_room(rng, n_sources, self.rt60_s)
        return simulate(room, sr, rng, damping=float(rng.uniform(0.5, 1)))

    def channel(
        self, noisy: Samples, speech: Samples, noise: Samples, sr: int, rng: np.random.Generator
    ) -> tuple[Samples, Samples, Samples]:
        """Record and transmit a mixture.

        Band, level and pauses change all of them, a microphone's floor noisy and noise. Clipping, codecs and lost
        packets change noisy alone: then noisy != speech + noise, and noise is unchanged.

        Args:
            noisy: (n_samples,) float32.
            speech: (n_samples,) float32, the target; or (n_src, n_samples), those of several talkers.
            noise: (n_samples,) float32.
            sr: their rate in Hz.
            rng: draws.

        Returns:
            noisy, speech and noise, of the shapes they had, float32; new arrays where they changed.
        """
        name = str(rng.choice(self.codecs)) if rng.random() < self.codec else ""
        limited = rng.random() < self.band_limit
        if limited or name == "gsm":  # a telephone's codec has a telephone's band, which is not to be undone
            low_hz, high_hz = TELEPHONE_HZ if name == "gsm" else self._band(rng)
            all_of_them = effects.band_limit(np.vstack([noisy, speech, noise]), sr, low_hz, high_hz, self.band_order)
            noisy, speech, noise = all_of_them[0], all_of_them[1:-1].reshape(speech.shape), all_of_them[-1]
        if rng.random() < self.floor:
            hiss = rng.standard_normal(len(noisy), np.float32)
            hiss *= np.float32(10 ** (rng.uniform(*self.floor_db) / 20))
            noisy, noise = noisy + hiss, noise + hiss
        if rng.random() < self.clip:
            noisy = effects.clip(noisy, rng.uniform(*self.clip_db), soft=rng.random() < 0.5)
        if rng.random() < self.gain_steps:
            gain = self._gain(len(noisy), sr, rng)
            noisy, speech, noise = noisy * gain, speech * gain, noise * gain
        if name:
            noisy = codec(noisy, sr, name, rng.uniform(*self.codec_strength))
        if rng.random() < self.dropouts:
            noisy = effects.muted(noisy, sr, self._losses(len(noisy), sr, rng))
        if rng.random() < self.pause:
            spans = [_span(len(noisy), sr, self.pause_s, rng)]
            noisy, speech, noise = (effects.muted(x, sr, spans) for x in (noisy, speech, noise))
        return noisy, speech, noise

    def _colored(self, x: Samples, sr: int, rng: np.random.Generator) -> Samples:
        gains_db = rng.normal(0, rng.uniform(*self.eq_db), len(effects.OCTAVES)).tolist()
        y = effects.equalise(x, sr, gains_db, rng.uniform(*self.tilt_db))
        return effects.normalized(y, math.sqrt(float(np.dot(x, x)) / max(len(x), 1)))

    def _band(self, rng: np.random.Generator) -> tuple[float | None, float | None]:
        which = rng.integers(3)
        if which == 0:
            return TELEPHONE_HZ
        return (None, rng.uniform(*self.lowpass_hz)) if which == 1 else (rng.uniform(*self.highpass_hz), None)

    def _gain(self, n_samples: int, sr: int, rng: np.random.Generator) -> Samples:
        """Levels that jump within 5 ms or fade between 1 to 3 moments, never above 0 dB."""
        n = int(rng.integers(1, 4))
        times = np.sort(rng.uniform(0, n_samples, n))
        levels_db = np.cumsum(np.append(0, rng.uniform(*self.gain_db, n) * rng.choice([-1, 1], n)))
        levels_db -= levels_db.max()
        jump = effects.FADE_S * sr if rng.random() < 0.5 else float(np.diff(times, append=n_samples).min())
        starts = np.column_stack([times, times + jump]).ravel()
        return effects.curve(starts.tolist(), np.repeat(levels_db, 2)[1:-1].tolist(), n_samples)

    def _losses(self, n_samples: int, sr: int, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Packets of 10, 20 or 40 ms that are lost, two in a row on average."""
        packet = int(rng.choice([0.01, 0.02, 0.04]) * sr)
        n_packets = n_samples // packet + 1
        n_bursts = max(rng.binomial(n_packets, rng.uniform(*self.lost) / 2), 1)
        starts, lengths = rng.integers(0, n_packets, n_bursts), rng.geometric(0.5, n_bursts)
        spans = [(k * packet, (k + n) * packet) for k, n in zip(starts.tolist(), lengths.tolist(), strict=True)]
        return [(start, min(stop, n_samples)) for start, stop in spans if start < n_samples]


def _span(n_samples: int, sr: int, length_s: tuple[float, float], rng: np.random.Generator) -> tuple[int, int]:
    """A stretch that overlaps the signal, wherever it begins."""
    n = max(round(rng.uniform(*length_s) * sr), 1)
    start = int(rng.integers(1 - n, max(n_samples, 1)))
    return max(start, 0), min(start + n, n_samples)


# A mixture in five is left as it was mixed; what is rare on calls and recordings is rare here.
USUAL = Augment(
    clean=0.04,
    noise_only=0.04,
    speed=0.1,
    pitch=0.02,
    eq=0.3,
    noise_eq=0.2,
    fill_band=0.2,
    partial=0.1,
    turns=0.1,
    alone=0.1,
    silence=0.1,
    synthetic=0.15,
    babble=0.1,
    rooms=0.2,
    band_limit=0.08,
    floor=0.1,
    clip=0.03,
    gain_steps=0.05,
    codec=0.01,
    dropouts=0.01,
    pause=0.02,
)
