"""`undin enhance`: noise out, voice kept."""

from typing import Annotated, Literal

import typer

from undin.cli import options as o
from undin.cli.batch import MethodLoader, View, check_pipes, errors_as_json, work, work_on_urls

RECOGNITION_DB = 12.0  # of the limits tried, Whisper made the fewest errors with this one: docs/lull.md
# undin.methods.DEFAULT and LIVE, whose import would slow --help down; a test holds them together
DEFAULT_METHOD, LIVE_METHOD = "hush", "lull"


def enhance(
    context: typer.Context,
    inputs: o.Inputs,
    output: o.Output = None,
    overwrite: o.Overwrite = False,
    raw: o.Raw = None,
    residual: Annotated[bool, o.where("--residual", help="Also write the removed noise.")] = False,
    plot: Annotated[bool, o.where("--plot", help="Also save a picture of both spectrograms.")] = False,
    methods: Annotated[
        list[str] | None,
        o.how(
            "-m",
            "--method",
            metavar="MODEL",
            help=o.MODEL_HELP,
            show_default=f"{DEFAULT_METHOD}; {LIVE_METHOD} for pipes",
        ),
    ] = None,
    fast: Annotated[
        bool, o.how("--fast", help=f"Use {LIVE_METHOD}, the live model: about three times as fast.")
    ] = False,
    limit_db: o.LimitDb = None,
    purpose: Annotated[
        Literal["listening", "recognition"],
        o.how("--for", help=f"For speech recognizers, attenuate by at most {RECOGNITION_DB:g} dB."),
    ] = "listening",
    independent: Annotated[
        bool, o.how("--independent", help="Process channels independently, not with one gain.")
    ] = False,
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
    """Remove noise from speech in files, folders and pipes.

    Length, sample rate, channels, format and tags are kept.

    [dim]One file; writes noisy.enhanced.wav:[/]  undin enhance noisy.wav

    [dim]A folder tree, with the faster model:[/]  undin enhance in/ -o out/ --fast --workers 2

    [dim]Standard input to standard output:[/]  cat a.wav | undin enhance - > b.wav
    """
    to_pipe = check_pipes(inputs, output, as_json=json)
    from undin.errors import InputError, require
    from undin.jobs import FileSettings, plan, plan_urls
    from undin.store import is_url

    with errors_as_json(inputs, wanted=json):
        where = o.pool(workers, on, num_cpus, num_gpus)
        is_live = fast or to_pipe or "-" in inputs
        method, *others = methods or [LIVE_METHOD if is_live else DEFAULT_METHOD]
        options = " ".join(f"-m {name}" for name in methods or ())
        if others:
            raise InputError(f"enhance takes one -m; got {options}: to compare them, run undin compare FILE {options}")
        if fast and methods:
            raise InputError(f"--fast is -m {LIVE_METHOD}; got {options} too: leave one of them out")
        if purpose == "recognition":
            if limit_db is not None:
                raise InputError("--for recognition sets --limit-db: leave one of them out")
            limit_db = RECOGNITION_DB
        if plot:
            require("matplotlib", extra="plot")
        make = MethodLoader(method, set or ())
        if n_src := make().n_src:
            raise InputError(f"{method} separates {n_src} talkers: use undin separate -m {method}")
        settings = FileSettings(limit_db, independent, nan, truncated, raw, loudness)
        view = View(quiet=quiet, as_json=json, debug=bool(context.obj))
        if any(map(is_url, (*inputs, output))):
            jobs = plan_urls(inputs, output, residual=residual, picture=plot)
            return work_on_urls(jobs, make, settings, view, workers=where, overwrite=overwrite, deadline=deadline)
        tasks = plan(inputs, output, residual=residual, picture=plot)
    return work(tasks, make, settings, view, workers=where, overwrite=overwrite, deadline=deadline, to_pipe=to_pipe)
