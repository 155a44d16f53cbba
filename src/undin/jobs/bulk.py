"""Many files, one or several processes: what is done already is skipped, what fails is named, the rest is done."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from undin.errors import InputError
from undin.jobs.job import Job, Result, do, failed
from undin.jobs.notes import Notebook, Settings, describe
from undin.jobs.plan import Task
from undin.jobs.process import Progress
from undin.jobs.workers import share_out
from undin.methods.base import Method
from undin.provenance import fingerprint


def run(
    tasks: Sequence[Task],
    make: Callable[[], Method],
    settings: Settings | None = None,
    *,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Generator[Result, None, None]:
    """Work on files, and give what became of each as soon as it is known.

    An output that undin has made from the same input in the same way is skipped; one that it has made in another way
    is made anew; any other file in the way is an error unless `overwrite` is set.

    Args:
        tasks: what `plan` gives.
        make: makes the method, once per process; several workers need it picklable (a function of a module, a partial).
        settings: how to work, beside the method.
        workers: processes; 1 works in this one.
        overwrite: replace whatever lies where an output goes.
        progress: called with the seconds of audio done since the last call.

    Raises:
        InputError: workers is not at least 1, or the method cannot be made.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1; got {workers}")
    settings = settings or Settings()
    method = make()
    described, notebook = fingerprint(method), Notebook()
    jobs: list[Job] = []
    for task in tasks:
        job = _job(task, described, settings, notebook, overwrite)
        if isinstance(job, Job):
            jobs.append(job)
        else:
            yield job
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield do(job, method, settings, progress)
    else:
        yield from share_out(jobs, make, settings, min(workers, len(jobs)), progress)


def _job(task: Task, method: dict[str, Any], settings: Settings, notebook: Notebook, overwrite: bool) -> Job | Result:
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
        if standing == "foreign":
            message = f"{output} exists and undin did not make it as it is: --overwrite it, or choose another -o"
            return Result(task, "failed", error=message, kind="input")
    return Result(task, "skipped") if set(standings.values()) == {"same"} else Job(task, note)
