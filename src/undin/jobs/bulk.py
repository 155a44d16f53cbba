"""Many files, in one process or several: finished ones are skipped, failed ones are named, all others are processed."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from undin import claims
from undin.atomic import clear_parts
from undin.claims import claim, claim_name, clear_claims
from undin.jobs.notes import FileSettings, Notebook, describe
from undin.jobs.plan import FileTask
from undin.jobs.result import Result, died, failed, make_folders, noting, perform
from undin.methods.base import Method
from undin.provenance import fingerprint
from undin.store import Entry, Folder
from undin.workers import Executor, Here, Intake, Progress, WorkerDied, executor

BUSY = "another run is at work on it"


@dataclass(frozen=True)
class Job:
    """A task with the note to leave when it is done, its files, and what was there of them before."""

    shown: FileTask
    note: dict[str, Any]
    files: list[str]
    states: list[Entry | None]


class Shown(Protocol):
    """A job."""

    @property
    def shown(self) -> FileTask:
        """The task, for results."""


AnyJob = TypeVar("AnyJob", bound=Shown)


def run(
    tasks: Sequence[FileTask],
    make: Callable[[], Method],
    settings: FileSettings | None = None,
    *,
    workers: int | Executor = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
    intake: Intake | None = None,
) -> Generator[Result, None, None]:
    """Process files, and yield the result of each as soon as it is known.

    An output that undin wrote from the same input with the same settings is skipped; one that it wrote with other
    settings is written again; what another method made, and any other file of that name, is an error unless
    `overwrite` is set.

    Args:
        tasks: from `plan`.
        make: returns the method; called once per worker, and picklable for several (a function of a module, a partial).
        settings: how files are processed, apart from the method.
        workers: how many processes, or an `Executor`; 1 works in this process.
        overwrite: replace any file where an output goes.
        progress: called with the seconds of audio done since the last call.
        intake: which no file passes when it is closed; the next run does the rest.

    Raises:
        InputError: workers is not at least 1, or the method cannot be made.
    """
    pool, settings = executor(workers), settings or FileSettings()
    method = make()
    described, notebook = fingerprint(method), Notebook()
    jobs: list[Job] = []
    for task in tasks:
        job = _job(task, described, settings, notebook, overwrite)
        if isinstance(job, Job):
            jobs.append(job)
        else:
            yield job
    pool = Here() if len(jobs) < 2 else pool  # a pipe is open in this process only
    loaded = (lambda: method) if isinstance(pool, Here) else make
    work = partial(_worker, loaded, described, settings, overwrite)
    folders = {Path(file).parent for job in jobs for file in job.files}
    _clear(folders)  # what killed processes, of this run or an earlier one, have left half-written
    try:
        yield from in_turn(pool, work, jobs, progress, intake or Intake())
    finally:
        _clear(folders)


def in_turn(
    pool: Executor,
    work: Callable[[float, Progress], Callable[[AnyJob], Result]],
    jobs: Iterable[AnyJob],
    progress: Progress | None,
    intake: Intake,
) -> Generator[Result, None, None]:
    """Do jobs; wait at the end for those that another run was at work on, and skip those that it still has then.

    Args:
        pool: where.
        work: makes the function of a worker, from the time until which it may wait for others.
        jobs: taken as workers become free.
        progress, intake: as in `run`.
    """
    busy: list[AnyJob] = []
    for todo in (jobs, busy):
        is_last = todo is busy
        if is_last and not busy:
            return
        make = partial(work, time.time() + claims.LEASE_S if is_last else 0.0)  # those of a crashed run expire
        with closing(pool.map(make, intake(todo), progress=progress)) as outcomes:
            for job, outcome in outcomes:
                result = died(job.shown, outcome) if isinstance(outcome, WorkerDied) else outcome
                if result.error == BUSY and not is_last:
                    busy.append(job)
                else:
                    yield result


def _clear(folders: Iterable[Path]) -> None:
    for folder in folders:
        clear_parts(folder)
        clear_claims(folder)


def _worker(
    make: Callable[[], Method],
    described: dict[str, Any],
    settings: FileSettings,
    overwrite: bool,
    wait_until: float,
    progress: Progress,
) -> Callable[[Job], Result]:
    """Make the method of a worker; return what does one job with it, and raises only interruptions."""
    method, notebook = make(), Notebook()

    def do(job: Job) -> Result:
        try:
            with _claimed(job, wait_until) as is_ours:
                if not is_ours:
                    return Result(job.shown, "skipped", error=BUSY)
                if _states(job.files) != job.states:  # another run was here since
                    found = _job(job.shown, described, settings, notebook, overwrite=False)
                    if isinstance(found, Result) and (found.status == "skipped" or not overwrite):
                        return found
                with noting(job.files, job.note):
                    report = perform(job.shown, method, settings, progress)
                return Result(job.shown, "done", report)
        except BrokenPipeError:  # the reader went away
            raise
        except Exception as error:
            return failed(job.shown, error)

    return do


@contextmanager
def _claimed(job: Job, wait_until: float) -> Iterator[bool]:
    if not job.files:
        yield True
        return
    make_folders(job.shown)
    first = Path(job.files[0])
    with claim(Folder(first.parent), claim_name(first.name), wait_until) as is_ours:
        yield is_ours


def _states(files: Iterable[str]) -> list[Entry | None]:
    return [Folder("").find(file) for file in files]


def _job(
    task: FileTask, method: dict[str, Any], settings: FileSettings, notebook: Notebook, overwrite: bool
) -> Job | Result:
    """Decide whether a task is still to do."""
    if task.problem:
        return Result(task, "failed", error=task.problem, kind="input")
    try:
        note = describe(task.source, method, settings)
    except OSError as error:
        return failed(task, error)
    files = [output for output in task.outputs if output != "-"]
    job = Job(task, note, files, _states(files))
    standings = {output: notebook.standing(output, note["key"]) for output in files}
    if overwrite or not standings:
        return job
    for output, standing in standings.items():
        by = (notebook.of(Path(output)) or {}).get("method") if standing == "other" else method["method"]
        if standing == "foreign" or by != method["method"]:
            what = "was not written by undin" if standing == "foreign" else f"was made by {by}"
            message = f"{output} already exists and {what}; use --overwrite or another -o"
            return Result(task, "failed", error=message, kind="input")
    return Result(task, "skipped") if set(standings.values()) == {"same"} else job
