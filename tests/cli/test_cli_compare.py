import base64
import io
import re
import sys

import numpy as np
import pytest
import soundfile
from cli_files import write

import undin as package


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Without pictures, which take most of the time."""

    def missing(*_, **__):
        raise package.errors.MissingExtraError("matplotlib is required but not installed")

    monkeypatch.setattr("undin.pictures.overview", missing)


def sounds(path):
    uris = re.findall(r'aria-label="([^"]+)"\s+src="data:audio/flac;base64,([^"]+)"', path.read_text("utf-8"))
    return {name: soundfile.read(io.BytesIO(base64.b64decode(data)), always_2d=True) for name, data in uris}


def test_the_page_plays_input_and_outputs(undin, here):
    write("n.wav", seconds=1, n_channels=2, sr=22050)
    code, out, err = undin("compare", "n.wav", "-m", "log-mmse", "-m", "gate=spectral-gate", "-o", "p.html")
    assert (code, err) == (0, "") and out.startswith("n.wav -> p.html   0.") and " MB, open it in a browser" in out
    played = sounds(here / "p.html")
    x, sr = package.read(here / "n.wav")
    assert list(played) == ["input", "log-mmse", "gate"] and {rate for _, rate in played.values()} == {sr}
    np.testing.assert_allclose(played["input"][0].T, x, atol=1e-4)
    np.testing.assert_allclose(played["log-mmse"][0].T, package.enhance(x, sr, method="log-mmse"), atol=1e-4)
    text = (here / "p.html").read_text("utf-8")
    assert "Scores need a clean reference: compare by ear and by eye." in text and "Without pictures" in text


def test_alone_it_plays_the_method_of_enhance_and_quietly_if_asked(undin, here):
    assert undin("compare", "a.wav", "-q") == (0, "", "")
    assert list(sounds(here / "a.html")) == ["input", package.methods.DEFAULT]


def test_opus_is_a_fraction_of_the_size_and_the_outputs_blend_with_the_input(undin, here):
    write("n.wav", seconds=2)
    code, _, err = undin("compare", "n.wav", "-m", "log-mmse", "-m", "spectral-gate", "--page-audio", "opus")
    text = (here / "n.html").read_text("utf-8")
    assert (code, err) == (0, "") and 'data-dry="0" data-wet="1 2"' in text and not sounds(here / "n.html")
    uris = [base64.b64decode(data) for data in re.findall(r"data:audio/ogg;base64,([^\"]+)", text)]
    assert len(uris) == 3
    for data in uris:
        y, sr = soundfile.read(io.BytesIO(data))
        assert (len(y), sr) == (32000, 16000) and len(data) < 0.5 * 2 * len(y)


def test_a_part_of_it(undin, here):
    write("n.wav", seconds=2)
    assert undin("compare", "n.wav", "-m", "log-mmse", "--start", "0.5", "--seconds", "0.25").code == 0
    x, _ = package.read(here / "n.wav", start=8000, stop=12000)
    np.testing.assert_allclose(sounds(here / "n.html")["input"][0][:, 0], x, atol=1e-4)


def test_levels_are_evened_on_request(undin, here):
    write("n.wav", seconds=2)
    code = "import sys,soundfile as f;x,s=f.read(sys.argv[1]);f.write(sys.argv[2],x/4,s)"
    half = f"half={sys.executable} -c '{code}' {{in}} {{out}}"
    assert undin("compare", "n.wav", "--cmd", half, "--match-level").code == 0
    played = sounds(here / "n.html")
    np.testing.assert_allclose(played["half"][0], played["input"][0], atol=3e-4)
    assert "half by +12.0 dB" in (here / "n.html").read_text("utf-8")


def test_one_that_fails_is_named_and_the_rest_is_there(undin, here):
    crash = f"crash={sys.executable} -c 'raise SystemExit(\"no weights\")' {{in}} {{out}}"
    code, _, err = undin("compare", "a.wav", "-m", "log-mmse", "--cmd", crash)
    assert code == 1 and err == "undin: crash: exited with 1: no weights\n"
    assert list(sounds(here / "a.html")) == ["input", "log-mmse"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-",), "compare needs a file, not standard input"),
        (("b.wav",), "b.wav: no such file"),
        (("a.wav", "-m", "blstm-mask"), "separates 2 talkers: undin separate a.wav -m blstm-mask"),
        (("a.wav", "-m", "log-mmse", "--start", "9"), "a.wav has no audio after 9 s"),
    ],
)
def test_bad_input(undin, here, args, message):
    code, out, err = undin("compare", *args)
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("diary.html", "diary.html already exists and was not written by undin; use another -o"),
        ("p.txt", "a page must end in .html; got p.txt"),
        ("far/p.html", "no such folder: far; create it first"),
    ],
)
def test_a_page_is_not_written_anywhere(undin, here, page, message):
    write("n.wav", seconds=1)
    (here / "diary.html").write_text("precious")
    code, _, err = undin("compare", "n.wav", "-m", "log-mmse", "-o", page)
    assert code == 2 and message in err
    assert (here / "diary.html").read_text() == "precious"


def test_its_own_page_is_rewritten(undin, here):
    write("n.wav", seconds=1)
    assert [undin("compare", "n.wav", "-m", "spectral-gate", "-o", "p.html").code for _ in range(2)] == [0, 0]


def test_programs_are_aligned_and_what_is_played_is_saved(undin, here):
    write("n.wav", seconds=2)
    code = "import sys,numpy as n,soundfile as f;x,s=f.read(sys.argv[1]);"
    code += "f.write(sys.argv[2],n.r_[n.zeros(160),x[:-160]],s)"
    late = f"a/late={sys.executable} -c '{code}' {{in}} {{out}}"
    code, _, err = undin("compare", "n.wav", "--cmd", late, "-m", "log-mmse", "--save", "kept")
    assert (code, err) == (0, "")
    assert "The output of a/late is 10.0 ms late; it is aligned (--no-align" in (here / "n.html").read_text("utf-8")
    assert sorted(path.name for path in (here / "kept").iterdir()) == ["a_late.wav", "input.wav", "log-mmse.wav"]
    x, y = (soundfile.read(here / f"kept/{name}.wav")[0] for name in ("input", "a_late"))
    np.testing.assert_allclose(y[:-200], x[:-200], atol=1e-4)
    played = sounds(here / "n.html")["log-mmse"][0][:, 0]
    np.testing.assert_allclose(soundfile.read(here / "kept/log-mmse.wav")[0], played, atol=1e-4)
    code, _, err = undin("compare", "n.wav", "--save", "kept")
    assert code == 2 and "kept/input.wav already exists; use another --save" in err
    twins = ("-m", "a/b=spectral-gate", "-m", "a_b=spectral-gate", "--save", "both")
    code, _, err = undin("compare", "n.wav", *twins)
    assert code == 2 and "'a/b' and 'a_b' would both be saved as both/a_b.wav: rename one, e.g. other=a/b" in err
    assert not (here / "both").exists() and undin("compare", "n.wav", *twins[:4]).code == 0
    undin("compare", "n.wav", "--cmd", late, "--no-align", "-o", "late.html")
    assert "ms late" not in (here / "late.html").read_text("utf-8")
