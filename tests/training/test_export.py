"""Exported weights in any format, metadata, and errors that name the fault of a checkpoint."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import network, spectra
from onnx import numpy_helper

from undin.errors import InputError, WeightsError
from undin.methods import LEARNED
from undin.runner import Runner
from undin.training.checkpoint import load_weights, save_weights
from undin.training.export import export, loss_db, write_graph
from undin.training.nets import NETS


def test_a_network_of_single_frames_is_looped(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(NETS["toy"], "frames", 1, raising=False)
    loaded = network("toy", {})
    runner = Runner(write_graph(loaded, tmp_path / "net.onnx", card={}))
    assert runner.meta["frames"] == 1
    X = spectra(7, 33)
    with torch.no_grad():
        ref, _ = loaded.net(X, loaded.net.initial_state(2))
    np.testing.assert_allclose(runner.run(X.numpy(), runner.initial_state(2))[0], ref.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["dnn", "toy"])
def test_smaller_weights_lose_as_little_as_their_rounding(toy, tmp_path, name):
    loaded = network(name, {"n_hidden": 256} if name == "dnn" else {})
    x = 0.1 * np.random.default_rng(0).standard_normal(16000)
    sizes, losses = [], []
    for weights in ("fp32", "fp16", "int8"):
        path = write_graph(loaded, tmp_path / f"{weights}.onnx", weights=weights, card={})
        assert Runner(path).meta["weights"] == weights
        sizes.append(path.stat().st_size)
        losses.append(loss_db(loaded, path, x))
    assert losses[0] < -110 and losses[1] < -65 and losses[2] < -40 and losses[0] < losses[1] < losses[2]
    if name == "dnn":
        assert sizes[1] < 0.52 * sizes[0] and sizes[2] < 0.27 * sizes[0]


def test_int8_rounds_each_output_with_its_own_scale(toy, tmp_path):
    loaded = network("dnn", {"n_hidden": 64})
    with torch.no_grad():
        loaded.net.head.weight.mul_(torch.logspace(-3, 0, len(loaded.net.head.weight))[:, None])
    model = onnx.load(write_graph(loaded, tmp_path / "net.onnx", weights="int8", card={}))
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    wanted = loaded.net.head.weight.detach().numpy()
    found = [
        arrays[f"{name[:-5]}.scale"] * Q.astype(np.float32)
        for name, Q in arrays.items()
        if name.endswith(".int8") and Q.shape == wanted.T.shape
    ]
    assert len(found) == 1
    scale = np.abs(wanted).max(1) / 127
    assert (np.abs(found[0].T - wanted) <= 0.501 * scale[:, None]).all()


def test_biases_of_recurrent_layers_are_half_where_weights_are_int8(tmp_path):
    loaded = network("lstm-mask", {"n_hidden": 160, "n_layers": 2})  # 8 x 160 biases in each layer
    with torch.no_grad():
        for name, parameter in loaded.net.named_parameters():
            if "bias" in name:
                parameter.uniform_(-1, 1)
    path = write_graph(loaded, tmp_path / "net.onnx", weights="int8", card={})
    graph = onnx.load(path).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_of = {name: node.input[0] for node in graph.node if node.op_type == "Cast" for name in node.output}
    found = [arrays[made_of[node.input[3]]] for node in graph.node if node.op_type == "LSTM"]
    assert [b.dtype for b in found] == [np.float16] * 2 and all(b.size == 1280 for b in found)
    assert loss_db(loaded, path, 0.1 * np.random.default_rng(0).standard_normal(16000)) < -30


def test_mixed_weights_are_int8_where_a_state_is_read_and_half_elsewhere(tmp_path):
    loaded = network("lstm-mask", {"n_hidden": 64, "n_layers": 1})
    x, losses = 0.1 * np.random.default_rng(0).standard_normal(16000), {}
    for weights in ("fp16", "mixed", "int8"):
        path = write_graph(loaded, tmp_path / f"{weights}.onnx", weights=weights, card={})
        losses[weights] = loss_db(loaded, path, x)
        graph = onnx.load(path).graph
        arrays = {tensor.name: numpy_helper.to_array(tensor).dtype for tensor in graph.initializer}
        expanded = [node for node in graph.node if node.op_type in ("Cast", "DequantizeLinear")]
        made_of = {node.output[0]: arrays.get(node.input[0]) for node in expanded}
        dtypes = [made_of[name] for node in graph.node if node.op_type == "LSTM" for name in node.input[1:3]]
        assert dtypes == {"fp16": [np.float16] * 2, "mixed": [np.float16, np.int8], "int8": [np.int8] * 2}[weights]
    assert losses["fp16"] < losses["mixed"] < losses["int8"]


def test_the_file_has_its_metadata(toy, tmp_path):
    config = LEARNED["dnn"].Config(n_hidden=16, n_layers=1)
    net = NETS["dnn"](config)
    checkpoint = save_weights(tmp_path / "best.pt", "dnn", config, net)
    path = export(checkpoint, tmp_path / "net.onnx", card={"data": "a corpus", "licence": "MIT"})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.pt", "net.onnx"]
    meta = Runner(path).meta
    assert (meta["method"], meta["output"], meta["lookahead"], meta["frames"]) == ("dnn", "mask", 3, "any")
    assert meta["parameters"] == sum(p.numel() for p in net.parameters())
    assert meta["states"]["context"] == [8, 257] and meta["config"]["n_hidden"] == 16
    assert meta["card"] == {"version": "1", "data": "a corpus", "licence": "MIT"} and meta["undin"] and "commit" in meta
    assert not any(node.doc_string for node in onnx.load(path).graph.node)  # no paths of the machine it was made on
    assert export(checkpoint, tmp_path / "again.onnx", card=meta["card"]).read_bytes() == path.read_bytes()


def test_a_checkpoint_keeps_tuples_and_gives_back_its_network(toy, tmp_path):
    loaded = network("dnn", {"n_hidden": 16, "window": ("kaiser", 5.0)})
    found = load_weights(save_weights(tmp_path / "best.pt", *loaded))
    assert found.name == "dnn" and found.config == loaded.config and not found.net.training
    for key, value in loaded.net.state_dict().items():
        torch.testing.assert_close(found.net.state_dict()[key], value)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (b"", "is not a checkpoint of `undin train`"),
        (b"PK\x03\x04 torn", "is not a checkpoint of `undin train`"),
        ([1, 2], "net, config and weights are not in it"),
        ({"net": "dnn"}, "net, config and weights are not in it"),
        ({"net": "dnn", "config": {}, "weights": Evil()}, "is not a checkpoint of `undin train`"),
        ({"net": "new", "config": {}, "weights": {}}, "the network 'new'.*upgrade undin"),
        ({"net": "dnn", "config": {"n_hiden": 3}, "weights": {}}, "did you mean n_hidden"),
        ({"net": "dnn", "config": {"n_hidden": 8}, "weights": {}}, "does not fit the network dnn .*Missing key"),
    ],
)
def test_a_bad_checkpoint_is_named(tmp_path, monkeypatch, held, message):
    monkeypatch.chdir(tmp_path)
    path = Path("best.pt")
    if isinstance(held, bytes):
        path.write_bytes(held)
    else:
        torch.save(held, path)
    with pytest.raises(WeightsError, match=message):
        export(path, Path("net.onnx"), card={})
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]


def test_bad_arguments_are_named(toy, tmp_path):
    with pytest.raises(InputError, match="weights must be one of fp32, fp16, int8, mixed; got 'int4'"):
        export(tmp_path / "best.pt", tmp_path / "net.onnx", weights="int4", card={})
    with pytest.raises(InputError, match=r"must end in \.onnx"):
        export(tmp_path / "best.pt", tmp_path / "net.pt", card={})
    with pytest.raises(InputError, match="no such file; expected a checkpoint"):
        export(tmp_path / "best.pt", tmp_path / "net.onnx", card={})
    loaded = network("toy", {})
    with pytest.raises(InputError, match="no such folder"):
        save_weights(tmp_path / "none" / "best.pt", *loaded)
    with pytest.raises(InputError, match="no such folder"):
        write_graph(loaded, tmp_path / "none" / "net.onnx", card={})
