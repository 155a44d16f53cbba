"""`undin train`: the training stage of a recipe."""

from typing import Annotated

import typer

from undin.cli import options as o
from undin.cli.run import Changes, Data, From, Json, MaxMinutes, Output, Preset, run


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Recipe name or .toml file; `undin run` lists the recipes.")
    ],
    output: Output = None,
    data: Data = None,
    preset: Preset = None,
    from_: From = None,
    set_: Changes = None,
    max_minutes: MaxMinutes = None,
    workers: o.Workers = 1,
    json: Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Train the models of a recipe and skip its other stages.

    Same as undin run RECIPE --only train. Networks need the extra train: pip install "undin\\[train]". Rerun the
    command to resume an interrupted training from its last checkpoint. `undin fit` learns NMF from two folders without
    a recipe.

    [dim]A network, on the embedded corpus:[/]  undin train dnn-xu2015 --preset mini

    [dim]Fine-tune it on your own speech and noise:[/]  undin train dnn-xu2015 --from best.pt --data folders/

    [dim]The founding NMF system's models:[/]  undin train nmf-kwon2016 -o run/
    """
    return run(recipe, output, data, ["train"], preset, from_, set_, max_minutes, workers, json, quiet)
