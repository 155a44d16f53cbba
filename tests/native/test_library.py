"""C against the Python stream: the same samples, whatever the network, rate, channels and sizes of blocks."""

import ctypes
import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from compiled import Compiled, build, compile_c, needs_cc

import undin
from undin.audio import resample
from undin.errors import InputError
from undin.native import make_library
from undin.native.library import TEMPLATES

BLOCKS = [1, 4096, 2, 480, 511, 512, 513, 7, 1024]
RATES = [8000, 16000, 44100, 48000]
LIMIT_DB = {"lull": 12.0}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Libraries by name, each compiled once; only the default is optimized, which takes the compiler a while."""
    found: dict[str, Compiled] = {}

    def get(name: str) -> Compiled:
        if name not in found:
            found[name] = build(name, tmp_path_factory.mktemp(name), "-O2" if name == "lull" else "-O0")
        return found[name]

    return get


@pytest.fixture(scope="module")
def voice():
    """A voice in rain, (2, n_samples) at 16 kHz, with less noise on the right."""
    corpus = undin.corpora.mini().select(split="test")
    clean = corpus.load(corpus.speech[0])[8000:24000]
    noise = corpus.load(corpus.select(kind="rain").noise[0])
    left, right = (undin.mixing.mix(clean, noise, snr_db=snr_db).noisy for snr_db in (3.0, 9.0))
    return np.stack([left, 0.5 * right])


def expected(method, x, sr, limit_db=None):
    stream = method.stream(sr, limit_db=limit_db)
    y = [stream.process(x[:, i : i + 1000], equal=True) for i in range(0, x.shape[1], 1000)]
    return np.concatenate(y, -1).reshape(-1, x.shape[1]), stream.latency


@needs_cc
@pytest.mark.parametrize("name", ["lull", "cmask", "lstm-mask", "mann", "dnn"])
@pytest.mark.parametrize("sr", RATES)
def test_it_is_the_python_stream(compiled, voice, name, sr):
    lib, n = compiled(name), sr // 2
    noise = 0.1 * np.random.default_rng(sr).standard_normal((1, n)).astype(np.float32)
    speech = resample(voice, 16000, sr).astype(np.float32)[:, :n]
    speech += 1e-3 * noise  # a floor as recordings have: networks amplify the rounding errors of empty bands
    for x in (speech, noise):
        y, latency = expected(lib.method, x, sr, LIMIT_DB.get(name))
        lib.start(sr, len(x), LIMIT_DB.get(name))
        assert lib.call("latency") == latency
        est = lib.process(x, BLOCKS)
        assert np.abs(y).max() > 1e-4
        assert np.abs(est - y).max() < 1e-5
        lib.call("reset")
        np.testing.assert_array_equal(lib.process(x, [n]), est)


@needs_cc
def test_single_samples_and_other_rates(compiled, voice):
    lib = compiled("lull")
    for sr in (11025, 22050, 32000):
        x = resample(voice, 16000, sr).astype(np.float32)[:, : sr // 2]
        y, _ = expected(lib.method, x, sr)
        lib.start(sr, 2)
        assert np.abs(lib.process(x, [1]) - y).max() < 1e-5


@needs_cc
def test_every_instruction_set_gives_the_same(compiled, voice):
    """The struct says which one it runs: 0 for plain C, 2 for the best."""
    lib = compiled("lull")
    lib.start(16000, 2)
    target = ctypes.cast(lib.state, ctypes.POINTER(ctypes.c_int))[5:6]
    y = lib.process(voice, BLOCKS)
    for lower in range(target[0]):
        lib.start(16000, 2)
        ctypes.cast(lib.state, ctypes.POINTER(ctypes.c_int))[5] = lower
        assert 0 < np.abs(lib.process(voice, BLOCKS) - y).max() < 1e-5


@needs_cc
def test_a_limit_of_zero_is_the_input_late(compiled, voice):
    lib = compiled("lull")
    lib.start(16000, 2, 0.0)
    y = lib.process(voice, [480])
    np.testing.assert_allclose(y[:, 512:], voice[:, :-512], atol=1e-5)
    assert not y[:, :512].any()


@needs_cc
def test_a_limit_that_is_nan_is_no_limit(compiled, voice):
    lib = compiled("lull")
    lib.start(16000, 1)
    y = lib.process(voice[:1], [480])
    lib.start(16000, 1, np.nan)
    np.testing.assert_array_equal(lib.process(voice[:1], [480]), y)


@needs_cc
def test_nan_and_infinity_count_as_zeros(compiled, voice):
    lib, x, zeros = compiled("lull"), voice[:1].copy(), voice[:1].copy()
    x[0, 3000], x[0, 5000], x[0, 5001] = np.nan, np.inf, -np.inf
    zeros[0, [3000, 5000, 5001]] = 0
    lib.start(16000, 1)
    y = lib.process(x, [480])
    lib.start(16000, 1)
    np.testing.assert_array_equal(y, lib.process(zeros, [480]))


@needs_cc
def test_rates_and_channels_that_it_does_not_know(compiled):
    lib = compiled("lull")
    for sr, n_channels in ((7999, 1), (48001, 1), (16000, 0), (16000, 3)):
        assert lib.call("init", sr, n_channels) == -1


@needs_cc
@pytest.mark.parametrize("name", ["lull", "dnn", "lstm-mask", "blstm-mask"])
def test_the_example_is_clean_for_sanitizers(tmp_path, voice, name):
    library = make_library(name)
    library.write(tmp_path)
    program = tmp_path / "denoise"
    checks = ["-g", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    compile_c(*checks, tmp_path / "example.c", tmp_path / f"{library.name}.c", "-o", program, "-lm")
    for sr in (8000, 44100, 48000):
        x = resample(voice, 16000, sr).astype(np.float32)[:1, : sr // 2]
        y = library.method(x, sr).reshape(-1, x.shape[1])
        done = subprocess.run([program, str(sr)], input=x.tobytes(), capture_output=True)
        assert done.returncode == 0 and re.fullmatch(rb"latency: \d+ samples\n", done.stderr)
        if library.method.causal:
            assert int(done.stderr.split()[1]) == library.method.stream(sr).latency
        assert np.abs(np.frombuffer(done.stdout, np.float32).reshape(x.shape[1], -1).T - y).max() < 2e-5
    assert subprocess.run([program, "4000"], capture_output=True).returncode == 2


def test_the_example_is_short():
    assert len((TEMPLATES / "example.c").read_text().splitlines()) <= 30


def test_a_description_of_voices_is_left_out(tmp_path):
    pytest.importorskip("torch")
    from undin.methods.twain import TwainConfig
    from undin.training.checkpoint import Loaded
    from undin.training.export import write_graph
    from undin.training.nets.twain import Twain

    small = TwainConfig(causal=True, heads=0, patch_frames=1, channels=8, blocks=1, scene=8)
    nets = [Twain(replace(small, voice=voice)).eval() for voice in (0, 4)]
    nets[0].load_state_dict({name: x for name, x in nets[1].state_dict().items() if name in nets[0].state_dict()})
    written = []
    for net in nets:
        folder = tmp_path / str(net.voice)
        folder.mkdir()
        path = write_graph(Loaded("twain", net.config, net), folder / "small.onnx", card={})
        assert undin.load(path).has_voice == bool(net.voice)
        make_library(path).write(folder)
        written.append(re.sub(r"/\*.*?\*/", "", (folder / "undin_small_net.h").read_text(), flags=re.DOTALL))
    assert len(written[0]) > 1000 and written[0] == written[1]


def test_what_is_no_network_with_a_mask_is_refused():
    with pytest.raises(InputError, match="deep-clustering returns an embedding"):
        make_library("deep-clustering")
    with pytest.raises(InputError, match="log-mmse is not a network: export lull"):
        make_library("log-mmse")
    with pytest.raises(InputError, match="did you mean lull"):
        make_library("lul")
