"""Many files, in one process or several: finished ones are skipped, failed ones are named, all others are processed."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from undin.atomic import clear_parts
from undin.jobs.notes import FileSettings, Notebook, describe
from undin.jobs.plan import FileTask
from undin.jobs.result import Job, Result, died, do, failed
from undin.methods.base import Method
from undin.provenance import fingerprint
from undin.workers import Executor, Here, Intake, Make, Progress, WorkerDied, executor


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
    yield from _work(jobs, pool, partial(_worker, loaded, settings), progress, intake or Intake())


def _work(
    jobs: Sequence[Job], pool: Executor, make: Make[Job, Result], progress: Progress | None, intake: Intake
) -> Generator[Result, None, None]:
    """Do the jobs; remove what killed processes, of this run or an earlier one, have left half-written."""
    folders = {Path(output).parent for job in jobs for output in job.task.outputs if output != "-"}
    _clear(folders)
    try:
        with closing(pool.map(make, intake(jobs), progress=progress)) as outcomes:
            for job, outcome in outcomes:
                yield died(job.task, outcome) if isinstance(outcome, WorkerDied) else outcome
    finally:
        _clear(folders)


def _clear(folders: Iterable[Path]) -> None:
    for folder in folders:
        clear_parts(folder)


def _worker(make: Callable[[], Method], settings: FileSettings, progress: Progress) -> Callable[[Job], Result]:
    """Make the method of a worker; return what does one job with it."""
    method = make()
    return lambda job: do(job, method, settings, progress)


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
    standings = {output: notebook.standing(output, note["key"]) for output in task.outputs if output != "-"}
    if overwrite or not standings:
        return Job(task, note)
    for output, standing in standings.items():
        by = (notebook.of(Path(output)) or {}).get("method") if standing == "other" else method["method"]
        if standing == "foreign" or by != method["method"]:
            what = "was not written by undin" if standing == "foreign" else f"was made by {by}"
            message = f"{output} already exists and {what}; use --overwrite or another -o"
            return Result(task, "failed", error=message, kind="input")
    return Result(task, "skipped") if set(standings.values()) == {"same"} else Job(task, note)
