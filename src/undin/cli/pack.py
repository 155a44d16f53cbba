"""`undin pack`: a corpus decoded once, into files that are mapped into memory."""

import json as json_
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undin.cli import options as o
from undin.cli import show
from undin.errors import InputError

if TYPE_CHECKING:
    from undin.corpora import Corpus, Fault, Packed


def pack(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="CORPUS...", help="Folders of speech and noise: one corpus. Or packs.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The pack to write, NAME.pack; needed, except with --check.",
            rich_help_panel=o.WHERE,
        ),
    ] = None,
    part_mb: Annotated[
        float | None,
        typer.Option(
            metavar="MB", help="Parts of up to so many 10^6 bytes, NAME.1-of-N.pack.", rich_help_panel=o.WHERE
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Take these splits only.", rich_help_panel=o.HOW)
    ] = None,
    sr: Annotated[int, typer.Option(metavar="HZ", help="Resample to this rate.", rich_help_panel=o.HOW)] = 16000,
    mono: Annotated[bool, typer.Option("--mono", help="Mix channels down.", rich_help_panel=o.HOW)] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read packs and compare their checksums.", rich_help_panel=o.HOW)
    ] = False,
    workers: o.Workers = 1,
    overwrite: o.Overwrite = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Pack a corpus, so that training opens it at once and reads any part of it without decoding.

    A pack takes 2 bytes a sample, 115 MB an hour at 16 kHz, and is opened like a folder, wherever a corpus is asked
    for. Parts are opened by their folder, in which nothing else may lie.

    [dim]Speech and noise to train with:[/]  undin pack LibriSpeech/ DEMAND/ -o train.pack --split train

    [dim]In parts, each whole by itself:[/]  undin pack data/ -o parts/train.pack --part-mb 55

    [dim]After they have travelled:[/]  undin pack --check parts/*.pack

    Files that are there and the same are skipped. Sound files that cannot be read are named and left out: exit code 1.
    """
    if check:
        return _check(inputs, as_json=json, quiet=quiet)
    if output is None:
        raise InputError("pack needs -o NAME.pack, the file to write")
    from undin import corpora

    with show.busy("listing the sound"):
        corpus = _open_corpus(inputs, sr, mono)
        if split:
            corpus = corpus.select(split=split.split(","))
    with _progress(wanted=not quiet) as tick:
        made = corpora.pack(
            corpus, output, part_mb=part_mb, workers=workers, overwrite=overwrite, errors=_ignore, tick=tick
        )
    for each in made:
        if json:
            print(json_.dumps(_as_json(each), ensure_ascii=False))
        elif not quiet:
            skipped = "   skipped: the same was there" if each.status == "skipped" else ""
            show.say(
                f"{each.path}   {each.n_clips} clips, {_length(each.seconds)}, {each.n_bytes / 1e6:.1f} MB{skipped}"
            )
    left_out = dict(fault for each in made for fault in each.left_out)
    for path, reason in left_out.items():
        show.say(f"undin: {corpus.root / path}: {' '.join(reason.split())}: left out", stderr=True)
    return 1 if left_out else 0


def _open_corpus(inputs: list[Path], sr: int, mono: bool) -> "Corpus":
    from undin import corpora

    first, *others = (corpora.open(path, sr=sr, mono=mono) for path in inputs)
    for other in others:
        first = first + other
    return first


def _ignore(fault: "Fault") -> None:
    """It is told at the end, with those of files that were skipped."""


def _as_json(made: "Packed") -> dict[str, object]:
    row = {"status": made.status, "path": str(made.path), "n_clips": made.n_clips, "seconds": round(made.seconds, 3)}
    return {**row, "bytes": made.n_bytes, "left_out": [fault._asdict() for fault in made.left_out]}


def _length(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _check(paths: list[Path], *, as_json: bool, quiet: bool) -> int:
    """Check packs, tell which are damaged, give the exit code."""
    from undin.corpora import check_pack

    failed = 0
    for path in paths:
        error = ""
        try:
            check_pack(path)
        except InputError as fault:
            failed, error = failed + 1, str(fault)
            show.say(f"undin: {error}", stderr=True)
        if as_json:
            print(json_.dumps({"status": "failed" if error else "done", "path": str(path), "error": error or None}))
        elif not (quiet or error):
            show.say(f"{path}   whole")
    return 1 if failed else 0


@contextmanager
def _progress(*, wanted: bool) -> Iterator[Callable[[float, float], object] | None]:
    """A bar over seconds of audio on a terminal, and the function that moves it."""
    if not (wanted and sys.stderr.isatty()):
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.completed:,.0f} of {task.total:,.0f} s of audio")
    with Progress(
        "packing", BarColumn(), text, TimeRemainingColumn(), console=show.console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("", total=1)
        yield lambda done, total: bar.update(task, completed=done, total=total)
