"""scores.csv: a row per mixture and method, appended as they come, so that an interrupted run resumes."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from undin.atomic import atomic_write, naming
from undin.errors import InputError

ABOUT = ("id", "method", "kind", "snr_db", "speaker", "seen")
OLDER = {"genders", "si_sdr_gain_db"}  # columns of talkers' scores in undin 0.1, which say no settings
COST = ("duration_s", "seconds", "lag_ms", "error", "undefined", "key")  # key is last: a torn line has another


@dataclass(frozen=True)
class Score:
    """How one method did on one mixture.

    Attributes:
        id: of the mixture.
        method: name of the method; "input" for the unprocessed mixture.
        kind: its group: the kind of noise, or the genders of the talkers.
        snr_db: of the mixture; inf without noise.
        speaker: its talkers, joined by +.
        seen: whether this kind of noise was seen in training: "yes", "no", or "" where that is unknown.
        values: metric -> score; of several talkers their mean.
        duration_s: of the mixture.
        seconds: processing time; 0 if not timed.
        lag_ms: delay of the output, by its cross-correlation with the input.
        error: reason for missing scores; "" on success.
        undefined: metric -> why it has no score.
        key: digest of all settings that shape the row.
    """

    id: str
    method: str
    kind: str
    snr_db: float
    speaker: str = ""
    seen: str = ""
    values: dict[str, float] = field(default_factory=dict)
    duration_s: float = 0.0
    seconds: float = 0.0
    lag_ms: float = 0.0
    error: str = ""
    undefined: dict[str, str] = field(default_factory=dict)
    key: str = ""


class ScoreFile:
    """The file, with one column per metric."""

    def __init__(self, path: Path, metrics: Sequence[str]) -> None:
        self.path, self.metrics = path, tuple(metrics)
        self.header = [*ABOUT, *map(_column, self.metrics), *COST]

    def read(self) -> list[Score]:
        """All complete rows; a torn line is skipped.

        Raises:
            InputError: the file is not from this version of `undin evaluate`.
        """
        try:
            text = self.path.read_bytes().decode("utf-8-sig", errors="replace")
        except FileNotFoundError:
            return []
        lines = [
            next(csv.reader([line]), []) for line in text.split("\n")[:-1]
        ]  # what follows the last newline is torn
        header = [*lines[0][: len(ABOUT)], *map(_column, lines[0][len(ABOUT) :])] if lines else []
        if lines and not {*ABOUT, *COST} <= set(header):
            why = (
                "is from an older version, without settings"
                if set(header) >= OLDER
                else "was not written by undin evaluate"
            )
            raise InputError(f"{self.path} exists and {why}: move it away, or choose another -o")
        rows = (dict(zip(header, cells, strict=True)) for cells in lines[1:] if len(cells) == len(header))
        return [score for row in rows if (score := self._score(row))]

    def write(self, scores: Iterable[Score]) -> None:
        """Replace the file by these rows."""
        with atomic_write(self.path) as file:
            file.write(_csv([self.header]) + _csv(map(self._cells, scores)))

    def append(self, scores: Iterable[Score]) -> None:
        """Add rows in one write."""
        with naming(self.path), self.path.open("ab") as file:
            file.write(_csv(map(self._cells, scores)).encode())

    def _cells(self, score: Score) -> list[object]:
        about = [getattr(score, name) for name in ABOUT]
        values = [repr(score.values[name]) if name in score.values else "" for name in self.metrics]
        undefined = json.dumps(score.undefined, ensure_ascii=False) if score.undefined else ""
        cost = [f"{value:.4f}" for value in (score.duration_s, score.seconds, score.lag_ms)]
        return [*about, *values, *cost, score.error, undefined, score.key]

    def _score(self, row: dict[str, str]) -> Score | None:
        try:
            values = {name: float(row[_column(name)]) for name in self.metrics if row.get(_column(name))}
            duration_s, seconds, lag_ms = (float(row[name]) for name in COST[:3])
            undefined = json.loads(row["undefined"] or "{}")
            snr_db = float(row["snr_db"])
        except ValueError:
            return None
        if not all(map(math.isfinite, (*values.values(), duration_s, seconds, lag_ms))) or not isinstance(
            undefined, dict
        ):
            return None
        about = {name: row[name] for name in ABOUT if name != "snr_db"}
        return Score(
            **about,
            snr_db=snr_db,
            values=values,
            duration_s=duration_s,
            seconds=seconds,
            lag_ms=lag_ms,
            error=row["error"],
            undefined=undefined,
            key=row["key"],
        )


def _column(metric: str) -> str:
    """The name of a metric's column; the SNR of the output is not that of the mixture."""
    return f"out_{metric}" if metric in ABOUT else metric


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_one_line(cell) for cell in row] for row in rows)
    return text.getvalue()


def _one_line(cell: object) -> object:
    return " ".join(cell.split()) if isinstance(cell, str) else cell
