"""The training stage of NMF: bases from the voices and the noises of a split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from undin import audio
from undin.checks import Positive, check_fields
from undin.corpora import Clip, Corpus
from undin.errors import InputError
from undin.experiment.leaks import Taken
from undin.methods import NMF

PRIORS = {"nmf": None, "nmf-exp": "exponential", "nmf-gamma": "gamma"}


@dataclass(frozen=True)
class NMFTrain:
    """Section [train] with method = "nmf".

    Attributes:
        method: the method to train.
        variants: the models that come of it, by their ids.
        split: of the corpus.
        speech_s: seconds of speech, speakers in turn.
        noise_s: seconds of every kind of noise.
        kinds: of noise; all when empty.
        settings: of the method's config.
    """

    method: str = "nmf"
    variants: Sequence[str] = tuple(PRIORS)
    split: str = "train"
    speech_s: Positive = 240.0
    noise_s: Positive = 25.0
    kinds: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.variants:
            if name not in PRIORS:
                raise InputError(f"train.variants must be of {', '.join(PRIORS)}; got {name!r}")
        check_fields(self, "train.")
        NMF(**self.settings)  # refuses wrong ones before anything is done

    seen: ClassVar[int] = 0  # no speakers are held out

    @property
    def files(self) -> dict[str, str]:
        """The trained models' files, by their names."""
        return {name: f"{name}.npz" for name in self.variants}

    def separates(self, name: str) -> bool:
        """Whether a variant separates talkers: none does."""
        return False

    def talkers_of(self, name: str) -> dict[str, int]:
        """Number of talkers by setting: NMF has no such settings."""
        return {}


def check(section: NMFTrain, corpus: Corpus) -> list[Taken]:
    """Refuse a corpus that cannot be trained on, and give the clips that are.

    Raises:
        InputError: the split has no speech or no noise.
    """
    part, noises = _split(section, corpus)
    return [Taken([*part.speech, *noises])]


def _split(section: NMFTrain, corpus: Corpus) -> tuple[Corpus, list[Clip]]:
    """The split to learn from, and its noise."""
    part = corpus.select(split=section.split)
    noises = [clip for clip in part.noise if not section.kinds or clip.kind in section.kinds]
    if not part.speech or not noises:
        raise InputError(f"the {section.split} split of {corpus.root} must have speech and noise to train on")
    return part, noises


def train(
    section: NMFTrain, corpus: Corpus, place: Path, *, name: str, seed: int, progress: Callable[[int, int], object]
) -> None:
    """Leave the variants' weights, and merged_audio/: the sound they learned from.

    Args:
        section: of the recipe.
        corpus: with the split that is learned from.
        place: the stage's folder.
        name: of the recipe, for the card.
        seed: of the bases' start.
        progress: called with (done, of all).

    Raises:
        InputError: the split has no speech or no noise.
    """
    part, noises = _split(section, corpus)
    speech = _taken(part, _in_turn(part.speech, "speaker"), section.speech_s)
    kinds = sorted({clip.kind for clip in noises})
    noise = [x for kind in kinds for x in _taken(part, [c for c in noises if c.kind == kind], section.noise_s)]
    (place / "merged_audio").mkdir(exist_ok=True)
    level = audio.rms(np.concatenate(speech))
    noise = [x * np.float32(level / max(audio.rms(x), 1e-9)) for x in noise]  # as loud as the speech, like the original
    for label, sounds in (("speech", speech), ("noise", noise)):
        joined = np.concatenate(sounds)
        peak = max(float(np.abs(joined).max()), 1.0)
        path = place / "merged_audio" / f"merged_train_{label}_audio.wav"
        audio.write(path, joined / np.float32(peak), corpus.sr)
    progress(0, 1)
    model = NMF(**section.settings).fit(speech, noise, corpus.sr, rng=seed)
    model.data = f"{name}: {sum(map(len, speech)) / corpus.sr:.0f} s of speech, {len(kinds)} kinds of noise"
    for variant, file in section.files.items():
        model.with_settings(prior=PRIORS[variant]).save(place / file)
    progress(1, 1)


def _in_turn(clips: Sequence[Clip], key: str) -> list[Clip]:
    """One clip of each speaker, then another of each, and so on."""
    by: dict[str, list[Clip]] = {}
    for clip in clips:
        by.setdefault(getattr(clip, key), []).append(clip)
    longest = max(map(len, by.values()), default=0)
    return [each[i] for i in range(longest) for each in by.values() if i < len(each)]


def _taken(corpus: Corpus, clips: Sequence[Clip], seconds: float) -> list[Any]:
    """The clips' samples up to a total duration; the last clip is cut."""
    sounds, n_left = [], round(seconds * corpus.sr)
    for clip in clips:
        if n_left <= 0:
            break
        sounds.append(corpus.load(clip)[:n_left])
        n_left -= len(sounds[-1])
    return sounds
