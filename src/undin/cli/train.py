"""`undin train`: the training stage of a recipe."""

from typing import Annotated

import typer

from undin.cli import options as o
from undin.cli.run import Changes, Data, From, Json, MaxMinutes, Output, Preset, run


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Recipe name or .toml file; `undin run` lists all recipes.")
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
    """Train the models of a recipe.

    Same as `undin run RECIPE --only train`. Networks need PyTorch: pip install "undin\\[train]". Rerun the command to
    resume from the last checkpoint. To train NMF on two folders without a recipe, use `undin fit`.

    [dim]A small network, on the built-in corpus:[/]  undin train dnn-xu2015 --preset mini

    [dim]Fine-tune it on your own speech and noise:[/]  undin train dnn-xu2015 --from best.pt --data folders/

    [dim]NMF models:[/]  undin train nmf-kwon2016 -o run/
    """
    return run(recipe, output, data, ["train"], preset, from_, set_, max_minutes, workers, json, quiet)
