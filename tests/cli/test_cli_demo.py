from pathlib import Path

import numpy as np
import pytest
import soundfile

import undin as package
from undin.cli.demo import FILES
from undin.errors import InputError, MissingExtraError
from undin.methods import DEFAULT


@pytest.fixture
def bare(monkeypatch):
    """As without the extras, which take most of the time."""

    def missing(*_, **__):
        raise MissingExtraError('pystoi is required but not installed: pip install "undin[eval]"')

    for name in ("stoi", "estoi", "pesq"):
        monkeypatch.setattr(f"undin.metrics.{name}", missing)
    monkeypatch.setattr("undin.pictures.spectrograms", missing)


def test_a_score_that_is_undefined_is_said(undin, tmp_path, monkeypatch, bare):
    scores = iter([1.5])

    def score(**_):
        for value in scores:
            return value
        raise InputError("PESQ is undefined: no speech is found")

    monkeypatch.setattr("undin.metrics.pesq", score)
    code, out, _ = undin("demo", "-o", tmp_path)
    noisy = next(line for line in out.splitlines() if line.startswith("noisy"))
    assert code == 0 and noisy.split()[-1] == "1.50"
    assert "PESQ: PESQ is undefined: no speech is found" in out


def test_a_demo_that_failed_can_be_repeated(undin, tmp_path, monkeypatch, bare):
    with monkeypatch.context() as patch:
        patch.setattr("undin.page.write_page", lambda *_, **__: 1 / 0)
        assert undin("demo", "-o", tmp_path).code == 1
    assert undin("demo", "-o", tmp_path).code == 0


def test_without_extras(undin, tmp_path, monkeypatch, bare):
    monkeypatch.chdir(tmp_path)
    code, out, err = undin("demo")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith(("noisy", "enhanced"))}
    assert float(rows["noisy"][1]) == pytest.approx(5, abs=0.1)
    assert float(rows["enhanced"][1]) > float(rows["noisy"][1]) + 2
    assert "STOI: pystoi is required but not installed: pip install" in " ".join(out.split())
    assert "undin-demo/index.html" in out and "spectrograms.png" not in out
    assert not Path("undin-demo/spectrograms.png").exists()


@pytest.mark.parametrize(("found", "line"), [("/bin/undin", "undin"), (None, ".venv/bin/undin")])
def test_its_last_line_starts_undin_as_the_shell_finds_it(undin, tmp_path, monkeypatch, bare, found, line):
    monkeypatch.setattr("shutil.which", lambda _: found)
    monkeypatch.setattr("sys.argv", [".venv/bin/undin", "demo"])
    assert undin("demo", "-o", tmp_path).out.rstrip().endswith(f"Now yours:  {line} enhance your.wav")


def test_with_extras(undin, tmp_path):
    for module in ("matplotlib", "pystoi"):
        pytest.importorskip(module)
    code, out, err = undin("demo", "-o", tmp_path / "d", "--noise", "white", "--snr-db", "10")
    assert (code, err) == (0, "")
    assert f"A voice in white at 10 dB, enhanced by {DEFAULT}" in out and "ESTOI" in out
    assert {path.name for path in (tmp_path / "d").iterdir()} - {".undin.jsonl"} == set(FILES)
    assert b"<html" in (tmp_path / "d/index.html").read_bytes()
    x, sr = soundfile.read(tmp_path / "d/noisy.wav")
    y, _ = soundfile.read(tmp_path / "d/noisy.enhanced.wav")
    clean, _ = soundfile.read(tmp_path / "d/clean.wav")
    assert len(x) == len(y) == len(clean) and sr == 16000
    np.testing.assert_allclose(package.enhance(x, sr), y, atol=1e-4)


def test_a_second_demo_replaces_the_first_but_nothing_else(undin, tmp_path, monkeypatch, bare):
    monkeypatch.chdir(tmp_path)
    assert undin("demo").code == 0
    assert undin("demo", "--noise", "fan").code == 0
    Path("undin-demo/noisy.wav").write_text("mine")
    code, out, err = undin("demo")
    assert (code, out) == (2, "")
    assert "undin-demo/noisy.wav already exists and was not written by undin demo" in err
    assert Path("undin-demo/noisy.wav").read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--noise", "traffic"], "--noise must be one of babble, "),
        (["-o", "file/x"], "file/x cannot be created as a folder: Not a directory"),
        (["-m", "best"], "unknown method 'best'"),
    ],
)
def test_bad_settings(undin, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    code, out, err = undin("demo", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not Path("undin-demo").exists()
