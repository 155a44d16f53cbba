"""One task done, and what became of it; whatever goes wrong becomes a result that names it."""

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from undin.atomic import before_naming
from undin.audio import info, read
from undin.errors import InputError, UndinError
from undin.jobs.notes import NOTES, FileSettings, add
from undin.jobs.plan import FileTask
from undin.jobs.process import FileReport, process_file
from undin.methods.base import Method
from undin.workers import Progress, WorkerDied

PICTURE_S = 60.0


@dataclass(frozen=True)
class Result:
    """What became of a task."""

    task: FileTask
    status: Literal["done", "skipped", "failed"]
    report: FileReport | None = None
    error: str | None = None  # names the file, the rule and the cure
    kind: Literal["input", "system", "bug"] | None = None  # whose fault the error is
    details: str | None = None  # its traceback


def perform(task: FileTask, method: Method, settings: FileSettings, progress: Progress | None) -> FileReport:
    """Make the outputs of a task, and the folders for them.

    Args:
        task: what is read and written.
        method: loaded.
        settings: of all tasks.
        progress: called with the seconds of audio done since the last call.
    """
    make_folders(task)
    targets = task.targets if method.n_src else task.targets[0]
    options = {**vars(settings), "talkers": settings.talkers or "auto", "residual": task.residual, "rttm": task.rttm}
    report = process_file(method, task.source, targets, progress=progress, **options)
    if task.picture:
        draw(task, task.picture)
    return report


def make_folders(task: FileTask) -> None:
    """Make the folders of its outputs.

    Raises:
        InputError: a file is in the way.
    """
    for folder in {Path(file).parent for file in task.outputs if file != "-"}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(f"{task.targets[0]}: {folder} cannot be created as a folder: choose another -o") from error


@contextmanager
def noting(files: list[str], note: dict[str, Any]) -> Iterator[None]:
    """Record outputs as they are finished; if the folder is not writable for notes, keep the output and warn."""
    names = {Path(file).resolve(): file for file in files}

    def note_down(part: Path, path: Path) -> None:
        if not (file := names.get(path)):
            return
        try:
            add(file, note, part)
        except OSError as error:
            warnings.warn(
                f"{file} was written, but could not be noted in {error.filename or NOTES} ({error.strerror}): "
                "the next run will ask for --overwrite",
                stacklevel=2,
            )

    with before_naming(note_down):
        yield


def draw(task: FileTask, picture: str) -> None:
    """Draw the spectrograms of what went in and what came out, the first PICTURE_S seconds of them."""
    from undin.pictures import spectrograms

    signals = {}
    for name, path in (("noisy", task.source), ("enhanced", task.targets[0])):
        sr = info(path, truncated="keep").sr
        signals[name], _ = read(path, stop=round(PICTURE_S * sr), nan="zero", truncated="keep")
    spectrograms(signals, sr, picture, title=Path(task.source).name)


def died(task: FileTask, error: WorkerDied) -> Result:
    """Say that the process that had a task is gone."""
    return Result(task, "failed", error=f"{task.source}: {error}: process it alone", kind="system")


def failed(task: FileTask, error: Exception) -> Result:
    """Say in one line what went wrong with a task."""
    message = " ".join(str(error).split())
    kind: Literal["input", "system", "bug"] = "bug"
    if isinstance(error, UndinError):
        kind = "input"
    elif isinstance(error, OSError):
        kind = "input" if isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError)) else "system"
        message = f"{error.filename or task.targets[0]}: {error.strerror or message}"
    else:
        message = f"{type(error).__name__}: {message}"
    name = "standard input" if task.source == "-" else task.source
    if name not in message:
        message = f"{name}: {message}"
    return Result(task, "failed", error=message, kind=kind, details=traceback.format_exc())
