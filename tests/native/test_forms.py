"""Every causal form of every network, at small sizes: one emitter translates them all."""

import re

import numpy as np
import pytest
from compiled import build, needs_cc

pytest.importorskip("torch")

from networks import CASES, network

from undin.methods import LEARNED
from undin.native import build_ladspa
from undin.runner import UNSEALED, seal
from undin.training.export import write_graph


@needs_cc
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_causal_form(case, tmp_path):
    loaded = network(*case)
    if loaded.net.frames == "all" or loaded.net.output == "embedding" or loaded.name not in LEARNED:
        pytest.skip("not a causal network with a mask or a spectrum")
    weights = ("fp32", "fp16", "int8")[CASES.index(case) % 3]
    lib = build(write_graph(loaded, tmp_path / "my own-net.onnx", weights=weights, card={}), tmp_path / "c", "-O0")
    assert lib.name == "undin_my_own_net"
    x = 0.1 * np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32)
    for sr, n_channels in ((16000, 1), (44100, 2), (8000, 2)):
        stream = lib.method.stream(sr)
        y = stream.process(x[:n_channels], equal=True).reshape(-1, 4000)
        lib.start(sr, n_channels)
        assert lib.call("latency") == stream.latency
        assert np.abs(lib.process(x[:n_channels], [1, 100, 33]) - y).max() < 1e-5 * max(1, np.abs(y).max())


@needs_cc
def test_words_of_a_model_file_stay_words(tmp_path):
    loaded = network(*CASES[[name for name, _ in CASES].index("dnn")])
    card = {"data": '*/ #error "data" /*\n#error data', "licence": '??/" #error \\'}
    path = write_graph(loaded, tmp_path / 'ä"*.onnx', card=card)
    text = path.read_bytes()
    assert text.count(b"/net/") > 10
    graph = text.replace(b"/net/Log_output_0", b"*/#error Log_put0")  # a name of a value, of the same length
    entry = re.search(rb'"checksum": "([0-9a-f]{64})"', graph)
    assert entry and graph != text
    path.write_bytes(seal(graph.replace(entry[1], UNSEALED.encode())))
    lib = build(path, tmp_path / "c", "-O0")
    assert lib.name == "undin____"
    assert "#error" in lib.library.files["undin____.h"] and "#error" in lib.library.files["undin_____net.h"]
    build_ladspa(lib.library, tmp_path / "plugin.so")
