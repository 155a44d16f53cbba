"""The plugin in the hosts that people have: those of ladspa-sdk, and ffmpeg."""

import os
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from compiled import needs_cc

import undin
from undin.errors import InputError
from undin.native import build_ladspa, make_library
from undin.native.build import find_compiler

pytestmark = needs_cc
RATE = 48000


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not on this machine")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    return build_ladspa(make_library("lull"), tmp_path_factory.mktemp("ladspa") / "undin_lull.so")


@pytest.fixture
def noisy(tmp_path):
    """0.5 s of stereo on disk, as 16-bit samples."""
    x = np.random.default_rng(0).standard_normal((2, RATE // 2)).astype(np.float32)
    x *= 0.1 * np.sin(np.linspace(0, 9, x.shape[1], dtype=np.float32))
    undin.write(tmp_path / "noisy.wav", x, RATE)
    return tmp_path / "noisy.wav"


def expected(path, limit_db=None):
    x, sr = undin.read(path)
    return undin.load("lull").stream(sr, limit_db=limit_db).process(x, equal=True)


@needs("analyseplugin")
def test_a_host_sees_ports_and_ranges(plugin):
    output = subprocess.run(["analyseplugin", plugin], capture_output=True, text=True, check=True).stdout
    for text in (
        'Label: "undin_lull"', 'Label: "undin_lull_stereo"', '"Limit (dB)" input, control, 0 to 60, default 60',
        '"latency" output, control', '"Output right" output, audio', "Normal or Hard Real-Time",
    ):  # fmt: skip
        assert text in output, output


@needs("applyplugin")
@pytest.mark.parametrize("limit_db", [60, 12])
def test_applyplugin_gives_what_python_gives(plugin, noisy, limit_db):
    out = noisy.with_name("out.wav")
    args = ["applyplugin", noisy, out, plugin, "undin_lull_stereo", str(limit_db)]
    done = subprocess.run(args, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    y = expected(noisy, None if limit_db == 60 else limit_db)
    assert np.abs(undin.read(out)[0] - y).max() < 2 / 32768  # it writes 16-bit samples


@needs("ffmpeg")
def test_ffmpeg_gives_what_python_gives(plugin, noisy):
    out = noisy.with_name("out.wav")
    chain = f"ladspa=file={plugin}:plugin=undin_lull_stereo:controls=c0=20"
    args = ["ffmpeg", "-v", "error", "-i", noisy, "-af", chain, "-c:a", "pcm_f32le", out]
    done = subprocess.run(args, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.abs(undin.read(out)[0] - expected(noisy, 20.0)).max() < 1e-5


def test_the_compiler_may_have_arguments(monkeypatch):
    monkeypatch.setitem(os.environ, "CC", "cc -g 'a b'")
    assert find_compiler() == [shutil.which("cc"), "-g", "a b"]


@pytest.mark.parametrize("name", ["o'neil/cc", "my tools/cc", "back\\slash/cc"])
def test_the_path_of_a_compiler_may_have_any_characters(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.parent.mkdir()
    path.touch(0o755)
    monkeypatch.setitem(os.environ, "CC", str(path))
    assert find_compiler() == [str(path)]


@pytest.mark.parametrize("command", [r"C:\mingw64\gcc.exe -g", r'"C:\mingw64\gcc.exe" -g'])
def test_paths_of_windows_keep_their_backslashes(monkeypatch, command):
    monkeypatch.setattr("undin.native.build.os", SimpleNamespace(name="nt", environ={"CC": command}))
    monkeypatch.setattr("undin.native.build.shutil.which", {r"C:\mingw64\gcc.exe": "found"}.get)
    assert find_compiler() == ["found", "-g"]


def test_a_quote_that_is_not_closed_is_said(monkeypatch):
    monkeypatch.setitem(os.environ, "CC", "cc 'a b")
    with pytest.raises(InputError, match=r"CC is not a command .* set it to the path of a C compiler"):
        find_compiler()


def test_no_compiler_is_said(monkeypatch):
    monkeypatch.setitem(os.environ, "PATH", "/nowhere")
    monkeypatch.setitem(os.environ, "CC", "")
    with pytest.raises(InputError, match="none was found: install gcc or clang, or set CC"):
        find_compiler()


@needs("sox")
def test_sox_gives_what_python_gives_without_the_latency(plugin, noisy):
    out = noisy.with_name("out.wav")
    chain = ["ladspa", "-l", "undin_lull", "undin_lull_stereo", "20"]
    args = ["sox", "-D", noisy, "-b", "32", "-e", "floating-point", out, *chain]
    done = subprocess.run(args, capture_output=True, text=True, env={**os.environ, "LADSPA_PATH": str(plugin.parent)})
    assert done.returncode == 0, done.stderr
    y, _sr = undin.read(out)
    ref = undin.enhance(*undin.read(noisy), method="lull", limit_db=20)
    assert y.shape == ref.shape
    assert np.abs(y - ref).max() < 1e-5
