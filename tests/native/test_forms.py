"""Every form of every network, at small sizes: one emitter translates them all."""

import ctypes
import re
from itertools import permutations, product

import numpy as np
import pytest
from compiled import build, compile_c, needs_cc

pytest.importorskip("torch")

from networks import CASES, network

from undin.errors import InputError, WeightsError
from undin.methods import LEARNED
from undin.native import build_ladspa, make_library
from undin.runner import UNSEALED, seal
from undin.training.export import write_graph


@needs_cc
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_form(case, tmp_path):
    loaded = network(*case)
    if loaded.net.output == "embedding" or loaded.name not in LEARNED or case[1].get("heads"):
        pytest.skip("an embedding, or attention")
    if loaded.net.frames == "all" and loaded.net.voice:  # C does not follow talkers by their voices
        loaded = network(case[0], {**case[1], "voice": 0})
    weights = ("fp32", "fp16", "int8")[CASES.index(case) % 3]
    lib = build(write_graph(loaded, tmp_path / "my own-net.onnx", weights=weights, card={}), tmp_path / "c", "-O0")
    assert lib.name == "undin_my_own_net"
    x = 0.1 * np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32)
    for sr, n_channels in ((16000, 1), (44100, 2), (8000, 2)):
        y = lib.method(x[:n_channels], sr).reshape(-1, 4000)
        lib.start(sr, n_channels)
        if loaded.net.frames != "all":
            assert lib.call("latency") == lib.method.stream(sr).latency
        assert np.abs(lib.process_file(x[:n_channels], 33) - y).max() < 1e-5 * max(1, np.abs(y).max())


@needs_cc
def test_a_network_for_the_full_band(tmp_path):
    """Lower rates have part of its bins; 44.1 kHz has frames of another length."""
    case = next(settings for name, settings in CASES if name == "lull")
    frame = {"sr": 48000, "n_fft": 192, "hop_length": 96, "band_bins": (2, 2, 4, 8, 16, 64)}
    frame |= {"upper_limit_db": 18.0, "clean_db": 10.0}
    loaded = network("lull", {**case, **frame})
    lib = build(write_graph(loaded, tmp_path / "net.onnx", weights="mixed", card={}), tmp_path / "c", "-O0")
    x = 0.1 * np.random.default_rng(0).standard_normal((2, 9600)).astype(np.float32)
    for sr, n_channels in product((8000, 16000, 44100, 48000), (1, 2)):
        stream = lib.method.stream(sr, limit_db=20.0)
        lib.start(sr, n_channels, 20.0)
        assert lib.call("latency") == stream.latency
        y = stream.process(x[:n_channels], equal=True)
        assert np.abs(lib.process(x[:n_channels], [1, 4096, 480, 97]) - y).max() < 1e-5 < np.abs(y).max()


@needs_cc
def test_a_long_file_is_three_chunks(tmp_path):
    name, settings = next(case for case in CASES if case[0] == "blstm-mask")
    loaded = network(name, {**settings, "speeds": (0.8, 1.1)})
    lib = build(write_graph(loaded, tmp_path / "net.onnx", weights="fp32", card={}), tmp_path / "c", "-O1")
    x = 0.1 * np.random.default_rng(0).standard_normal((1, 60 * 8000)).astype(np.float32)
    y = lib.method(x, 8000).reshape(-1, x.shape[1])
    for _ in range(2):
        lib.start(8000, 1)
        assert np.abs(lib.process_file(x) - y).max() < 1e-5


@needs_cc
def test_talkers_keep_their_order_from_chunk_to_chunk(tmp_path):
    """The order that is most alike, of all that there are."""
    name, settings = next(case for case in CASES if case[0] == "blstm-mask")
    loaded = network(name, {**settings, "talkers": 3, "embedding": 0})
    library = make_library(write_graph(loaded, tmp_path / "net.onnx", weights="fp32", card={}))
    library.write(tmp_path)
    sort = "void sort(double alike[3][3], int *order);\nvoid sort(double alike[3][3], int *order) "
    (tmp_path / "sort.c").write_text(f'#include "undin_net.c"\n{sort}{{ sort_sources(alike, order, 0); }}\n')
    compile_c("-O0", "-shared", "-fPIC", tmp_path / "sort.c", "-o", tmp_path / "sort.so", "-lm")
    for seed in range(20):
        alike = np.random.default_rng(seed).random((3, 3))
        order = np.arange(3, dtype=np.intc)
        ctypes.CDLL(str(tmp_path / "sort.so")).sort(
            alike.ctypes.data_as(ctypes.c_void_p), order.ctypes.data_as(ctypes.c_void_p)
        )
        best = max(permutations(range(3)), key=lambda order: alike[range(3), order].sum())
        assert tuple(order) == best


def test_attention_is_refused(tmp_path):
    case = next(case for case in CASES if case[1].get("heads"))
    with pytest.raises(WeightsError, match="grows faster than the length of the signal"):
        make_library(write_graph(network(*case), tmp_path / "net.onnx", weights="fp32", card={}))


def test_a_plugin_needs_a_causal_network(tmp_path):
    with pytest.raises(InputError, match="blstm-mask needs the whole signal: a plugin needs a causal network"):
        build_ladspa(make_library("blstm-mask"), tmp_path / "plugin.so")


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
