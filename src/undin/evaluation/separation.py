"""Separation: several talkers, scored in the best order, compared with ideal masks, grouped by gender."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from undin.corpora import Corpus
from undin.errors import InputError
from undin.evaluation.scores import Score
from undin.evaluation.systems import Oracle
from undin.evaluation.task import Task, n_speakers
from undin.metrics import METRICS, Metric, best_permutation, si_sdr
from undin.metrics.permutation import permute_best
from undin.mixing import Mixture, MixtureRow
from undin.spectrum import Array, ComplexArray, istft, stft

FRAME_S = 0.032
DIFFERENT, SAME, UNKNOWN = "different gender", "same gender", "unknown gender"

# (n_src, n_freq, n_frames) talkers S, (n_freq, n_frames) mixture X -> masks (n_src, n_freq, n_frames)
IDEAL: dict[str, Callable[[ComplexArray, ComplexArray], Array]] = {
    "ideal binary mask": lambda S, X: np.abs(S).argmax(0) == np.arange(len(S)).reshape(-1, 1, 1),
    "ideal ratio mask": lambda S, X: np.abs(S) / np.abs(S).sum(0),
    "ideal phase-sensitive mask": lambda S, X: np.clip((S / X).real, 0, 2),
}


def ideal_mask(name: str, mixture: Mixture, sr: int) -> Array:
    """Separate a mixture by a mask that knows its talkers.

    Args:
        name: of `IDEAL`.
        mixture: with its sources.
        sr: Hz.

    Returns:
        (n_src, n_samples), in the order of the sources.
    """
    frame = _frame(sr)
    S, X = stft(mixture.sources, *frame), stft(mixture.noisy, *frame)
    with np.errstate(divide="ignore", invalid="ignore"):
        M = np.nan_to_num(IDEAL[name](S, X))
    return istft(M * X, *frame, length=mixture.noisy.shape[-1])


def bins_right(*, ref: Array, est: Array, sr: int) -> float:
    """Share of the talkers' energy in bins where the loudest estimate is that of the loudest talker.

    The best order of the estimates is taken, so guessing scores above one half; giving every bin to one estimate, as
    the unprocessed input does, is the chance level.

    Args:
        ref: (n_src, n_samples) talkers.
        est: (n_src, n_samples) estimates, in any order.
        sr: Hz.

    Raises:
        InputError: the axis of talkers is missing.
    """
    if np.ndim(ref) != 2 or np.shape(ref) != np.shape(est):
        raise InputError(f"ref and est must both be (n_src, n_samples); got {np.shape(ref)} and {np.shape(est)}")
    frame = _frame(sr)
    weight = np.square(np.abs(stft(ref.sum(0), *frame)), dtype=float)
    right, given = (np.abs(stft(x, *frame)).argmax(0) for x in (ref, est))  # (n_freq, n_frames)
    numbers = range(len(ref))
    agree = np.array([[weight[(right == i) & (given == j)].sum() for j in numbers] for i in numbers], float)
    return float(agree[numbers, permute_best(agree)].sum()) / max(float(weight.sum()), 1e-30)


def _frame(sr: int) -> tuple[int, int]:
    hop_length = max(round(FRAME_S * sr / 2), 1)
    return 2 * hop_length, hop_length


ACCURACY = Metric(
    "accuracy", "bin accuracy", "", 3, lambda r, e, sr: bins_right(ref=np.asarray(r), est=np.asarray(e), sr=sr)
)


@dataclass(frozen=True)
class Separation(Task):
    """Methods that return one signal per talker, in any order.

    Attributes:
        genders: speaker -> "F" or "M", where known.
    """

    genders: Mapping[str, str] = field(default_factory=dict)

    metrics: ClassVar[Mapping[str, Metric]] = {**METRICS, "accuracy": ACCURACY}
    default: ClassVar[tuple[str, ...]] = ("si_sdr_db", "sdr_db", "accuracy")
    oracles: ClassVar[tuple[Oracle, ...]] = tuple(Oracle(name, partial(ideal_mask, name)) for name in IDEAL)
    by: ClassVar[str] = "gender"
    meaning: ClassVar[str] = (
        "Scores compare with each talker's own recording, as means over the talkers of a mixture; outputs are assigned "
        "to talkers in the order with the highest SI-SDR. Bin accuracy is the share of the talkers' energy in "
        "time-frequency bins assigned to the talker who is loudest there; the input's value is that of assigning every "
        "bin to one talker. Ideal masks know the talkers: they bound what a mask of that kind reaches with the phase "
        "of the mixture."
    )

    @classmethod
    def of(cls, corpus: Corpus) -> Self:
        """With the genders that a corpus knows."""
        return cls({clip.speaker: clip.gender for clip in corpus.rows if clip.gender})

    def describe(self) -> dict[str, Any]:
        """Its name."""
        return {"task": "separation"}

    def refusal(self, row: MixtureRow) -> str:
        """One talker cannot be separated."""
        one = "it has one talker: mix with talkers = 2, or evaluate methods that enhance"
        return one if len(row.speech) < 2 else ""

    def group(self, row: MixtureRow) -> str:
        """Whether the talkers are of one gender."""
        genders = {self.genders.get(source.label, "") for source in row.speech}
        return UNKNOWN if "" in genders else (SAME if len(genders) == 1 else DIFFERENT)

    def references(self, mixture: Mixture) -> Array:
        """The talkers, (n_src, n_samples)."""
        return mixture.sources

    def spoken(self, row: MixtureRow) -> list[list[str]]:
        """The utterance of each talker."""
        return [[source.stem] for source in row.speech]

    def unprocessed(self, mixture: Mixture, sr: int) -> Array:
        """The noisy signal, once per talker."""
        return np.broadcast_to(mixture.noisy, mixture.sources.shape)

    def matched(self, ref: Array, est: Array) -> Array:
        """The order with the highest mean SI-SDR; unchanged where SI-SDR is undefined."""
        try:
            return est[best_permutation(si_sdr, ref=ref, est=est)[1]]
        except InputError:
            return est

    def sounds(self, mixture: Mixture, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The mixture, then each talker with the estimates of this talker."""
        sounds = {"mixture": mixture.noisy}
        for k, ref in enumerate(mixture.sources):
            sounds[f"talker {k + 1}"] = ref
            sounds |= {f"talker {k + 1}, {name}": est[k] for name, est in outputs.items()}
        return sounds

    def title(self, row: MixtureRow) -> str:
        """Who speaks."""
        return " and ".join(source.label or "somebody" for source in row.speech)

    def contents(self, scores: Sequence[Score]) -> str:
        """Talkers at once, speakers."""
        n = sorted({score.speaker.count("+") + 1 for score in scores} or {2})
        return f"{' or '.join(map(str, n))} talkers at once, {n_speakers(scores)}"
