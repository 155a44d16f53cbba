"""Enhancement: one voice in noise, grouped by kind of noise and SNR."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from undin.checks import counted
from undin.evaluation.scores import Score
from undin.evaluation.statistics import number
from undin.evaluation.systems import CLEAN, INPUT
from undin.evaluation.task import Task, n_speakers
from undin.mixing import Mixture, MixtureRow
from undin.spectrum import Array


@dataclass(frozen=True)
class Enhancement(Task):
    """Methods that return one signal, scored against the clean voice.

    Attributes:
        seen_kinds: kinds of noise in the training data; None uses those in the manifest.
    """

    seen_kinds: Collection[str] | None = None

    default: ClassVar[tuple[str, ...]] = ("pesq_wb", "estoi", "si_sdr_db")
    by: ClassVar[str] = "noise"
    meaning: ClassVar[str] = "The reference is the clean voice."

    def refusal(self, row: MixtureRow) -> str:
        """Reject mixtures without noise."""
        if math.isfinite(row.snr_db):
            return ""
        cure = "use a method that separates, e.g. -m blstm-mask" if len(row.speech) > 1 else "leave it out"
        return f"it has no noise to remove: {cure}"

    def group(self, row: MixtureRow) -> str:
        """The kind of noise."""
        return row.kind

    def seen(self, row: MixtureRow) -> str:
        """By `seen_kinds`, if given."""
        return row.seen if self.seen_kinds is None else ("yes" if row.kind in self.seen_kinds else "no")

    def references(self, mixture: Mixture) -> Array:
        """The clean voice, or the sum of the voices."""
        return mixture.speech

    def spoken(self, row: MixtureRow) -> list[list[str]]:
        """The mixture, or the utterance of its only talker."""
        return [[row.id, *([row.speech[0].stem] if len(row.speech) == 1 else [])]]

    def unprocessed(self, mixture: Mixture, sr: int) -> Array:
        """The noisy signal."""
        return mixture.noisy

    def sounds(self, mixture: Mixture, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The input, the outputs, the clean voice."""
        return {INPUT: mixture.noisy, **outputs, CLEAN: mixture.speech}

    def title(self, row: MixtureRow) -> str:
        """Noise and SNR."""
        return f"{row.kind} at {number(row.snr_db, 1)} dB"

    def contents(self, scores: Sequence[Score]) -> str:
        """Kinds of noise, SNRs, speakers."""
        n_kinds, snrs = len({score.kind for score in scores}), [score.snr_db for score in scores] or [0.0]
        return (
            f"{counted(n_kinds, 'kind')} of noise, SNR {number(min(snrs), 0)} to "
            f"{number(max(snrs), 0)} dB, {n_speakers(scores)}"
        )
