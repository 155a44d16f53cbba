"""Tables of clips: the layout of two files, speech.csv and noise.csv, and the one reader of typed CSV rows."""

import csv
import dataclasses
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from undin.corpora.corpus import Clip, Corpus
from undin.errors import InputError

Row = TypeVar("Row")

# table -> column of the file that goes by another name in Clip
TABLES: dict[str, dict[str, str]] = {"speech.csv": {}, "noise.csv": {"kind": "noise_type"}}


def open_tables(root: str | os.PathLike[str]) -> Corpus:
    """Open a folder with `speech.csv`, `noise.csv` or both.

    The columns path, offset_s, duration_s and split must be there; corpus, speaker, gender, language, text (speech),
    noise_type (noise), licence, source and original may be. Paths are relative to the folder.

    Args:
        root: the folder.

    Returns:
        the Corpus with the rows of speech, then those of noise.

    Raises:
        InputError: neither table is there, a column is missing, or a row is broken (file and row are named).
    """
    root = Path(root)
    found = {name: columns for name, columns in TABLES.items() if (root / name).is_file()}
    if not found:
        raise InputError(f"{root} is no corpus: it must hold speech.csv, noise.csv or both")
    rows: list[Clip] = []
    for name, columns in found.items():
        for number, clip in enumerate(read_rows(root / name, Clip, columns), 2):
            if name == "noise.csv" and not clip.kind:
                raise InputError(f"{root / name}, row {number}: noise_type must not be empty")
            rows.append(clip)
    return Corpus(root, rows)


def read_rows(
    path: str | os.PathLike[str], row_type: type[Row], columns: Mapping[str, str] | None = None
) -> Iterator[Row]:
    """Read a CSV file row by row into a dataclass whose fields are str, int or float.

    Args:
        path: the file, UTF-8, with a header; rows are counted as a spreadsheet does, the header is row 1.
        row_type: the dataclass; its fields without default are columns that must be there, other columns are skipped.
        columns: field -> column of the file where the two names differ.

    Yields:
        one row_type a row, in the file's order.

    Raises:
        InputError: the file is missing or not CSV, a column is missing, or a cell does not fit; the message names row
            and column.
    """
    try:
        file = Path(path).open(encoding="utf-8", newline="")  # noqa: SIM115
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


def _parse(column: str, kind: type, text: str) -> str | int | float:
    try:
        value: str | int | float = kind(text)
    except ValueError:
        rule = "a whole number" if kind is int else "a number"
        raise InputError(f"{column} must be {rule}; got {text!r}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{column} must be finite; got {text!r}")
    return value
