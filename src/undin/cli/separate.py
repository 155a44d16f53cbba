"""`undin separate`: one recording in, one file per talker out."""

from typing import Annotated

import typer

from undin.cli import options as o
from undin.cli.batch import MethodLoader, View, check_pipes, errors_as_json, work, work_on_urls


def separate(
    context: typer.Context,
    inputs: o.Inputs,
    output: o.Output = None,
    overwrite: o.Overwrite = False,
    raw: o.Raw = None,
    talkers: Annotated[int, o.how(min=2, metavar="N", help="Number of talkers.")] = 2,
    method: Annotated[str, o.how("-m", "--method", metavar="MODEL", help=o.MODEL_HELP)] = "blstm-mask",
    loudness: o.Loudness = None,
    set: o.Set = None,
    nan: o.Nan = "raise",
    truncated: o.Truncated = "raise",
    workers: o.MaybeWorkers = None,
    on: o.On = None,
    num_cpus: o.NumCpus = 1.0,
    num_gpus: o.NumGpus = 0.0,
    deadline: o.Deadline = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Separate talkers into one file each; the files sum to the input.

    [dim]Two talkers; writes talk.1.flac and talk.2.flac:[/]  undin separate talk.flac

    [dim]Two known voices, after undin fit anna/ ben/ --talkers -o two.npz:[/]  undin separate talk.flac -m two.npz
    """
    check_pipes(inputs, output, as_json=json)
    from undin.errors import InputError
    from undin.jobs import FileSettings, plan, plan_urls
    from undin.store import is_url

    with errors_as_json(inputs, wanted=json):
        where = o.pool(workers, on, num_cpus, num_gpus)
        make = MethodLoader(method, set or ())
        if make().adjusts("talkers"):
            make = MethodLoader(method, [*(set or ()), f"talkers={talkers}"])
        n_src = make().n_src
        if n_src != talkers:
            found = f"separates {n_src} talkers" if n_src else "enhances; it does not separate talkers"
            cure = f"-m deep-clustering, or a model for {talkers} talkers" if n_src else "another -m, or undin enhance"
            asked = f"; got --talkers {talkers}" if n_src else ""
            raise InputError(f"{method} {found}{asked}: use {cure}")
        settings = FileSettings(nan=nan, truncated=truncated, raw=raw, loudness=loudness)
        view = View(quiet=quiet, as_json=json, debug=bool(context.obj))
        if any(map(is_url, (*inputs, output))):
            jobs = plan_urls(inputs, output, n_src=n_src)
            return work_on_urls(jobs, make, settings, view, workers=where, overwrite=overwrite, deadline=deadline)
        tasks = plan(inputs, output, n_src=n_src)
    return work(tasks, make, settings, view, workers=where, overwrite=overwrite, deadline=deadline, to_pipe=False)
