"""`undin export`: trained networks -> one .onnx that runs without torch, or one .pt to go on from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from undin.cli import options as o
from undin.cli import show

if TYPE_CHECKING:
    from undin.training.checkpoint import Loaded


def export(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folder of a training run, or a checkpoint; several are averaged."),
    ],
    output: Annotated[
        Path,
        o.where("-o", "--output", metavar="FILE", help="File to write: .onnx to run, .pt to resume training from."),
    ] = Path("model.onnx"),
    overwrite: Annotated[bool, o.where("--overwrite", help="Replace the model if it exists.")] = False,
    weights: Annotated[
        Literal["fp32", "fp16", "int8"], o.how(help="Precision of the stored weights: 32, 16 or 8 bits.")
    ] = "fp32",
    data: Annotated[str, o.how(metavar="TEXT", help="Training data, for the model card.")] = "your own recordings",
    licence: Annotated[str, o.how(metavar="TEXT", help="License of the weights, for the model card.")] = "yours",
    quiet: o.Quiet = False,
) -> int:
    """Export a trained network to one file, for undin enhance -m my.onnx.

    [dim]The best checkpoint of a run:[/]  undin export runs/mine -o my.onnx

    [dim]With 8-bit weights:[/]  undin export runs/mine/train/dnn/best.pt -o my.onnx --weights int8

    [dim]Average of two runs fine-tuned from the same checkpoint:[/]  undin export runs/a runs/b -o my.onnx

    [dim]The same, to resume training from:[/]  undin export runs/a runs/b -o mean.pt
    """
    from undin.atomic import check_folder
    from undin.errors import InputError, require

    if output.suffix not in (".onnx", ".pt"):
        raise InputError(f"-o must end in .onnx, or in .pt for what is to be trained on; got {output}")
    check_folder(output)
    if output.is_dir() or (output.exists() and not overwrite):
        raise InputError(f"{output} exists: --overwrite it if it is a model, or choose another -o")
    checkpoints = [find_checkpoint(run) for run in runs]
    for module in ("torch", "onnx"):
        require(module, extra="train")
    from undin.training.average import average
    from undin.training.checkpoint import save_weights
    from undin.training.export import write_graph

    loaded = average(checkpoints)
    told = " and ".join(map(str, checkpoints))
    if output.suffix == ".pt":
        save_weights(output, loaded.name, loaded.config, loaded.net)
        if not quiet:
            show.say(f"{output}: {loaded.name} from {told}\nuse it:  undin train RECIPE --from {output}")
        return 0
    write_graph(loaded, output, weights=weights, card={"data": data, "licence": licence})
    if not quiet:
        lost = "" if weights == "fp32" else f", {_loss_db(loaded, output):.0f} dB of error from rounding"
        show.say(f"{output}: {loaded.name} from {told}, {output.stat().st_size / 1e6:.2f} MB as {weights}{lost}")
        show.say(f"use it:  undin enhance -m {output} your.wav")
    return 0


def find_checkpoint(run: Path) -> Path:
    """The best weights of a training's folder, or the file itself.

    Raises:
        InputError: there is none, or more than one training in the folder.
    """
    from undin.errors import InputError

    if not run.is_dir():
        if not run.is_file():
            raise InputError(f"{run}: no such file or folder: give the folder of a training, or a checkpoint in it")
        return run
    found = [path for name in ("best.pt", "*/best.pt", "*/*/best.pt") for path in sorted(run.glob(name))]
    found = [path for path in found if ".old" not in path.parent.suffix]  # trainings with settings of before
    if not found:
        raise InputError(f"{run} holds no best.pt: train until the first validation, or give a checkpoint")
    if len(found) > 1 and found[0].parent != run:
        names = ", ".join(str(path.parent) for path in found)
        raise InputError(f"{run} holds several trainings: give one of {names}")
    return found[0]


def _loss_db(loaded: "Loaded", path: Path) -> float:
    """Error of a file's output on a noisy voice beside that of whole weights."""
    import numpy as np

    from undin import corpora, mixing
    from undin.training.export import loss_db

    corpus = corpora.mini().select(split="test")
    clean = corpus.load(corpus.speech[0])
    noise = np.random.default_rng(0).standard_normal(clean.size).astype(np.float32)
    return loss_db(loaded, path, mixing.mix(clean, noise, snr_db=5.0).noisy)
