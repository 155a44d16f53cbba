"""undin takes the din out of speech: noise removal and talker separation, and the evaluation of both.

The package is laid out as the data flows (docs/flow.md walks through it):

    errors     the four errors
    audio      file, pipe, array <-> x          read, write, blocks, resample
    spectrum   x <-> X                          the only STFT
    stream     blocks of frames -> y            drives every method, whole or live
    runner     runs an .onnx graph              named states; the only user of onnxruntime
    methods    one file per method              METHODS, load, enhance, separate
    metrics    one file per metric              si_sdr, sdr, stoi, pesq, composite, wer ...
    pictures   spectrograms, waveforms          page: players in one HTML file
    corpora    sources of audio                 known layouts, plain folders, the built-in mini corpus
    mixing     utterances -> mixtures           SNR, manifests, to disk or on the fly
    jobs       files in, files out              plans, workers, resume
    evaluation methods x mixtures               scores, report
    training   networks, with torch              fit, export; the only user of torch
    experiment a recipe's stages                mix, train, enhance, evaluate
    serve      HTTP and WebSocket               the only user of starlette and uvicorn
    cli        the commands
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from undin.version import __version__ as __version__

if TYPE_CHECKING:
    from undin import corpora, metrics, mixing, page, pictures
    from undin.audio import blocks, info, read, resample, write
    from undin.errors import InputError, MissingExtraError, UndinError, WeightsError
    from undin.jobs import enhance_file, separate_file
    from undin.methods import METHODS, NMF, LogMMSE, Method, SpectralGate, enhance, load, separate
    from undin.spectrum import istft, stft
    from undin.stream import Stream

# Public name -> where it lives; loaded on first use, so that `import undin` costs next to nothing.
_HOME = {
    **dict.fromkeys(("read", "write", "blocks", "info", "resample"), "undin.audio"),
    **dict.fromkeys(("UndinError", "InputError", "WeightsError", "MissingExtraError"), "undin.errors"),
    **dict.fromkeys(
        ("METHODS", "Method", "LogMMSE", "SpectralGate", "NMF", "load", "enhance", "separate"), "undin.methods"
    ),
    **dict.fromkeys(("stft", "istft"), "undin.spectrum"),
    **dict.fromkeys(("enhance_file", "separate_file"), "undin.jobs"),
    "Stream": "undin.stream",
}
_ROOMS = frozenset(
    [
        "audio",
        "corpora",
        "errors",
        "evaluation",
        "experiment",
        "jobs",
        "methods",
        "metrics",
        "mixing",
        "page",
        "pictures",
        "runner",
        "spectrum",
        "stream",
    ]
)

__all__ = [
    "METHODS", "NMF", "InputError", "LogMMSE", "Method", "MissingExtraError", "SpectralGate", "Stream", "UndinError",
    "WeightsError", "blocks", "corpora", "enhance", "enhance_file", "info", "istft", "load", "metrics", "mixing",
    "page", "pictures", "read", "resample", "separate", "separate_file", "stft", "write",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _ROOMS:
        value = import_module(f"undin.{name}")
    else:
        raise AttributeError(f"module 'undin' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS, *(name for name in globals() if name.startswith("__"))})
