"""Scores -> seen_speakers.csv and .png: seen and unseen speakers separately, per kind of noise and SNR.

The two sides hold different mixtures: compare methods within a side, and the input's rows before comparing the sides.
"""

import csv
import importlib.util
import os
from pathlib import Path

from undin.atomic import atomic_write
from undin.evaluation.run import Evaluation
from undin.evaluation.slices import ALL, Slices
from undin.evaluation.statistics import Mean

SIDES = {"seen": "yes", "unseen": "no"}


def write_seen_speakers(place: str | os.PathLike[str], evaluation: Evaluation) -> bool:
    """Write both files, the picture for each metric where matplotlib is installed.

    Args:
        place: a folder.
        evaluation: from `evaluate`; its rows say which speakers were seen in training.

    Returns:
        whether there are mixtures of both sides; otherwise nothing is written.
    """
    if not {*SIDES.values()} <= {row.speaker_seen for row in evaluation.rows.values()}:
        return False
    slices, path = Slices(evaluation), Path(place) / "seen_speakers.csv"
    with atomic_write(path) as file:
        names = [f"{metric}_{of}" for metric in slices.metrics for of in ("mean", "half")]
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["speakers", "noise", "snr", "method", "n", *names])
        for side in SIDES:
            for kind in (ALL, *slices.kinds):
                for snr in (ALL, *slices.snrs):
                    for method in evaluation.methods:
                        means = [_mean(slices, method, metric, side, kind, snr) for metric in slices.metrics]
                        n = max((mean.n for mean in means if mean), default=0)
                        rows.writerow(
                            [side, kind, snr, method, n, *(cell for mean in means for cell in _mean_and_half(mean))]
                        )
    if importlib.util.find_spec("matplotlib"):
        from undin.evaluation.report.plots import bars

        for measure in evaluation.measures:
            groups = {
                f"{side}, {snr}": {m: _mean(slices, m, measure.name, side, ALL, snr) for m in evaluation.methods}
                for side in SIDES
                for snr in slices.snrs
            }
            bars(groups, measure.title).savefig(path.with_name(f"seen_speakers_{measure.name}.png"), dpi=160)
    return True


def _mean(slices: Slices, method: str, metric: str, side: str, kind: str, snr: str) -> Mean | None:
    values, rows = slices.values(method, metric, kind=kind, snr=snr), slices.evaluation.rows
    return slices.mean(metric, {id: value for id, value in values.items() if rows[id].speaker_seen == SIDES[side]})


def _mean_and_half(mean: Mean | None) -> tuple[str, str]:
    """Empty where there are too few."""
    return ("", "") if mean is None else (f"{mean.mean:.4f}", "" if mean.half is None else f"{mean.half:.4f}")
