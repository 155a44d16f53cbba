"""scores.csv: a row per mixture and method, appended as they come, so that a run that was stopped goes on."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from undin.atomic import atomic_write
from undin.errors import InputError

ABOUT = ("id", "method", "kind", "snr_db", "speaker", "seen")
COST = ("duration_s", "seconds", "lag_ms", "error", "undefined", "key")  # key is last: a torn line has another


@dataclass(frozen=True)
class Score:
    """How one method did on one mixture.

    Attributes:
        id: of the mixture.
        method: name of the method; "input" for the mixture as it is.
        kind: of the noise.
        snr_db: of the mixture.
        speaker: its talker.
        seen: "yes" or "no" where it is known whether this kind of noise was learned from, else "".
        values: metric -> score.
        duration_s: of the mixture.
        seconds: that the method took; 0 for the input.
        lag_ms: how late the output is, by its cross-correlation with the input.
        error: why there are no scores; "" where it went well.
        undefined: metric -> why it has no score.
        key: digest of all that shapes the row.
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
        self.header = [*ABOUT, *self.metrics, *COST]

    def read(self) -> list[Score]:
        """All rows that are whole; a torn line is passed over.

        Raises:
            InputError: it is another's file.
        """
        try:
            text = self.path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return []
        lines = [
            next(csv.reader([line]), []) for line in text.split("\n")[:-1]
        ]  # what follows the last newline is torn
        header = lines[0] if lines else []
        if lines and not {*ABOUT, *COST} <= set(header):
            raise InputError(f"{self.path} exists and undin evaluate did not make it: choose another -o")
        rows = (dict(zip(header, cells, strict=True)) for cells in lines[1:] if len(cells) == len(header))
        return [score for row in rows if (score := self._score(row))]

    def write(self, scores: Iterable[Score]) -> None:
        """Replace the file by these rows."""
        with atomic_write(self.path) as file:
            file.write(_csv([self.header]) + _csv(map(self._cells, scores)))

    def append(self, scores: Iterable[Score]) -> None:
        """Add rows in one write."""
        with self.path.open("ab") as file:
            file.write(_csv(map(self._cells, scores)).encode())

    def _cells(self, score: Score) -> list[object]:
        about = [getattr(score, name) for name in ABOUT]
        values = [repr(score.values[name]) if name in score.values else "" for name in self.metrics]
        undefined = json.dumps(score.undefined, ensure_ascii=False) if score.undefined else ""
        cost = [f"{value:.4f}" for value in (score.duration_s, score.seconds, score.lag_ms)]
        return [*about, *values, *cost, score.error, undefined, score.key]

    def _score(self, row: dict[str, str]) -> Score | None:
        try:
            values = {name: float(row[name]) for name in self.metrics if row.get(name)}
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


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_one_line(cell) for cell in row] for row in rows)
    return text.getvalue()


def _one_line(cell: object) -> object:
    return " ".join(cell.split()) if isinstance(cell, str) else cell
