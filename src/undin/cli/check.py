"""`undin check`: faults of a recording, and commands that fix them."""

import json as json_
import shlex
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from undin.cli import options as o
from undin.cli import show

if TYPE_CHECKING:
    from undin.evaluation.recording import Check


def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Recordings, or folders of them.")],
    json: o.Json = False,
    quiet: Annotated[bool, o.shown("-q", "--quiet", help="Print faults only.")] = False,
) -> int:
    """Check recordings for noise, level, clipping, DC offset, hum, bandwidth, gaps and channel faults.

    Files are not changed. Each fault is reported with a suggested fix.

    [dim]One file:[/]  undin check talk.wav

    [dim]A folder, as JSON:[/]  undin check in/ --json
    """
    from undin.errors import UndinError
    from undin.evaluation.recording import check_recording
    from undin.jobs import FileTask

    paths = found_files(files)
    failed = 0
    with show.progress_bar([FileTask(path, ()) for path in paths], wanted=not quiet and not json) as progress:
        for path in paths:
            try:
                result = _with_commands(check_recording(path, progress=progress), path)
            except (UndinError, OSError) as error:
                failed += 1
                show.say(f"undin: {show.as_option(' '.join(str(error).split()))}", stderr=True)
                continue
            if json:
                print(json_.dumps(asdict(result), ensure_ascii=False), flush=True)
            else:
                show.say(_text(result, quiet=quiet))
    return 0 if not failed else 2 if len(paths) == 1 else 1


def found_files(files: list[str]) -> list[str]:
    """Files as they are, folders as the sound in them."""
    from pathlib import Path

    from undin.errors import InputError
    from undin.jobs import find_audio

    paths: list[str] = []
    for file in files:
        if file != "-" and Path(file).is_dir():
            inside = [str(path) for path in find_audio(Path(file))]
            if not inside:
                raise InputError(f"{file}: no audio files in this folder")
            paths += inside
        else:
            paths.append(file)
    return paths


def _with_commands(result: "Check", path: str) -> "Check":
    """Cures as one can paste them here."""

    def pasted(cure: str) -> str:
        return show.as_option(cure, command="run undin enhance FILE").replace("FILE", shlex.quote(path))

    return replace(result, findings=[replace(each, cure=pasted(each.cure)) for each in result.findings])


def _text(result: "Check", *, quiet: bool) -> str:
    """A line about the file, a line per fault with its fix, and one line of passed checks."""
    channels = "mono" if result.n_channels == 1 else f"{result.n_channels} channels"
    minutes = f"{int(result.seconds // 60)}:{result.seconds % 60:04.1f}"
    lines = [f"{result.name}   {minutes}, {result.sr} Hz, {channels}, {result.format}"]
    for finding in result.faults:
        lines += [f"  {finding.what:<10} {finding.text}"]
        lines += [f"  {'':<10} -> {finding.cure}"] if finding.cure else []
    fine = [finding.text for finding in result.findings if finding.status == "fine"]
    if fine and not quiet:
        lines.append(f"  {'fine':<10} {'; '.join(fine)}")
    return "\n".join(lines)
