"""What differs between evaluating enhancement and separation; everything else is written once, for any `Task`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from undin.checks import counted
from undin.evaluation.scores import Score
from undin.evaluation.systems import Oracle
from undin.metrics import METRICS, Metric
from undin.mixing import Mixture, MixtureRow
from undin.spectrum import Array


class Task(ABC):
    """References, how estimates belong to them, metrics, groups, and the words of the report.

    Attributes:
        metrics: what estimates can be scored by.
        default: names of those that are used unless others are asked for.
        oracles: reference systems listed below the methods.
        by: what mixtures are grouped by, one word.
        meaning: of the scores, for readers of the report.
    """

    metrics: ClassVar[Mapping[str, Metric]] = METRICS
    default: ClassVar[tuple[str, ...]]
    oracles: ClassVar[tuple[Oracle, ...]] = ()
    by: ClassVar[str]
    meaning: ClassVar[str]

    def describe(self) -> dict[str, Any]:
        """The key that separates its scores from those of another task."""
        return {}

    @abstractmethod
    def refusal(self, row: MixtureRow) -> str:
        """Why a row cannot be scored; "" where it can."""

    @abstractmethod
    def group(self, row: MixtureRow) -> str:
        """The group a mixture belongs to."""

    def seen(self, row: MixtureRow) -> str:
        """Whether its kind of noise was seen in training: "yes", "no", or "" where that is unknown."""
        return ""

    @abstractmethod
    def references(self, mixture: Mixture) -> Array:
        """Clean signals, (n_samples,) or (n_src, n_samples)."""

    @abstractmethod
    def spoken(self, row: MixtureRow) -> list[list[str]]:
        """For each reference, the names under which its transcript may be found."""

    @abstractmethod
    def unprocessed(self, mixture: Mixture, sr: int) -> Array:
        """The noisy signal in the shape of the references."""

    def matched(self, ref: Array, est: Array) -> Array:
        """The estimates in the order of the references, both as `references` returns them."""
        return est

    @abstractmethod
    def sounds(self, mixture: Mixture, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Signals of a mixture for the report's players.

        Args:
            mixture: the mixture.
            outputs: name of a method -> its matched estimate.

        Returns:
            label -> (n_samples,), in the order of the player.
        """

    @abstractmethod
    def title(self, row: MixtureRow) -> str:
        """A mixture in a few words."""

    @abstractmethod
    def contents(self, scores: Sequence[Score]) -> str:
        """What mixtures there are, by the scores of the input."""


def n_speakers(scores: Sequence[Score]) -> str:
    """The number of speakers in words."""
    n = len({name for score in scores for name in score.speaker.split("+")} - {""})
    return counted(n, "speaker")
