"""`undin train`: the training stage of a recipe."""

from typing import Annotated

import typer

from undin.cli import options as o
from undin.cli.run import Changes, Data, Json, Output, run


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A name, or a .toml file; `undin run` lists them.")],
    output: Output = None,
    data: Data = None,
    set_: Changes = None,
    workers: o.Workers = 1,
    json: Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Train the models of a recipe, and nothing else of it.

    The same as undin run RECIPE --only train; `undin fit` learns from two folders without a recipe.

    [dim]The founding NMF system's models:[/]  undin train nmf-kwon2016 -o run/
    """
    return run(recipe, output, data, ["train"], set_, workers, json, quiet)
