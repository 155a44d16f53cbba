"""Scores -> gains.png: how what a method gains is spread over the mixtures, a histogram per metric."""

from pathlib import Path

from undin.atomic import atomic_write
from undin.errors import MissingExtraError
from undin.evaluation.plots import histograms
from undin.evaluation.run import Evaluation
from undin.evaluation.runners import INPUT
from undin.evaluation.statistics import differences
from undin.evaluation.summary import Table


def draw_gains(path: Path, evaluation: Evaluation) -> None:
    """Draw them; nothing where matplotlib is not installed or nothing was gained or lost.

    Args:
        path: of the picture.
        evaluation: from `evaluate`.
    """
    table, gains = Table(evaluation), dict[str, dict[str, list[float]]]()
    for measure in evaluation.measures:
        before = table.values(INPUT, measure.name)
        found = {
            method: list(differences(table.values(method, measure.name), before))
            for method in evaluation.methods
            if method != INPUT
        }
        if found := {method: values for method, values in found.items() if values}:
            gains[measure.title] = found
    if not gains:
        return
    try:
        figure = histograms(gains)
    except MissingExtraError:
        return
    with atomic_write(path, "wb") as file:
        figure.savefig(file, dpi=120, format="png", metadata={"Software": None})
