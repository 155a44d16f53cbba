"""Inputs -> tasks: which file is read, which files are written, and every clash found before the first is opened."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from undin.audio import AS_M4A
from undin.audio.source import missing
from undin.errors import InputError
from undin.jobs.notes import Notebook
from undin.jobs.walk import SUFFIXES, find_audio, identity


@dataclass(frozen=True)
class FileTask:
    """One file to work on: where it is, and where its results go ("-" for a pipe)."""

    source: str
    targets: tuple[str, ...]
    residual: str | None = None  # where to write the removed noise
    picture: str | None = None  # where to draw input and outputs
    rttm: str | None = None  # where to write who talks when
    problem: str | None = None  # why it cannot be done, if known beforehand; then it has no targets

    @property
    def outputs(self) -> tuple[str, ...]:
        """All files that it writes."""
        return (*self.targets, *filter(None, (self.residual, self.picture, self.rttm)))

    def moved(self, move: Callable[[str], str]) -> "FileTask":
        """The same with other names of its outputs."""
        names = {kind: name and move(name) for kind in ("residual", "picture", "rttm") if (name := getattr(self, kind))}
        return replace(self, targets=tuple(map(move, self.targets)), **names)


def plan(
    inputs: Sequence[str],
    output: str | None = None,
    *,
    suffix: str = ".enhanced",
    n_src: int | None = None,
    residual: bool = False,
    picture: bool = False,
    rttm: bool = False,
) -> list[FileTask]:
    """Plan the output paths.

    Without `output`, results are written next to their input (a.wav -> a.enhanced.wav, or a.1.wav a.2.wav from a
    separating method). With a file as `output`, one input goes there; with a folder, files keep their names and trees
    their shape.

    Args:
        inputs: files, folders, or "-" alone. Folders are searched for audio; skipped are hidden files and, with a
            warning that counts them, the outputs of a run next to their inputs.
        output: a file, a folder (one that exists, or a name that ends in a slash, or any for several inputs), or "-".
        suffix: goes before the extension of a result that is written next to its input.
        n_src: results per input from a method that separates; None for enhancement.
        residual: also write the removed noise, as a.residual.wav.
        picture: also draw input and output, as a.enhanced.png.
        rttm: also write who talks when, as a.rttm.

    Returns:
        One task per file; and one with a `problem`, for `run` to name, for each folder in a tree that cannot be read
        and each of several inputs that is missing.

    Raises:
        InputError: the one input is missing, two would write one output, or one would be overwritten.
    """
    if not inputs:
        raise InputError("no inputs; expected at least one file, folder or -")
    extras = Extras(n_src, residual, picture, rttm)
    if "-" in inputs or output == "-":
        tasks = [_pipe(inputs, output, extras)]
    else:
        found = list(_find(inputs, output))
        tasks = [
            FileTask(str(each.source), (), problem=each.problem)
            if each.problem
            else name_outputs(str(each.source), *_place(each, output, suffix), extras)
            for each in found
        ]
        tasks = _without_own(tasks, {str(each.source) for each in found if each.is_walked})
    _check_clashes(tasks)
    return tasks


class Extras(NamedTuple):
    """Files every task writes in addition to its output."""

    n_src: int | None
    residual: bool
    picture: bool
    rttm: bool


def _pipe(inputs: Sequence[str], output: str | None, extras: Extras) -> FileTask:
    """The one task of a pipe: `-` in, or `-` out, or both."""
    if len(inputs) > 1 or Path(inputs[0]).is_dir():
        raise InputError(f"a pipe carries one file; got the inputs {', '.join(inputs)}: use -o FOLDER for several")
    if extras.picture:
        raise InputError("a picture needs an input file and an output file")
    if output not in (None, "-"):
        if _is_folder(str(output)):
            raise InputError(f"audio from a pipe has no name to keep in the folder {output}; use -o FILE")
        return name_outputs(inputs[0], Path(str(output)), "", extras)
    if extras.n_src or extras.residual or extras.rttm:
        raise InputError("a pipe carries one signal, not several talkers or a residual; use -o FILE")
    return FileTask(inputs[0], ("-",))


class Found(NamedTuple):
    """An input, and where it belongs below the output folder; None when the output is the file itself."""

    source: Path
    relative: Path | None = None
    is_walked: bool = False  # found in a folder, not named
    problem: str | None = None


def _find(inputs: Sequence[str], output: str | None) -> Iterator[Found]:
    folders = [os.path.isdir(name) for name in inputs]  # noqa: PTH112 (Path.is_dir raises where it may not look)
    into_folder = len(inputs) > 1 or any(folders) or (output is not None and _is_folder(output))
    _check_output(output, into_folder)
    for name, is_folder in zip(inputs, folders, strict=True):
        path = Path(name)
        if is_folder:
            yield from _find_in(path, output)
        elif os.path.exists(path):  # noqa: PTH110
            yield Found(path, Path(path.name) if into_folder else None)
        else:
            problem = missing(name)
            if len(inputs) == 1:
                raise InputError(problem)
            meant = f", or write to it with -o {name}" if output is None and [*inputs][1:] == [name] else ""
            yield Found(path, problem=problem + meant)


def _find_in(folder: Path, output: str | None) -> Iterator[Found]:
    errors: list[OSError] = []
    files = list(find_audio(folder, Path(output) if output else None, on_error=errors.append))
    for error in errors:
        path = Path(error.filename or folder)
        yield Found(
            path, problem=f"{path} cannot be searched: {error.strerror}: change its permissions, or leave it out"
        )
    if not files and not errors:
        raise InputError(f"{folder} has no audio files; expected a folder with .wav, .flac, .ogg ... files")
    yield from (Found(file, file.relative_to(folder), is_walked=True) for file in files)


def _check_output(output: str | None, into_folder: bool) -> None:
    if output is None:
        return
    if into_folder and not _is_folder(output):
        if Path(output).exists():
            raise InputError(f"-o must be a folder for several inputs; {output} is a file")
        if Path(output).suffix.lower() in SUFFIXES:
            raise InputError(f"-o must be a folder for several inputs; {output} names a file: end it in / or rename it")
    if not into_folder and not Path(output).suffix:
        raise InputError(f"-o must be a file with an extension (out.wav) or a folder (out/); got {output}")


def _without_own(tasks: list[FileTask], walked: set[str]) -> list[FileTask]:
    """Leave out files found in folders that are results of other files next to them.

    These are the outputs of this run, and outputs noted by an earlier run and unchanged since. What undin made of
    files elsewhere is an input like any other.
    """
    sources = {_absolute(task.source) for task in tasks}
    made = {(_absolute(output), _absolute(task.source)) for task in tasks for output in task.outputs}
    planned = {output for output, source in made if output != source and output.parent == source.parent}
    notebook = Notebook()

    def is_own(source: str) -> bool:
        place = _absolute(source)
        made_of = _absolute((notebook.of(Path(source)) or {}).get("input", source))
        noted = made_of != place and made_of.parent == place.parent and made_of in sources
        return place in planned or (noted and notebook.standing(source, None) == "other")

    own = {task.source for task in tasks if task.source in walked and is_own(task.source)}
    if own:
        files, are, them = ("1 file", "is", "it") if len(own) == 1 else (f"{len(own)} files", "are", "them")
        names = min(own) + (" ..." if len(own) > 1 else "")
        message = f"skipped {files} that {are} undin's own output ({names}); name {them} to process {them}"
        warnings.warn(message, stacklevel=3)
    return [task for task in tasks if task.source not in own]


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 (keeps links as they are)


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def _place(found: Found, output: str | None, suffix: str) -> tuple[Path, str]:
    """The name of an output, and the tag to put before its extension; .aac and .wma become .m4a."""
    if output is not None and found.relative is None:
        return Path(output), ""
    place = found.source if output is None else Path(output, found.relative or "")
    place = place.with_suffix(".m4a") if place.suffix.lower() in AS_M4A else place
    return place, suffix if output is None else ""


def name_outputs(source: str, place: Path, tag: str, extras: Extras) -> FileTask:
    """The task with the names of all that it writes.

    Args:
        source: the input.
        place: of the output.
        tag: goes before its extension, except from a method that separates.
        extras: what else is written.
    """

    def tagged(tag: str, suffix: str = place.suffix) -> str:
        return str(place.with_name(place.stem + tag + suffix))

    tags = [f".{i + 1}" for i in range(extras.n_src)] if extras.n_src else [tag]
    residual = tagged(".residual") if extras.residual else None
    picture = tagged(tags[0], ".png") if extras.picture else None
    return FileTask(source, tuple(map(tagged, tags)), residual, picture, tagged("", ".rttm") if extras.rttm else None)


def _check_clashes(tasks: list[FileTask]) -> None:
    """No output may be an input, through links either, and no two may be one file."""
    sources = {identity(task.source): task.source for task in tasks}
    makers: dict[str, str] = {}
    for task in tasks:
        for output in task.outputs:
            if output == "-":
                continue
            itself = identity(output)
            if itself is not None and itself in sources:
                raise InputError(f"{output} is the input {sources[itself]}; use another -o")
            if Path(output).exists() and not Path(output).is_file():
                raise InputError(f"{output} is not a regular file and is not replaced; use another -o, or - for a pipe")
            place = os.path.normcase(Path(output).resolve())
            if place in makers:
                raise InputError(
                    f"{makers[place]} and {task.source} would both write {output}; process them separately"
                )
            makers[place] = task.source
