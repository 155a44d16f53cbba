"""`undin corpus`: contents of a folder of speech or noise, and its faults."""

import json as json_
from collections.abc import Callable, Iterator
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from undin.checks import counted
from undin.cli import options as o
from undin.cli import show

if TYPE_CHECKING:
    from undin.corpora import Corpus, Fault, Scan

N_SHOWN = 20  # faults in the text; --json has all


def corpus(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Folders of speech and noise, read as one corpus.")
    ],
    layout: Annotated[str | None, o.how(metavar="NAME", help="Layout of the folders, if it is not recognized.")] = None,
    role: Annotated[
        Literal["speech", "noise"] | None,
        o.how(help="Treat plain folders as speech or noise, whatever their names."),
    ] = None,
    quick: Annotated[bool, o.how("--quick", help="Read headers only; skip levels and checks of the audio.")] = False,
    table: Annotated[
        Path | None,
        o.where(
            metavar="DIR", help="Write speech.csv and noise.csv to this folder, which then opens quickly as a corpus."
        ),
    ] = None,
    overwrite: Annotated[bool, o.where("--overwrite", help="Replace existing tables.")] = False,
    json: Annotated[bool, o.shown("--json", help="Print one JSON object.")] = False,
) -> None:
    """Describe a corpus: speakers, hours, levels, kinds of noise, and suspicious files.

    Recognizes the layouts of TIMIT, LibriSpeech, VCTK, VoiceBank-DEMAND, WSJ0, LibriMix, MS-SNSD, NOISEX-92, DEMAND,
    ESC-50, MUSAN, the CHiME-3 backgrounds, and plain folders: one per speaker, noise/ for noise. A folder may hold
    several of them side by side.

    Only the first hour of each file is analyzed. The exit code is 1 if a file cannot be read.

    [dim]Describe a folder:[/]  undin corpus recordings/

    [dim]Combine two corpora:[/]  undin corpus LibriSpeech/ DEMAND/ --table data/
    """
    from undin.corpora import Corpus
    from undin.corpora.contents import summary, survey

    if table is not None:
        _check_table(table, overwrite)
    with show.bar("headers") as tick:
        scans = [_scan(folder, layout, role, tick) for folder in folders]
    whole = reduce(add, (Corpus(each.root, each.rows) for each in scans))
    with show.bar("files") as tick:
        found = survey(whole, quick=quick, tick=tick)
    unreadable = (*_unreadable(scans, whole), *found.unreadable)
    places = [{"root": str(each.root), "layout": each.layout} for each in scans]
    facts = {"root": str(whole.root), "folders": places, **summary(found)}
    facts["unreadable"] = [fault._asdict() for fault in unreadable]
    if table is not None:
        facts["tables"] = [str(path) for path in _write(table, whole, found.rows)]
    if json:
        print(json_.dumps(facts, ensure_ascii=False))
    else:
        _tell(facts)
    if unreadable:
        raise typer.Exit(1)


def _check_table(table: Path, overwrite: bool) -> None:
    """Refuse, before the work, a target that is not a folder or has tables."""
    from undin.corpora.layouts.tables import TABLES
    from undin.errors import InputError

    if table.suffix == ".csv" or table.is_file():
        raise InputError(f"--table must be a folder, for speech.csv and noise.csv; got {table}")
    there = [table / name for name in TABLES if (table / name).exists()]
    if there and not overwrite:
        raise InputError(f"{there[0]} already exists; use --overwrite or another --table")


def _scan(folder: Path, layout: str | None, role: Any, tick: Callable[[int, int], object] | None) -> "Scan":
    from undin.corpora import scan
    from undin.errors import InputError

    if folder.suffix == ".pack" and folder.is_file():
        raise InputError(f"{folder} is a pack, not a folder: `undin pack --check {folder}` verifies it")
    return scan(folder, layout=layout, role=role, tick=tick)


def _unreadable(scans: "list[Scan]", whole: "Corpus") -> "Iterator[Fault]":
    """Unreadable files of the scans, with paths relative to the complete corpus."""
    for each in scans:
        prefix = each.root.resolve().relative_to(whole.root.resolve())
        yield from (fault._replace(path=(prefix / fault.path).as_posix()) for fault in each.unreadable)


def _write(table: Path, whole: "Corpus", rows: Any) -> list[Path]:
    from undin.corpora import Corpus, write_tables

    return write_tables(table, Corpus(whole.root, rows))


def _tell(facts: dict[str, Any]) -> None:
    from rich.table import Table

    console = show.console()
    for place in facts["folders"]:
        console.print(f"{place['root']}: {place['layout']}", markup=False)
    for name in ("speech", "noise"):
        if facts[name]:
            last = ("talkers", "languages") if name == "speech" else ("kinds",)
            part = Table(box=None, pad_edge=False, header_style="bold")
            for i, column in enumerate((name, "clips", "length", *last)):
                part.add_column(column, justify="right" if i in (1, 2) else "left")
            for split, row in facts[name].items():
                part.add_row(split, f"{row['n']:,}", _length(row["hours"]), *_last_cells(row))
            console.print()
            console.print(part)
    console.print()
    for line in _lines(facts):
        console.print(line, markup=False)


def _last_cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "kinds" in row:
        kinds = list(row["kinds"])
        more = f" and {len(kinds) - 12} more" if len(kinds) > 12 else ""
        return (f"{len(kinds)}: {', '.join(kinds[:12])}{more}",)
    talkers = row["speakers"]
    n, genders = sum(talkers.values()), ", ".join(f"{n} {gender}" for gender, n in talkers.items() if n)
    cell = f"{n} ({genders})" if talkers["F"] or talkers["M"] else str(n) if n else "no labels"
    if n and row["without_speaker"]:
        cell += f", {counted(row['without_speaker'], 'clip')} without a label"
    return cell, " ".join(row["languages"])


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    """Splits, rates, channels, levels, suspicious files, and written files."""
    if any("plain" in place["layout"].split(" + ") for place in facts["folders"]):
        for name in ("speech", "noise"):
            if facts[name] and (missing := [split for split in ("train", "dev", "test") if split not in facts[name]]):
                yield f"splits    {name} has no {' and no '.join(missing)}: sort it into folders train, dev, test"
    rates = ", ".join(f"{sr} Hz ({counted(n, 'file')})" for sr, n in sorted(facts["rates"].items()))
    yield f"rates     {rates or 'none'}"
    if len(facts["rates"]) > 1:
        yield "          different rates: open the corpus with sr=... to resample"
    if more := {n: files for n, files in facts["channels"].items() if n > 1}:
        counts = ", ".join(f"{n} channels ({counted(files, 'file')})" for n, files in sorted(more.items()))
        yield f"channels  {counts}: open the corpus with mono=True to take their mean"
    for name, levels in facts["levels_db"].items():
        yield f"levels    {name}: RMS {_range(levels['rms'])}, active level {_range(levels['active'])} dBFS"
    for title in ("suspicious", "unreadable"):
        if faults := facts[title]:
            yield f"{title}  {len(faults)}"
            yield from (f"  {fault['path']}  {fault['reason']}" for fault in faults[:N_SHOWN])
            if len(faults) > N_SHOWN:
                yield f"  and {len(faults) - N_SHOWN} more: --json lists them all"
    if tables := facts.get("tables"):
        left_out = f", without the {len(facts['unreadable'])} unreadable" if facts["unreadable"] else ""
        yield f"written   {' '.join(tables)}{left_out}"


def _range(spread: list[float] | None) -> str:
    return f"{spread[1]:.1f} ({spread[0]:.1f} ... {spread[2]:.1f})" if spread else "none"


def _length(hours: float) -> str:
    """A duration as one says it.

    >>> _length(2.5), _length(0.1), _length(0.005)
    ('2.5 h', '6.0 min', '18 s')
    """
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.1f} min" if hours >= 1 / 60 else f"{3600 * hours:.0f} s"
