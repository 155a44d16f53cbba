"""Scores -> means per kind of noise, per SNR and overall, and all that is needed to repeat the run."""

import json
import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import undin
from undin import provenance
from undin.atomic import atomic_write
from undin.evaluation.run import Evaluation
from undin.evaluation.runners import INPUT
from undin.evaluation.scores import Score
from undin.evaluation.statistics import Mean, differences, mean_of
from undin.mixing import MixtureRow

SUMMARY = "summary.json"
ALL = "all"
N_SNRS = 8  # more distinct SNRs than this are put into bins
BIN_DB = 5.0
PACKAGES = ("numpy", "scipy", "pesq", "pystoi", "onnxruntime", "soundfile", "soxr", "matplotlib")


@dataclass(frozen=True)
class Cell:
    """A method by a metric on some of the files: its mean, and its paired difference to the input."""

    method: str
    metric: str
    kind: str
    snr: str
    score: Mean | None
    gain: Mean | None


class Table:
    """The scores of an evaluation, sliced by kind of noise, SNR and method."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.snr_of = snr_names(score.snr_db for score in evaluation.scores)
        self.kinds = sorted({score.kind for score in evaluation.scores})
        order = sorted({score.snr_db for score in evaluation.scores})
        self.snrs = list(dict.fromkeys(self.snr_of(snr_db) for snr_db in order))
        self.metrics = [measure.name for measure in evaluation.measures]
        self._values: dict[tuple[str, str], dict[str, Score]] = {}
        for score in evaluation.scores:
            for metric in score.values:
                self._values.setdefault((score.method, metric), {})[score.id] = score

    def values(self, method: str, metric: str, *, kind: str = ALL, snr: str = ALL, seen: str = ALL) -> dict[str, float]:
        """id -> score, of the files that have one."""
        return {
            id: score.values[metric]
            for id, score in self._values.get((method, metric), {}).items()
            if kind in (ALL, score.kind) and snr in (ALL, self.snr_of(score.snr_db)) and seen in (ALL, score.seen)
        }

    def cell(self, method: str, metric: str, *, kind: str = ALL, snr: str = ALL, seen: str = ALL) -> Cell:
        """One cell of the tables."""
        values = self.values(method, metric, kind=kind, snr=snr, seen=seen)
        gain = None
        if method != INPUT:
            gain = mean_of(differences(values, self.values(INPUT, metric, kind=kind, snr=snr, seen=seen)))
        return Cell(method, metric, kind, snr, mean_of(values.values()), gain)

    def cells(self) -> list[Cell]:
        """Every cell: overall, per SNR, per kind, and per both."""
        return [
            self.cell(method, metric, kind=kind, snr=snr)
            for metric in self.metrics
            for kind in (ALL, *self.kinds)
            for snr in (ALL, *self.snrs)
            for method in self.evaluation.methods
        ]

    def real_time_factor(self, method: str) -> float | None:
        """Seconds of work per second of sound, over all files that went well."""
        own = [score for score in self.evaluation.scores if score.method == method and not score.error]
        total = sum(score.duration_s for score in own)
        return sum(score.seconds for score in own) / total if total and method != INPUT else None


def snr_names(snrs_db: Iterable[float]) -> Callable[[float], str]:
    """Make the function that names an SNR: by its value, or by its bin of 5 dB where there are many values.

    >>> snr_names([-5.0, 0.0, 5.0])(-5.0)
    '−5 dB'
    >>> snr_names(range(20))(7.3)
    '5 to 10 dB'
    """
    if len({round(snr_db, 2) for snr_db in snrs_db}) <= N_SNRS:
        return lambda snr_db: f"{round(snr_db, 2):g} dB".replace("-", "−")

    def bin_of(snr_db: float) -> str:
        low = BIN_DB * math.floor(snr_db / BIN_DB)
        return f"{low:g} to {low + BIN_DB:g} dB".replace("-", "−")

    return bin_of


def about_run(evaluation: Evaluation, *, manifest: Path, data: Path, command: Sequence[str] = ()) -> dict[str, Any]:
    """Say all that is needed to repeat a run."""
    methods = {runner.name: runner.describe() for runner in evaluation.runners}
    metrics = [measure.name for measure in evaluation.measures]
    return facts_of_run(evaluation.rows.values(), methods, metrics, manifest=manifest, data=data, command=command)


def facts_of_run(
    rows: Iterable[MixtureRow],
    methods: Mapping[str, Mapping[str, Any]],
    metrics: Sequence[str],
    *,
    manifest: Path,
    data: Path,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """What `about_run` says, of any mixtures, methods (name -> what shapes their output) and metrics."""
    return {
        "undin": undin.__version__,
        "commit": provenance.commit(),
        "command": list(command),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "manifest": str(manifest),
        "manifest_sha256": provenance.sha256(manifest),
        "manifest_seeds": sorted({row.seed for row in rows}),
        "data": str(data),
        "methods": dict(methods),
        "metrics": list(metrics),
        "packages": provenance.versions(PACKAGES),
        "python": platform.python_version(),
        "machine": provenance.machine(),
    }


def write_summary(path: Path, evaluation: Evaluation, about: dict[str, Any]) -> dict[str, Any]:
    """Write summary.json: the run, overall and per kind and SNR means, costs, failures, and what has no score."""
    table = Table(evaluation)
    content = {
        "run": about,
        "n_mixtures": len({score.id for score in evaluation.scores}),
        "interval": "95 %, normal approximation; gain is the paired difference to the input",
        "results": [_as_dict(cell) for cell in table.cells() if cell.score],
        "real_time_factor": {name: table.real_time_factor(name) for name in evaluation.methods if name != INPUT},
        "failed": [asdict(failure) for failure in evaluation.failures],
        "undefined": [
            {"id": score.id, "method": score.method, "metric": metric, "reason": reason}
            for score in evaluation.scores
            for metric, reason in score.undefined.items()
        ],
    }
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return content


def _as_dict(cell: Cell) -> dict[str, Any]:
    return {name: value for name, value in asdict(cell).items() if value is not None}
