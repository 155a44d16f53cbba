"""Read an ONNX graph without the onnx package: the few messages and fields of its protobuf that undin's graphs use.

A message is a row of (tag, value): tag = field number * 8 + wire type, and the wire type says how long the value is.

Source: https://protobuf.dev/programming-guides/encoding and onnx.proto of ONNX 1.17.
"""

import struct
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin.errors import WeightsError

Fields = dict[int, list[Any]]
# Number of a tensor's type in onnx.proto -> what numpy calls it.
DTYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8"}
# Where a tensor of that type keeps its values when they are not one run of bytes.
TYPED = {1: 4, 2: 5, 3: 5, 6: 5, 7: 7, 9: 5, 11: 10}


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        op: its ONNX name, e.g. "MatMul".
        inputs: names of values; "" for one that is left out.
        outputs: names of values.
        attributes: numbers, text, arrays or lists by name.
    """

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Operations in the order in which they can run.

    Attributes:
        nodes: the operations.
        weights: arrays by name.
        inputs: names of inputs -> their axes, -1 for those left open.
        outputs: names.
    """

    nodes: list[Node]
    weights: dict[str, NDArray[Any]]
    inputs: dict[str, tuple[int, ...]]
    outputs: list[str]


def read_graph(model: bytes) -> Graph:
    """Parse a serialized model.

    Args:
        model: the contents of an .onnx file.

    Raises:
        WeightsError: not an ONNX model, or one with parts that undin never writes.
    """
    try:
        graph = _parse(_parse(model)[7][0])
        weights = dict(map(_tensor, graph[5]))
        inputs = dict(map(_input, graph[11]))
        return Graph(list(map(_node, graph[1])), weights, inputs, [_text(_parse(out)[1]) for out in graph[12]])
    except (IndexError, KeyError, ValueError, TypeError, struct.error) as error:
        raise WeightsError(f"the model is not a graph that undin exported ({error}): export it again") from error


def _parse(message: bytes) -> Fields:
    """The fields of a message: number -> values, as integers or as bytes still to be parsed."""
    fields: Fields = defaultdict(list)
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        value: Any
        if kind == 0:
            value, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = message[at : at + size], at + size
        else:
            raise ValueError(f"wire type {kind}")
        fields[tag >> 3].append(value)
    return fields


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first; and where the next value begins."""
    value = shift = 0
    while True:
        byte = message[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def _text(values: list[bytes]) -> str:
    return values[-1].decode() if values else ""


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _integers(values: list[Any]) -> list[int]:
    """A repeated integer, written one by one or packed."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(_signed(value))
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(_signed(number))
    return found


def _tensor(message: bytes) -> tuple[str, NDArray[Any]]:
    fields = _parse(message)
    kind, shape = fields[2][0], _integers(fields[1])
    dtype = np.dtype(DTYPES[kind])
    if fields[9]:
        array = np.frombuffer(fields[9][0], dtype)
    elif kind in (1, 11):
        array = np.frombuffer(b"".join(fields[TYPED[kind]]), dtype)
    else:
        array = np.array(_integers(fields[TYPED[kind]]), dtype)
    return _text(fields[8]), array.reshape(shape)


def _attribute(message: bytes) -> tuple[str, Any]:
    fields = _parse(message)
    kind = fields[20][0]
    values: dict[int, Callable[[], Any]] = {
        1: lambda: struct.unpack("<f", fields[2][0])[0],
        2: lambda: _signed(fields[3][0]) if fields[3] else 0,
        3: lambda: fields[4][0].decode() if fields[4] else "",
        4: lambda: _tensor(fields[5][0])[1],
        6: lambda: list(np.frombuffer(b"".join(fields[7]), "<f4")),
        7: lambda: _integers(fields[8]),
        8: lambda: [text.decode() for text in fields[9]],
    }
    return _text(fields[1]), values[kind]()


def _node(message: bytes) -> Node:
    fields = _parse(message)
    inputs, outputs = ([name.decode() for name in fields[number]] for number in (1, 2))
    return Node(_text(fields[4]), inputs, outputs, dict(map(_attribute, fields[5])))


def _input(message: bytes) -> tuple[str, tuple[int, ...]]:
    fields = _parse(message)
    tensor = _parse(_parse(fields[2][0])[1][0])
    axes = [_parse(axis) for axis in _parse(tensor[2][0])[1]]
    return _text(fields[1]), tuple(axis[1][0] if axis[1] else -1 for axis in axes)
