"""Checkpoint -> .onnx: what `undin.runner` runs without torch.

The graph is traced with B and T left open; weights may be stored in half or a quarter of the bytes. They become float32
again when the graph is opened, so that all arithmetic is in float32 and only the rounding of the weights is lost.
"""

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import undin
from undin import provenance
from undin.atomic import atomic_write
from undin.checks import check
from undin.errors import InputError
from undin.runner import FORMAT, UNSEALED, Runner, seal
from undin.spectrum import Array
from undin.training.checkpoint import Loaded, load_weights
from undin.training.nets import Network
from undin.training.stft import Stft

Weights = Literal["fp32", "fp16", "int8", "mixed"]
OPSET = 17
MIN_SIZE = 1024  # smaller arrays stay float32: they are biases and statistics, and cost nothing
# Which axis of a weight counts the outputs, each with its own int8 scale; input 0 is the signal.
OUTPUT_AXIS = {("Conv", 1): 0, ("ConvTranspose", 1): 1, ("MatMul", 1): -1, ("Gemm", 1): 1}
OUTPUT_AXIS |= {(cell, i): 1 for cell in ("GRU", "LSTM", "RNN") for i in (1, 2)}
BIASES = {(cell, 3) for cell in ("GRU", "LSTM", "RNN")}  # in half also where weights are int8: few, and they add up
RECURRENT = {(cell, 2) for cell in ("GRU", "LSTM", "RNN")}  # read a state of -1 to 1, which bounds the error of int8


def export(checkpoint: Path, path: Path, *, weights: Weights = "fp32", card: dict[str, Any]) -> Path:
    """Write the graph of a trained network.

    Args:
        checkpoint: see `undin.training.checkpoint`.
        path: the .onnx file; written to a temporary file and renamed.
        weights: how they are stored: "fp32"; "fp16" in half; "int8" in a quarter of the bytes, one scale per output;
            "mixed" the recurrent ones as int8, the others in half.
        card: what users should know, entries of `undin.methods.Card`.

    Returns:
        path.

    Raises:
        InputError: weights or path break a rule, or the file cannot be written.
        WeightsError: the checkpoint is damaged or of another kind.
    """
    check("weights", weights, Weights)
    if path.suffix != ".onnx":
        raise InputError(f"path must end in .onnx; got {path}: undin.load tells files apart by it")
    return write_graph(load_weights(checkpoint), path, weights=weights, card=card)


def write_graph(loaded: Loaded, path: Path, *, weights: Weights = "fp32", card: dict[str, Any]) -> Path:
    """`export` of a network that is in memory.

    Args:
        loaded: the network, its name and config.
        path, weights, card: as in `export`.
    """
    try:
        with TemporaryDirectory() as folder:  # of this user alone: libraries open the graph by its name
            draft = Path(folder, "graph.onnx")
            model = _trace(loaded.net, loaded.config.n_fft // 2 + 1, draft)
            _finish(model, loaded, weights, card)
            draft.write_bytes(graph := seal(model.SerializeToString(deterministic=True)))
            Runner(draft)
        with atomic_write(path, "wb") as file:
            file.write(graph)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}): choose another folder, or free some space"
        ) from error
    return path


def _finish(model: onnx.ModelProto, loaded: Loaded, weights: Weights, card: dict[str, Any]) -> None:
    """Shrink a traced graph and add its metadata."""
    if weights != "fp32":
        _shrink(model.graph, weights)
    for node in model.graph.node:
        node.doc_string = ""
    model.producer_name, model.producer_version = "undin", undin.__version__
    helper.set_model_props(model, {"undin": json.dumps(_describe(loaded, weights, card))})
    onnx.checker.check_model(model)


def _describe(loaded: Loaded, weights: Weights, card: dict[str, Any]) -> dict[str, Any]:
    net = loaded.net
    return {
        "checksum": UNSEALED,
        "format": FORMAT,
        "method": loaded.name,
        "config": {name: _plain(value) for name, value in vars(loaded.config).items()},
        "output": net.output,
        "lookahead": net.lookahead,
        "frames": net.frames,
        "n_src": net.n_src,
        "voice": net.voice,
        "states": {name: list(value.shape[1:]) for name, value in net.initial_state(1).items()},
        "weights": weights,
        "parameters": sum(p.numel() for name, p in net.named_parameters() if not name.startswith(net.training_only)),
        "card": {"version": "1", **card},
        "undin": undin.__version__,
        "commit": provenance.commit(),
    }


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


class _Flat(nn.Module):
    """A network whose states are positional, as a graph's are."""

    def __init__(self, net: Network, names: list[str]) -> None:
        super().__init__()
        self.net, self.names = net, names

    def forward(self, X: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        before, V = dict(zip(self.names, states, strict=True)), list[Tensor]()
        if self.net.voice:
            out, voice, new = self.net.describe(X, before)
            V = [voice]
        else:
            out, new = self.net(X, before)
        return (out, *(new[name] for name in self.names), *V)


def _trace(net: Network, n_freq: int, path: Path) -> onnx.ModelProto:
    """Trace by TorchScript: the newer exporter fixes T in GRU and LSTM (torch 2.13), and takes 30 times as long."""
    state = net.eval().initial_state(2)
    X = torch.randn(2, 2, 1 if net.frames == 1 else 5, n_freq, generator=torch.Generator().manual_seed(0))
    outputs = [net.output, *(f"{name}_out" for name in state)]
    open_axes: dict[str, dict[int, str]] = {name: {0: "B"} for name in (*state, *outputs[1:])}
    if net.voice:
        outputs.append("voice")
        open_axes["voice"] = {0: "B", 2: "T_voice"}
    open_axes |= {name: {0: "B"} if net.frames == 1 else {0: "B", 2: "T"} for name in ("X", outputs[0])}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*legacy TorchScript-based ONNX export")
        warnings.filterwarnings("ignore", category=DeprecationWarning, message="The feature will be removed")
        warnings.filterwarnings("ignore", module=r"torch\.nn\.modules\.rnn", message="Converting a tensor to a Python")
        warnings.filterwarnings("ignore", category=UserWarning, message="Exporting a model to ONNX with a batch_size")
        torch.onnx.export(
            _Flat(net, list(state)).eval(),  # or the exporter would leave the network in training mode
            (X, *state.values()),
            path,
            input_names=["X", *state],
            output_names=outputs,
            dynamic_axes=open_axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load(path)


def _shrink(graph: onnx.GraphProto, weights: Weights) -> None:
    """Store the large weights of `graph` in fewer bytes, each behind a node that makes it float32 again."""
    axes, halves = {}, set()
    for node in graph.node:
        for i, name in enumerate(node.input):
            if (node.op_type, i) in BIASES | (OUTPUT_AXIS.keys() - RECURRENT if weights == "mixed" else set()):
                halves.add(name)
            if (node.op_type, i) in OUTPUT_AXIS:
                turned = any(a.name == "transB" and a.i for a in node.attribute)
                axes[name] = 0 if turned else OUTPUT_AXIS[node.op_type, i]
    nodes = []
    for tensor in list(graph.initializer):
        W = numpy_helper.to_array(tensor)
        if tensor.name not in axes.keys() | halves or W.dtype != np.float32 or W.size < MIN_SIZE:
            continue
        stored = f"{tensor.name}.{weights}"
        graph.initializer.remove(tensor)
        if (weights == "fp16" or tensor.name in halves) and np.abs(W).max() < np.finfo(np.float16).max:
            graph.initializer.append(numpy_helper.from_array(W.astype(np.float16), stored))
            nodes.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
        elif weights in ("int8", "mixed") and tensor.name in axes:
            axis = axes[tensor.name] % W.ndim
            Q, scale = _quantize(W, axis)
            graph.initializer.append(numpy_helper.from_array(Q, stored))
            graph.initializer.append(numpy_helper.from_array(scale, f"{tensor.name}.scale"))
            nodes.append(
                helper.make_node("DequantizeLinear", [stored, f"{tensor.name}.scale"], [tensor.name], axis=axis)
            )
        else:
            graph.initializer.append(tensor)
    for node in reversed(nodes):
        graph.node.insert(0, node)


def _quantize(W: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """W ~ Q · scale with one scale for each index of `axis`, Q in -127 ... 127."""
    others = tuple(i for i in range(W.ndim) if i != axis)
    scale = np.maximum(np.abs(W).max(others, keepdims=True), 1e-12) / np.float32(127)
    return np.round(W / scale).astype(np.int8), scale.reshape(-1).astype(np.float32)


def loss_db(loaded: Loaded, path: Path, x: Array) -> float:
    """Error of a file's output relative to the network's own, in dB of the latter's energy.

    Args:
        loaded: the exported network.
        path: the .onnx file.
        x: (n_samples,), the input.
    """
    c, net = loaded.config, loaded.net
    X = Stft(c.n_fft, c.hop_length, c.window)(torch.from_numpy(x.astype(np.float32))[None])
    with torch.no_grad():
        ref = net(X, net.initial_state(1))[0].numpy()
    runner = Runner(path)
    est, _ = runner.run(X.numpy(), runner.initial_state(1))
    error = float(np.sum((est - ref) ** 2)) / max(float(np.sum(ref**2)), 1e-30)
    return 10 * float(np.log10(max(error, 1e-30)))


__all__ = ["Weights", "export", "loss_db", "write_graph"]
