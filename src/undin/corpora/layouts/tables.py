"""Tables of clips: the layout of two files, speech.csv and noise.csv, and the one reader of typed CSV rows.

The layout of the folder that UNDIN_DATA names, and of the corpus that is shipped.
"""

import csv
import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from undin.atomic import atomic_write
from undin.corpora.clip import Clip
from undin.corpora.corpus import Corpus
from undin.errors import InputError

Row = TypeVar("Row")

SPEECH_ONLY = ("speaker", "gender", "language", "text", "noisy_path")  # fields that no table of noise has
# table -> column of the file that goes by another name in Clip
TABLES: dict[str, dict[str, str]] = {"speech.csv": {}, "noise.csv": {"kind": "noise_type"}}


def open_tables(root: str | os.PathLike[str], *, sr: int | None = None, mono: bool = False) -> Corpus:
    """Open a folder with `speech.csv`, `noise.csv` or both.

    The columns path, offset_s, duration_s and split must be there; corpus, speaker, gender, language, text, noisy_path
    (speech), noise_type (noise), licence, source, original, active_level_db and bandwidth_hz may be. Paths are relative
    to the folder, or absolute.

    Args:
        root: the folder.
        sr: resample files of other rates to this rate in Hz; None rejects them.
        mono: average several channels; False rejects them.

    Returns:
        the Corpus with the rows of speech, then those of noise.

    Raises:
        InputError: neither table is there, a column is missing, or a row is broken (file and row are named).
    """
    root = Path(root)
    if not recognize(root):
        raise InputError(f"{root} is not a corpus: expected speech.csv, noise.csv or both")
    return Corpus(root, rows(root), sr=sr, mono=mono)


def recognize(root: Path) -> bool:
    """Whether one of the tables exists."""
    return any((root / name).is_file() for name in TABLES)


def rows(root: Path) -> Iterator[Clip]:
    """The rows of speech, then those of noise."""
    for name, columns in TABLES.items():
        if (root / name).is_file():
            for number, clip in enumerate(read_rows(root / name, Clip, columns), 2):
                if name == "noise.csv" and not clip.kind:
                    raise InputError(f"{root / name}, row {number}: noise_type must not be empty")
                yield clip


def write_tables(folder: str | os.PathLike[str], corpus: Corpus) -> list[Path]:
    """Write a corpus as the tables that `open_tables` reads; sound is not copied.

    Args:
        folder: created if missing; tables in it are replaced. Paths become relative if the audio is in
            it, absolute elsewhere.
        corpus: what to list.

    Returns:
        the files: speech.csv, noise.csv or both.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, clips in (("speech.csv", corpus.speech), ("noise.csv", corpus.noise)):
        if clips:
            _write_table(folder / name, clips, corpus.root)
            written.append(folder / name)
    return written


def _write_table(table: Path, clips: Iterable[Clip], root: Path) -> None:
    columns = {field.name: TABLES[table.name].get(field.name, field.name) for field in dataclasses.fields(Clip)}
    for field in ("kind",) if table.name == "speech.csv" else SPEECH_ONLY:
        del columns[field]
    with atomic_write(table) as file:
        sheet = csv.writer(file, lineterminator="\n")
        sheet.writerow(columns.values())
        for clip in clips:
            places = {name: _from_folder(root, getattr(clip, name), table.parent) for name in ("path", "noisy_path")}
            sheet.writerow(_cell({**vars(clip), **places}[field]) for field in columns)


def _from_folder(root: Path, path: str, folder: Path) -> str:
    """A file of the corpus as seen from the folder of a table."""
    file, folder = (root.resolve() / path), folder.resolve()
    return (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix() if path else ""


def _cell(value: str | float | None) -> str:
    """Format numbers to the microsecond; unknown or non-finite values stay empty."""
    if isinstance(value, float):
        return f"{value:.6f}" if math.isfinite(value) else ""
    return value or ""


def read_rows(
    path: str | os.PathLike[str], row_type: type[Row], columns: Mapping[str, str] | None = None
) -> Iterator[Row]:
    """Read a CSV file row by row into a dataclass whose fields are str, int or float.

    Args:
        path: the file, UTF-8, with a header; rows are counted as a spreadsheet does, the header is row 1.
        row_type: the dataclass; its fields without default are columns that must be there, other columns are skipped.
            An empty cell of a field that may be None is None.
        columns: field -> column of the file where the two names differ.

    Yields:
        one row_type a row, in the file's order.

    Raises:
        InputError: the file is missing or not CSV, a column is missing, or a cell does not fit; the message names row
            and column.
    """
    try:
        file = Path(path).open(encoding="utf-8-sig", newline="")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"cannot read the table {path}: {error.strerror}") from error
    with file:
        reader, number = csv.reader(file, strict=True), 1  # the row that is being read
        try:
            header = next(reader, [])
            cells = _cells(row_type, header, columns or {})
            number = 2
            for record in reader:
                if len(record) != len(header):
                    raise InputError(f"must have {len(header)} cells like the header; got {len(record)}")
                yield row_type(**{field: _parse(header[i], kind, record[i]) for field, kind, i in cells})
                number += 1
        except (InputError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}, row {number}: {error}") from error


def _cells(row_type: Any, header: list[str], columns: Mapping[str, str]) -> list[tuple[str, type, int]]:
    """(field, type, index of its cell) for every field that the header has."""
    kinds, cells = get_type_hints(row_type), []
    for field in dataclasses.fields(row_type):
        column = columns.get(field.name, field.name)
        if column in header:
            cells.append((field.name, kinds[field.name], header.index(column)))
        elif field.default is dataclasses.MISSING:
            raise InputError(f"column {column} is missing; the header has {', '.join(header) or 'nothing'}")
    return cells


def _parse(column: str, kind: type, text: str) -> str | int | float | None:
    if options := get_args(kind):  # float | None
        kind = options[0]
        if not text:
            return None
    try:
        value: str | int | float = kind(text)
    except ValueError:
        rule = "a whole number" if kind is int else "a number"
        raise InputError(f"{column} must be {rule}; got {text!r}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{column} must be finite; got {text!r}")
    return value
