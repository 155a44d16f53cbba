"""Progress and results shown in the terminal."""

import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from undin.jobs import FileTask, Result

SECONDS = "{task.completed:,.0f} of {task.total:,.0f} s of audio"
SECONDS_DONE = "{task.completed:,.0f} s of audio"  # where the total is not known
LINE_EVERY_S = 60

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Escape what would command a terminal, such as ESC in a file name, or turn the direction of writing.

    >>> printable("a\\x1b[31mb.wav")
    'a\\\\x1b[31mb.wav'
    """
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def is_closed(stream: Any) -> bool:
    """Whether the shell has closed a standard stream (`>&-`), for which `main` has put the null device in its place."""
    return bool(getattr(stream, "name", "") == os.devnull)


def say(text: object, *, stderr: bool = False) -> None:
    """Print text that may name files: all that is printed for people goes through here or through `console`."""
    print(printable(str(text)), file=sys.stderr if stderr else sys.stdout, flush=True)


def console(*, stderr: bool = False) -> "Console":
    """A rich console for text that is data, not markup."""
    from rich.console import Console
    from rich.segment import Segment

    class Safe(Console):
        def render(self, *args: Any, **options: Any) -> Iterator[Segment]:
            for segment in super().render(*args, **options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

    return Safe(stderr=stderr, highlight=False, soft_wrap=True)


def command() -> str:
    """What one types here for undin: its path where the shell does not find it, as after `make demo`."""
    if shutil.which("undin"):
        return "undin"
    return shlex.quote(sys.argv[0]) if Path(sys.argv[0]).stem == "undin" else "python -m undin"


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show progress on a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with console(stderr=True).status(text):
        yield


class Lines:
    """Progress where no bar can move, as when output is redirected: a line a minute on standard error."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, text: str) -> None:
        """Print the text if the last line is a minute old."""
        if time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            say(text, stderr=True)


def time_left(seconds: float) -> str:
    """An estimate in words.

    >>> time_left(40), time_left(4000), time_left(20000), time_left(400000)
    ('about 1 min left', 'about 67 min left', 'about 6 h left', 'about 5 days left')
    """
    sizes = ((86400, "days"), (3600, "h"), (60, "min"))
    size, unit = next(((size, unit) for size, unit in sizes if seconds >= 2 * size), sizes[-1])
    return f"about {max(seconds / size, 1):,.0f} {unit} left"


@contextmanager
def progress_bar(tasks: "Sequence[FileTask]", *, wanted: bool) -> Iterator[Callable[[float], object] | None]:
    """Show a bar in seconds of audio; return the function that adds to it, or None."""
    one = len(tasks) == 1
    total = sum(map(duration, tasks)) if wanted and (one or sys.stderr.isatty()) else 0.0  # a pipe does not say
    with _seconds_bar(tasks[0].source if one else f"{len(tasks)} files", total, wanted=wanted) as add:
        yield add


@contextmanager
def files_bar(*, wanted: bool) -> Iterator[Callable[[float], object] | None]:
    """Show how much is done where the total is not known; return the function that adds to it, or None."""
    with _seconds_bar("files", 0.0, wanted=wanted) as add:
        yield add


@contextmanager
def _seconds_bar(text: str, total: float, *, wanted: bool) -> Iterator[Callable[[float], object] | None]:
    with bar(text, wanted=wanted, count=SECONDS if total else SECONDS_DONE) as move:
        done = 0.0

        def add(seconds: float) -> None:
            """Move the bar; files may last longer than their headers say."""
            nonlocal done
            done += seconds
            if move:
                move(done, max(total, done) if total else None)

        yield add if move else None


@contextmanager
def bar(text: str, *, wanted: bool = True, count: str = "") -> Iterator[Callable[[float, float | None], object] | None]:
    """Show a bar on a terminal, elsewhere a line a minute; return a function of the amount done and the total, or None.

    Args:
        text: the label before the bar.
        wanted: False for no progress.
        count: the text after the bar, such as SECONDS; "" for done/all.
    """
    if not wanted:
        yield None
        return
    if not sys.stderr.isatty():
        lines, unit = Lines(), " s of audio" if count else ""
        yield lambda done, total: lines(f"{text}: {done:,.0f}{f' of {total:,.0f}' if total else ''}{unit}")
        return
    with _progress(count) as bar:
        task = bar.add_task(text.replace("[", r"\["), total=1 if count == SECONDS else None)  # it prints a number
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _progress(count: str) -> "Progress":
    """A transient bar; lines printed meanwhile appear above it, and redirected output is unchanged."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    last = TextColumn(count) if count else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), last, TimeRemainingColumn())
    return Progress(*columns, console=console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty())


def duration(task: "FileTask") -> float:
    """Seconds of audio that a file says it has; 0 where it does not say."""
    from undin.audio import info
    from undin.errors import UndinError

    try:
        return 0.0 if task.source == "-" else info(task.source, truncated="keep").duration or 0.0
    except (UndinError, OSError):
        return 0.0


def line(result: "Result") -> str:
    """Tell a result in one line."""
    outputs = " ".join(output for output in result.task.outputs if output != "-") or "standard output"
    source = "standard input" if result.task.source == "-" else result.task.source
    head = f"{source} -> {outputs}"
    if result.status == "skipped":
        return f"{head}   skipped: {result.error or 'up to date'}"
    report = result.report
    assert report is not None
    facts = [f"{report.seconds:.1f} s at {report.sr} Hz", f"{report.times_real_time:.0f} x real time"]
    if report.n_channels > 1:
        facts.insert(1, f"{report.n_channels} channels")
    if report.gain_db is None:
        facts.append("too quiet for --loudness (below -70 LUFS): level unchanged")
    elif report.gain_db:
        facts.append(f"{report.gain_db:+.1f} dB of gain")
    if report.limited_db >= 0.05:
        facts.append(f"peaks limited by {report.limited_db:.1f} dB")
    if report.changed:
        facts.append(f"stored as {report.container} {report.subtype} ({report.changed})")
    if report.talkers == 0:
        facts.append("nobody talks")
    elif silent := report.near_silence:
        n, are = len(report.targets) - len(silent), "is" if len(silent) == 1 else "are"
        facts.append(f"{'one talker' if n == 1 else f'{n} talkers'} found: {', '.join(silent)} {are} near silence")
    elif report.talkers:
        facts.append("one talker found" if report.talkers == 1 else f"{report.talkers} talkers found")
    return f"{head}   {', '.join(facts)}"


def as_json(result: "Result") -> str:
    """Tell a result in one JSON object."""
    task, report = result.task, result.report
    row: dict[str, Any] = {"status": result.status, "input": task.source, "outputs": list(task.targets)}
    row |= {"residual": task.residual, "picture": task.picture, "rttm": task.rttm}
    row["error"] = as_option(result.error) if result.error else None
    if report is not None:
        row |= {k: v for k, v in asdict(report).items() if k not in ("source", "targets", "residual")}
        row["times_real_time"] = round(report.times_real_time, 1)
    return json.dumps(row)


def error_as_json(error: Exception, inputs: "Sequence[str]") -> str:
    """Tell in one JSON object what stops a run before its first file."""
    row = {"status": "failed", "input": inputs[0] if len(inputs) == 1 else list(inputs), "outputs": []}
    return json.dumps({**row, "residual": None, "picture": None, "error": as_option(" ".join(str(error).split()))})


def as_option(message: str, command: str = "pass") -> str:
    """Say a cure as one types it here: nan="zero" is --nan zero."""
    message = re.sub(r'pass (\w+)="(\w+)"', rf"{command} --\1 \2", message)
    return re.sub(r"\braw(?:='([^']*)'| (?=must be))", lambda match: f"--raw {match[1] or ''}", message)
