"""The methods: one file each, all with the same call. `METHODS` lists them, `load` returns one."""

import os
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from undin.audio import check_audio, check_axes, read
from undin.checks import check, suggest
from undin.errors import InputError, WeightsError
from undin.methods.base import Card, Look, Method, Nan
from undin.methods.cmask import Cmask
from undin.methods.deep_clustering import DeepClustering
from undin.methods.dnn import DNN
from undin.methods.hush import Hush
from undin.methods.learned import Learned
from undin.methods.log_mmse import LogMMSE
from undin.methods.lull import Lull
from undin.methods.mann import MANN, MANNDNN, MANNLSTM
from undin.methods.nmf import NMF
from undin.methods.separator import Separator, Talkers, Voice, describe_voice
from undin.methods.spectral_gate import SpectralGate
from undin.methods.talker_masks import BLSTMMask, FFMask, LSTMMask
from undin.methods.twain import Twain
from undin.runner import Runner
from undin.spectrum import Array

PROGRAMS = {  # that users know, and may take for methods of undin
    "afftdn", "arnndn", "convtasnet", "deepfilternet", "demucs", "denoiser", "frcrn", "gtcrn", "mossformer",
    "mpsenet", "noisereduce", "resemble", "rnnoise", "sepformer", "speex", "voicefixer",
}  # fmt: skip
LONE_DB = 35.0  # below the loudest talker: near silence; talkers differ by less, and what separators leave by more
WEIGHTS = Path(__file__).parents[1] / "weights"
METHODS: dict[str, Callable[..., Method]] = {
    "spectral-gate": SpectralGate,
    "log-mmse": LogMMSE,
    "nmf": partial(NMF.pretrained, prior=None),
    "nmf-exp": partial(NMF.pretrained, prior="exponential"),
    "nmf-gamma": partial(NMF.pretrained, prior="gamma"),
    "dnn": partial(DNN.load, WEIGHTS / "dnn.onnx"),
    "cmask": partial(Cmask.load, WEIGHTS / "cmask.onnx"),
    "lull": partial(Lull.load, WEIGHTS / "lull.onnx"),
    "hush": partial(Hush.load, WEIGHTS / "hush.onnx"),
    "mann": partial(MANN.load, WEIGHTS / "mann.onnx"),
    "lstm-mask": partial(LSTMMask.load, WEIGHTS / "lstm-mask.onnx"),
    "blstm-mask": partial(BLSTMMask.load, WEIGHTS / "blstm-mask.onnx"),
    "deep-clustering": partial(DeepClustering.load, WEIGHTS / "deep-clustering.onnx"),
}
LEARNED: dict[str, type[Learned]] = {  # method named in an .onnx -> its class
    "dnn": DNN,
    "cmask": Cmask,
    "lull": Lull,
    "hush": Hush,
    "mann": MANN,
    "mann-lstm": MANNLSTM,
    "mann-dnn": MANNDNN,
    "ff-mask": FFMask,
    "lstm-mask": LSTMMask,
    "blstm-mask": BLSTMMask,
    "deep-clustering": DeepClustering,
    "twain": Twain,
}
DEFAULT, LIVE, SEPARATOR = "hush", "lull", "blstm-mask"  # what enhance, streams and separate take
ANY_NUMBER = "deep-clustering"  # of talkers

__all__ = [
    "DEFAULT", "DNN", "LEARNED", "LIVE", "MANN", "MANNDNN", "MANNLSTM", "METHODS", "NMF", "SEPARATOR", "BLSTMMask",
    "Card", "Cmask", "DeepClustering", "FFMask", "Hush", "LSTMMask", "Learned", "LogMMSE", "Look", "Lull",
    "Method", "Nan", "Separator", "SpectralGate", "Talkers", "Twain", "Voice", "enhance", "find_enhancer",
    "find_separator", "find_voice", "load", "lone_order", "loudest_first", "open_separator", "separate",
]  # fmt: skip


def load(name: str | Path = LIVE, **settings: Any) -> Method:
    """Load a method, by default the live enhancer.

    Args:
        name: an id of `METHODS`, or the path of a file that undin saved (.npz) or exported (.onnx).
        settings: changes to the method's config, by name.

    Raises:
        InputError: unknown method, missing file, or unknown setting.
        WeightsError: the file is damaged or not a model.

    >>> load("log-mmse", gain_floor_db=-12).latency_ms
    32.0
    """
    if not isinstance(name, (str, Path)):
        cure = ": call a loaded method as method(x, sr)" if isinstance(name, Method) else ""
        raise InputError(f"expected a method id or the path of a model file; got {name!r}{cure}")
    if str(name) in METHODS:
        return METHODS[str(name)](**settings)
    path = Path(name)
    if path.suffix == ".npz":
        return NMF.load(path).with_settings(**settings)
    if path.suffix == ".onnx":
        runner = Runner(path)
        if (held := runner.meta["method"]) not in LEARNED:
            hint = suggest(held, LEARNED)
            raise WeightsError(f"{path} holds the method {held!r}, unknown to this version ({hint}): upgrade undin")
        return LEARNED[held](runner, **settings)
    hint = suggest(str(name), METHODS, ", or use a saved .npz or .onnx")
    if re.sub(r"[-_ ]", "", str(name).lower()) in PROGRAMS:
        hint = f"{name} is another program; undin compare FILE --cmd '{name}=PROGRAM {{in}} {{out}}' runs it too"
    if str(name) in LEARNED:
        hint = f"undin ships no weights for {name}: train a model (`undin run` lists the recipes) and use its .onnx"
    raise InputError(f"unknown method {str(name)!r}: {hint}")


def enhance(
    x: Array,
    sr: int,
    *,
    method: str | Path | Method = DEFAULT,
    limit_db: float | None = None,
    independent: bool = False,
    nan: Nan = "raise",
    channels_last: bool = False,
    **settings: Any,
) -> Array:
    """Remove noise from speech.

    Args:
        x: (n_samples,) or (..., n_channels, n_samples), floating point, full scale 1.
        sr: sample rate in Hz; any.
        method: an id of `METHODS` ("lull" is faster than the default), the path of a saved model, or what `load`
            returned.
        limit_db: maximum attenuation in dB; None for no limit.
        independent: process channels independently instead of with one linked gain.
        nan: "raise" an InputError at the first NaN or Inf, or "zero" to repair them.
        channels_last: x and y are (n_samples, n_channels), as soundfile has them.
        settings: changes to the method's config, by name.

    Returns:
        y like x in shape, float32 or float64 like x.

    Raises:
        InputError: x or a setting breaks a rule.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((2, 48000)).astype(np.float32) / 10
    >>> y = enhance(x, 48000)
    >>> y.shape, bool(np.std(y) < np.std(x) / 2)
    ((2, 48000), True)
    """
    model = find_enhancer(method, settings, "limit_db", "independent", "nan", "channels_last", "method")
    turn = channels_last and np.ndim(x) > 1
    y = model(np.swapaxes(x, -1, -2) if turn else x, sr, limit_db=limit_db, independent=independent, nan=nan)
    return np.swapaxes(y, -1, -2) if turn else y


def separate(
    x: Array,
    sr: int,
    *,
    talkers: Talkers = "auto",
    denoise: bool = False,
    residual: bool = False,
    voice: str | Path | Array | None = None,
    method: str | Path | Method = SEPARATOR,
    nan: Nan = "raise",
    channels_last: bool = False,
    **settings: Any,
) -> Array:
    """Separate talkers.

    Args:
        x: (n_samples,) or (..., n_channels, n_samples), floating point, full scale 1.
        sr: sample rate in Hz; any.
        talkers: "auto" to judge who talks when (`undin.activity`): a talker's output is silent while the talker is, and
            a lone one has the entire signal. With a number, outputs are left as the method returns them.
        denoise: leave noise out of the talkers; of a method that cannot keep it apart, what `lull` removes before.
        residual: return as one source more, last, what is in none of the others: the noise, or all that is not `voice`.
        voice: return the talker who sounds like this, a file or (n_samples,) at sr, of a method that recognizes voices.
        method: an id of `METHODS`, the path of a saved model that separates, or what `load` gave; the default knows no
            voice and takes two talkers, deep clustering takes any number. With recordings of the two voices themselves,
            learn one: `undin.NMF().fit_talkers([a, b], sr)`.
        nan: "raise" an InputError at the first NaN or Inf, or "zero" to repair them.
        channels_last: x is (n_samples, n_channels), as soundfile has it, and so is each talker.
        settings: changes to the method's config, by name.

    Returns:
        (talkers, *x.shape), two by default, whoever talks; with `residual` one more, with `voice` x.shape and with both
        (2, *x.shape). All sum to x, unless `denoise` leaves out the noise. A lone voice comes
        first, unless the method was fitted to the voices.

    Raises:
        InputError: x or a setting breaks a rule, the method separates another number of talkers or cannot
            recognize voices, or nobody sounds like `voice`.

    >>> import numpy as np
    >>> s = separate(np.zeros(16000, np.float32), 16000)
    >>> s.shape
    (2, 16000)
    """
    keywords = "talkers", "denoise", "residual", "voice", "nan", "channels_last", "method"
    model = find_separator(method, talkers, settings, *keywords)
    turn = channels_last and np.ndim(x) > 1
    wanted = find_voice(model, voice, sr)
    x = check_axes(check_audio(np.swapaxes(x, -1, -2) if turn else x, sr, nan=nan))
    options: dict[str, Any] = {"talkers": talkers, "denoise": denoise, "residual": residual, "nan": nan}
    s = np.empty((open_separator(model, sr, wanted, **options).n_out, *x.shape), x.dtype)
    for row in np.ndindex(x.shape[:-2]):
        one = open_separator(model, sr, wanted, **options)
        y = np.concatenate([one.process(x[row]), one.flush()], -1)
        if not wanted and not model.knows_talkers:
            y[: model.n_src] = loudest_first(y[: model.n_src])
        s[:, *row] = y
    s = np.swapaxes(s, -1, -2) if turn else s
    return s[0] if wanted and not residual else s


def find_enhancer(method: str | os.PathLike[str] | Method, settings: dict[str, Any], *keywords: str) -> Method:
    """Get a method that enhances ready.

    Args:
        method: an id, a path or a method.
        settings: changes to its config.
        keywords: of the caller, which an unknown setting may have meant.

    Raises:
        InputError: it separates, or a setting breaks a rule.
    """
    model = _ready(method, settings, *keywords)
    if model.n_src:
        raise InputError(f"{model.id!r} separates {model.n_src} talkers: use separate, or another method")
    return model


def find_separator(
    method: str | os.PathLike[str] | Method, talkers: Talkers, settings: dict[str, Any], *keywords: str
) -> Method:
    """Prepare a method that separates the given number of talkers, or any with "auto".

    Args:
        method: an id, a path or a method.
        talkers: how many.
        settings: changes to its config.
        keywords: of the caller, which an unknown setting may have meant.

    Raises:
        InputError: it enhances, or separates another number of talkers; or a setting breaks a rule.
    """
    check("talkers", talkers, Talkers)
    model = _ready(method, settings, *keywords)
    if talkers != "auto" and model.adjusts("talkers"):
        model = model.with_settings(talkers=talkers)
    if model.n_src != talkers and not (talkers == "auto" and model.n_src):
        if not model.n_src:
            raise InputError(f"{model.id!r} enhances; it does not separate talkers: use enhance, or another method")
        cure = f"use {ANY_NUMBER}, or a model for {talkers} talkers"
        raise InputError(f"{model.id!r} separates {model.n_src} talkers; got talkers={talkers!r}: {cure}")
    return model


def open_separator(model: Method, sr: int, voice: Voice | None = None, **options: Any) -> Separator:
    """Start a separation, behind the live enhancer if noise is to be kept apart and the model cannot do it.

    Args:
        model: separates.
        sr: sample rate of the recording in Hz.
        voice, options: as in `Separator`.
    """
    helps = not model.has_rest and (options.get("denoise") or options.get("residual"))
    return Separator(model, sr, voice=voice, enhancer=_enhancer() if helps else None, **options)


@cache
def _enhancer() -> Method:
    return load(LIVE)


def find_voice(model: Method, voice: str | os.PathLike[str] | Array | None, sr: int) -> Voice | None:
    """Describe the voice of a sample; None for none.

    Args:
        model: separates.
        voice: a file, or (n_samples,).
        sr: of samples that are no file, in Hz.

    Raises:
        InputError: the model does not recognize voices, the file cannot be read, or nobody talks in it.
    """
    if voice is None:
        return None
    if isinstance(voice, (str, os.PathLike)):
        return describe_voice(model, *read(Path(voice)), str(voice))
    return describe_voice(model, voice, sr)


def loudest_first(s: Array) -> Array:
    """Put a lone voice first: where a talker is near silence (`LONE_DB`), talkers come in the order of their energy.

    Args:
        s: (n_src, ..., n_samples).

    Returns:
        s, or its talkers in another order.
    """
    energies = np.square(s, dtype=np.float64).reshape(len(s), -1).sum(-1)
    _, order = lone_order(energies.tolist())
    return s if order == list(range(len(s))) else s[order]


def lone_order(energies: Sequence[float]) -> tuple[int, list[int]]:
    """How many talkers are near silence, and the order of all: unchanged, or by energy where some are.

    >>> lone_order([0.5, 1.0]), lone_order([1e-5, 1.0])
    ((0, [0, 1]), (1, [1, 0]))
    """
    n_silent = sum(energy < max(energies) * 10 ** (-LONE_DB / 10) for energy in energies)
    order = list(range(len(energies)))
    return n_silent, sorted(order, key=lambda i: -energies[i]) if n_silent else order


def _ready(method: str | os.PathLike[str] | Method, settings: dict[str, Any], *keywords: str) -> Method:
    """The method with its settings; a name that it does not know may be meant for a keyword of the caller."""
    model = method if isinstance(method, Method) else load(method if isinstance(method, str) else Path(method))
    model.check_names(settings, keywords)
    return model.with_settings(**settings) if settings else model
