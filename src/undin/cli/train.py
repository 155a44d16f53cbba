"""`undin train`: the training stage of a recipe."""

from pathlib import Path
from typing import Annotated

import typer

from undin.cli import options as o
from undin.cli.run import run


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A name, or a .toml file; `undin run` lists them.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Run folder; runs/RECIPE if not given.", rich_help_panel=o.WHERE
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Corpus; else $UNDIN_DATA, else undin's own.", rich_help_panel=o.WHERE),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.NAME=VALUE", help="Change a setting.", rich_help_panel=o.HOW),
    ] = None,
    workers: o.Workers = 1,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per stage.", rich_help_panel=o.SHOW)
    ] = False,
    quiet: o.Quiet = False,
) -> int:
    """Train the models of a recipe, and nothing else of it.

    The same as undin run RECIPE --only train; `undin fit` learns from two folders without a recipe.

    [dim]The founding NMF system's models:[/]  undin train nmf-kwon2016 -o run/
    """
    return run(recipe, output, data, ["train"], set_, workers, json, quiet)
