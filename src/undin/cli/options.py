"""Options that several commands share, worded once; and settings of a method given as text."""

import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from undin.errors import InputError

if TYPE_CHECKING:
    from undin.workers import Executor


def panel(title: str) -> Callable[..., Any]:
    """`typer.Option` for the options under one heading of the help."""
    return partial(typer.Option, rich_help_panel=title)


where, how, shown = panel("Input and output"), panel("Processing"), panel("Display")

Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT", help="Files, folders or URLs of audio; - for standard input."),
]
Output = Annotated[
    str | None,
    where(
        "-o",
        "--output",
        metavar="PATH",
        help="Output file, folder or URL; - for standard output.",
        show_default="beside the input",
    ),
]
Overwrite = Annotated[
    bool,
    where("--overwrite", help="Reprocess everything and overwrite existing files."),
]
AllowOutside = Annotated[bool, where("--allow-outside", help="Allow manifests to name files outside --data.")]
Raw = Annotated[str | None, where(metavar="FORMAT", help="Format of raw PCM on pipes, e.g. s16le:16000:1.")]
MODEL_HELP = "Method id (see `undin models`) or model file."
LimitDb = Annotated[
    float | None,
    how(min=0, metavar="DB", help="Maximum attenuation in dB; 0 leaves the audio unchanged.", show_default="no limit"),
]
Loudness = Annotated[
    float | None,
    how(
        min=-70,
        max=0,
        metavar="LUFS",
        help="Normalize to this loudness (BS.1770), e.g. -16, with peaks limited to -1 dBFS.",
    ),
]
Set = Annotated[
    list[str] | None, how("--set", metavar="NAME=VALUE", help="Change a setting of the method; may be repeated.")
]
Nan = Annotated[Literal["raise", "zero"], how(help="Reject NaN and infinite samples, or replace them with zeros.")]
Truncated = Annotated[Literal["raise", "keep"], how(help="Reject truncated files, or process what can be read.")]
Workers = Annotated[int, how(min=1, metavar="N", help="Number of parallel processes.")]
PageAudio = Annotated[
    Literal["flac", "opus"],
    shown(help="Audio in the page: lossless flac, or opus at a fifth of the size."),
]
MaybeWorkers = Annotated[
    int | None,
    how(
        "--workers",
        min=1,
        metavar="N",
        help="Number of parallel processes.",
        show_default="1; with --on, as many as fit",
    ),
]
on_ray = panel("Cluster")
On = Annotated[
    str | None,
    on_ray("--on", metavar="ray", help="Run on a Ray cluster: ray, or ray://HOST:PORT.", show_default="this machine"),
]
Deadline = Annotated[
    float | None,
    how(
        "--deadline",
        min=0,
        metavar="MIN",
        help="Start no files after this many minutes; those in progress are finished.",
        show_default="none",
    ),
]
NumCpus = Annotated[float, on_ray("--num-cpus", min=0, metavar="N", help="CPU cores per Ray worker.")]
NumGpus = Annotated[float, on_ray("--num-gpus", min=0, metavar="N", help="GPUs per Ray worker.")]
Json = Annotated[bool, shown("--json", help="Print one JSON object per file.")]
Quiet = Annotated[bool, shown("-q", "--quiet", help="Print errors only.")]


def pool(workers: int | None, on: str | None, num_cpus: float, num_gpus: float) -> "int | Executor":
    """Where to work, from the options.

    Args:
        workers: how many; None for 1 here, for all that there is room for on a cluster.
        on: the cluster, or None for this machine.
        num_cpus: cores that each worker takes there.
        num_gpus: GPUs.

    Raises:
        InputError: on is not an address of Ray, or num_cpus and num_gpus are 0.
        MissingExtraError: Ray is not installed.
    """
    if on is None:
        return workers or 1
    from undin.cluster import Ray

    return Ray(on, workers, num_cpus=num_cpus, num_gpus=num_gpus)


def parse_talkers(text: str) -> int | Literal["auto"]:
    """Read the number of talkers, or "auto".

    Args:
        text: of the option.

    Raises:
        InputError: neither.
    """
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 2:
        raise InputError(f"--talkers must be auto or a number, 2 or more; got {text!r}")
    return int(text)


def refuse_for_recipe(on: str | None) -> None:
    """Say that a recipe runs here.

    Raises:
        InputError: a cluster was given.
    """
    if on is not None:
        raise InputError("--on is for folders and manifests; a recipe runs on one machine: leave out --on")


def parse_settings(config: type[Any], pairs: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE texts as the types that a config's fields have.

    Args:
        config: a dataclass.
        pairs: texts such as "n_fft=256".

    Raises:
        InputError: not NAME=VALUE, or a value that its field cannot be. Unknown names are left to the method.
    """
    hints = typing.get_type_hints(config)
    known = {field.name for field in fields(config)}
    settings = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"--set must be NAME=VALUE; got {pair!r}")
        settings[name] = _convert(name, text, hints[name]) if name in known else text
    return settings


def _convert(name: str, text: str, hint: Any) -> Any:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        if typing.get_origin(option) is Literal and text in map(str, typing.get_args(option)):
            return next(value for value in typing.get_args(option) if str(value) == text)
        if option is bool and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if option is type(None) and text.lower() == "none":
            return None
        if option in (int, float):
            try:
                return option(text)
            except ValueError:
                continue
    kinds = [typing.get_args(option) for option in options if typing.get_origin(option) is tuple]
    words = [word for word in text.split(",") if word]
    for kind in kinds if str not in options or "," in text else ():
        if kind[-1] is Ellipsis:
            return tuple(_convert(name, word, kind[0]) for word in words)
        if len(kind) == len(words):
            return tuple(_convert(name, word, each) for word, each in zip(words, kind, strict=True))
    if str in options:
        return text
    raise InputError(f"--set {name} must be {' or '.join(map(_type_name, options))}; got {text!r}")


def _type_name(option: Any) -> str:
    """A type in words: int, none, or its choices."""
    if typing.get_origin(option) is Literal:
        return " or ".join(map(str, typing.get_args(option)))
    return str(getattr(option, "__name__", option)).replace("NoneType", "none")
