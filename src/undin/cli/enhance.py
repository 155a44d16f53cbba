"""`undin enhance`: noise out, voice kept."""

from typing import Annotated

import typer

from undin.cli import options as o
from undin.cli.batch import Loader, View, check_pipes, errors_as_json, work

DEFAULT_METHOD = "lull"  # undin.methods.DEFAULT, whose import would slow --help down; a test holds them together


def enhance(
    context: typer.Context,
    inputs: o.Inputs,
    output: o.Output = None,
    overwrite: o.Overwrite = False,
    raw: o.Raw = None,
    residual: Annotated[
        bool, typer.Option("--residual", help="Also write what was taken out.", rich_help_panel=o.WHERE)
    ] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Also draw both spectrograms beside the output.", rich_help_panel=o.WHERE)
    ] = False,
    method: Annotated[
        str,
        typer.Option(
            "-m",
            "--method",
            metavar="MODEL",
            help="An id of `undin models`, or a saved .npz or .onnx.",
            rich_help_panel=o.HOW,
        ),
    ] = DEFAULT_METHOD,
    limit_db: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="DB",
            help="Attenuate nothing by more; 0 changes nothing.",
            show_default="no limit",
            rich_help_panel=o.HOW,
        ),
    ] = None,
    independent: Annotated[
        bool,
        typer.Option("--independent", help="Treat channels one by one, not linked.", rich_help_panel=o.HOW),
    ] = False,
    set: o.Set = None,
    nan: o.Nan = "raise",
    truncated: o.Truncated = "raise",
    workers: o.Workers = 1,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Take the noise out of speech, in files, folders and pipes.

    What goes in comes out: length, rate, channels, format and tags are kept.

    [dim]noisy.wav becomes noisy.enhanced.wav:[/]  undin enhance noisy.wav

    [dim]A tree of files becomes another:[/]  undin enhance in/ -o out/ --workers 2

    [dim]Through a pipe:[/]  cat a.wav | undin enhance - > b.wav
    """
    to_pipe = check_pipes(inputs, output, as_json=json)
    from undin.errors import InputError, require
    from undin.jobs import FileSettings, plan

    with errors_as_json(inputs, wanted=json):
        if plot:
            require("matplotlib", extra="plot")
        make = Loader(method, set or ())
        if n_src := make().n_src:
            raise InputError(f"{method} separates into {n_src} talkers: use undin separate -m {method}")
        tasks = plan(inputs, output, residual=residual, picture=plot)
    settings = FileSettings(limit_db=limit_db, independent=independent, nan=nan, truncated=truncated, raw=raw)
    view = View(quiet=quiet, as_json=json, debug=bool(context.obj))
    return work(tasks, make, settings, view, workers=workers, overwrite=overwrite, to_pipe=to_pipe)
