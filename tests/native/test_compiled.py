"""A network compiled for this process: the same samples as `Stream`, built once, in a private folder."""

import gc
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from compiled import compile_c, needs_cc

from undin.errors import InputError, WeightsError
from undin.methods import load
from undin.native import Compiled, CompiledPackets, make_library
from undin.native.build import build_engine
from undin.packets import Packets, process_packets

BLOCKS = [1, 777, 2, 0, 480, 4096]
HOST = """
#include <stdlib.h>
#include <string.h>
typedef struct { void *stream; const void *in; void *out; int n, width, clipped; float keep; } Job;
void undin_load(void);
void *undin_open(int rate, int channels);
void undin_reset(void *);
void undin_close(void *);
void undin_process(Job *, int);
int main(void) {
    undin_load();
    Job jobs[2] = {{undin_open(48000, 8), 0, 0, 1000, 2, 0, 0.0f}, {undin_open(44100, 1), 0, 0, 3000, 4, 0, 0.5f}};
    if (undin_open(48001, 1) || undin_open(16000, 9))
        return 1;
    for (int j = 0; j < 2; j++) {
        int bytes = jobs[j].n * jobs[j].width * (j ? 1 : 8);
        void *in = malloc(bytes);
        memset(in, 60 + j, bytes);
        jobs[j].in = in;
        jobs[j].out = malloc(bytes);
    }
    for (int i = 0; i < 3; i++)
        undin_process(jobs, 2);
    undin_reset(jobs[0].stream);
    for (int j = 0; j < 2; j++) {
        undin_close(jobs[j].stream);
        free((void *)jobs[j].in);
        free(jobs[j].out);
    }
    return 0;
}
"""
FAKE_CC = """#!/bin/sh
while [ "$1" != -o ]; do shift; done
echo "not a library" > "$2"
"""
DAEMONS = """
import atexit, threading, time
atexit.register(time.sleep, 0.5)  # runs last: the threads go on while all else is finalized
import numpy as np
from undin.native import Compiled
lull, x = Compiled(), np.zeros(64000, np.float32)
def work(stream):
    while True:
        stream.process(x)
streams = [lull.stream(16000) for _ in range(2)]
for stream in streams:
    threading.Thread(target=work, args=[stream], daemon=True).start()
while not all(stream.n_in for stream in streams):
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache, monkeypatch):
    monkeypatch.setenv("UNDIN_CACHE", str(cache))


@pytest.fixture
def lull():
    """Compiled by the first test that asks."""
    return Compiled()


@pytest.fixture
def fake_cc(tmp_path, monkeypatch):
    """A compiler that always succeeds, and an empty cache."""
    path = tmp_path / "fake-cc"
    path.write_text(FAKE_CC)
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    monkeypatch.setenv("UNDIN_CACHE", str(tmp_path / "cache"))
    return path


def chunked(stream, x, *, equal):
    at, parts = 0, []
    while at < x.shape[-1]:
        n = BLOCKS[len(parts) % len(BLOCKS)]
        parts.append(stream.process(x[..., at : at + n], equal=equal))
        at += n
    return np.concatenate([*parts, stream.flush()], -1)


def noise(*shape, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@needs_cc
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("sr, lead", [(8000, ()), (16000, (1,)), (44100, (2,)), (48000, (8,))])
def test_it_is_the_python_stream(lull, sr, lead, equal):
    x = noise(*lead, sr // 4)
    stream, expected = lull.stream(sr, limit_db=20), chunked(lull.method.stream(sr, limit_db=20), x, equal=equal)
    for _ in range(2):  # flush starts another signal
        y = chunked(stream, x, equal=equal)
        assert y.shape == expected.shape and y.dtype == np.float32
        assert np.abs(y - expected).max() < 1e-5
    assert stream.latency == lull.method.stream(sr).latency


@needs_cc
def test_strength_reset_and_channels_may_change_between_signals(lull):
    x, stream = noise(2, 8000), lull.stream(16000)
    y = stream.process(x, equal=True)
    stream.limit_db = 0
    assert np.abs(stream.flush() - x[:, -512:])[:, 448:].max() < 1e-5  # the input comes back
    stream.limit_db = None
    mono = stream.process(x[0], equal=True)
    stream.reset()
    np.testing.assert_array_equal(stream.process(x[0], equal=True), mono)
    stream.reset()
    np.testing.assert_array_equal(stream.process(x, equal=True), y)


@needs_cc
def test_what_a_compiled_stream_refuses(lull):
    stream = lull.stream(16000)
    stream.process(noise(100))
    with pytest.raises(InputError, match="at sample 103"):
        stream.process(np.array([0, 0, 0, np.nan], np.float32))
    with pytest.raises(InputError, match=r"takes .n_channels, n_samples.; got 3 axes"):
        lull.stream(16000).process(noise(1, 1, 100))
    with pytest.raises(InputError, match="at most 8 channels; got 9"):
        lull.stream(16000).process(noise(9, 100))
    for chunk in (noise(9, 100), noise(1, 1, 100)):  # a chunk that is refused changes nothing
        stream.reset()
        with pytest.raises(InputError, match="a compiled stream"):
            stream.process(chunk)
        assert stream.n_in == 0
        stream.process(noise(2, 100))
    for sr in (7999, 48001):
        with pytest.raises(InputError, match="8000 to 48000 Hz"):
            lull.stream(sr)


@needs_cc
def test_numbers_of_numpy_are_integers_too(lull):
    x = noise(2, 1000)
    expected = lull.stream(16000).process(x, equal=True)
    np.testing.assert_array_equal(lull.stream(np.int64(16000)).process(x, equal=True), expected)
    packets = CompiledPackets(lull, np.int64(16000), np.int64(2), "FLOAT", limit_db=None)
    assert packets.process(x.T.tobytes()) == expected.T.tobytes()


@needs_cc
def test_memory_is_released_when_the_channels_change(lull, monkeypatch):
    close, closed = lull.library.undin_close, []
    monkeypatch.setattr(lull.library, "undin_close", lambda handle: (closed.append(handle), close(handle)))
    stream, handles = lull.stream(16000), []
    for x in (noise(100), noise(2, 100), noise(8, 100)):
        stream.process(x)
        stream.reset()
        assert closed == handles
        handles.append(stream._handle)
    del stream
    gc.collect()
    assert closed == handles


@needs_cc
def test_daemon_threads_may_process_while_python_ends(lull):
    assert subprocess.run([sys.executable, "-c", DAEMONS]).returncode == 0


@needs_cc
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_packets_are_those_of_python(lull, subtype):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((4800, 2)) * [0.1, 1.0]).clip(-1, 0.999)
    data = np.rint(32768 * x).astype("<i2").tobytes() if subtype == "PCM_16" else x.astype("<f4").tobytes()
    signals = [kind(m, 16000, 2, subtype, limit_db=6) for kind, m in ((CompiledPackets, lull), (Packets, lull.method))]
    answers = [b"", b""]
    for at in range(0, len(data), 4096):
        parts = process_packets(signals, [data[at : at + 4096]] * 2)
        answers = [a + part for a, part in zip(answers, parts, strict=True)]
    dtype = "<i2" if subtype == "PCM_16" else "<f4"
    y, expected = (np.frombuffer(a + s.flush(), dtype) for a, s in zip(answers, signals, strict=True))
    assert len(y) == len(expected) == 2 * (4800 + 512)
    assert np.abs(y - expected.astype(float)).max() <= (1 if subtype == "PCM_16" else 1e-5)
    assert signals[0].flush() == b""
    assert signals[0].n_clipped == signals[1].n_clipped == 0


@needs_cc
def test_clipped_samples_are_counted(lull):
    x = np.tile(np.int16([32000, -32000, 8000, 100]), (4000, 1))
    kinds = ((CompiledPackets, lull, "PCM_16"), (CompiledPackets, lull, "FLOAT"), (Packets, lull.method, "PCM_16"))
    ours, floats, theirs = (kind(network, 16000, 4, subtype, limit_db=0) for kind, network, subtype in kinds)
    for packets in (ours, floats, theirs):
        packets.stream.keep = 2.0  # twice the input minus the enhanced: above full scale, which is rare otherwise
    answer = np.frombuffer(ours.process(x.tobytes()), "<i2")
    y = np.frombuffer(floats.process((x / np.float32(32768)).tobytes()), "<f4")
    theirs.process(x.tobytes())
    n_clipped = np.count_nonzero(np.abs(y) > 1)
    assert ours.n_clipped == theirs.n_clipped == n_clipped > 100 and floats.n_clipped == 0
    np.testing.assert_array_equal(answer, np.rint(32768 * y).clip(-32768, 32767))


@needs_cc
def test_a_bad_packet_is_refused_alone_and_changes_nothing(lull):
    good, bad, cut = (CompiledPackets(lull, 16000, 1, kind, limit_db=None) for kind in ("PCM_16", "FLOAT", "PCM_16"))
    nan = np.array([0, np.nan], "<f4").tobytes()
    answers = process_packets([good, bad, cut], [bytes(640), nan, bytes(3)])
    assert answers[0] == bytes(640)
    assert "got nan at sample 1 " in str(answers[1]) and "2 bytes each" in str(answers[2])
    with pytest.raises(InputError, match="got nan at sample 1 "):
        bad.process(nan)
    x = noise(1000)
    assert bad.process(x.tobytes()) == CompiledPackets(lull, 16000, 1, "FLOAT", limit_db=None).process(x.tobytes())


@needs_cc
def test_threads_have_streams_of_their_own(lull):
    xs = [noise(16000, seed=i) for i in range(8)]
    alone = [lull.stream(16000).process(x) for x in xs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: lull.stream(16000).process(x), xs))
    for y, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(y, expected)


@needs_cc
def test_it_is_built_once_in_a_private_folder(lull, cache, monkeypatch):
    monkeypatch.setenv("PATH", "")  # where a compiler would be
    monkeypatch.delenv("CC", raising=False)
    Compiled("lull")
    (path,) = (cache / "compiled").iterdir()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    mode = path.stat().st_mode
    path.chmod(0o666)
    with pytest.raises(InputError, match="can be written by other users: remove it"):
        Compiled()
    path.chmod(mode)


@needs_cc
def test_a_compiler_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDIN_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", "false")
    said = []
    with pytest.raises(WeightsError, match="could not build"):
        Compiled(say=said.append)
    assert said == ["compiling lull; later starts reuse the result"]
    assert not list((tmp_path / "compiled").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="no modes of files on this system")
def test_a_library_is_private_under_any_umask(fake_cc):
    before = os.umask(0o002)
    try:
        path = build_engine(load("lull"))
        assert build_engine(load("lull")) == path
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="no shell scripts on this system")
@pytest.mark.parametrize("damaged", [b"", b"not a lib", b"not a librarY\n"])
def test_a_damaged_library_is_built_again(fake_cc, damaged):
    said, method = [], load("lull")
    path = build_engine(method, said.append)
    intact = path.read_bytes()
    path.write_bytes(damaged)
    assert build_engine(method, said.append).read_bytes() == intact
    assert build_engine(method, said.append) == path
    assert len(said) == 2


@pytest.mark.skipif(os.name != "posix", reason="no shell scripts on this system")
def test_a_library_that_cannot_be_loaded_and_another_compiler(fake_cc, monkeypatch):
    said = []
    for flags in ("", " -O1", " -O1"):
        monkeypatch.setenv("CC", f"{fake_cc}{flags}")
        with pytest.raises(InputError, match=r"cannot be loaded \(.*\): remove it, or set UNDIN_CACHE"):
            Compiled(say=said.append)
    assert len(said) == 2


def test_without_a_compiler_or_a_place(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDIN_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be used .Not a directory.: set UNDIN_CACHE"):
        Compiled()
    monkeypatch.setenv("UNDIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="install gcc or clang, or set CC"):
        Compiled()


@pytest.mark.parametrize("name", ["log-mmse", "blstm-mask"])
def test_only_causal_networks(name):
    with pytest.raises(InputError, match=f"only causal networks can be compiled, and {name} is not one"):
        Compiled(name)


@needs_cc
def test_the_engine_is_clean_for_sanitizers(tmp_path):
    library = make_library("lull")
    library.write(tmp_path)
    (tmp_path / "engine.c").write_text(library.fill("engine.c"))
    (tmp_path / "host.c").write_text(HOST)
    checks = ["-g", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    settings = ["-DUNDIN_LULL_SHARED", "-DUNDIN_LULL_MAX_CHANNELS=8"]
    sources = [tmp_path / name for name in ("host.c", "engine.c", "undin_lull.c")]
    compile_c(*checks, *settings, *sources, "-o", tmp_path / "host", "-lm")
    done = subprocess.run([tmp_path / "host"], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
