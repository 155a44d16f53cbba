"""`undin run`: a recipe, from data to report."""

import json as json_
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from undin.cli import options as o

Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="DIR", help="Run folder; runs/RECIPE if not given.", rich_help_panel=o.WHERE
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Corpus; else $UNDIN_DATA, else undin's own.", rich_help_panel=o.WHERE),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.NAME=VALUE", help="Change a setting.", rich_help_panel=o.HOW),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per stage.", rich_help_panel=o.SHOW)]


def run(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A name, or a .toml file; without it, they are listed.")
    ] = None,
    output: Output = None,
    data: Data = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="Do this stage only; may be repeated.", rich_help_panel=o.HOW),
    ] = None,
    set_: Changes = None,
    workers: o.Workers = 1,
    json: Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Run a whole experiment: mix, train, enhance, evaluate, report.

    Finished stages are skipped; change a setting, and only what depends on it runs again. The run folder can be copied
    to another machine.

    [dim]The founding NMF system, on the embedded corpus:[/]  undin run nmf-kwon2016

    [dim]On your own recordings, fewer mixtures:[/]  undin run nmf-kwon2016 --data corpus/ --set mix.n=20
    """
    from undin import experiment

    if recipe is None:
        for name, path in experiment.recipes().items():
            about = path.read_text(encoding="utf-8").splitlines()[2].removeprefix("# ")
            print(f"undin run {name}    {about}")
        return 0
    work = experiment.Run(
        experiment.read_recipe(recipe, set_ or []), output or Path("runs") / Path(recipe).stem, data=data
    )
    with _bar(wanted=not quiet and not json) as progress:
        for stage, status in work.run(only or [], workers=workers, progress=progress):
            if json:
                print(json_.dumps({"stage": stage, "status": status, "folder": str(work.folder / stage)}), flush=True)
            elif not quiet:
                print(f"{stage:9} {status:8} {work.folder / stage}", flush=True)
    report = work.folder / "evaluate" / "report.html"
    if report.exists() and not quiet and not json:
        print(f"\n{report}    read, look and listen: open it in a browser")
    return 0


@contextmanager
def _bar(*, wanted: bool) -> Iterator[Callable[[str, int, int], Any] | None]:
    if not (wanted and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def told(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield told
