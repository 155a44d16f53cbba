import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_files import names, write

import undin as package
from undin.cli.options import parse_settings
from undin.errors import InputError
from undin.methods import DEFAULT, LIVE, LogMMSE, load


def test_one_file(undin, here):
    code, out, err = undin("enhance", "a.wav")
    assert (code, err) == (0, "")
    assert out.startswith("a.wav -> a.enhanced.wav   0.5 s at 16000 Hz, ") and out.count("\n") == 1
    x, sr = soundfile.read("a.wav", dtype="float32")
    y, _ = soundfile.read("a.enhanced.wav", dtype="float32")
    np.testing.assert_allclose(y, load(DEFAULT)(x, sr), atol=2e-5)


def test_fast_is_the_live_model(undin, here):
    assert undin("enhance", "a.wav", "--fast", "-q") == (0, "", "")
    x, sr = soundfile.read("a.wav", dtype="float32")
    np.testing.assert_allclose(soundfile.read("a.enhanced.wav")[0], load(LIVE)(x, sr), atol=2e-5)
    message = "undin: --fast is -m lull; got -m cmask too: leave one of them out\n"
    assert undin("enhance", "a.wav", "--fast", "-m", "cmask") == (2, "", message)


def test_a_second_run_skips_and_says_so(undin, here):
    undin("enhance", "a.wav")
    assert "skipped: up to date" in undin("enhance", "a.wav").out
    assert "real time" in undin("enhance", "a.wav", "--limit-db", "6").out
    assert "skipped" not in undin("enhance", "a.wav", "--limit-db", "6", "--overwrite").out


def test_a_tree_with_workers(undin, here):
    Path("in/deep").mkdir(parents=True)
    write("in/b.flac", n_channels=2)
    write("in/deep/c.wav")
    code, out, err = undin("enhance", "in", "-o", "out", "--workers", "2")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("2 done; 1.0 s of audio in ")
    assert soundfile.info("out/b.flac").channels == 2 and soundfile.info("out/deep/c.wav").frames == 8000


def test_a_bad_file_among_good_ones(undin, here):
    Path("bad.wav").write_text("no sound at all, whatever the name says")
    code, out, err = undin("enhance", "a.wav", "bad.wav", "-o", "out/")
    assert code == 1
    assert err.startswith("undin: bad.wav is ") and err.count("\n") == 1
    assert out.splitlines()[-1].startswith("1 done, 1 failed; ")
    assert names(Path("out")) == ["a.wav"]


def test_json_is_all_of_standard_output(undin, here):
    Path("bad.wav").touch()
    code, out, _ = undin("enhance", "a.wav", "bad.wav", "--json", "--residual")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [row["status"] for row in rows] == ["done", "failed"]
    assert rows[0]["outputs"] == ["a.enhanced.wav"] and rows[0]["residual"] == "a.residual.wav"
    assert (rows[0]["seconds"], rows[0]["sr"], rows[0]["n_channels"]) == (0.5, 16000, 1)
    assert "0 bytes" in rows[1]["error"]


@pytest.mark.parametrize(("inputs", "code"), [(["nope.wav"], 2), (["a.wav", "nope.wav"], 1)])
def test_json_tells_a_missing_file(undin, here, inputs, code):
    found = undin("enhance", *inputs, "--json")
    row = json.loads(found.out.splitlines()[0])
    assert found.code == code and found.err.count("\n") == 1
    assert (row["status"], row["input"]) == ("failed", "nope.wav") and "nope.wav: no such file" in row["error"]


def test_an_output_named_like_an_input_is_told_how_to_be_one(undin, here):
    code, _, err = undin("enhance", "a.wav", "out.wav")
    assert code == 1 and "out.wav: no such file" in err and "or write to it with -o out.wav" in err


def test_json_names_the_cure_as_one_types_it(undin, here):
    bad("cut.wav")
    assert "pass --truncated keep" in json.loads(undin("enhance", "cut.wav", "--json").out)["error"]


def test_quiet(undin, here):
    assert undin("enhance", "a.wav", "-q") == (0, "", "")


def test_settings_reach_the_method(undin, here):
    assert undin("enhance", "a.wav", "--limit-db", "0", "-o", "same.wav").code == 0
    np.testing.assert_array_equal(soundfile.read("same.wav")[0], soundfile.read("a.wav")[0])
    undin("enhance", "a.wav", "-o", "12.wav", "-m", "log-mmse", "--set", "gain_floor_db=-12")
    x, sr = soundfile.read("a.wav", dtype="float32")
    np.testing.assert_allclose(soundfile.read("12.wav")[0], load("log-mmse", gain_floor_db=-12.0)(x, sr), atol=2e-5)
    undin("enhance", "a.wav", "-o", "gate.wav", "-m", "spectral-gate")
    np.testing.assert_allclose(soundfile.read("gate.wav")[0], load("spectral-gate")(x, sr), atol=2e-5)


def test_another_container_is_said(undin, here):
    write("f.wav", subtype="FLOAT")
    assert "stored as FLAC PCM_24 (FLOAT -> PCM_24)" in undin("enhance", "f.wav", "-o", "f.flac").out


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(undin, here):
    write("adpcm.wav", subtype="IMA_ADPCM")
    code, _, err = undin("enhance", "adpcm.wav")
    assert code == 0
    assert err.startswith("undin: note: ") and "IMA_ADPCM" in err and err.count("\n") == 1


def test_a_plot_is_next_to_the_output(undin, here):
    pytest.importorskip("matplotlib")
    assert undin("enhance", "a.wav", "--plot").code == 0
    assert names(here) == ["a.enhanced.png", "a.enhanced.wav", "a.wav"]
    assert Path("a.enhanced.png").read_bytes().startswith(b"\x89PNG")


def cut(source, target, n_bytes):
    Path(target).write_bytes(Path(source).read_bytes()[:-n_bytes])


def bad(name):
    """Make the bad file `name`."""
    x = np.full(8000, 0.1, np.float32)
    if name == "empty.wav":
        Path(name).touch()
    elif name == "text.wav":
        Path(name).write_text("this is a text")
    elif name == "cut.wav":
        cut("a.wav", name, 4000)
    elif name == "cut.flac":
        write("whole.flac")
        cut("whole.flac", name, 4000)
        Path("whole.flac").unlink()
    elif name in ("nan.wav", "inf.wav"):
        x[4000] = float(name[:3])
        soundfile.write(name, x, 16000, subtype="FLOAT")
    elif name == "folder.wav":
        Path(name).mkdir()
    return name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.wav", "missing.wav: no such file"),
        ("empty.wav", "empty.wav is empty (0 bytes)"),
        ("text.wav", "text.wav is not a readable audio file"),
        ("cut.wav", "6000 of 8000"),
        ("cut.flac", "of 8000 samples are present"),
        ("nan.wav", "nan at sample 4000 (0.250 s)"),
        ("inf.wav", "inf at sample 4000 (0.250 s)"),
        ("folder.wav", "folder.wav has no audio files"),
    ],
)
def test_bad_files_are_refused_in_one_line(undin, here, name, message):
    before = [*names(here), *([] if name == "missing.wav" else [bad(name)])]
    code, out, err = undin("enhance", name)
    assert (code, out) == (2, "")
    assert err.startswith("undin: ") and message in err and name in err and err.count("\n") == 1
    assert "Traceback" not in err
    assert names(here) == sorted(before)


@pytest.mark.parametrize(
    ("name", "option", "n_samples"),
    [("nan.wav", "--nan=zero", 8000), ("cut.wav", "--truncated=keep", 6000), ("cut.flac", "--truncated=keep", None)],
)
def test_the_cure_that_the_message_names_works(undin, here, name, option, n_samples):
    bad(name)
    assert option.replace("=", " ") in undin("enhance", name).err
    assert undin("enhance", name, option, "-o", "o.wav").code == 0
    y, _ = soundfile.read("o.wav")
    assert np.isfinite(y).all()
    assert len(y) == n_samples if n_samples else 0 < len(y) < 8000


@pytest.mark.parametrize("n_samples", [0, 1])
def test_hardly_any_samples(undin, here, n_samples):
    soundfile.write("s.wav", np.zeros(n_samples), 16000)
    assert undin("enhance", "s.wav").code == 0
    assert soundfile.info("s.enhanced.wav").frames == n_samples


def test_silence_stays_silence(undin, here):
    soundfile.write("s.wav", np.zeros((48000, 2)), 48000)
    assert undin("enhance", "s.wav").code == 0
    assert not soundfile.read("s.enhanced.wav")[0].any()


def test_full_scale_stays_below_it(undin, here):
    soundfile.write("s.wav", np.sign(np.sin(np.arange(32000) / 20)), 16000)
    assert undin("enhance", "s.wav", "--limit-db", "3").code == 0
    y = soundfile.read("s.enhanced.wav")[0]
    assert 0.3 < np.abs(y).max() <= 1


def test_an_output_below_a_file_cannot_be_made(undin, here):
    Path("file").touch()
    code, _, err = undin("enhance", "a.wav", "-o", "file/out/b.wav")
    assert code == 2
    assert "file/out cannot be created as a folder: choose another -o" in err and err.count("\n") == 1


@pytest.mark.parametrize("output", ["a.wav", "./x/../a.wav", "link.wav"])
def test_the_input_is_not_overwritten(undin, here, output):
    Path("x").mkdir()
    Path("link.wav").symlink_to("a.wav")
    before = Path("a.wav").read_bytes()
    code, _, err = undin("enhance", "a.wav", "-o", output, "--overwrite")
    assert (code, err.count("\n")) == (2, 1)
    assert "is the input a.wav; use" in err
    assert Path("a.wav").read_bytes() == before


def test_two_inputs_to_one_output(undin, here):
    shutil.copytree(here, here / "b")
    code, _, err = undin("enhance", "a.wav", "b/a.wav", "-o", "out")
    assert code == 2 and "a.wav and b/a.wav would both write out/a.wav" in err


def test_files_of_other_programs_are_kept(undin, here):
    Path("a.enhanced.wav").write_text("mine")
    code, _, err = undin("enhance", "a.wav")
    assert code == 2 and "a.enhanced.wav already exists and was not written by undin; use --overwrite" in err
    assert Path("a.enhanced.wav").read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-m", "logmmse"], "unknown method 'logmmse': did you mean log-mmse?"),
        (["--set", "n_fft"], "--set must be NAME=VALUE; got 'n_fft'"),
        (["--set", "n_fft=many"], "--set n_fft must be int; got 'many'"),
        (["-m", "log-mmse", "--set", "nfft=512"], "did you mean n_fft?"),
        (["-m", "nmf", "--set", "prior=foo"], "--set prior must be exponential or gamma or none; got 'foo'"),
        (["b.wav", "-o", "one.wav"], "one.wav names a file: end it in /"),
        (["-o", "-", "--json"], "cannot carry both audio and --json"),
        (["-o", "o.xyz"], "unknown extension '.xyz'"),
    ],
)
def test_bad_settings(undin, here, args, message):
    code, out, err = undin("enhance", "a.wav", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert names(here) == ["a.wav"]


def test_a_bug_says_how_to_see_more(undin, here, monkeypatch):
    monkeypatch.setattr(type(load(LIVE)), "step", lambda *_: 1 / 0)
    code, _, err = undin("enhance", "a.wav", "--fast")
    assert code == 1
    assert err == "undin: a.wav: ZeroDivisionError: division by zero: run with --debug for the traceback\n"
    assert "Traceback" in undin("enhance", "a.wav", "--fast", "--debug").err


def test_settings_take_the_types_of_the_config():
    from dataclasses import dataclass
    from typing import Literal

    @dataclass
    class Config:
        n: int = 1
        x: float = 1.0
        on: bool = False
        kind: Literal["a", "b"] = "a"
        limit: float | None = None
        name: str = ""
        speeds: tuple[float, ...] = ()

    pairs = ["n=2", "x=1e-3", "on=True", "kind=b", "limit=none", "name=3", "other=x", "speeds=0.9,1"]
    assert parse_settings(Config, pairs) == {
        "n": 2, "x": 0.001, "on": True, "kind": "b", "limit": None, "name": "3", "other": "x",
        "speeds": (0.9, 1.0),
    }  # fmt: skip
    assert parse_settings(Config, ["speeds="]) == {"speeds": ()}
    for text, window in (("hann", "hann"), ("kaiser,8", ("kaiser", 8.0))):
        assert parse_settings(LogMMSE.Config, [f"window={text}"]) == {"window": window}
    for pair in ("n=2.5", "on=1", "kind=c", "limit=low", "speeds=0.9,fast"):
        with pytest.raises(InputError, match=f"--set {pair.split('=')[0]} must be"):
            parse_settings(Config, [pair])


def test_a_folder_that_cannot_be_read_is_named(undin, here):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    Path("in").mkdir(mode=0)
    assert undin("enhance", "in").code != 0


def test_a_name_that_is_not_utf8_is_accepted(undin, here):
    Path("in").mkdir()
    try:
        shutil.copy("a.wav", os.fsdecode(b"in/bad\xff.wav"))
    except OSError:
        pytest.skip("this disk takes UTF-8 alone")
    shutil.copy("a.wav", "in/good.wav")
    for option in ([], ["--overwrite", "--workers", 2]):
        code, out, err = undin("enhance", "in", "-o", "out", "-m", "spectral-gate", "--json", *option)
        assert (code, err) == (0, "") and {json.loads(line)["status"] for line in out.splitlines()} == {"done"}
    assert os.path.exists(b"out/bad\xff.wav")  # noqa: PTH110
    assert undin("enhance", "in", "-o", "out", "-m", "spectral-gate").out == "2 skipped\n"  # not a line for each


def test_non_folders_and_broken_links_are_named(undin, here):
    code, _, err = undin("enhance", "a.wav", "-o", "a.wav/x.wav")
    assert (code, err) == (2, "undin: a.wav/x.wav: a.wav cannot be created as a folder: choose another -o\n")
    Path("link.wav").symlink_to("gone.wav")
    assert "link.wav is a link to gone.wav, which does not exist" in undin("enhance", "link.wav").err
    with pytest.raises(InputError, match=r"is a link to gone.wav"):
        package.read("link.wav")


def test_messages_about_raw_name_the_option(undin, here):
    assert "leave out --raw s16le:16000:1" in undin("enhance", "a.wav", "--raw", "s16le:16000:1").err
    Path("x.raw").write_bytes(bytes(100))
    assert 'x.raw: --raw must be "encoding:rate' in undin("enhance", "x.raw", "-o", "y.wav", "--raw", "foo").err


def test_two_methods_are_for_compare(undin, here):
    code, _, err = undin("enhance", "a.wav", "-m", "log-mmse", "-m", "nmf")
    assert code == 2 and "enhance takes one -m" in err and "undin compare FILE -m log-mmse -m nmf" in err


def test_the_output_has_the_loudness_that_is_asked_for(undin, here):
    write("a.wav", seconds=1)
    code, out, err = undin("enhance", "a.wav", "-m", "log-mmse", "--limit-db", "3", "--loudness", "-16")
    assert (code, err) == (0, "") and re.search(r", -\d+\.\d dB of gain$", out.strip())
    assert "skipped" in undin("enhance", "a.wav", "-m", "log-mmse", "--limit-db", "3", "--loudness", "-16").out
    before = soundfile.read("a.enhanced.wav")[0]
    row = json.loads(undin("enhance", "a.wav", "-m", "log-mmse", "--limit-db", "3", "--json", "--loudness", "-30").out)
    after = soundfile.read("a.enhanced.wav")[0]
    np.testing.assert_allclose(20 * np.log10(after.std() / before.std()), -14, atol=0.05)
    assert row["status"] == "done" and row["gain_db"] < -10
    assert undin("enhance", "a.wav", "--loudness", "1").code == 2
    soundfile.write("quiet.wav", 5e-5 * np.random.default_rng(0).standard_normal(16000), 16000, subtype="FLOAT")
    _, out, _ = undin("enhance", "quiet.wav", "-m", "log-mmse", "--loudness", "-16")
    assert "too quiet for --loudness (below -70 LUFS): level unchanged" in out


def test_for_recognition_keeps_some_noise(undin, here):
    assert undin("enhance", "a.wav", "-m", "log-mmse", "--for", "recognition", "-o", "for.wav").code == 0
    assert undin("enhance", "a.wav", "-m", "log-mmse", "--limit-db", "12", "-o", "same.wav").code == 0
    assert undin("enhance", "a.wav", "-m", "log-mmse", "-o", "quiet.wav").code == 0
    mild, same, quiet = (Path(name).read_bytes() for name in ("for.wav", "same.wav", "quiet.wav"))
    assert mild == same != quiet
    code, _, err = undin("enhance", "a.wav", "--for", "recognition", "--limit-db", "3")
    assert (code, err) == (2, "undin: --for recognition sets --limit-db: leave one of them out\n")


def test_after_the_deadline_no_file_is_begun(undin, here):
    Path("in").mkdir()
    write("in/b.wav")
    write("in/c.wav")
    code, out, err = undin("enhance", "in", "-o", "out", "--deadline", "0")
    assert (code, out, err) == (1, "", "undin: stopped before all files were started; rerun the command to resume\n")
    code, out, err = undin("enhance", "in", "-o", "out", "--deadline", "60")
    assert code == 0 and out.splitlines()[-1].startswith("2 done; ")
