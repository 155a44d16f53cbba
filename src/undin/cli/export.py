"""`undin export`: trained networks -> one .onnx that runs without torch, one .pt to resume from, or C files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from undin.cli import options as o
from undin.cli import show

if TYPE_CHECKING:
    from undin.native import Library
    from undin.training.checkpoint import Loaded
    from undin.training.export import Weights


def export(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Run folder or checkpoint; several are averaged. With --to, also a method id or .onnx file.",
        ),
    ],
    output: Annotated[
        Path | None,
        o.where(
            "-o",
            "--output",
            metavar="PATH",
            help="File to write: .onnx to run, .pt to resume training from; a folder with --to c or wasm.",
            show_default="model.onnx",
        ),
    ] = None,
    to: Annotated[
        Literal["onnx", "c", "ladspa", "wasm"] | None,
        o.where(
            "--to",
            help="Kind of output: model file, C99 source, LADSPA plugin, or WebAssembly module.",
            show_default="by the suffix of -o",
        ),
    ] = None,
    overwrite: Annotated[bool, o.where("--overwrite", help="Replace the model if it exists.")] = False,
    weights: Annotated[
        Literal["fp32", "fp16", "int8", "mixed"],
        o.how(help="Precision of the stored weights; mixed: int8 for recurrent weights, fp16 for the rest."),
    ] = "fp32",
    settings: Annotated[
        list[str] | None,
        o.how(
            "--set", metavar="NAME=VALUE", help="Change a setting that does not affect the weights; may be repeated."
        ),
    ] = None,
    data: Annotated[str, o.how(metavar="TEXT", help="Training data, for the model card.")] = "your own recordings",
    licence: Annotated[
        str, o.how("--license", "--licence", metavar="TEXT", help="License of the weights, for the model card.")
    ] = "yours",
    quiet: o.Quiet = False,
) -> int:
    """Export a trained network as an ONNX model, C source, a LADSPA plugin or WebAssembly.

    [dim]The best checkpoint of a run:[/]  undin export runs/mine -o my.onnx

    [dim]With 8-bit weights:[/]  undin export runs/mine/train/dnn/best.pt -o my.onnx --weights int8

    [dim]Average of two runs fine-tuned from the same checkpoint:[/]  undin export runs/a runs/b -o my.onnx

    [dim]The same as a checkpoint, to resume training:[/]  undin export runs/a runs/b -o mean.pt

    [dim]Limit the attenuation above 8 kHz to 14 dB:[/]  undin export runs/lull -o my.onnx --set upper_limit_db=14

    [dim]The default live model as C source:[/]  undin export lull --to c -o denoiser/

    [dim]A plugin for PipeWire, ffmpeg and audio editors:[/]  undin export lull --to ladspa -o undin_lull.so
    """
    card = {"data": data, "licence": licence}
    if to in ("c", "ladspa", "wasm"):
        return _export_native(to, runs, settings or [], output, overwrite, weights, card, quiet)
    return _export_file(runs, settings or [], output or Path("model.onnx"), overwrite, weights, card, quiet)


def _export_file(
    runs: list[Path],
    settings: list[str],
    output: Path,
    overwrite: bool,
    weights: "Weights",
    card: dict[str, str],
    quiet: bool,
) -> int:
    """One .onnx or .pt."""
    from undin.atomic import check_folder
    from undin.errors import InputError

    if output.suffix not in (".onnx", ".pt"):
        raise InputError(f"-o must end in .onnx, or in .pt to resume training from; got {output}")
    check_folder(output)
    if output.is_dir() or (output.exists() and not overwrite):
        raise InputError(f"{output} already exists; use --overwrite if it is a model, or another -o")
    loaded, origin = _load(runs, settings)
    from undin.training.checkpoint import save_weights
    from undin.training.export import write_graph

    if output.suffix == ".pt":
        save_weights(output, loaded.name, loaded.config, loaded.net)
        if not quiet:
            show.say(f"{output}: {loaded.name} from {origin}\nuse it:  undin train RECIPE --from {output}")
        return 0
    write_graph(loaded, output, weights=weights, card=card)
    if not quiet:
        lost = "" if weights == "fp32" else f", {_loss_db(loaded, output):.0f} dB of error from rounding"
        show.say(f"{output}: {loaded.name} from {origin}, {output.stat().st_size / 1e6:.2f} MB as {weights}{lost}")
        show.say(f"use it:  undin enhance -m {output} your.wav")
    return 0


def _load(runs: list[Path], settings: list[str]) -> tuple["Loaded", str]:
    """The network of one run, or the mean of several, with other settings; and where it is from."""
    from undin.errors import require

    checkpoints = [find_checkpoint(run) for run in runs]
    for module in ("torch", "onnx"):
        require(module, extra="train")
    from undin.training.average import average

    loaded = average(checkpoints)
    return _changed(loaded, settings) if settings else loaded, " and ".join(map(str, checkpoints))


def _changed(loaded: "Loaded", settings: list[str]) -> "Loaded":
    """The same weights in a network with other settings."""
    from dataclasses import replace

    from undin.checks import check_known
    from undin.errors import InputError
    from undin.training.nets import NETS

    changes = o.parse_settings(type(loaded.config), settings)
    for name in changes:
        check_known(name, list(vars(loaded.config)), "setting", f"--set for {loaded.name}")
    config = replace(loaded.config, **changes)
    net = NETS[loaded.name](config)
    try:
        net.load_state_dict(loaded.net.state_dict())
    except RuntimeError as error:
        raise InputError(
            f"--set {' '.join(settings)}: this setting changes the weights: train with it instead"
        ) from error
    return loaded._replace(config=config, net=net.eval())


def _export_native(
    to: str,
    runs: list[Path],
    settings: list[str],
    output: Path | None,
    overwrite: bool,
    weights: "Weights",
    card: dict[str, str],
    quiet: bool,
) -> int:
    """C source in a folder, or a library built from it."""
    from undin.native import SUFFIX, build_ladspa, build_wasm

    library = _translate(runs, settings, weights, card)
    delay = library.method.latency_ms
    name, lines = library.name, [f"{library.method.id}, {f'latency {delay:.0f} ms' if delay else 'for files'}"]
    if to == "c":
        output = output or Path(name)
        _check_new(output, list(library.files), overwrite)
        library.write(output)
        lines = [f"{output}: {', '.join(library.files)}", f"{lines[0]}, {library.n_bytes / 1e6:.2f} MB of weights"]
        lines.append(f"compile it:  cc -O2 -o denoise {output}/example.c {output}/{name}.c -lm")
    elif to == "ladspa":
        output = output or Path(f"{name}{SUFFIX}")
        _check_new(output.parent, [output.name], overwrite)
        build_ladspa(library, output)
        lines = [f"{output}: {lines[0]}; plugins {name} and {name}_stereo"]
        lines.append(f"use it:  ffmpeg -i noisy.wav -af ladspa=file={output.resolve()}:plugin={name} enhanced.wav")
    else:
        output = output or Path(f"{name}_web")
        _check_new(output, [f"{library.label}.wasm", "undin.js"], overwrite)
        module, script = build_wasm(library, output)
        lines = [f"{module}: {lines[0]}, {module.stat().st_size / 1e6:.2f} MB"]
        lines.append(f"use it:  {'createUndinNode' if delay else 'startSync'} of {script}")
    if not quiet:
        for line in lines:
            show.say(line)
    return 0


def _translate(runs: list[Path], settings: list[str], weights: "Weights", card: dict[str, str]) -> "Library":
    """A method, an .onnx or trainings as C files."""
    from tempfile import TemporaryDirectory

    from undin.errors import InputError
    from undin.native import make_library

    if len(runs) == 1 and not runs[0].is_dir() and runs[0].suffix != ".pt":
        if settings:
            raise InputError(f"{runs[0]}: --set is for training runs and checkpoints; a graph has fixed settings")
        return make_library(str(runs[0]))
    if not settings and weights == "fp32" and (graph := _trained_graph(runs)):
        return make_library(graph)
    loaded, _ = _load(runs, settings)
    from undin.training.export import write_graph

    with TemporaryDirectory() as draft:
        return make_library(write_graph(loaded, Path(draft, f"{loaded.name}.onnx"), weights=weights, card=card))


def _trained_graph(runs: list[Path]) -> Path | None:
    """The graph that a training left beside its folder; None where torch can export it again."""
    from importlib.util import find_spec

    if len(runs) > 1 or not runs[0].is_dir() or (find_spec("torch") and find_spec("onnx")):
        return None
    trained = find_checkpoint(runs[0]).parent
    graph = trained.parent / f"{trained.name}.onnx"
    return graph if graph.exists() else None


def _check_new(folder: Path, names: list[str], overwrite: bool) -> None:
    """Refuse to replace files without --overwrite."""
    from undin.errors import InputError

    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: choose a folder for -o")
    found = [name for name in names if (folder / name).exists()]
    if found and not overwrite:
        raise InputError(f"{folder / found[0]} already exists: use --overwrite, or choose another -o")


def find_checkpoint(run: Path) -> Path:
    """The best weights of a training's folder, or the file itself.

    Raises:
        InputError: the folder has no training run, or more than one.
    """
    from undin.errors import InputError
    from undin.methods import METHODS

    if not run.is_dir():
        if str(run) in METHODS:
            raise InputError(f"{run} is a shipped method: add --to c, ladspa or wasm")
        if not run.is_file():
            raise InputError(f"{run}: no such file or folder; expected a training run or a checkpoint in it")
        return run
    found = [path for name in ("best.pt", "*/best.pt", "*/*/best.pt") for path in sorted(run.glob(name))]
    found = [path for path in found if ".old" not in path.parent.suffix]  # trainings with settings of before
    if not found:
        raise InputError(f"{run} has no best.pt: train until the first validation, or use a checkpoint")
    if len(found) > 1 and found[0].parent != run:
        names = ", ".join(str(path.parent) for path in found)
        raise InputError(f"{run} contains several training runs: use one of {names}")
    return found[0]


def _loss_db(loaded: "Loaded", path: Path) -> float:
    """Error of a file's output on noisy speech relative to full-precision weights."""
    import numpy as np

    from undin import corpora, mixing
    from undin.training.export import loss_db

    corpus = corpora.mini().select(split="test")
    clean = corpus.load(corpus.speech[0])
    noise = np.random.default_rng(0).standard_normal(clean.size).astype(np.float32)
    return loss_db(loaded, path, mixing.mix(clean, noise, snr_db=5.0).noisy)
