"""Examples: what training eats. Mixture i of an endless list, of one length, from the seed and i alone, fast.

`Drawing` uses every clip equally often and writes down what it took; examples are random crops, see crops.py.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from undin.audio import rms_db
from undin.corpora import Corpus
from undin.errors import InputError
from undin.mixing.augment import effects
from undin.mixing.crops import SILENT_DB, Crops
from undin.mixing.mix import Mixture, Samples, amplified, find_gain, find_scale, level_db
from undin.mixing.rooms import draw_room
from undin.mixing.settings import Settings

if TYPE_CHECKING:
    from undin.mixing.augment import Augment

EXAMPLE, TALKER = 6, 7  # purposes of random generators, distinct from those of draw.py
PERSON = 1000  # numbers of the voices of one person


class Examples:
    """Mixture i for any i >= 0: `examples[i]`; the same in any process.

    Args:
        corpus: source of the clips, preferably a pack (see `undin.corpora.pack`).
        settings: of the mixtures; `duration_s` must be given. Listed SNRs are drawn from evenly. `short`
            pads with silence where a voice has too little speech, or drops that voice; `lengths`, `min_duration_s` and
            `every_noise` do not apply.
        augment: augmentations; None for none.
        seed: of all draws.

    Attributes:
        sr: sample rate, Hz.
        n_samples: length of each mixture.
        clips: the clips to draw from.

    noisy == speech + noise, exactly, but in a room, of which speech holds the early reflections only, and where the
    channel of `augment` undoes it.

    Raises:
        InputError: duration_s is missing; the split, a kind or a collection is missing; no speech, too few
            talkers, or noise is required and missing.

    >>> from undin import corpora
    >>> examples = Examples(corpora.mini(), Settings(duration_s=4.0, split="train"), seed=1)
    >>> examples[10**6].noisy.shape
    (64000,)
    """

    def __init__(self, corpus: Corpus, settings: Settings, augment: "Augment | None" = None, *, seed: int) -> None:
        if settings.every_noise:
            raise InputError("every_noise applies to manifests: leave it out, examples use every kind equally often")
        if seed < 0:
            raise InputError(f"seed must be 0 or more; got {seed}")
        self.corpus, self.settings, self.augment, self.seed = corpus, settings, augment, seed
        self._crops = Crops(corpus, settings)
        self.sr, self.n_samples, self.clips = self._crops.sr, self._crops.n_samples, self._crops.clips

    def __reduce__(self) -> Any:  # another process sorts the clips again
        return partial(Examples, seed=self.seed), (self.corpus, self.settings, self.augment)

    def __getitem__(self, i: int) -> Mixture:
        """Mixture i.

        Raises:
            InputError: i is negative, or a clip cannot be read; the message names the example.
        """
        if i < 0:
            raise InputError(f"examples are numbered from 0; got {i}")
        try:
            return self._made(np.random.default_rng([self.seed, EXAMPLE, i]), i // 2)
        except InputError as error:
            raise InputError(f"example {i}: {error}") from error

    def _made(self, rng: np.random.Generator, pair: int) -> Mixture:
        """Draw the signals, then their levels, then mix."""
        kind, edges_hz = self.augment.kind(rng) if self.augment else "mix", list[float]()
        voices, dry = self._talkers(rng, edges_hz, pair)
        noises, onset = list[Samples](), 0
        if kind != "clean":
            noises, onset = self._noises(voices, rng, edges_hz, least=int(kind == "noise-only"))
        if not noises and kind == "noise-only":  # there is none to use
            kind = "mix"
        dry = self.augment.scene(dry, self.sr, rng) if self.augment else dry
        talkers, references, noises = self._placed(dry, noises, rng)
        speech_db = self._relative(talkers, self.settings.talker_db, self._speech_level, rng)
        noise_db = self._relative(noises, self.settings.noise_db, rms_db, rng)
        wet, sources = (
            _sum(talkers, speech_db),
            [_sum([x], [db]) for x, db in zip(references, speech_db, strict=True)],
        )
        noise = _sum(noises, noise_db) if noises else None
        gain_db = 0.0 if noise is None else find_gain(self._speech_level(wet), rms_db(noise), self._snr(rng))
        if kind == "noise-only":
            wet, sources = np.zeros_like(wet), [np.zeros_like(x) for x in sources]
        level = None if self.settings.level_db is None else float(rng.uniform(*self.settings.level_db))
        mixture = _mixed(wet if references is not talkers else None, sources, noise, gain_db, level)
        mixture = replace(mixture, onset=onset)
        if self.settings.twice:
            mixture = replace(mixture, voices=tuple(voice * PERSON + pair % PERSON for voice in voices))
        mixture = self._sent(mixture, rng) if self.augment else mixture
        return self._limited(mixture, min(edges_hz))

    def _speech(self, voice: int, rng: np.random.Generator, edges_hz: list[float]) -> Samples:
        crop = self._crops.speech(voice, rng)
        edges_hz.append(crop.bandwidth_hz)
        return crop.samples

    def _talkers(self, rng: np.random.Generator, edges_hz: list[float], pair: int) -> tuple[list[int], list[Samples]]:
        """The numbers of the voices, all different, and what they say."""
        voices, who = list[int](), [rng] * self.settings.talkers  # what draws each of them, and what he sounds like
        if self.settings.twice:
            who = [np.random.default_rng([self.seed, TALKER, pair, k]) for k in range(len(who))]
        for each in who:
            voices.append(self._crops.voice(voices, each))
        dry = [self._speech(voice, rng, edges_hz) for voice in voices]
        if self.augment:
            changed = [self.augment.voice(x, self.sr, rng, each) for x, each in zip(dry, who, strict=True)]
            dry = [self._fitted(x) for x in changed]
            if any(rms_db(x) < SILENT_DB for x in dry):  # only silence came through: as it was, then
                dry = [self._speech(voice, rng, edges_hz) for voice in voices]
        return voices, dry

    def _noises(
        self, voices: Sequence[int], rng: np.random.Generator, edges_hz: list[float], *, least: int
    ) -> tuple[list[Samples], int]:
        """Recorded noises and those of the augmentation, and the onset of the first recording."""
        low, high = self.settings.noise_range
        n_noises, fill_band = int(rng.integers(low, high + 1)), self.augment.fill_band if self.augment else 0.0
        n_noises = max(n_noises, least if self._crops.has_noise else 0)
        drawn = [self._crops.noise(rng, fill_band) for _ in range(n_noises)]
        edges_hz += [crop.bandwidth_hz for crop in drawn]
        noises = [crop.samples for crop in drawn]
        if self.augment:
            noises = [self._fitted(self.augment.noise(x, self.sr, rng)) for x in noises]
            more = self.augment.noises(
                self.n_samples, self.sr, rng, lambda: self._speech(self._crops.voice(voices, rng), rng, edges_hz)
            )
            noises += [self._fitted(x) for x in more if len(x) and rms_db(x) > SILENT_DB]
        return noises, drawn[0].onset if drawn else 0

    def _limited(self, mixture: Mixture, edge_hz: float) -> Mixture:
        """Remove everything above the bandwidth of its clips: content there is unknown, not silent."""
        if edge_hz >= self.sr / 2:
            return mixture
        stack = effects.low_pass(np.vstack([mixture.noisy, mixture.sources, mixture.noise]), self.sr, edge_hz)
        sources = stack[1:-1]
        return replace(
            mixture, noisy=stack[0], sources=sources, speech=_sum(sources, [0.0] * len(sources)), noise=stack[-1]
        )

    def _placed(
        self, dry: list[Samples], noises: list[Samples], rng: np.random.Generator
    ) -> tuple[list[Samples], list[Samples], list[Samples]]:
        """Talkers as recorded, talkers as references, and noises; in a room if one is drawn."""
        n, settings = len(dry) + len(noises), self.settings
        responses: Sequence[Any] | None = self.augment.room(rng, n, self.sr) if self.augment else None
        if responses is None and settings.rooms and rng.random() < settings.rooms:
            responses = draw_room(rng, n, settings.rt60_s).responses(self.sr)
        if responses is None:
            return dry, dry, noises
        talkers = [response.wet(x) for x, response in zip(dry, responses, strict=False)]
        early = [response.early(x) for x, response in zip(dry, responses, strict=False)]
        noises = [response.wet(x) for x, response in zip(noises, responses[len(dry) :], strict=True)]
        return talkers, dry if settings.reference == "dry" else early, noises

    def _relative(
        self,
        signals: Sequence[Samples],
        under_db: tuple[float, float],
        level: Callable[[Samples], float],
        rng: np.random.Generator,
    ) -> list[float]:
        """Gains in dB that put each further signal as far under the first as is drawn; silence is left alone."""
        if len(signals) < 2:
            return [0.0] * len(signals)
        first_db, *others_db = [level(x) for x in signals]
        gains_db = [first_db - value - float(rng.uniform(*under_db)) for value in others_db]
        return [0.0, *(gain_db if math.isfinite(gain_db) else 0.0 for gain_db in gains_db)]

    def _snr(self, rng: np.random.Generator) -> float:
        snr_db = self.settings.snr_db
        if isinstance(snr_db, tuple):
            return float(rng.uniform(*snr_db))
        return float(snr_db if isinstance(snr_db, (int, float)) else snr_db[int(rng.integers(len(snr_db)))])

    def _speech_level(self, x: Samples) -> float:
        return level_db(x, self.sr, self.settings.snr_over)

    def _sent(self, mixture: Mixture, rng: np.random.Generator) -> Mixture:
        """The mixture behind the channel of the augmentation."""
        assert self.augment is not None
        noisy, speech, noise = self.augment.channel(mixture.noisy, mixture.sources, mixture.noise, self.sr, rng)
        sources = np.stack([self._fitted(x) for x in speech])
        speech = _sum(sources, [0.0] * len(sources))
        return replace(mixture, noisy=self._fitted(noisy), speech=speech, noise=self._fitted(noise), sources=sources)

    def _fitted(self, x: Samples) -> Samples:
        """n_samples of x in float32, cut or followed by silence."""
        n = self.n_samples
        x = x if len(x) == n else np.pad(x[:n], (0, max(n - len(x), 0)))
        return x.astype(np.float32, copy=False)


def _sum(signals: Sequence[Samples] | Samples, gains_db: Sequence[float]) -> Samples:
    """Amplify and add, (n_samples,)."""
    if len(signals) == 1 and gains_db[0] == 0:
        return signals[0]
    y = amplified(list(signals), gains_db) if any(gains_db) else np.asarray(signals)
    total: Samples = y[0] if len(y) == 1 else y.sum(0, dtype=np.float32)
    return total


def _mixed(
    wet: Samples | None, sources: Sequence[Samples], noise: Samples | None, gain_db: float, level: float | None
) -> Mixture:
    """Add, at the level asked for and with no peak above full scale; `wet` is None where it is the sources' sum."""
    noise = np.zeros_like(sources[0]) if noise is None else noise
    zeros_db = [0.0] * len(sources)
    louder = amplified([noise], [gain_db])[0]
    speech = _sum(sources, zeros_db)
    sums = [(speech if wet is None else wet) + louder, louder, speech]
    scale_db = find_scale([*sums, *(sources if len(sources) > 1 else ())], level)
    stack = amplified(sources, [scale_db] * len(sources))
    speech = _sum(stack, zeros_db)
    noise = amplified([noise], [gain_db + scale_db])[0] if scale_db else louder
    noisy = (speech if wet is None else amplified([wet], [scale_db])[0]) + noise
    return Mixture(noisy, speech, noise, stack, onset=0, noise_gain_db=gain_db, scale_db=scale_db)
