"""`undin separate`: one recording in, one file per talker out."""

from typing import Annotated

import typer

from undin.cli import options as o
from undin.cli.batch import MethodLoader, View, check_pipes, errors_as_json, work


def separate(
    context: typer.Context,
    inputs: o.Inputs,
    output: o.Output = None,
    overwrite: o.Overwrite = False,
    raw: o.Raw = None,
    talkers: Annotated[int, o.how(min=2, metavar="N", help="Number of talkers.")] = 2,
    method: Annotated[
        str, o.how("-m", "--method", metavar="MODEL", help="Id or file of a method that separates talkers.")
    ] = "blstm-mask",
    loudness: o.Loudness = None,
    set: o.Set = None,
    nan: o.Nan = "raise",
    truncated: o.Truncated = "raise",
    workers: o.Workers = 1,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Separate talkers: one file per talker; the files sum to the input.

    [dim]To talk.1.flac and talk.2.flac:[/]  undin separate talk.flac

    [dim]Train a model on recordings of the two voices:[/]  undin fit anna/ ben/ --talkers -o two.npz
    """
    check_pipes(inputs, output, as_json=json)
    from undin.errors import InputError
    from undin.jobs import FileSettings, plan

    with errors_as_json(inputs, wanted=json):
        make = MethodLoader(method, set or ())
        if make().adjusts("talkers"):
            make = MethodLoader(method, [*(set or ()), f"talkers={talkers}"])
        n_src = make().n_src
        if n_src != talkers:
            found = f"separates {n_src} talkers" if n_src else "enhances; it does not separate talkers"
            cure = f"-m deep-clustering, or a model for {talkers} talkers" if n_src else "another -m, or undin enhance"
            raise InputError(f"{method} {found}; got --talkers {talkers}: use {cure}")
        tasks = plan(inputs, output, n_src=n_src)
    settings = FileSettings(nan=nan, truncated=truncated, raw=raw, loudness=loudness)
    view = View(quiet=quiet, as_json=json, debug=bool(context.obj))
    return work(tasks, make, settings, view, workers=workers, overwrite=overwrite, to_pipe=False)
