"""ONNX graphs with named states: the only user of onnxruntime.

A graph that undin exported says in its metadata what it is. Its inputs are "X" (B, 2, T, F), real and imaginary part of
the STFT, and one per state; its outputs are the answer, named after its kind, and each state with "_out" behind its
name. B is any, T is any or, where a cell has no ONNX operator, 1: then the frames are looped here. A graph that looks
both ways in time takes "all" frames of a signal at once and has no state. One whose metadata state a "voice" of D
numbers has one more output, "voice" (B, n_src, T', D): each source's voice in each of T' steps.

Nothing in a file is trusted: its bytes must match the checksum in its metadata before they are parsed, the metadata
must have the right types and moderate sizes, and each answer must have the right shape and finite values.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin.errors import InputError, WeightsError

FORMAT = 2  # 1 has no checksum
CHECKSUM, UNSEALED = re.compile(rb'"checksum": "([0-9a-f]{64})"'), "0" * 64
# Real or complex gain of the delayed X, or a real gain for each of n_src; Y itself; K numbers for each bin.
OUTPUTS = ("mask", "shares", "spectrum", "embedding")
FRAMES = ("any", 1, "all")  # T that a graph takes
KINDS = {
    "method": str,
    "config": dict,
    "states": dict,
    "lookahead": int,
    "parameters": int,
    "card": dict,
    "weights": str,
}
VOICE = "voice"
MOST_STATE, MOST_LOOKAHEAD, MOST_K = 2**24, 1024, 256  # numbers in all states, frames, numbers per bin or voice
USE_GPU = "UNDIN_GPU"  # in the environment: run on the GPU where this onnxruntime can
LIVE = 16  # calls with one frame of one signal, after which a session for them alone is worth its memory
LARGEST = 1e6  # absolute value of an output, relative to the input for a spectrum
Planes = NDArray[np.float32]  # (B, 1, 2, n_src or K, T, F)
States = dict[str, NDArray[np.float32]]  # each (B, ...)


class Runner:
    """A graph ready to run; pickles as its path, and refuses another file that has come there since.

    Args:
        path: an .onnx file that undin exported.
        threads: for the linear algebra of one call; the matrices of a frame are too small for more than one.

    Attributes:
        meta: what `undin.training.export` wrote of the graph.
        digest: SHA-256 of the file, in hexadecimal.
        n_bytes: size of the file.
        shapes: of the states, without the batch.
        n_freq: F.
        voice: D; 0 for a graph that does not describe voices.

    Raises:
        InputError: no such file.
        WeightsError: the file is damaged, newer than this version or no graph of undin's.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 1) -> None:
        self.path, self.threads = Path(path).resolve(), threads
        if not self.path.is_file():
            raise InputError(f"{path}: no such file; expected a model written by `undin export`")
        model = self.path.read_bytes()
        self.n_bytes, self.digest = len(model), hashlib.sha256(model).hexdigest()
        sealed, self._n_live = _check_seal(self.path, model), 0
        self._live: Any = None
        self._session = _open(self.path, model, threads)
        try:
            self.meta = _read_meta(self.path, self._session.get_modelmeta().custom_metadata_map, sealed)
            self.shapes: dict[str, tuple[int, ...]] = {name: tuple(x) for name, x in self.meta["states"].items()}
            self.voice: int = self.meta.get(VOICE) or 0
            self._outputs = [self.meta["output"], *(f"{name}_out" for name in self.shapes), *[VOICE][: self.voice]]
            self.n_freq = _check_signature(self.path, self._session, self.shapes, self._outputs)
        except UnicodeDecodeError as error:
            raise _damaged(self.path, error) from error

    def initial_state(self, batch: int) -> States:
        """The states before the first frame: zeros, (batch, ...) each."""
        return {name: np.zeros((batch, *shape), np.float32) for name, shape in self.shapes.items()}

    def run(self, X: Planes, state: States) -> tuple[Planes, States]:
        """Answer the next frames.

        Args:
            X: (B, 2, T, F) float32, T >= 1.
            state: what `initial_state` or the last call gave.

        Returns:
            The answer, (B, 1 or 2, T, F) of a mask or spectrum, (B, n_src, T, F) of masks, (B, K, T, F) of an
            embedding; and the next state, with "voice" where there is one.

        Raises:
            WeightsError: the graph fails, or answers with a wrong shape, NaN or huge values.
        """
        X = np.ascontiguousarray(X, np.float32)
        if self.meta["frames"] != 1 or X.shape[2] == 1:
            return self._call(X, state)
        outs = []
        for t in range(X.shape[2]):
            out, state = self._call(np.ascontiguousarray(X[:, :, t : t + 1]), state)
            outs.append(out)
        return np.concatenate(outs, 2), state

    def _call(self, X: Planes, state: States) -> tuple[Planes, States]:
        try:
            session = self._session if X.shape[0] * X.shape[2] > 1 else self._session_for_live()
            out, *states = session.run(self._outputs, {"X": X, **{name: state[name] for name in self.shapes}})
        except Exception as error:  # onnxruntime's own have no common base
            raise self._fails(_first_line(error)) from error
        new = dict(zip((*self.shapes, *[VOICE][: self.voice]), states, strict=True))
        self._check_answer(X, out, new)
        return out, new

    def _session_for_live(self) -> Any:
        """The session for one frame of one signal: B and T are known, so all shapes are worked out beforehand.

        It takes longer to open than a packet lasts, so that is done beside.
        """
        if self._n_live < LIVE:
            self._n_live += 1
            if self._n_live >= LIVE:
                Thread(target=self._open_live, name="undin-session").start()
        return self._live or self._session

    def _open_live(self) -> None:
        with suppress(WeightsError):  # the file is gone, but what is running goes on
            self._live = _open(self.path, self._read_again(), self.threads, {"B": 1, "T": 1})

    def _read_again(self) -> bytes:
        try:
            model = self.path.read_bytes()
        except OSError as error:
            raise WeightsError(f"{self.path} was removed while in use ({error.strerror}): put it back") from error
        if hashlib.sha256(model).hexdigest() != self.digest:
            raise WeightsError(f"{self.path} was replaced while in use: start again")
        return model

    def _check_answer(self, X: Planes, out: Any, new: States) -> None:
        B, _, *frames = X.shape
        n_src, n = self.meta.get("n_src"), (self.meta.get("n_src") or 0) + 1
        counts = {"mask": (n_src,) if n_src else (1, 2), "shares": (n, 2 * n), "spectrum": (2,)}
        allowed = counts.get(self.meta["output"], range(1, MOST_K + 1))
        if out.ndim != 4 or out.shape[1] not in allowed or out.shape != (B, out.shape[1], *frames):
            raise self._fails(f"its {self.meta['output']} has the shape {out.shape}")
        for name, shape in self.shapes.items():
            if new[name].shape != (B, *shape):
                raise self._fails(f"its state {name} has the shape {new[name].shape}")
        if self.voice and not _is_voice(new[VOICE], (B, n_src or 0, self.voice), frames[0]):
            raise self._fails(f"its voice has NaN or the shape {new[VOICE].shape}")
        largest = LARGEST * (1 + np.abs(X).max(initial=0)) if self.meta["output"] == "spectrum" else LARGEST
        if not (out.max(initial=0) <= largest and out.min(initial=0) >= -largest):  # NaN is neither
            raise self._fails(f"its {self.meta['output']} has NaN or values above {largest:.0e}")

    def _fails(self, what: str) -> WeightsError:
        return WeightsError(f"{self.path} cannot be used ({what}): train and export it again, or use another model")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None, "_live": None}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.__dict__.update(attributes)
        self._session = _open(self.path, self._read_again(), self.threads)


def open_graph(path: Path, threads: int = 1) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Open a graph of another project that has one input; returns a function that returns its first output.

    Args:
        path: an .onnx file.
        threads: for the linear algebra of one call.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    try:
        session = _open(path, path.read_bytes(), threads)
    except OSError as error:
        raise WeightsError(f"cannot read {path} ({error.strerror}): reinstall its package") from error
    name = session.get_inputs()[0].name
    return lambda x: np.asarray(session.run(None, {name: x})[0])


def _providers(ort: Any) -> list[str]:
    gpu = ["CUDAExecutionProvider"] if os.environ.get(USE_GPU) else []
    return [name for name in (*gpu, "CPUExecutionProvider") if name in ort.get_available_providers()]


def _open(path: Path, model: bytes, threads: int, sizes: Mapping[str, int] = MappingProxyType({})) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    for name, size in sizes.items():
        options.add_free_dimension_override_by_name(name, size)
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what goes wrong is raised
    # Weights kept as int8 become float32 once, here; else each call would do it (28 times slower at one frame).
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return ort.InferenceSession(model, options, providers=_providers(ort))
    except Exception as error:  # onnxruntime's own have no common base
        raise WeightsError(
            f"{path} is damaged or is not an .onnx graph exported by undin "
            f"({_first_line(error)}): export it again, or get a new copy"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def seal(model: bytes) -> bytes:
    """Write its checksum into a serialized model, whose metadata say `"checksum": UNSEALED`."""
    entry = b'"checksum": "%s"'
    return model.replace(entry % UNSEALED.encode(), entry % hashlib.sha256(model).hexdigest().encode(), 1)


def _check_seal(path: Path, model: bytes) -> bool:
    """Refuse bytes that differ from their checksum; whether they have one."""
    found = CHECKSUM.search(model)
    if found is None:
        return False
    start, end = found.span(1)
    if hashlib.sha256(model[:start] + UNSEALED.encode() + model[end:]).hexdigest().encode() != found[1]:
        raise WeightsError(f"{path} is damaged or was modified (checksum mismatch): export it again, or get a new copy")
    return True


def _read_meta(path: Path, entries: dict[str, str], sealed: bool) -> dict[str, Any]:
    """The file's metadata, checked for format and types."""
    if "undin" not in entries:
        raise WeightsError(f"{path} is an .onnx graph, but not one that undin exported: use undin export")
    try:
        meta: dict[str, Any] = json.loads(entries["undin"])
        newer = meta["format"] > FORMAT
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error
    if newer:
        raise WeightsError(
            f"{path} was written by a newer undin (format {meta['format']}; this one reads {FORMAT}): upgrade undin"
        )
    if meta["format"] != 1 and not sealed:
        raise _damaged(path, "its checksum is missing")
    _check_meta(path, meta)
    return meta


def _check_meta(path: Path, meta: dict[str, Any]) -> None:
    for name, kind in KINDS.items():
        if type(meta.get(name)) is not kind:
            raise _damaged(path, f"its {name} must be a {kind.__name__}; got {repr(meta.get(name))[:80]}")
    for name, choices in {"output": OUTPUTS, "frames": FRAMES, "n_src": (None, *range(2, 9))}.items():
        if meta.get(name) not in choices:
            known = ", ".join(map(str, choices))
            raise _damaged(path, f"its {name} must be one of {known}; got {repr(meta.get(name))[:80]}")
    voice = meta.get(VOICE) or 0
    if type(voice) is not int or not 0 <= voice <= MOST_K or (voice and not meta.get("n_src")):
        raise _damaged(path, f"its voice must be 0 to {MOST_K}, and 0 without n_src; got {voice!r}")
    if not 0 <= meta["lookahead"] <= MOST_LOOKAHEAD:
        raise _damaged(path, f"its lookahead must be 0 to {MOST_LOOKAHEAD}; got {meta['lookahead']}")
    shapes = list(meta["states"].values())
    if not all(isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape) for shape in shapes):
        raise _damaged(path, "each of its states must be a list of non-negative integers")
    if sum(map(math.prod, shapes)) > MOST_STATE:
        raise _damaged(path, f"its states must have at most {MOST_STATE} numbers")


def _is_voice(V: Any, sizes: tuple[int, ...], T: int) -> bool:
    """Whether V is (B, n_src, T', D) with 1 <= T' <= T and finite."""
    return V.ndim == 4 and (*V.shape[:2], V.shape[3]) == sizes and 1 <= V.shape[2] <= T and bool(np.isfinite(V).all())


def _damaged(path: Path, what: object) -> WeightsError:
    return WeightsError(f"{path} is damaged in its metadata ({what}): export it again, or get a new copy")


def _check_signature(path: Path, session: Any, shapes: dict[str, tuple[int, ...]], outputs: list[str]) -> int:
    """Refuse a graph whose inputs and outputs are not those that its metadata promise; give its F."""
    inputs = {node.name: tuple(node.shape[1:]) for node in session.get_inputs()}
    X = inputs.pop("X", ())
    missing = sorted({*outputs, *shapes} - {*inputs, *(node.name for node in session.get_outputs())})
    if len(X) == 3 and X[0] == 2 and isinstance(X[2], int) and inputs == shapes and not missing:
        return X[2]
    raise WeightsError(
        f"{path}: its graph takes X {X} and states {inputs}, but its metadata say X (2, T, F), states {shapes} and "
        f"outputs {outputs}: export it again"
    )
