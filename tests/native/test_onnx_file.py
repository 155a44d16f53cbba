import numpy as np
import pytest

from undin.errors import WeightsError
from undin.methods import METHODS
from undin.native.onnx_file import read_graph
from undin.native.translate import translate

NAMES = ["lull", "cmask", "mann", "lstm-mask", "dnn", "blstm-mask", "deep-clustering"]


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_what_onnx_reads(name):
    onnx = pytest.importorskip("onnx")
    path = METHODS[name]().runner.path
    graph, ref = read_graph(path.read_bytes()), onnx.load(path).graph
    assert graph.outputs == [out.name for out in ref.output]
    axes = {x.name: [axis.dim_value or -1 for axis in x.type.tensor_type.shape.dim] for x in ref.input}
    assert {name: list(shape) for name, shape in graph.inputs.items()} == axes
    assert graph.weights.keys() == {tensor.name for tensor in ref.initializer}
    for tensor in ref.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        np.testing.assert_array_equal(graph.weights[tensor.name], array, strict=True)
    for node, other in zip(graph.nodes, ref.node, strict=True):
        assert (node.op, node.inputs, node.outputs) == (other.op_type, list(other.input), list(other.output))
        for attribute in other.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, onnx.TensorProto):
                np.testing.assert_array_equal(node.attributes[attribute.name], onnx.numpy_helper.to_array(value))
            else:
                assert node.attributes[attribute.name] == (value.decode() if isinstance(value, bytes) else value)


@pytest.mark.parametrize("model", [b"", b"\x00", b"RIFF", bytes(range(200)), b"\x3a\x05hello"])
def test_other_bytes_are_refused(model):
    with pytest.raises(WeightsError, match="not a graph that undin exported"):
        read_graph(model)


def test_an_unknown_operation_is_named(tmp_path):
    onnx = pytest.importorskip("onnx")
    h, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [h.make_tensor_value_info(name, kind, ["B", 2, "T", 5]) for name in ("X", "mask")]
    graph = h.make_graph([h.make_node("Det", ["X"], ["mask"])], "g", ends[:1], ends[1:])
    with pytest.raises(WeightsError, match="does not support the operation Det"):
        translate(read_graph(h.make_model(graph).SerializeToString()), "mask", [])
