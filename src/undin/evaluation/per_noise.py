"""Scores -> per_noise.csv: mean and standard deviation of every metric per kind of noise, and over all."""

import csv
import os
import statistics
from pathlib import Path

from undin.atomic import atomic_write
from undin.evaluation.run import Evaluation
from undin.evaluation.summary import ALL, Table


def write_per_noise(path: str | os.PathLike[str], evaluation: Evaluation) -> None:
    """Write a row per method and kind of noise, the input's first, then one of all kinds together.

    Args:
        path: of the CSV file: method, noise, n, and of every metric its mean and its standard deviation over files.
        evaluation: from `evaluate`.
    """
    table, path = Table(evaluation), Path(path)
    with atomic_write(path) as file:
        names = [f"{metric}_{of}" for metric in table.metrics for of in ("mean", "std")]
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["method", "noise", "n", *names])
        for method in evaluation.methods:
            for kind in (*table.kinds, ALL):
                columns = [list(table.values(method, metric, kind=kind).values()) for metric in table.metrics]
                cells = [cell for values in columns for cell in _mean_and_std(values)]
                rows.writerow([method, kind, max(map(len, columns), default=0), *cells])


def _mean_and_std(values: list[float]) -> tuple[str, str]:
    """Empty where there are too few."""
    mean = f"{statistics.fmean(values):.4f}" if values else ""
    return mean, f"{statistics.stdev(values):.4f}" if len(values) > 1 else ""
