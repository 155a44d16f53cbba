"""`undin run`: a recipe, from data to report."""

import json as json_
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from textwrap import fill, indent
from typing import Annotated, Any

import typer

from undin.cli import options as o
from undin.cli import show

Output = Annotated[
    str | None, o.where("-o", "--output", metavar="DIR", help="Run folder or URL.", show_default="runs/RECIPE")
]
Data = Annotated[
    str | None,
    o.where(metavar="DIR", help="Corpus to use, or its URL.", show_default="$UNDIN_DATA or the built-in corpus"),
]
Changes = Annotated[
    list[str] | None, o.how("--set", metavar="SECTION.NAME=VALUE", help="Change a setting; may be repeated.")
]
Preset = Annotated[str | None, o.how(metavar="NAME", help="Preset of the recipe.")]
MaxMinutes = Annotated[
    float | None,
    o.how("--max-minutes", min=0, metavar="M", help="Pause training of a network after M minutes; rerun to resume."),
]
From = Annotated[
    Path | None, o.how("--from", metavar="WEIGHTS", help="Initialize the network from these weights (.pt, .ckpt).")
]
Json = Annotated[bool, o.shown("--json", help="Print one JSON object per stage.")]
MANY = 1000  # steps, which take minutes to days
MANY_STEPS = "{}: {:,} steps; an estimate of the time left follows. Ctrl-C pauses, rerun to resume"


def run(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE", help="Recipe name or .toml file; if omitted, all recipes are listed."),
    ] = None,
    output: Output = None,
    data: Data = None,
    only: Annotated[list[str] | None, o.how(metavar="STAGE", help="Run only this stage; may be repeated.")] = None,
    preset: Preset = None,
    from_: From = None,
    set_: Changes = None,
    max_minutes: MaxMinutes = None,
    workers: o.Workers = 1,
    json: Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Run a complete experiment: mix, train, enhance, evaluate, report.

    Finished stages are skipped. After a change of settings, only the stages that depend on it are rerun. The run folder
    can be copied to another machine.

    [dim]NMF with exponential and gamma priors, on the built-in corpus:[/]  undin run nmf-kwon2016

    [dim]The same on your own recordings, with fewer mixtures:[/]  undin run nmf-kwon2016 --data corpus/ --set mix.n=20

    [dim]A network, an hour at a time:[/]  undin run dnn-xu2015 --preset small --max-minutes 60
    """
    if recipe is None:
        return _list_recipes()
    from undin import experiment

    read = experiment.read_recipe(recipe, set_ or [], preset=preset)
    folder = output or str(Path("runs") / "-".join(filter(None, (read.name, preset))))
    work = experiment.Run(read, folder, data=data)
    with _bar(wanted=not quiet and not json) as progress:
        did = work.run(only or [], workers=workers, progress=progress, max_minutes=max_minutes, start_from=from_)
        for stage, status in did:
            if json:
                print(json_.dumps({"stage": stage, "status": status, "folder": work.place.at(stage)}), flush=True)
            elif not quiet:
                show.say(f"{stage:9} {status:8} {work.place.at(stage)}")
            if status == "paused" and not quiet:
                show.say("undin: time limit reached; rerun to continue", stderr=True)
    report = "evaluate/report.html"
    if not quiet and not json and work.place.find(report):
        show.say(f"\n{work.place.at(report)}    open it in a browser to read and listen")
    return 0


def _list_recipes() -> int:
    from undin import experiment

    for name, path in experiment.recipes().items():
        text = path.read_text(encoding="utf-8")
        about = takewhile(lambda line: line != "#", text.splitlines()[2:])  # the first paragraph
        show.say(f"undin run {name}")
        show.say(indent(fill(" ".join(line.removeprefix("# ") for line in about), 100), "    "))
        if presets := tomllib.loads(text).get("presets"):
            show.say(f"    --preset {' | '.join(presets)}")
    return 0


class StageLines:
    """Progress where no bar can move: many steps are announced at once, then a line a minute says the time left.

    Called as the progress of `undin.experiment.Run.run`.
    """

    def __init__(self) -> None:
        self._lines, self._starts = show.Lines(), dict[str, tuple[int, float]]()

    def __call__(self, stage: str, done: int, total: int, facts: str) -> None:
        """Take how many steps of a stage are done."""
        now = time.monotonic()
        if stage not in self._starts and total >= MANY:
            show.say(MANY_STEPS.format(stage, total), stderr=True)
        if done <= self._starts.get(stage, (done, now))[0]:  # of the stage, or of its next network
            self._starts[stage] = (done, now)
        first, began = self._starts[stage]
        left = show.time_left((now - began) / (done - first) * (total - done)) if first < done < total else ""
        self._lines("   ".join(filter(None, (f"{stage}: {done:,} of {total:,}", left, facts))))


@contextmanager
def _bar(*, wanted: bool) -> Iterator[Callable[[str, int, int, str], Any] | None]:
    if not wanted:
        yield None
        return
    if not sys.stderr.isatty():
        yield StageLines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    name, facts = TextColumn("{task.description:9}"), TextColumn("{task.fields[facts]}")
    columns = (name, BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn(), facts)
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=600) as bar:
        tasks: dict[str, Any] = {}

        def move(stage: str, done: int, total: int, facts: str) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total, facts="")
                if total >= MANY:
                    bar.console.print(MANY_STEPS.format(stage, total), highlight=False)
            bar.update(tasks[stage], completed=done, total=total, facts=facts)

        yield move
