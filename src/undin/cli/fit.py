"""`undin fit`: learn a model from folders of sound, without a GPU or torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from undin.cli import options as o

if TYPE_CHECKING:
    from undin.spectrum import Array


def fit(
    speech: Annotated[Path, typer.Argument(metavar="SPEECH", help="Folder or file of clean speech.")],
    noise: Annotated[
        Path | None,
        typer.Argument(metavar="NOISE", help="Folder or file of noise; without it, noise is learned as one enhances."),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="PATH", help="Where to save the model.", rich_help_panel=o.WHERE)
    ] = Path("nmf.npz"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model if it exists.", rich_help_panel=o.WHERE)
    ] = False,
    talkers: Annotated[
        bool, typer.Option("--talkers", help="Both folders are talkers: learn to separate them.", rich_help_panel=o.HOW)
    ] = False,
    prior: Annotated[
        Literal["exponential", "gamma", "none"],
        typer.Option(help="What is assumed of the activations.", rich_help_panel=o.HOW),
    ] = "exponential",
    set: o.Set = None,
    quiet: o.Quiet = False,
) -> None:
    """Learn a model (NMF) from folders of speech and noise, or of two talkers.

    [dim]Your voices and your noise, for undin enhance -m mine.npz:[/]  undin fit speech/ noise/ -o mine.npz

    [dim]Two talkers, for undin separate -m two.npz:[/]  undin fit anna/ ben/ --talkers -o two.npz
    """
    from undin.errors import InputError
    from undin.methods.nmf import NMF

    if output.suffix != ".npz":
        raise InputError(f"-o must end in .npz; got {output}")
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists: --overwrite it, or choose another -o")
    if talkers and noise is None:
        raise InputError("--talkers needs two folders, one for each talker: undin fit anna/ ben/ --talkers")
    model = NMF(prior=None if prior == "none" else prior, **o.parse_settings(NMF.Config, set or []))
    sr = model.config.sr
    first, second = read_all(speech, sr), read_all(noise, sr) if noise else None
    if talkers and second is not None:
        model.fit_talkers([first, second], sr)
    else:
        model.fit(first, second, sr)
    model.save(output)
    if not quiet:
        pairs = ((speech, first), (noise, second))
        told = " and ".join(f"{sum(map(len, xs)) / sr:.1f} s of {path}" for path, xs in pairs if xs is not None)
        print(f"{output}: learned from {told}")
        print(f"use it:  undin {'separate' if talkers else 'enhance'} -m {output} your.wav")


def read_all(path: Path, sr: int) -> "list[Array]":
    """Read a file, or all files of a folder, each as one channel (n_samples,) at `sr` Hz.

    Raises:
        InputError: there is no audio, or a file cannot be read.
    """
    import numpy as np

    from undin import audio
    from undin.errors import InputError
    from undin.jobs import find_audio

    if not path.exists():
        raise InputError(f"{path}: no such file or folder: check the spelling and the folder you are in")
    signals = []
    for file in list(find_audio(path)) if path.is_dir() else [path]:
        x, sr_file = audio.read(file)
        if sr_file < sr:
            raise InputError(f"{file} has {sr_file} Hz and lacks the upper bands of a model for {sr} Hz: leave it out")
        signals.append(audio.resample(np.atleast_2d(x).mean(0), sr_file, sr))
    if not sum(map(len, signals)):
        raise InputError(f"{path} holds no sound: name a folder with .wav, .flac, .ogg ... files in it")
    return signals
