"""ONNX graphs with named states: the only user of onnxruntime.

A graph that undin exported says in its metadata what it is. Its inputs are "X" (B, 2, T, F), real and imaginary part of
the STFT, and one per state; its outputs are the answer, named after its kind, and each state with "_out" behind its
name. B is any, T is any or, where a cell has no ONNX operator, 1: then the frames are looped here. A graph that looks
both ways in time takes "all" frames of a signal at once and has no state.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin.errors import InputError, WeightsError

FORMAT = 1
# Real or complex gain of the delayed X, or a real gain for each of n_src; Y itself; K numbers for each bin.
OUTPUTS = ("mask", "spectrum", "embedding")
FRAMES = ("any", 1, "all")  # T that a graph takes
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

    Raises:
        InputError: no such file.
        WeightsError: the file is damaged, newer than this version or no graph of undin's.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 1) -> None:
        self.path, self.threads = Path(path).resolve(), threads
        if not self.path.is_file():
            raise InputError(f"{path} is no file: give a model that undin export wrote")
        model = self.path.read_bytes()
        self.n_bytes, self.digest = len(model), hashlib.sha256(model).hexdigest()
        self._session = _open(self.path, model, threads)
        try:
            self.meta = _read_meta(self.path, self._session.get_modelmeta().custom_metadata_map)
            self.shapes: dict[str, tuple[int, ...]] = {name: tuple(x) for name, x in self.meta["states"].items()}
            self._outputs = [self.meta["output"], *(f"{name}_out" for name in self.shapes)]
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
            embedding; and the next state.
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
        out, *states = self._session.run(self._outputs, {"X": X, **state})
        return out, dict(zip(self.shapes, states, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_session"}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.__dict__.update(attributes)
        try:
            model = self.path.read_bytes()
        except OSError as error:
            raise WeightsError(f"{self.path} is gone since it was loaded ({error.strerror}): put it back") from error
        if hashlib.sha256(model).hexdigest() != self.digest:
            raise WeightsError(f"{self.path} must stay the same while it is used, and it was replaced: start again")
        self._session = _open(self.path, model, self.threads)


def _open(path: Path, model: bytes, threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what goes wrong is raised
    # Weights kept as int8 become float32 once, here; else each call would do it (28 times slower at one frame).
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own have no common base
        raise WeightsError(
            f"{path} must be an .onnx graph that undin exported, and it is damaged or something else "
            f"({_first_line(error)}): export it again, or fetch a fresh copy"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _read_meta(path: Path, entries: dict[str, str]) -> dict[str, Any]:
    """What the file says of itself, of the right format and types."""
    if "undin" not in entries:
        raise WeightsError(f"{path} is an .onnx graph, but not one that undin exported: use undin export")
    try:
        meta: dict[str, Any] = json.loads(entries["undin"])
        newer = int(meta["format"]) > FORMAT
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if newer:
        raise WeightsError(
            f"{path} was made by a newer undin (format {meta['format']}; this one reads up to {FORMAT}): upgrade undin"
        )
    kinds = {"method": str, "config": dict, "output": str, "lookahead": int, "states": dict, "parameters": int}
    for name, kind in {**kinds, "card": dict, "weights": str}.items():
        if not isinstance(meta.get(name), kind):
            raise _damaged(path, f"its {name} must be a {kind.__name__}; got {meta.get(name)!r}")
    told = {"output": OUTPUTS, "frames": FRAMES, "n_src": (None, *range(2, 9))}
    for name, choices in told.items():
        if meta.get(name) not in choices:
            raise _damaged(path, f"its {name} must be one of {', '.join(map(str, choices))}; got {meta.get(name)!r}")
    if meta["lookahead"] < 0:
        raise _damaged(path, f"its lookahead must be 0 or more; got {meta['lookahead']}")
    return meta


def _damaged(path: Path, what: object) -> WeightsError:
    return WeightsError(f"{path} is damaged in its metadata ({what}): export it again, or fetch a fresh copy")


def _check_signature(path: Path, session: Any, shapes: dict[str, tuple[int, ...]], outputs: list[str]) -> int:
    """Refuse a graph whose inputs and outputs are not those that its metadata promise; give its F."""
    inputs = {node.name: tuple(node.shape[1:]) for node in session.get_inputs()}
    X = inputs.pop("X", ())
    missing = sorted({*outputs, *shapes} - {*inputs, *(node.name for node in session.get_outputs())})
    if len(X) == 3 and X[0] == 2 and isinstance(X[2], int) and inputs == shapes and not missing:
        return X[2]
    raise WeightsError(
        f"{path}: its graph takes X {X} and states {inputs}, and its metadata promise X (2, T, F), states {shapes} and "
        f"outputs {outputs}: export it again"
    )
