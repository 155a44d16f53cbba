"""Manifests: a CSV file of mixtures, from which the same corpus gives the same samples.

A row holds what was drawn (clips, onsets, SNR) and the gains that were found, so rendering measures nothing: it reads,
multiplies and adds. Its samples are then as stable as the decoder's: to the bit for FLAC and WAV; to the bit with the
same build of libopus for Opus, whose decoder computes in floats.

A cell about the talkers or the noises of a mixture contains one value for each, joined by semicolons; a semicolon
or per cent sign inside a value is written %3B or %25.
"""

import csv
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal, get_type_hints

from undin.atomic import atomic_write
from undin.checks import Natural, NotNegative, Positive, check, check_fields
from undin.errors import InputError

Errors = Callable[[InputError], object]
SnrOver = Literal["clip", "active"]
SeenBefore = Literal["", "yes", "no", "partly"]

PREFIXES = ("speech", "noise")
LABELS = {"speech": "speaker", "noise": "kind"}  # the column of their labels

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
LONGEST = "<= 4294967296"  # samples: a day at 48 kHz
LATEST = "<= 1e7"  # seconds: four months
GainDb = Annotated[float, ">= -300", "<= 300"]  # two of them stay within float32


@dataclass(frozen=True)
class Source:
    """One talker or noise of a mixture: a slice of a file, its onset and gain.

    Attributes:
        path: the file, relative to the corpus.
        offset_s: where the slice starts in it, in seconds.
        duration_s: how long the slice is.
        onset: sample of the slice with which the mixture starts.
        gain_db: its gain, before `scale_db`.
        label: the talker, or the kind of noise.
    """

    path: str
    offset_s: Annotated[NotNegative, LATEST]
    duration_s: Annotated[Positive, LATEST]
    onset: Annotated[Natural, LONGEST]
    gain_db: GainDb
    label: str

    def __post_init__(self) -> None:
        if not self.path or UNPRINTABLE.search(self.path + self.label):
            raise InputError(
                f"path and label must not contain control characters; got {self.path!r} and {self.label!r}"
            )
        check_fields(self)

    @property
    def stem(self) -> str:
        """The name of the file without its folder and suffix."""
        return PureWindowsPath(self.path).stem

    @property
    def leads_out(self) -> bool:
        """Whether the path may lead out of the corpus."""
        path = PureWindowsPath(self.path)  # which takes both kinds of slashes
        return bool(path.root or path.drive) or ".." in path.parts


@dataclass(frozen=True)
class MixtureRow:
    """One mixture of a manifest.

    Attributes:
        id: its name, unique in the manifest.
        sr: sample rate, Hz.
        n_samples: its length: a longer clip is cropped to it, a shorter noise looped, a shorter talker falls silent.
        speech: the talkers, one to four.
        noise: the noises, none to three.
        snr_db: signal-to-noise ratio, the sum of the talkers to that of the noises; inf without noise.
        snr_over: whether the level of the speech is that of the complete "clip" or of its "active" parts (ITU-T P.56).
        scale_db: final gain of the mixture.
        split: train, dev or test.
        seed: of the manifest.
        speaker_seen: whether the training set had the talkers: yes, no, partly; empty if unknown.
        noise_seen: whether it had these kinds of noise.
        room: the simulated room, as `Room.text`; empty without one.
        reference: which reflections the reference contains: "early" reflections, up to 50 ms, or none ("dry"); "pair"
            if the file of the noise is the mixture itself, and the noise is its difference from the speech.
    """

    id: str
    sr: int
    n_samples: int
    speech: tuple[Source, ...]
    noise: tuple[Source, ...]
    snr_db: float
    snr_over: SnrOver
    scale_db: float
    split: str
    seed: int
    speaker_seen: SeenBefore = ""
    noise_seen: SeenBefore = ""
    room: str = ""
    reference: Literal["", "early", "dry", "pair"] = ""

    def __post_init__(self) -> None:
        if not self.id or UNPRINTABLE.search(self.id):
            raise InputError(f"id must not be empty or contain control characters; got {self.id!r}")
        if self.sr < 1 or self.n_samples < 1:
            raise InputError(f"sr and n_samples must be 1 or more; got {self.sr} and {self.n_samples}")
        check("n_samples", self.n_samples, Annotated[int, LONGEST])
        check("scale_db", self.scale_db, GainDb)
        if "/" in self.split or "\\" in self.split:
            raise InputError(f"split must be a name; got {self.split!r}")
        if not self.speech:
            raise InputError("speech_path must not be empty")
        if bool(self.noise) != math.isfinite(self.snr_db):
            raise InputError(f"snr_db must be inf if, and only if, the mixture has no noise; got {self.snr_db}")
        for name in ("snr_over", "speaker_seen", "noise_seen", "reference"):
            check(name, getattr(self, name), _TYPES[name])

    @property
    def speaker(self) -> str:
        """Labels of the talkers, joined by +."""
        return "+".join(source.label for source in self.speech)

    @property
    def kind(self) -> str:
        """Kinds of the noises, joined by +; empty without noise."""
        return "+".join(source.label for source in self.noise)

    @property
    def seen(self) -> str:
        """`noise_seen`, or `speaker_seen` if that is unknown."""
        return self.noise_seen or self.speaker_seen

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sr


def _column(prefix: str, field: str) -> str:
    return LABELS[prefix] if field == "label" else f"{prefix}_{field}"


SOURCE_TYPES: dict[str, Callable[[str], Any]] = get_type_hints(Source)
COLUMNS = [  # of the file, in order
    column
    for field in fields(MixtureRow)
    for column in ([_column(field.name, name) for name in SOURCE_TYPES] if field.name in PREFIXES else [field.name])
]


def write_manifest(path: str | os.PathLike[str], rows: Iterable[MixtureRow]) -> None:
    """Write rows to a CSV file; the file appears complete or not at all.

    Args:
        path: the file; its folder must exist, an existing file is replaced.
        rows: from `draw`, `make_manifest` or `read_manifest`.
    """
    path = Path(path)
    with atomic_write(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(map(to_cells, rows))


def to_cells(row: MixtureRow) -> list[str]:
    """The cells of a row, in the order of `COLUMNS`."""
    cells: list[str] = []
    for field in fields(MixtureRow):
        value = getattr(row, field.name)
        if field.name in PREFIXES:
            cells += [";".join(_text(getattr(source, name)) for source in value) for name in SOURCE_TYPES]
        else:
            cells.append(str(value))
    return cells


def _text(value: str | float) -> str:
    return value.replace("%", "%25").replace(";", "%3B") if isinstance(value, str) else repr(value)


def read_manifest(path: str | os.PathLike[str], errors: Errors | None = None) -> Iterator[MixtureRow]:
    """Read a manifest row by row; floats are exact.

    Args:
        path: the CSV file.
        errors: called with the error of an invalid row, which is then skipped; None raises it.

    Yields:
        its rows in order.

    Raises:
        InputError: the file is missing, a column is missing or a cell does not fit; the message names row
            (the header is row 1) and column.
    """
    for number, found in read_numbered(path):
        if isinstance(found, MixtureRow):
            yield found
        elif errors is None or number == 1:
            raise found
        else:
            errors(found)


def read_numbered(
    path: str | os.PathLike[str], *, allow_outside: bool = True
) -> Iterator[tuple[int, MixtureRow | InputError]]:
    """Read (row of the file, mixture or its error); the file itself being broken is row 1 or the last.

    Args:
        path: the CSV file.
        allow_outside: take rows whose paths are absolute or hold `..`, which may lead out of the corpus.
    """
    try:
        file = Path(path).open(encoding="utf-8-sig", newline="")  # noqa: SIM115
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file or folder: check the spelling and the folder you are in") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read as a manifest: {error.strerror}") from error
    number = 1
    with file:
        try:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            places = _places(header)
            for number, record in enumerate(reader, 2):
                try:
                    found: MixtureRow | InputError = _parse_row(record, len(header), places, allow_outside)
                except InputError as error:
                    found = InputError(f"{path}, row {number}: {error}")
                yield number, found
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} must be a manifest as written by `undin mix`, in UTF-8; for recordings use undin compare"
            ) from error
        except (InputError, csv.Error) as error:
            raise InputError(f"{path}, row {number if number == 1 else number + 1}: {error}") from error


def _places(header: list[str]) -> dict[str, int]:
    """Column -> index of its cell."""
    optional = {field.name for field in fields(MixtureRow) if field.default is not MISSING}
    for column in COLUMNS:
        if column not in header and column not in optional:
            raise InputError(f"column {column} is missing; the header has {', '.join(header) or 'nothing'}")
    return {column: header.index(column) for column in COLUMNS if column in header}


def _parse_row(record: list[str], n_cells: int, places: dict[str, int], allow_outside: bool) -> MixtureRow:
    if len(record) != n_cells:
        raise InputError(f"must have {n_cells} cells like the header; got {len(record)}")
    values: dict[str, Any] = {prefix: _parse_sources(prefix, record, places) for prefix in PREFIXES}
    for field in _PLAIN:
        if field.name in places:
            values[field.name] = _parse(field.name, _TYPES[field.name], record[places[field.name]])
    row = MixtureRow(**values)
    if out := [] if allow_outside else [each.path for each in (*row.speech, *row.noise) if each.leads_out]:
        raise InputError(f"{out[0]} may lead out of the corpus: use paths below it, or pass --allow-outside")
    return row


def _parse_sources(prefix: str, record: list[str], places: dict[str, int]) -> tuple[Source, ...]:
    """The talkers or the noises of a row, from the cells of their columns."""
    cells = {name: record[places[_column(prefix, name)]] for name in SOURCE_TYPES}
    if not cells["path"]:
        return ()
    lists = {name: cell.split(";") for name, cell in cells.items()}
    n = len(lists["path"])
    for name, items in lists.items():
        if len(items) != n:
            raise InputError(f"{_column(prefix, name)} must hold {n} values like {prefix}_path; got {len(items)}")
    sources = []
    for k in range(n):
        values = {name: _parse(_column(prefix, name), kind, lists[name][k]) for name, kind in SOURCE_TYPES.items()}
        try:
            sources.append(Source(**values))
        except InputError as error:
            raise InputError(f"{prefix}_{error}") from error
    return tuple(sources)


def _parse(column: str, kind: Any, text: str) -> Any:
    if kind not in (int, float):
        return text.replace("%3B", ";").replace("%25", "%") if "%" in text else text
    try:
        value = kind(text)
    except ValueError:
        rule = "a whole number" if kind is int else "a number"
        raise InputError(f"{column} must be {rule}; got {text!r}") from None
    if column != "snr_db" and not math.isfinite(value):
        raise InputError(f"{column} must be finite; got {text!r}")
    return value


_TYPES = get_type_hints(MixtureRow)
_PLAIN: list[Field[Any]] = [field for field in fields(MixtureRow) if field.name not in PREFIXES]
