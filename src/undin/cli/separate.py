"""`undin separate`: one recording in, one file per talker out."""

from typing import Annotated, Any

import typer

from undin.cli import options as o
from undin.cli.batch import MethodLoader, View, check_pipes, errors_as_json, work, work_on_urls


def separate(
    context: typer.Context,
    inputs: o.Inputs,
    output: o.Output = None,
    overwrite: o.Overwrite = False,
    raw: o.Raw = None,
    residual: Annotated[
        bool, o.where("--residual", help="Also write the rest: the noise or, with --voice, everything else.")
    ] = False,
    rttm: Annotated[bool, o.where("--rttm", help="Also write who talks when, as an RTTM file.")] = False,
    talkers: Annotated[
        str, o.how(metavar="N", help="Number of talkers, or auto to find out how many talk, and when.")
    ] = "auto",
    denoise: Annotated[bool, o.how("--denoise", help="Leave noise out of the talkers.")] = False,
    voice: Annotated[
        str | None,
        o.how(metavar="FILE", help="Write only the talker who sounds like this; needs a model trained for it."),
    ] = None,
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
    """Separate two talkers into one file each; the files sum to the input.

    A talker's file is silent while the talker is, and the second file is silent if only one person talks.

    [dim]Writes talk.1.flac and talk.2.flac:[/]  undin separate talk.flac

    [dim]Noise in talk.residual.flac, times in talk.rttm:[/]  undin separate talk.flac --residual --rttm

    [dim]One voice, by a model trained for it; talk.voice.flac:[/]  undin separate talk.flac --voice anna.wav -m my.onnx

    [dim]Two known voices, after undin fit anna/ ben/ --talkers -o two.npz:[/]  undin separate talk.flac -m two.npz
    """
    to_pipe = check_pipes(inputs, output, as_json=json)
    from undin.errors import InputError
    from undin.jobs import FileSettings, plan, plan_urls
    from undin.methods import find_voice
    from undin.store import is_url

    with errors_as_json(inputs, wanted=json):
        where = o.pool(workers, on, num_cpus, num_gpus)
        make = MethodLoader(method, set or ())
        number = o.parse_talkers(talkers)
        if number != "auto" and make().adjusts("talkers"):
            make = MethodLoader(method, [*(set or ()), f"talkers={number}"])
        n_src = make().n_src
        if not n_src:
            raise InputError(f"{method} enhances; it does not separate talkers: use another -m, or undin enhance")
        if number not in ("auto", n_src):
            cure = f"-m deep-clustering, or a model for {number} talkers"
            raise InputError(f"{method} separates {n_src} talkers; got --talkers {number}: use {cure}")
        if voice and is_url(voice):
            raise InputError(f"--voice must be a file on this machine; got {voice}: download it first")
        wanted = find_voice(make(), voice, sr=0)
        settings = FileSettings(
            nan=nan,
            truncated=truncated,
            raw=raw,
            loudness=loudness,
            talkers=number,
            denoise=denoise or (residual and not wanted),  # what is a file of its own is not in the talkers
            voice=wanted,
        )
        outputs: dict[str, Any] = {"n_src": None if wanted else n_src, "residual": residual, "rttm": rttm}
        view = View(quiet=quiet, as_json=json, debug=bool(context.obj))
        if any(map(is_url, (*inputs, output))):
            jobs = plan_urls(inputs, output, **outputs)
            return work_on_urls(jobs, make, settings, view, workers=where, overwrite=overwrite, deadline=deadline)
        tasks = plan(inputs, output, suffix=".voice", **outputs)
    return work(tasks, make, settings, view, workers=where, overwrite=overwrite, deadline=deadline, to_pipe=to_pipe)
