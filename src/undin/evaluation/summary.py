"""Scores -> summary.json: the means, and all that is needed to repeat the run."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import undin
from undin import provenance
from undin.atomic import atomic_write
from undin.evaluation.recognizer import POOLED
from undin.evaluation.run import Evaluation
from undin.evaluation.slices import Slice, Slices

PACKAGES = ("numpy", "scipy", "pesq", "pystoi", "speechmos", "onnxruntime", "soundfile", "soxr", "matplotlib")


def about_run(evaluation: Evaluation, *, manifest: Path, data: Path, command: Sequence[str] = ()) -> dict[str, Any]:
    """Collect all that is needed to repeat a run.

    Args:
        evaluation: from `evaluate`.
        manifest: file of the mixtures.
        data: folder of the corpus.
        command: the command line, word by word.
    """
    return {
        "undin": undin.__version__,
        "commit": provenance.commit(),
        "command": list(command),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "manifest": str(manifest),
        "manifest_sha256": provenance.sha256(manifest),
        "manifest_seeds": sorted({row.seed for row in evaluation.rows.values()}),
        "data": str(data),
        "methods": {system.name: system.describe() for system in evaluation.systems},
        "metrics": [measure.name for measure in evaluation.measures],
        "packages": provenance.versions(PACKAGES),
        "python": platform.python_version(),
        "machine": provenance.machine(),
    }


def write_summary(path: Path, evaluation: Evaluation, about: dict[str, Any]) -> dict[str, Any]:
    """Write the run, means overall and per group and SNR, costs, failures, and undefined scores.

    Args:
        path: of the JSON file.
        evaluation: from `evaluate`.
        about: from `about_run`.

    Returns:
        what was written.
    """
    slices = Slices(evaluation)
    content = {
        "run": about,
        "n_mixtures": len({score.id for score in evaluation.scores}),
        "interval": "95 %, normal approximation; gain is the paired difference to the input",
        **({"wer": POOLED} if evaluation.n_words else {}),
        "results": [_as_dict(each) for each in slices.every() if each.score],
        "real_time_factor": {name: slices.real_time_factor(name) for name in evaluation.compared[1:]},
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


def _as_dict(each: Slice) -> dict[str, Any]:
    return {name: value for name, value in asdict(each).items() if value is not None}
