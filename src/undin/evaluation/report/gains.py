"""Scores -> gains.png: histograms of the gain over the input, a panel per metric."""

from pathlib import Path
from typing import TYPE_CHECKING

from undin.atomic import atomic_write
from undin.errors import MissingExtraError
from undin.evaluation.report.plots import histograms
from undin.evaluation.run import Evaluation
from undin.evaluation.slices import Slices
from undin.evaluation.statistics import differences
from undin.evaluation.systems import INPUT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_of_gains(evaluation: Evaluation) -> "Figure | None":
    """Draw the gains of every system; None where there are none.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    slices, gains = Slices(evaluation), dict[str, dict[str, list[float]]]()
    for measure in evaluation.measures:
        before = slices.values(INPUT, measure.name)
        found = {m: [*differences(slices.values(m, measure.name), before).values()] for m in evaluation.compared[1:]}
        if found := {method: values for method, values in found.items() if values}:
            gains[measure.title] = found
    return histograms(gains) if gains else None


def draw_gains(path: Path, evaluation: Evaluation) -> None:
    """Write them to a PNG file; nothing without matplotlib or gains.

    Args:
        path: of the picture.
        evaluation: from `evaluate`.
    """
    try:
        figure = figure_of_gains(evaluation)
    except MissingExtraError:
        return
    if figure:
        with atomic_write(path, "wb") as file:
            figure.savefig(file, dpi=120, format="png", metadata={"Software": None})
