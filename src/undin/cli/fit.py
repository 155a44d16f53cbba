"""`undin fit`: learn a model from folders of sound, without a GPU or torch."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from undin.cli import options as o
from undin.cli import show

if TYPE_CHECKING:
    from undin.spectrum import Array


def fit(
    speech: Annotated[Path, typer.Argument(metavar="SPEECH", help="Folder or file of clean speech.")],
    noise: Annotated[
        Path | None,
        typer.Argument(
            metavar="NOISE", help="Folder or file of noise; if omitted, noise is learned from each recording."
        ),
    ] = None,
    output: Annotated[Path, o.where("-o", "--output", metavar="FILE", help="Model file to write.")] = Path("nmf.npz"),
    overwrite: Annotated[bool, o.where("--overwrite", help="Replace the model if it exists.")] = False,
    talkers: Annotated[
        bool, o.how("--talkers", help="Both folders are talkers: train a model that separates them.")
    ] = False,
    prior: Annotated[Literal["exponential", "gamma", "none"], o.how(help="Prior on the activations.")] = "exponential",
    set: o.Set = None,
    nan: o.Nan = "raise",
    truncated: o.Truncated = "raise",
    quiet: o.Quiet = False,
) -> int:
    """Train an NMF model on folders of speech and noise, or of two talkers.

    [dim]Your own voice and noise, for undin enhance -m mine.npz:[/]  undin fit speech/ noise/ -o mine.npz

    [dim]Two talkers, for undin separate -m two.npz:[/]  undin fit anna/ ben/ --talkers -o two.npz
    """
    from undin.errors import InputError
    from undin.methods.nmf import NMF

    check_output(output, overwrite=overwrite)
    if talkers and noise is None:
        raise InputError("--talkers needs two folders, one for each talker: undin fit anna/ ben/ --talkers")
    model = NMF(prior=None if prior == "none" else prior, **o.parse_settings(NMF.Config, set or []))
    sr = model.config.sr
    errors: list[str] = []
    first, *rest = (read_all(path, sr, errors, nan=nan, truncated=truncated) for path in (speech, noise) if path)
    second = rest[0] if rest else None
    if talkers and second is not None:
        model.fit_talkers([first, second], sr)
    else:
        model.fit(first, second, sr)
    model.save(output)
    if not quiet:
        pairs = ((speech, first), (noise, second))
        sources = " and ".join(f"{sum(map(len, xs)) / sr:.1f} s of {path}" for path, xs in pairs if xs is not None)
        show.say(f"{output}: learned from {sources}")
        show.say(f"use it:  undin {'separate' if talkers else 'enhance'} -m {output} your.wav")
    return 1 if errors else 0


def check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse, before anything is learned, a place where the model could not be saved."""
    from undin.atomic import check_folder
    from undin.errors import InputError

    if output.suffix != ".npz":
        raise InputError(f"-o must end in .npz; got {output}")
    check_folder(output)
    if not os.access(output.parent, os.W_OK):
        raise InputError(f"{output}: the folder {output.parent} cannot be written to: choose another -o")
    if output.is_dir() or (output.exists() and not overwrite):
        raise InputError(f"{output} already exists; use --overwrite if it is a model, or another -o")


def read_all(
    path: Path, sr: int, errors: list[str], *, nan: Literal["raise", "zero"], truncated: Literal["raise", "keep"]
) -> "list[Array]":
    """Read a file, or all files of a folder, each as one channel (n_samples,) at `sr` Hz.

    A bad file in a folder is named on standard error and left out.

    Args:
        path: a file or a folder.
        sr: the rate wanted, Hz.
        errors: gets a line for each bad file in a folder.
        nan: as in `undin.read`.
        truncated: as in `undin.read`.

    Raises:
        InputError: no audio, or the file cannot be read.
    """
    from undin.errors import InputError, UndinError
    from undin.jobs import find_audio

    if not path.exists():
        raise InputError(f"{path}: no such file or folder: check the spelling and the folder you are in")

    def refuse(error: Exception, file: Path) -> None:
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else " ".join(str(error).split())
        message = show.as_option(text if str(file) in text else f"{file}: {text}")
        if not path.is_dir():
            raise InputError(message) from error
        errors.append(message)
        show.say(f"undin: {message}; skipped", stderr=True)

    signals = []
    for file in find_audio(path, on_error=lambda error: refuse(error, path)) if path.is_dir() else [path]:
        try:
            signals.append(_read_one(file, sr, nan=nan, truncated=truncated))
        except (UndinError, OSError) as error:
            refuse(error, file)
    if not sum(map(len, signals)):
        raise InputError(f"{path} has no audio to train on; expected a folder with .wav, .flac, .ogg ... files")
    return signals


def _read_one(file: Path, sr: int, *, nan: Literal["raise", "zero"], truncated: Literal["raise", "keep"]) -> "Array":
    """Read a file as one channel (n_samples,) at `sr` Hz.

    Raises:
        UndinError: it cannot be read, or lacks the upper bands of `sr`.
    """
    import numpy as np

    from undin import audio
    from undin.errors import InputError

    x, sr_file = audio.read(file, nan=nan, truncated=truncated)
    if sr_file < sr:
        raise InputError(
            f"{file} has {sr_file} Hz and no upper bands for a model at {sr} Hz: "
            f"remove it, or fit with --set sr={sr_file}"
        )
    return audio.resample(np.atleast_2d(x).mean(0), sr_file, sr)
