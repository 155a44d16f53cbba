"""What `enhance` and `separate` share: plan, work, report."""

import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from undin.cli import show
from undin.errors import InputError, UndinError
from undin.signals import first_interrupt

if TYPE_CHECKING:
    from undin.jobs import FileSettings, FileTask, Result
    from undin.jobs.urls import UrlJob
    from undin.methods.base import Method
    from undin.workers import Executor, Intake


@dataclass(frozen=True)
class View:
    """Display options."""

    quiet: bool = False
    as_json: bool = False
    debug: bool = False


def check_pipes(inputs: list[str], output: str | None, *, as_json: bool) -> bool:
    """Refuse pipes without another end; return whether standard output carries audio.

    Args:
        inputs: as on the command line; "-" is standard input.
        output: likewise; "-" is standard output.
        as_json: whether standard output is to carry JSON.
    """
    if "-" in inputs and sys.stdin.isatty():
        raise InputError("standard input is a terminal: pipe audio into it, as in  cat a.wav | undin enhance - > b.wav")
    to_pipe = output == "-" or (output is None and "-" in inputs)
    if to_pipe and sys.stdout.isatty():
        raise InputError("standard output is a terminal and cannot show audio: add  > out.wav  or  -o out.wav")
    if (to_pipe or as_json) and show.is_closed(sys.stdout):
        raise InputError("standard output is closed, so the output would be lost: open it, or use -o FILE")
    if to_pipe and as_json:
        raise InputError("standard output cannot carry both audio and --json: use -o FILE")
    return to_pipe


@contextmanager
def errors_as_json(inputs: list[str], *, wanted: bool) -> Iterator[None]:
    """Tell what stops a run on standard output too, for the program that reads it."""
    try:
        yield
    except UndinError as error:
        if wanted:
            print(show.error_as_json(error, inputs), flush=True)
        raise


class MethodLoader:
    """Makes the method: loaded once in this process, and once more in each that this is sent to."""

    def __init__(self, name: str, pairs: Sequence[str] = ()) -> None:
        self.name, self.pairs = name, tuple(pairs)

    def __call__(self) -> "Method":
        """The method, with the settings given as NAME=VALUE."""
        return self._method

    def __reduce__(self) -> Any:
        return MethodLoader, (self.name, self.pairs)

    @cached_property
    def _method(self) -> "Method":
        from undin.cli.options import parse_settings
        from undin.methods import load

        method = load(self.name)
        return load(self.name, **parse_settings(type(method.config), self.pairs)) if self.pairs else method


def work_on_urls(
    jobs: "Iterator[UrlJob]",
    make: MethodLoader,
    settings: "FileSettings",
    view: View,
    *,
    workers: "int | Executor",
    overwrite: bool,
    deadline: float | None,
) -> int:
    """Do the jobs, as `work` does tasks; how many there are is known at the end.

    Args:
        jobs: from `undin.jobs.plan_urls`.
        make, settings, view, workers, overwrite, deadline: as in `work`.
    """
    from undin.jobs import run_urls
    from undin.workers import Intake

    with show.files_bar(wanted=not view.quiet) as progress:
        intake = Intake(deadline)
        results = run_urls(jobs, make, settings, workers=workers, overwrite=overwrite, progress=progress, intake=intake)
        with first_interrupt(partial(_drain, intake)):
            return _show(results, intake, view, to_pipe=False)


def work(
    tasks: "list[FileTask]",
    make: MethodLoader,
    settings: "FileSettings",
    view: View,
    *,
    workers: "int | Executor",
    overwrite: bool,
    deadline: float | None,
    to_pipe: bool,
) -> int:
    """Do the tasks, show each, give the exit code.

    Args:
        tasks: from `undin.jobs.plan`.
        make: makes the method.
        settings: of the jobs.
        view: what to show.
        workers: number of processes, or where else to work.
        overwrite: reprocess finished outputs.
        deadline: minutes after which no new file is started.
        to_pipe: whether standard output carries sound.
    """
    from undin.jobs import run
    from undin.workers import Intake

    with show.progress_bar(tasks, wanted=not view.quiet) as progress:
        intake = Intake(deadline)
        results = run(tasks, make, settings, workers=workers, overwrite=overwrite, progress=progress, intake=intake)
        with nullcontext() if isinstance(workers, int) else first_interrupt(partial(_drain, intake)):
            return _show(results, intake, view, to_pipe)


def _drain(intake: "Intake") -> None:
    """Begin no more files; the workers of a cluster end the ones that they have."""
    intake.is_open = False
    show.say("undin: finishing files in progress; press Ctrl-C again to stop immediately", stderr=True)


def _show(results: "Generator[Result, None, None]", intake: "Intake", view: View, to_pipe: bool) -> int:
    """Show each result and their sum; give the exit code."""
    start, seconds, counts = time.perf_counter(), 0.0, Counter[str]()
    kinds = set[str | None]()
    with closing(results):
        for result in results:
            counts[result.status] += 1
            seconds += result.report.seconds if result.report else 0.0
            if result.status == "failed":
                kinds.add(result.kind)
            if view.as_json or result.status != "skipped" or result.error:
                _tell(result, view, to_pipe)
    if counts.total() == counts["skipped"] == 1 and not result.error and not view.as_json:
        _tell(result, view, to_pipe)
    if counts.total() > 1 and not view.quiet and not view.as_json:
        wall, words = time.perf_counter() - start, ("done", "skipped", "failed")
        summary = ", ".join(f"{counts[status]:,} {status}" for status in words if counts[status])
        show.say(summary + (f"; {seconds:,.1f} s of audio in {wall:.1f} s" if seconds else ""))
    if intake.has_left:
        show.say("undin: stopped before all files were started; rerun the command to resume", stderr=True)
        return 1
    if not kinds:
        return 0
    return 2 if counts.total() == 1 and kinds == {"input"} else 1  # the one input was bad


def _tell(result: "Result", view: View, to_pipe: bool) -> None:
    if view.as_json:
        print(show.as_json(result), flush=True)
    if result.status == "failed":
        hint = ": run with --debug for the traceback" if result.kind == "bug" else ""
        show.say(f"undin: {show.as_option(result.error or '')}{hint}", stderr=True)
        if view.debug and result.details:
            show.say(result.details, stderr=True)
    elif not view.quiet and not view.as_json:
        show.say(show.line(result), stderr=to_pipe)
