"""An ONNX graph -> a `Program`: frames of one signal, all sizes fixed, whatever is known by then computed now."""

from typing import Any

import numpy as np

from undin.errors import WeightsError
from undin.native.fold import FOLDS, MOVES
from undin.native.onnx_file import Graph, Node
from undin.native.operators import lower
from undin.native.program import Program
from undin.native.values import Constant, Value, View, strides_of


def translate(graph: Graph, output: str, states: list[str], n_frames: int = 1) -> tuple[Program, View, View]:
    """Write a network's step.

    Args:
        graph: with inputs "X" (B, 2, T, F) and the states (B, ...), of which B is 1 here.
        output: name of the answer.
        states: names of the states; the new states end in "_out".
        n_frames: T, the number of frames.

    Returns:
        The program, whose first buffers are the states, and where it takes X and leaves its answer.

    Raises:
        WeightsError: the graph uses operations that undin's networks do not.
    """
    program, values = Program(), dict[str, Value | None]({"": None})
    values.update({name: Constant(array) for name, array in graph.weights.items()})
    for name in states:
        values[name] = program.pin((1, *graph.inputs[name][1:]))
    values["X"] = X = program.pin((1, 2, n_frames, graph.inputs["X"][-1]))
    wanted = [output, *(f"{name}_out" for name in states)]
    for node in _needed(graph.nodes, wanted):
        found = _run(program, node, [values[name] for name in node.inputs])
        values.update(zip(node.outputs, found, strict=False))
    answer = program.view(_known(values[output]))
    Y = program.pin(answer.shape)
    program.note(f"{output} and the states after this frame")
    program.copy_to(answer, Y)
    _keep(program, [(_view(values[name]), program.view(_known(values[f"{name}_out"]))) for name in states])
    return program, X, Y


def _known(value: Value | None) -> Value:
    assert value is not None
    return value


def _view(value: Value | None) -> View:
    assert isinstance(value, View)
    return value


def _needed(nodes: list[Node], wanted: list[str]) -> list[Node]:
    """Those that the requested outputs depend on, in order."""
    names, kept = set(wanted), []
    for node in reversed(nodes):
        if names & set(node.outputs):
            names |= set(node.inputs)
            kept.append(node)
    return kept[::-1]


def _keep(program: Program, pairs: list[tuple[View, View]]) -> None:
    """Copy new states over old; those that are parts of old ones first to a separate buffer."""
    old = {state.base for state, _ in pairs}
    pairs = [(state, program.copy(new) if new.base in old else new) for state, new in pairs]
    for state, new in pairs:
        program.copy_to(View(new.base, new.at.reshape(state.shape)), state)


def _run(program: Program, node: Node, inputs: list[Value | None]) -> list[Value]:
    """The outputs of one operation: folded, moved or written as C."""
    if node.op == "Shape":
        return [Constant(np.array(_known(inputs[0]).shape, np.int64))]
    if node.op == "DequantizeLinear":
        return [_dequantize(node, inputs)]
    given = [value for value in inputs if value is not None]
    if all(isinstance(value, Constant) for value in given):
        if node.op not in FOLDS:
            raise WeightsError(f"export to C does not support the operation {node.op} of constants")
        return _list(FOLDS[node.op](node.attributes, *(v.array for v in given if isinstance(v, Constant))))
    first = inputs[0]
    if node.op in MOVES and isinstance(first, View):
        return _move(program, node, first, [v.array for v in given[1:] if isinstance(v, Constant)])
    program.note(f"{node.op}: {node.outputs[0].removeprefix('/net/')}")
    found = lower(program, node, inputs)
    return [Constant(np.zeros(v.shape, np.float32)) if 0 in v.shape else v for v in found]


def _move(program: Program, node: Node, x: View, rest: list[Any]) -> list[Value]:
    """Only addresses change."""
    moved = MOVES[node.op](node.attributes, x.at, *rest)
    if node.op in ("Reshape", "Flatten") and strides_of(np.asarray(moved)) is None:
        x = program.copy(x)  # once and in order, else every reader would do it piece by piece
        moved = MOVES[node.op](node.attributes, x.at, *rest)
    found = moved if isinstance(moved, list) else [moved]
    return [View(x.base, at) if at.size else Constant(np.zeros(at.shape, np.float32)) for at in found]


def _list(found: Any) -> list[Value]:
    return [Constant(np.asarray(array)) for array in (found if isinstance(found, list) else [found])]


def _dequantize(node: Node, inputs: list[Value | None]) -> Constant:
    """Integers times one scale for each index of an axis; both are kept, so that they can be stored unchanged."""
    Q, scale = inputs[:2]
    if not isinstance(Q, Constant) or not isinstance(scale, Constant) or (len(inputs) > 2 and inputs[2] is not None):
        raise WeightsError("export to C supports quantization of weights only")
    shape = [1] * Q.array.ndim
    if scale.array.ndim:
        shape[node.attributes.get("axis", 1)] = -1
    steps = np.broadcast_to(scale.array.reshape(shape), Q.shape)
    return Constant(Q.array.astype(np.float32) * steps, steps)
