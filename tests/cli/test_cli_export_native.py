import shutil
import sys
from pathlib import Path

import pytest

from undin.methods import WEIGHTS


def test_a_method_becomes_c(undin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = undin("export", "lull", "--to", "c", "-o", "denoiser")
    assert (code, err) == (0, "")
    files = {"undin_lull.h", "undin_lull.c", "undin_lull_net.h", "undin_lull_weights.h", "example.c"}
    assert {path.name for path in Path("denoiser").iterdir()} == files
    for text in (
        "1.67 MB of weights",
        "latency 32 ms",
        "cc -O2 -o denoise denoiser/example.c denoiser/undin_lull.c -lm",
    ):
        assert text in out, out
    again = undin("export", "lull", "--to", "c", "-o", "denoiser")
    assert again[::2] == (2, "undin: denoiser/undin_lull.h already exists: use --overwrite, or choose another -o\n")
    assert undin("export", "lull", "--to", "c", "-o", "denoiser", "--overwrite", "-q") == (0, "", "")


@pytest.mark.parametrize(
    "args, cure",
    [
        (["log-mmse", "--to", "c"], "log-mmse is not a network: export lull"),
        (["blstm-mask", "--to", "ladspa"], "needs the whole signal: a plugin needs a causal network"),
        (["lul", "--to", "c"], "did you mean lull"),
        (["lull", "--to", "c", "-o", "a.txt"], "a.txt is a file: choose a folder for -o"),
    ],
)
def test_impossible_exports_are_one_line_errors(undin, tmp_path, monkeypatch, args, cure):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").touch()
    code, _, err = undin("export", *args)
    assert code == 2 and err.count("\n") == 1 and cure in err


def test_a_folder_that_cannot_be_made_is_said(undin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("undin.native.build.require", lambda *_, **__: None)
    Path("a.txt").touch()
    for to in ("c", "wasm"):
        code, _, err = undin("export", "lull", "--to", to, "-o", "a.txt/web")
        assert (code, err) == (2, "undin: a.txt/web cannot be written (Not a directory): choose another -o\n")


def test_a_training_becomes_c(undin, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from undin.methods.dnn import DNNConfig
    from undin.training.checkpoint import save_weights
    from undin.training.nets import NETS

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    config = DNNConfig(n_hidden=32, n_layers=1)
    Path("run").mkdir()
    save_weights(Path("run/best.pt"), "dnn", config, NETS["dnn"](config))
    code, out, _ = undin("export", "run", "--to", "c", "--weights", "fp16", "--licence", "CC0")
    assert code == 0 and "latency 80 ms" in out
    assert "Weights: fp16, CC0." in Path("undin_dnn/undin_dnn.h").read_text()


def test_a_training_becomes_c_without_torch(undin, tmp_path, monkeypatch):
    """From the graph that it left; so does every .onnx, without the package onnx."""
    monkeypatch.chdir(tmp_path)
    Path("run/train/mine").mkdir(parents=True)
    Path("run/train/mine/best.pt").touch()
    for name in ("torch", "onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = undin("export", "run", "--to", "c")
    assert code == 2 and 'pip install "undin[train]"' in err
    shutil.copy(WEIGHTS / "dnn.onnx", "run/train/mine.onnx")
    for model in ("run", "run/train/mine.onnx"):
        code, out, err = undin("export", model, "--to", "c", "-o", "c", "--overwrite")
        assert (code, err) == (0, "") and "undin_mine.c" in out


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on this machine")
def test_a_broken_compiler_is_named(undin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cc").write_text("#!/bin/sh\necho 'error: out of order' >&2\nexit 1\n")
    Path("cc").chmod(0o755)
    monkeypatch.setenv("CC", str(tmp_path / "cc"))
    code, _, err = undin("export", "lull", "--to", "ladspa")
    assert code == 2 and "could not build undin_lull.so (error: out of order)" in err
    assert not Path("undin_lull.so").exists()


def test_the_page_is_not_written_over(undin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("site").mkdir()
    Path("site/index.html").write_text("mine")
    code, _, err = undin("page")
    assert (code, err) == (2, "undin: site/index.html already exists: use --overwrite, or choose another -o\n")
    assert "is a file: choose a folder" in undin("page", "-o", "site/index.html").err
