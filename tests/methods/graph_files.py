"""A small graph, made by hand: mask_t = P_t / (P_t + P_{t-1} + tiny), P the power, with P_{t-1} as its state."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto as t
from onnx import helper as h
from onnx import numpy_helper as nh

from undin.methods.base import Card
from undin.methods.learned import Learned
from undin.runner import seal


@dataclass(frozen=True)
class HandConfig:
    sr: int = 16000
    n_fft: int = 512
    hop_length: int = 256
    window: Any = "sqrt_hann"
    lookahead: int = 0
    sharpness: float = 1.0


class Hand(Learned):
    id = "hand"
    Config = HandConfig
    card = Card(summary="made by hand", source="none")


TWISTS = {  # a wrong last node
    "nan": h.make_node("Mul", ["sound mask", "nan"], ["mask"]),
    "huge": h.make_node("Mul", ["sound mask", "huge"], ["mask"]),
    "narrow": h.make_node("ReduceSum", ["sound mask", "end"], ["mask"], keepdims=1),
    "short": h.make_node("ReduceSum", ["sound mask", "two"], ["mask"], keepdims=1),
    "flat": h.make_node("ReduceSum", ["sound mask", "two"], ["mask"], keepdims=0),
    "many": h.make_node("Concat", ["sound mask"] * 3, ["mask"], axis=1),
    "fails": h.make_node("Reshape", ["sound mask", "two"], ["mask"]),
}


def power_ratio(X: Any, past: Any) -> Any:
    """What the graph computes, in numpy: X (B, n_freq, T), past (B, n_freq, 1)."""
    P = np.abs(X) ** 2
    return P / (P + np.concatenate([past, P], -1)[..., :-1] + 1e-20)


def write_hand(
    path: Path,
    *,
    lookahead: int = 0,
    output: str = "mask",
    frames: str | int = "any",
    n_freq: int = 257,
    twist: str | None = None,
    **changes: Any,
) -> Path:
    """Write the graph; `twist` spoils its answer; `changes` replace entries of its metadata, None removes one."""
    T = "T" if frames == "any" else 1
    axes = [("zero", [0]), ("end", [-1]), ("two", [2]), ("far", [2**62])]
    nodes = [
        h.make_node("Mul", ["X", "X"], ["square"]),
        h.make_node("ReduceSum", ["square", "one"], ["power"], keepdims=1),
        h.make_node("Concat", ["past", "power"], ["all"], axis=2),
        h.make_node("Slice", ["all", "zero", "end", "two"], ["before"]),
        h.make_node("Slice", ["all", "end", "far", "two"], ["past_out"]),
        h.make_node("Add", ["power", "before"], ["sum"]),
        h.make_node("Add", ["sum", "tiny"], ["total"]),
        h.make_node("Div", ["power", "total"], ["mask" if twist is None else "sound mask"]),
        *([] if twist is None else [TWISTS[twist]]),
        *([] if output == "mask" else [h.make_node("Mul", ["mask", "X"], [output])]),
    ]
    constants = [nh.from_array(np.array(value, np.int64), name) for name, value in (*axes, ("one", [1]))]
    numbers = {"tiny": 1e-20, "nan": np.nan, "huge": 1e38}
    constants += [nh.from_array(np.array(value, np.float32), name) for name, value in numbers.items()]
    shapes = {"X": ["B", 2, T, n_freq], "past": ["B", 1, 1, n_freq]}
    outputs = {output: ["B", 1 if output == "mask" else 2, T, n_freq], "past_out": ["B", 1, 1, n_freq]}
    graph = h.make_graph(
        nodes,
        "hand",
        *([h.make_tensor_value_info(n, t.FLOAT, s) for n, s in each.items()] for each in (shapes, outputs)),
        constants,
    )
    return _write(path, graph, lookahead, output, frames, {"past": [1, 1, n_freq]}, changes)


def write_both_ways(path: Path) -> Path:
    """Write a graph that needs the whole signal: mask_t = P_t over the sum of P over all t."""
    nodes = [
        h.make_node("Mul", ["X", "X"], ["square"]),
        h.make_node("ReduceSum", ["square", "one"], ["power"], keepdims=1),
        h.make_node("ReduceSum", ["power", "two"], ["total"], keepdims=1),
        h.make_node("Div", ["power", "total"], ["mask"]),
    ]
    constants = [nh.from_array(np.array([i], np.int64), name) for i, name in ((1, "one"), (2, "two"))]
    inputs = [h.make_tensor_value_info("X", t.FLOAT, ["B", 2, "T", 257])]
    outputs = [h.make_tensor_value_info("mask", t.FLOAT, ["B", 1, "T", 257])]
    return _write(path, h.make_graph(nodes, "hand", inputs, outputs, constants), 0, "mask", "all", {}, {})


LOW, HIGH = slice(0, 60), slice(60, 200)  # bins of the two talkers that `write_talkers` tells apart
REST, N_BANDS = slice(200, 257), 8


def write_talkers(
    path: Path, *, rest: bool = True, voice: int | None = N_BANDS, steps: int = 1, **changes: Any
) -> Path:
    """Write a graph that separates bins `LOW` from `HIGH`; a voice is its level in each of N_BANDS bands, per frame.

    With `steps` there are so many descriptions of each frame, which is more than a graph may give.
    """
    own = np.zeros((1, 3, 1, 257), np.float32)
    for k, bins in enumerate((LOW, HIGH, REST)):
        own[0, k, 0, bins] = 1
    if not rest:
        own = own[:, :2] + own[:, 2:] / 2
    M = np.concatenate([own, 0 * own], 1) if rest else own
    bands = np.eye(N_BANDS, dtype=np.float32)[np.minimum(np.arange(257) * N_BANDS // 200, N_BANDS - 1)]
    output = "shares" if rest else "mask"
    nodes = [
        h.make_node("Mul", ["X", "X"], ["square"]),
        h.make_node("ReduceSum", ["square", "one"], ["power"], keepdims=1),
        h.make_node("Mul", ["power", "none"], ["nothing"]),
        h.make_node("Add", ["nothing", "M"], [output]),
        h.make_node("Sqrt", ["power"], ["magnitude"]),
        h.make_node("Mul", ["magnitude", "own"], ["parts"]),
        h.make_node("MatMul", ["parts", "bands"], ["voice_once"]),
        h.make_node("Concat", ["voice_once"] * steps, ["voice"], axis=2),
    ]
    weights = {"M": M, "own": own[:, :2], "bands": bands, "none": np.zeros(1, np.float32), "one": np.array([1])}
    inputs = [h.make_tensor_value_info("X", t.FLOAT, ["B", 2, "T", 257])]
    outputs = [h.make_tensor_value_info(output, t.FLOAT, ["B", M.shape[1], "T", 257])]
    outputs += [h.make_tensor_value_info("voice", t.FLOAT, ["B", 2, "steps", N_BANDS])]
    constants = [nh.from_array(value, name) for name, value in weights.items()]
    graph = h.make_graph(nodes, "talkers", inputs, outputs, constants)
    return _write(path, graph, 0, output, "all", {}, {"n_src": 2, "voice": voice, **changes})


def _write(
    path: Path, graph: Any, lookahead: int, output: str, frames: str | int, states: dict[str, Any], changes: Any
) -> Path:
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)])
    model.ir_version = 8
    meta = {
        "format": 1,
        "method": "hand",
        "config": asdict(HandConfig(lookahead=lookahead)),
        "output": output,
        "lookahead": lookahead,
        "frames": frames,
        "states": states,
        "weights": "fp32",
        "parameters": 0,
        "card": {"data": "nothing", "licence": "MIT", "of the future": 1},
        "undin": "0.1.0",
        "commit": None,
    }
    meta |= changes
    h.set_model_props(model, {"undin": json.dumps({k: v for k, v in meta.items() if v is not None})})
    path.write_bytes(seal(model.SerializeToString()))
    return path
