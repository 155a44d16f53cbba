"""Jobs whose inputs or outputs are URLs: a worker fetches the input, processes it on its disk and uploads the outputs.

OUT/a.wav                  the output; appears only when it is complete
OUT/.undin/a.wav.json      its note, as in a folder's .undin.jsonl; has no key until the output is complete
OUT/.undin/a.wav.1.claim   held by the worker that processes it; see `undin.claims`

Names are listed as workers ask for them and are not kept. A worker recognizes finished files by their notes. OUT may
also be a folder of this machine.
"""

import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from undin.audio import AS_M4A
from undin.audio.source import missing
from undin.claims import claim, claim_name
from undin.errors import InputError, UndinError
from undin.jobs.bulk import BUSY, in_turn
from undin.jobs.notes import FileSettings, describe_entry
from undin.jobs.plan import Extras, FileTask, name_outputs
from undin.jobs.result import Result, failed, perform
from undin.jobs.walk import SUFFIXES, find_audio
from undin.methods.base import Method
from undin.provenance import fingerprint
from undin.store import Entry, Store, is_url, open_store
from undin.workers import Executor, Intake, Progress, executor

NOTES = ".undin"
LONG = 240  # bytes; a folder takes names of 255, with .1.claim


@dataclass(frozen=True)
class UrlJob:
    """One file to work on.

    Attributes:
        store: where the input is; None for a file on the disk.
        entry: the input; without a store, its name is a path.
        out: where the outputs go.
        task: names of the outputs below `out`.
    """

    store: Store | None
    entry: Entry
    out: Store
    task: FileTask

    @property
    def shown(self) -> FileTask:
        """The task with complete names, for results."""
        return self.task.moved(self.out.at)


def plan_urls(
    inputs: Sequence[str],
    output: str | None,
    *,
    n_src: int | None = None,
    residual: bool = False,
    picture: bool = False,
    rttm: bool = False,
) -> Iterator[UrlJob]:
    """List the jobs, page by page.

    Args:
        inputs: URLs of files and folders, and files and folders on the disk.
        output: folder, or, for one file, a file with an extension; a URL or, for inputs at URLs, a path.
        n_src, residual, picture, rttm: as in `plan`.

    Raises:
        InputError: no output is given, an input is missing, or an output would replace its input.
    """
    if "-" in (*inputs, output):
        raise InputError("a pipe cannot be combined with a URL; use local files with -")
    if not output:
        raise InputError("inputs at URLs need -o, a folder or a URL, such as out/ or s3://bucket/out/")
    extras = Extras(n_src, residual, picture, rttm)
    below = output.partition("://")[2] if is_url(output) else os.path.abspath(output)  # noqa: PTH100
    is_folder = output.endswith(("/", os.sep)) or Path(output).is_dir()
    one = len(inputs) == 1 and "/" in below and not is_folder and bool(PurePosixPath(below).suffix)
    folder, name = os.path.split(output) if one else (output, "")
    out = open_store(folder)
    found = [_find(text, out, wants_file=one) for text in inputs]
    firsts = [next(each) for each in found]  # missing inputs are errors before the first job
    for store, entry, relative in chain.from_iterable(map(chain, zip(firsts), found)):
        place = PurePosixPath(name or relative.lstrip("/"))  # in//x.wav is x.wav, and no path from the root of the disk
        place = place.with_suffix(".m4a") if place.suffix.lower() in AS_M4A else place
        source = store.at(entry.name) if store else entry.name
        job = UrlJob(store, entry, out, name_outputs(source, Path(place), "", extras))
        if _identity(store, entry) in map(out.identity, job.task.outputs):
            raise InputError(f"{source} is an input and would be replaced by its output; use another -o")
        yield job


def _identity(store: Store | None, entry: Entry) -> str:
    return store.identity(entry.name) if store else f"file://{entry.name}"


def _find(text: str, out: Store, *, wants_file: bool) -> Iterator[tuple[Store | None, Entry, str]]:
    """The files of an input, at least one: store, entry, and name below the output."""
    store = Store(text) if is_url(text) else None
    entry: Entry | None = None
    if store:
        entry = None if text.endswith("/") else store.find()
    elif not os.path.exists(text):  # noqa: PTH110
        raise InputError(missing(text))
    elif not Path(text).is_dir():
        entry = _entry(Path(text))
    if entry:
        yield store, entry, PurePosixPath(text).name if store else Path(text).name
        return
    if wants_file:
        raise InputError(
            f"{text} is not a file: check the spelling; for a folder, -o must be a folder too: end it in /"
        )
    n = 0
    for each, relative in _audio_below(store, text, out):
        n += 1
        yield store, each, relative
    if not n:
        raise InputError(f"{text} has no audio files; expected .wav, .flac, .ogg ... below it")


def _audio_below(store: Store | None, text: str, out: Store) -> Iterator[tuple[Entry, str]]:
    """The files of a folder, without those of an output folder inside it."""
    root = f"{(store.identity() if store else f'file://{os.path.abspath(text)}').rstrip('/')}/"  # noqa: PTH100
    outputs = f"{out.identity().rstrip('/')}/"
    is_inside = outputs != root and outputs.startswith(root)
    if store:
        found = ((each, each.name) for each in store.files() if _is_audio(PurePosixPath(each.name)))
    else:
        found = ((_entry(path), path.relative_to(text).as_posix()) for path in find_audio(Path(text)))
    for entry, relative in found:
        if not (is_inside and _identity(store, entry).startswith(outputs)):
            yield entry, relative


def _entry(path: Path) -> Entry:
    stat = path.stat()
    return Entry(os.path.abspath(path), stat.st_size, str(stat.st_mtime_ns))  # noqa: PTH100


def _is_audio(name: PurePosixPath) -> bool:
    return name.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in name.parts)


def run_urls(
    jobs: Iterator[UrlJob],
    make: Callable[[], Method],
    settings: FileSettings | None = None,
    *,
    workers: int | Executor = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
    intake: Intake | None = None,
) -> Generator[Result, None, None]:
    """Do jobs, and yield the result of each as soon as it is known; see `run`.

    A file that another run is at work on is tried again at the end, and then left to it: its result is skipped.

    Args:
        jobs: from `plan_urls`, taken as workers become free.
        make, settings, workers, overwrite, progress, intake: as in `run`.
    """
    work = partial(_worker, make, settings or FileSettings(), overwrite)
    yield from in_turn(executor(workers), work, jobs, progress, intake or Intake())


def _worker(
    make: Callable[[], Method], settings: FileSettings, overwrite: bool, wait_until: float, progress: Progress
) -> Callable[[UrlJob], Result]:
    method = make()
    described = fingerprint(method)

    def do(job: UrlJob) -> Result:
        try:
            note = describe_entry(job.task.source, job.entry.size, job.entry.version, described, settings)
            if not overwrite and (found := _found(job)) and _is_same(found, note, _sizes(job)):
                return Result(job.shown, "skipped")
            with claim(job.out, _claim(job), wait_until) as is_ours:
                if not is_ours:
                    return Result(job.shown, "skipped", error=BUSY)
                if _is_done(job, note, overwrite=overwrite):
                    return Result(job.shown, "skipped")
                return _spooled(job, note, method, settings, progress)
        except Exception as error:
            return failed(job.shown, error)

    return do


def _found(job: UrlJob) -> dict[str, Any]:
    """The note of the outputs that are there; empty where none is."""
    text = job.out.read(_note(job))
    return json.loads(text) if text else {}


def _sizes(job: UrlJob) -> dict[str, int]:
    return {name: entry.size for name in job.task.outputs if (entry := job.out.find(name))}


def _is_same(found: dict[str, Any], note: dict[str, Any], sizes: dict[str, int]) -> bool:
    return bool(found.get("key") == note["key"] and found["outputs"] == sizes)


def _is_done(job: UrlJob, note: dict[str, Any], *, overwrite: bool) -> bool:
    """Whether the outputs are there, made of this input with these settings; asked by the one who may write them.

    Raises:
        InputError: the existing output belongs to another input or program.
    """
    found, cure = _found(job), "use --overwrite or another -o"
    if found and found["input"] != note["input"]:
        raise InputError(
            f"{found['input']} and {note['input']} would both write {job.shown.targets[0]}; use another -o, or remove "
            f"the note of the first, {job.out.at(_note(job))}"
        )
    if overwrite or (found and found["key"] is None):  # begun, not finished
        return False
    sizes = _sizes(job)
    for name, size in sizes.items():
        if found.get("outputs", {}).get(name) != size:
            raise InputError(f"{job.out.at(name)} already exists and was not written by undin; {cure}")
        if found["method"] != note["method"]:
            raise InputError(f"{job.out.at(name)} already exists and was made by {found['method']}; {cure}")
    return _is_same(found, note, sizes)


def _claim(job: UrlJob) -> str:
    target = PurePosixPath(NOTES, job.task.targets[0])
    return str(target.with_name(claim_name(target.name)) if len(os.fsencode(target.name)) > LONG else target)


def _note(job: UrlJob) -> str:
    return f"{NOTES}/{job.task.targets[0]}.json"


def _spooled(job: UrlJob, note: dict[str, Any], method: Method, settings: FileSettings, progress: Progress) -> Result:
    """Fetch the input, work on the disk, put the outputs and then their note."""
    with TemporaryDirectory(prefix="undin-") as folder:
        source = Path(job.entry.name)
        if job.store:
            source = Path(folder, "in", PurePosixPath(job.task.source).name)
            source.parent.mkdir()
            job.store.fetch(job.entry.name, source, job.entry.size)
        places = {name: Path(folder, "out", name) for name in job.task.outputs}
        task = replace(job.task.moved(lambda name: str(places[name])), source=str(source))
        try:
            report = perform(task, method, settings, progress)
        except UndinError as error:  # with the names that the user gave
            there = job.task.source.rpartition("/")[0]
            message = str(error).replace(f"{folder}/in", there).replace(f"{folder}/out", job.out.url.rstrip("/"))
            raise InputError(message) from error
        job.out.write(_note(job), json.dumps({**note, "key": None}, default=str).encode())  # begun
        for name, place in places.items():
            job.out.put(name, place)
        sizes = {name: place.stat().st_size for name, place in places.items()}
        job.out.write(_note(job), json.dumps({**note, "outputs": sizes}, default=str).encode())
    shown = job.shown
    silent = tuple(job.out.at(name) for name, place in places.items() if str(place) in report.near_silence)
    report = replace(report, source=shown.source, targets=shown.targets, residual=shown.residual, near_silence=silent)
    return Result(shown, "done", report)
