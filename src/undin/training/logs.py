"""Reports of a run: log.csv, curve.png and a progress bar on the terminal."""

import csv
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from undin.atomic import atomic_write, naming
from undin.errors import MissingExtraError, require
from undin.metrics import METRICS

Row = Mapping[str, float]
StepProgress = Callable[[int, int, Row], object]  # steps done, of all, the last line of log.csv

FIRST = ("step", "hours", "train_loss")
LAST = ("lr", "audio_s_per_s", "minutes")
COLORS = {"train": "#8a8a94", "valid": "#7a54c7", "input": "#e07b39"}


class Log:
    """log.csv: a line every log_every steps, with validation if there was one.

    Columns: step; hours of audio seen; train_loss, the mean since the last line, and its parts; valid_loss and its
    parts, si_sdr_db of the estimates, si_sdr_in_db of the input, and the same of the metrics asked for (pesq_wb and
    pesq_wb_in); lr; audio_s_per_s, seconds of audio per second of training, validations not counted; minutes.

    Args:
        path: of the file.
        step: the current step; later lines are dropped, since they will be written again.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        rows = [row for row in read_log(path) if row["step"] <= step] if step and path.exists() else []
        self._columns = list(rows[0]) if rows else []
        with atomic_write(path) as file:
            if rows:
                csv.writer(file, lineterminator="\n").writerows(
                    [self._columns, *([_number(name, row) for name in self._columns] for row in rows)]
                )

    def add(self, row: Row, valid: tuple[str, ...]) -> None:
        """Append a line; `valid` are the columns that validation fills, in this row or in another."""
        with naming(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            if not self._columns:
                middle = [name for name in row if name not in (*FIRST, *LAST, *valid)]
                self._columns = [*FIRST, *middle, *valid, *LAST]
                table.writerow(self._columns)
            table.writerow([_number(name, row) for name in self._columns])


def read_log(path: Path) -> list[dict[str, float]]:
    """Read log.csv; NaN where a line has no value. A last line that was cut off is left out."""
    text = path.read_text(encoding="utf-8")
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [{name: float(cell or "nan") for name, cell in row.items()} for row in csv.DictReader(lines)]


def _number(name: str, row: Row) -> str:
    value = row.get(name, math.nan)
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if name == "step" else f"{value:.9g}"  # nine digits distinguish any two float32


def of_input(metric: str) -> str:
    """Column of the unprocessed input's score, next to that of the estimate.

    >>> of_input("sdr_db"), of_input("stoi")
    ('sdr_in_db', 'stoi_in')
    """
    return f"{metric.removesuffix('_db')}_in" + "_db" * metric.endswith("_db")


def gains(row: Row) -> dict[str, float]:
    """Gain of the estimate over the input, for each metric that has both.

    >>> gains({"step": 500, "snr_db": 9.0, "snr_in_db": 5.0, "stoi": 0.75, "stoi_in": 0.5})
    {'snr_gain_db': 4.0, 'stoi_gain': 0.25}
    """
    pairs = {name: of_input(name) for name in row if of_input(name) in row}
    return {of.replace("_in", "_gain"): row[name] - row[of] for name, of in pairs.items()}


def draw_curve(log: Path, picture: Path) -> None:
    """Draw loss, accuracy where there is any, and every validated metric; nothing where matplotlib is not installed."""
    try:
        figures = require("matplotlib.figure", extra="plot")
    except MissingExtraError:
        return
    rows = read_log(log)
    columns = list(rows[0]) if rows else ["si_sdr_db"]
    metrics = [name for name in columns if of_input(name) in columns] or ["si_sdr_db"]
    further = ["accuracy"] if any("valid_accuracy" in row for row in rows) else []
    figure = figures.Figure(figsize=(7.2, 2.4 * (1 + len(further) + len(metrics))), layout="constrained")
    loss, *panels = figure.subplots(1 + len(further) + len(metrics), 1, sharex=True)
    for axes in panels[: len(further)]:
        _line(axes, rows, "train_accuracy", "training", COLORS["train"])
        _line(axes, rows, "valid_accuracy", "validation", COLORS["valid"], marker="o", markersize=3)
        _line(axes, rows, "valid_chance", "all bins to one", COLORS["input"], linestyle="--")
        axes.set_ylabel("accuracy")
    _line(loss, rows, "train_loss", "training", COLORS["train"])
    _line(loss, rows, "valid_loss", "validation", COLORS["valid"], marker="o", markersize=3)
    loss.set_ylabel("loss")
    for axes, name in zip(panels[len(further) :], metrics, strict=True):
        gained = [row[name] - row[of_input(name)] for row in rows if not math.isnan(row.get(name, math.nan))]
        label = f"estimate, at the end {gained[-1]:+.3g} over the input" if gained else "estimate"
        _line(axes, rows, name, label, COLORS["valid"], marker="o", markersize=3)
        _line(axes, rows, of_input(name), "input", COLORS["input"], linestyle="--")
        axes.set_ylabel(f"{METRICS[name].title}, validation" if name in METRICS else name)
    panels[-1].set_xlabel(f"step ({rows[-1]['hours']:.3g} hours of audio in all)" if rows else "step")
    for axes in (loss, *panels):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=9)
    with atomic_write(picture, "wb") as file:
        figure.savefig(file, dpi=120, format="png", metadata={"Software": None})


def _line(axes: Any, rows: list[dict[str, float]], column: str, label: str, color: str, **style: Any) -> None:
    points = [(row["step"], row[column]) for row in rows if not math.isnan(row.get(column, math.nan))]
    if points:
        axes.plot([x for x, _ in points], [y for _, y in points], label=label, color=color, **style)


def describe(row: Row) -> str:
    """A line of the log for people.

    >>> describe({"step": 500, "train_loss": 0.2, "valid_loss": 0.25, "si_sdr_db": 8.04, "si_sdr_in_db": 5.0})
    'step 500   loss 0.2   validation 0.25   SI-SDR 8.0 dB (input 5.0)'
    """
    facts = [f"step {row['step']:.0f}"]
    facts += [
        f"{word} {row[name]:.4g}"
        for name, word in (("train_loss", "loss"), ("valid_loss", "validation"))
        if name in row
    ]
    if "si_sdr_db" in row:
        facts.append(f"SI-SDR {row['si_sdr_db']:.1f} dB (input {row['si_sdr_in_db']:.1f})")
    if "audio_s_per_s" in row:
        facts.append(f"{row['audio_s_per_s']:.0f} s of audio per s")
    return "   ".join(facts)


class Bar:
    """A bar on the terminal with loss and speed, and a line above it for each validation."""

    def __init__(self, name: str, step: int, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        text = TextColumn("{task.completed:.0f} of {task.total:.0f} steps   {task.fields[facts]}")
        console = Console(stderr=True, highlight=False)
        self._bar = Progress(TextColumn(name), BarColumn(), text, TimeRemainingColumn(), console=console)
        self._task = self._bar.add_task(name, total=steps, completed=step, facts="")
        self._last_step = float(step)
        self._bar.start()

    def __call__(self, step: int, steps: int, row: Row) -> None:
        """Move the bar."""
        facts = describe(row).partition("   ")[2] if row else ""
        self._bar.update(self._task, completed=step, total=steps, facts=facts)
        if "valid_loss" in row and row["step"] > self._last_step:
            self._last_step = row["step"]
            self._bar.console.print(describe(row))

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()


def shown() -> bool:
    """Whether somebody looks at a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()
