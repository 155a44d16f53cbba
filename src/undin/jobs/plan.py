"""Inputs -> tasks: which file is read, which files are written, and every clash found before the first is opened."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from undin.audio import EXTENSIONS, VIDEO_EXTENSIONS
from undin.errors import InputError
from undin.jobs.notes import Notebook

# What a folder is searched for. A file named by the user may have any name: its reader decides.
SUFFIXES = frozenset((*EXTENSIONS, *VIDEO_EXTENSIONS))
MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"caff", b".snd", b"ID3")


@dataclass(frozen=True)
class Task:
    """One file to work on: where it is, and where its results go ("-" for a pipe)."""

    source: str
    targets: tuple[str, ...]
    residual: str | None = None  # where to write what was taken out
    picture: str | None = None  # where to draw input and outputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """All files that it writes."""
        return (*self.targets, *filter(None, (self.residual, self.picture)))


def plan(
    inputs: Sequence[str],
    output: str | None = None,
    *,
    suffix: str = ".enhanced",
    n_src: int | None = None,
    residual: bool = False,
    picture: bool = False,
) -> list[Task]:
    """Say what will be written where.

    Without `output`, results lie beside their input (a.wav -> a.enhanced.wav, or a.1.wav a.2.wav from a separating
    method). With a file as `output`, one input goes there; with a folder, files keep their names and trees their shape.

    Args:
        inputs: files, folders (searched for audio, hidden files and our own outputs left out), or "-" alone.
        output: a file, a folder (one that exists, or a name that ends in a slash, or any for several inputs), or "-".
        suffix: goes before the extension of a result that lies beside its input.
        n_src: results per input from a method that separates; None for enhancement.
        residual: also write what was taken out, as a.residual.wav.
        picture: also draw input and output, as a.enhanced.png.

    Raises:
        InputError: an input is missing, two would write one output, or one would be overwritten.
    """
    if not inputs:
        raise InputError("inputs must name at least one file, folder or -; got none")
    extras = Extras(n_src, residual, picture)
    if "-" in inputs or output == "-":
        tasks = [_pipe(inputs, output, extras)]
    else:
        found = list(_find(inputs, output))
        tasks = [_task(str(source), *_place(source, relative, output, suffix), extras) for source, relative in found]
    _check_clashes(tasks)
    return tasks


class Extras(NamedTuple):
    """What every task writes beside its one output."""

    n_src: int | None
    residual: bool
    picture: bool


def _pipe(inputs: Sequence[str], output: str | None, extras: Extras) -> Task:
    """The one task of a pipe: `-` in, or `-` out, or both."""
    if len(inputs) > 1 or Path(inputs[0]).is_dir():
        raise InputError(f"a pipe carries one file; got the inputs {', '.join(inputs)}: use -o FOLDER for several")
    if extras.picture:
        raise InputError("a picture needs files on both sides: name an input and an output")
    if output not in (None, "-"):
        if _is_folder(str(output)):
            raise InputError(f"what comes by a pipe has no name to keep in the folder {output}: give -o FILE")
        return _task(inputs[0], Path(str(output)), "", extras)
    if extras.n_src or extras.residual:
        raise InputError("one pipe carries one signal, not several talkers or a residual too: give -o FILE")
    return Task(inputs[0], ("-",))


def _find(inputs: Sequence[str], output: str | None) -> Iterator[tuple[Path, Path | None]]:
    """Each input file, and where it belongs below the output folder; None when `output` is the file itself."""
    folders = [Path(name).is_dir() for name in inputs]
    into_folder = len(inputs) > 1 or any(folders) or (output is not None and _is_folder(output))
    if into_folder and output is not None and Path(output).exists() and not Path(output).is_dir():
        raise InputError(f"-o must be a folder for several inputs; {output} is a file")
    if not into_folder and output is not None and not Path(output).suffix:
        raise InputError(f"-o must be a file with an extension (out.wav) or a folder (out/); got {output}")
    for name, is_folder in zip(inputs, folders, strict=True):
        path = Path(name)
        if not is_folder:
            if not path.exists():
                raise InputError(f"{name}: no such file: check the spelling and the folder you are in")
            yield path, Path(path.name) if into_folder else None
            continue
        files = list(find_audio(path, Path(output) if output else None))
        if not files:
            raise InputError(f"{name} holds no audio file: name a folder with .wav, .flac, .ogg ... files in it")
        yield from ((file, file.relative_to(path)) for file in files)


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def find_audio(folder: Path, output: Path | None = None) -> Iterator[Path]:
    """Audio files of a tree in the order of their names, without hidden ones, our own outputs and the output folder."""
    notebook = Notebook()
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or notebook.of(entry):
            continue
        if entry.is_dir():
            is_output = output is not None and output.exists() and entry.samefile(output)
            if not entry.is_symlink() and not is_output:
                yield from find_audio(entry, output)
        elif entry.suffix.lower() in SUFFIXES or (not entry.suffix and _looks_like_audio(entry)):
            yield entry


def _looks_like_audio(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(MAGIC)
    except OSError:
        return False


def _place(source: Path, relative: Path | None, output: str | None, suffix: str) -> tuple[Path, str]:
    """The name of an output, and the tag to put before its extension."""
    if output is None:
        return source, suffix
    return (Path(output), "") if relative is None else (Path(output) / relative, "")


def _task(source: str, place: Path, tag: str, extras: Extras) -> Task:
    def tagged(tag: str) -> str:
        return str(place.with_name(place.stem + tag + place.suffix))

    targets = tuple(tagged(f".{i + 1}") for i in range(extras.n_src)) if extras.n_src else (tagged(tag),)
    residual = tagged(".residual") if extras.residual else None
    return Task(source, targets, residual, str(Path(targets[0]).with_suffix(".png")) if extras.picture else None)


def _check_clashes(tasks: list[Task]) -> None:
    """No output may be an input, through links either, and no two may be one file."""
    sources = {_identity(task.source): task.source for task in tasks}
    makers: dict[str, str] = {}
    for task in tasks:
        for output in task.outputs:
            if output == "-":
                continue
            identity = _identity(output)
            if identity is not None and identity in sources:
                raise InputError(f"{output} is the input {sources[identity]} itself: give another -o")
            if Path(output).exists() and not Path(output).is_file():
                raise InputError(
                    f"{output} is no regular file, so it is not replaced: give another -o, or - for a pipe"
                )
            place = os.path.normcase(Path(output).resolve())
            if place in makers:
                raise InputError(f"{makers[place]} and {task.source} would both write {output}: give them one by one")
            makers[place] = task.source


def _identity(path: str) -> tuple[int, int] | None:
    """Device and number of a file: the same through symbolic and hard links and other spellings."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
