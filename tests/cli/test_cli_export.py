from pathlib import Path

import cli_files
import numpy as np
import pytest

import undin as undin_package
from undin.methods.dnn import DNNConfig

torch = pytest.importorskip("torch", reason="needs the extra train: torch is not installed")

from undin.training.checkpoint import load_weights, save_weights  # noqa: E402
from undin.training.nets import NETS  # noqa: E402


@pytest.fixture
def trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    config = DNNConfig(n_hidden=32, n_layers=1)
    Path("run").mkdir()
    save_weights(Path("run/best.pt"), "dnn", config, NETS["dnn"](config))
    return tmp_path


@pytest.mark.parametrize("run", ["run", "run/best.pt", "."])
def test_a_training_becomes_a_model_that_runs(undin, trained, run):
    code, out, err = undin("export", run, "-o", "my.onnx", "--weights", "int8", "--data", "my voice")
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert (
        first.startswith("my.onnx: dnn from run/best.pt, 0.1") and " MB as int8, -" in first and "dB of error" in first
    )
    assert second == "use it:  undin enhance -m my.onnx your.wav"
    cli_files.write("a.wav")
    assert undin("enhance", "-m", "my.onnx", "a.wav").code == 0
    assert undin_package.read("a.enhanced.wav")[0].shape == (8000,)
    code, out, _ = undin("models", "my.onnx")
    for text in ("my voice", "int8", "n_hidden=32", "80 ms", "made with", f"{Path('my.onnx').stat().st_size:,}"):
        assert text in out, text


def test_errors_are_one_line(undin, trained):
    assert undin("export", "none")[::2] == (
        2,
        "undin: none: no such file or folder; expected a training run or a checkpoint in it\n",
    )
    Path("empty").mkdir()
    assert "empty has no best.pt: train until" in undin("export", "empty").err
    assert "-o must end in .onnx, or in .pt to resume" in undin("export", "run", "-o", "a.txt").err
    assert "no such folder" in undin("export", "run", "-o", "no/a.onnx").err
    Path("run/best.pt").write_bytes(b"torn")
    code, _, err = undin("export", "run")
    assert code == 2 and "run/best.pt is damaged or is not a checkpoint of" in err
    assert not Path("model.onnx").exists()


def test_a_model_is_replaced_on_request_alone(undin, trained):
    assert undin("export", "run", "-q") == (0, "", "")
    code, _, err = undin("export", "run")
    assert code == 2 and "model.onnx already exists; use --overwrite" in err
    assert undin("export", "run", "--overwrite").code == 0


def test_a_setting_that_leaves_the_weights_alone_is_changed(undin, trained):
    assert undin("export", "run", "-q").code == 0
    assert undin("export", "run", "-q", "-o", "other.onnx", "--set", "activation=sigmoid").code == 0
    x = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    before, after = (undin_package.enhance(x, 16000, method=name) for name in ("model.onnx", "other.onnx"))
    assert not np.allclose(before, after, atol=1e-3)
    for settings, cure in (
        (["n_hidden=64"], "--set n_hidden=64: this setting changes the weights: train with it instead"),
        (["n_hiden=64"], "unknown setting 'n_hiden' in --set for dnn: did you mean n_hidden?"),
    ):
        code, _, err = undin("export", "run", "-o", "c.onnx", "--set", *settings)
        assert code == 2 and cure in err and not Path("c.onnx").exists()


def test_a_folder_of_several_trainings_asks_which(undin, trained):
    Path("run/a").mkdir()
    Path("run/b").mkdir()
    for name in ("a", "b"):
        (Path("run") / name / "best.pt").write_bytes(Path("run/best.pt").read_bytes())
    assert undin("export", "run", "-q").code == 0  # its own comes first
    Path("run/best.pt").unlink()
    code, _, err = undin("export", "run", "--overwrite")
    assert code == 2 and "run contains several training runs: use one of run/a, run/b" in err


def test_of_several_trainings_the_mean(undin, trained):
    config = DNNConfig(n_hidden=32, n_layers=1)
    nets = [NETS["dnn"](config) for _ in range(2)]
    for k, net in enumerate(nets):
        save_weights(Path(f"{k}.pt"), "dnn", config, net)
    assert "dnn from 0.pt and 1.pt" in undin("export", "0.pt", "1.pt", "-o", "mean.onnx").out
    with torch.no_grad():
        for mine, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
            mine.copy_((mine + other) / 2)
    save_weights(Path("right.pt"), "dnn", config, nets[0])
    assert undin("export", "0.pt", "1.pt", "-o", "mean.pt").out.endswith("undin train RECIPE --from mean.pt\n")
    for mine, other in zip(load_weights(Path("mean.pt")).net.parameters(), nets[0].parameters(), strict=True):
        torch.testing.assert_close(mine, other)
    assert undin("export", "right.pt", "-o", "expected.onnx").code == 0
    x = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    got, expected = (undin_package.enhance(x, 16000, method=f"{name}.onnx") for name in ("mean", "expected"))
    np.testing.assert_allclose(got, expected, atol=1e-5)
    wider = DNNConfig(n_hidden=64, n_layers=1)
    save_weights(Path("wide.pt"), "dnn", wider, NETS["dnn"](wider))
    code, _, err = undin("export", "0.pt", "wide.pt", "-o", "no.onnx")
    assert code == 2 and "wide.pt and 0.pt must have the same network and size" in err
