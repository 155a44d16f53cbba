"""Scores -> means per group, per SNR and overall, with the change against the input."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from undin.evaluation.recognizer import WER
from undin.evaluation.run import Evaluation
from undin.evaluation.scores import Score
from undin.evaluation.statistics import Mean, differences, mean_of
from undin.evaluation.systems import INPUT

ALL = "all"
NO_NOISE = "no noise"
N_SNRS = 8  # more distinct SNRs than this are put into bins
BIN_DB = 5.0


@dataclass(frozen=True)
class Slice:
    """A method by a metric on some mixtures: its mean, and its paired difference to the input."""

    method: str
    metric: str
    kind: str
    snr: str
    score: Mean | None
    gain: Mean | None


class Slices:
    """The scores of an evaluation by method, metric, group ("kind") and SNR."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.snr_of = snr_names({score.id: score.snr_db for score in evaluation.scores}.values())
        self.kinds = sorted({score.kind for score in evaluation.scores})
        order = sorted({score.snr_db for score in evaluation.scores})
        self.snrs = list(dict.fromkeys(self.snr_of(snr_db) for snr_db in order))
        self.metrics = [measure.name for measure in evaluation.measures]
        self._values: dict[tuple[str, str], dict[str, Score]] = {}
        for score in evaluation.scores:
            for metric in score.values:
                self._values.setdefault((score.method, metric), {})[score.id] = score

    def values(self, method: str, metric: str, *, kind: str = ALL, snr: str = ALL, seen: str = ALL) -> dict[str, float]:
        """Scores by mixture, where there are any.

        Args:
            method: its name.
            metric: its name.
            kind: a group, or ALL.
            snr: a name from `snrs`, or ALL.
            seen: "yes", "no", or ALL.
        """
        return {
            id: score.values[metric]
            for id, score in self._values.get((method, metric), {}).items()
            if kind in (ALL, score.kind) and snr in (ALL, self.snr_of(score.snr_db)) and seen in (ALL, score.seen)
        }

    def at(self, method: str, metric: str, *, kind: str = ALL, snr: str = ALL, seen: str = ALL) -> Slice:
        """The mean of some scores, and its gain; see `values`.

        Args:
            method, metric, kind, snr, seen: as in `values`.
        """
        values = self.values(method, metric, kind=kind, snr=snr, seen=seen)
        gain = None
        if method != INPUT:
            gain = self.mean(metric, differences(values, self.values(INPUT, metric, kind=kind, snr=snr, seen=seen)))
        return Slice(method, metric, kind, snr, self.mean(metric, values), gain)

    def mean(self, metric: str, values: Mapping[str, float]) -> Mean | None:
        """The mean over mixtures; of word error rates that over words: all errors by all words.

        Args:
            metric: its name.
            values: scores by mixture, or their differences.
        """
        return mean_of(values.values(), self.weights(metric, values))

    def weights(self, metric: str, ids: Iterable[str]) -> list[int] | None:
        """The words of each mixture where the metric is the word error rate; None for equal weights."""
        return [self.evaluation.n_words[id] for id in ids] if metric == WER.name else None

    def every(self) -> list[Slice]:
        """All of them: overall, per SNR, per group, and per both."""
        return [
            self.at(method, metric, kind=kind, snr=snr)
            for metric in self.metrics
            for kind in (ALL, *self.kinds)
            for snr in (ALL, *self.snrs)
            for method in self.evaluation.methods
        ]

    def real_time_factor(self, method: str) -> float | None:
        """Processing time per duration, over all mixtures without an error; None if not timed."""
        own = [score for score in self.evaluation.scores if score.method == method and not score.error]
        seconds = sum(score.seconds for score in own)
        return seconds / sum(score.duration_s for score in own) if seconds else None


def snr_names(snrs_db: Iterable[float]) -> Callable[[float], str]:
    """Make the function that names an SNR: by its value, or by bins of 5 dB where there are many values.

    Args:
        snrs_db: of the mixtures. More values than `N_SNRS` are many, and so are more than two where fewer than two
            mixtures share one.

    >>> snr_names([-5.0, 0.0, 5.0] * 2)(-5.0)
    '−5 dB'
    >>> snr_names([-3.2, 1.9, 4.4])(1.9)
    '0 to 5 dB'
    >>> snr_names(range(20))(7.3)
    '5 to 10 dB'
    """
    snrs_db = [round(snr_db, 2) for snr_db in snrs_db]
    n_values = len(set(snrs_db))
    if n_values <= 2 or (n_values <= N_SNRS and len(snrs_db) >= 2 * n_values):
        return lambda snr_db: f"{round(snr_db, 2):g} dB".replace("-", "−") if snr_db < math.inf else NO_NOISE

    def bin_of(snr_db: float) -> str:
        if snr_db == math.inf:
            return NO_NOISE
        low = BIN_DB * math.floor(snr_db / BIN_DB)
        return f"{low:g} to {low + BIN_DB:g} dB".replace("-", "−")

    return bin_of
