"""Scores -> per_noise.csv or per_gender.csv: mean and standard deviation of every metric per group, and over all."""

import csv
import os
import statistics
from collections.abc import Collection
from itertools import chain
from pathlib import Path

from undin.atomic import atomic_write
from undin.evaluation.run import Evaluation
from undin.evaluation.slices import ALL, Slices
from undin.evaluation.statistics import Mean


def write_per_kind(place: str | os.PathLike[str], evaluation: Evaluation) -> Path:
    """Write a row per method and group, the input's first, then one of all groups together.

    Args:
        place: a folder.
        evaluation: from `evaluate`.

    Returns:
        the CSV file: method, group, n, and of every metric its mean and its standard deviation over mixtures.
    """
    slices, by = Slices(evaluation), evaluation.task.by
    path = Path(place) / f"per_{by}.csv"
    with atomic_write(path) as file:
        names = [f"{metric}_{of}" for metric in slices.metrics for of in ("mean", "std")]
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["method", by, "n", *names])
        for method in evaluation.methods:
            for kind in (*slices.kinds, ALL):
                found = {metric: slices.values(method, metric, kind=kind) for metric in slices.metrics}
                cells = [_mean_and_std(slices.mean(metric, own), own.values()) for metric, own in found.items()]
                rows.writerow([method, kind, max(map(len, found.values()), default=0), *chain(*cells)])
    return path


def _mean_and_std(mean: Mean | None, values: Collection[float]) -> tuple[str, str]:
    """Empty where there are too few."""
    return f"{mean.mean:.4f}" if mean else "", f"{statistics.stdev(values):.4f}" if len(values) > 1 else ""
