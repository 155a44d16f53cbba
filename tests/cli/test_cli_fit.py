import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_files import names

from undin.cli.fit import read_all
from undin.errors import InputError
from undin.methods import NMF, load

SMALL = [f"--set={pair}" for pair in ("n_fft=256", "hop_length=64", "n_speech=8", "n_noise=8", "fit_iter=20")]


@pytest.fixture
def folders(here):
    """Two kinds of sound: tones, and noise; and a.wav that holds both."""
    t = np.arange(16000) / 16000
    tones = np.stack([0.2 * np.sin(2 * np.pi * f * t * (1 + 0.1 * t)) for f in (300, 500, 700)])
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 16000))
    for folder, signals in (("speech", tones), ("noise", noise)):
        Path(folder).mkdir()
        for i, x in enumerate(signals):
            soundfile.write(f"{folder}/{i}.wav", x, 16000)
    soundfile.write("a.wav", tones[0] + noise[0], 16000)
    return here


def test_a_model_for_enhancement(undin, folders):
    code, out, err = undin("fit", "speech", "noise", "-o", "mine.npz", *SMALL)
    assert (code, err) == (0, "")
    assert out == (
        "mine.npz: learned from 3.0 s of speech and 2.0 s of noise\nuse it:  undin enhance -m mine.npz your.wav\n"
    )
    assert load("mine.npz").config.n_fft == 256
    assert undin("enhance", "a.wav", "-m", "mine.npz").code == 0
    x, y = soundfile.read("a.wav")[0], soundfile.read("a.enhanced.wav")[0]
    clean = soundfile.read("speech/0.wav")[0]
    assert np.std(y - clean) < 0.7 * np.std(x - clean)


def test_a_model_for_two_talkers(undin, folders):
    assert undin("fit", "speech", "noise", "--talkers", "-o", "two.npz", "-q", *SMALL) == (0, "", "")
    assert undin("separate", "a.wav", "-m", "two.npz").code == 0
    assert {"a.1.wav", "a.2.wav"} <= set(names(folders))


def test_a_new_model_is_another_method(undin, folders):
    for noise in ("noise", "speech"):
        undin("fit", "speech", noise, "-o", "mine.npz", "--overwrite", *SMALL)
        assert "skipped" not in undin("enhance", "a.wav", "-m", "mine.npz").out
    assert "skipped" in undin("enhance", "a.wav", "-m", "mine.npz").out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere", "noise"], "nowhere: no such file or folder"),
        (["empty", "noise"], "empty has no audio"),
        (["speech", "noise", "-o", "a.wav"], "-o must end in .npz; got a.wav"),
        (["speech", "noise", "-o", "old.npz"], "old.npz already exists; use --overwrite"),
        (["speech", "--talkers"], "--talkers needs two folders"),
        (["speech", "noise", "--prior", "flat"], "--prior must be one of"),
    ],
)
def test_bad_settings(undin, folders, args, message):
    Path("empty").mkdir()
    Path("old.npz").touch()
    code, out, err = undin("fit", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_folders_are_read_at_one_rate_and_channel(here):
    Path("in").mkdir()
    soundfile.write("in/1.wav", np.full((4800, 2), (0.1, 0.3)), 48000)
    soundfile.write("in/2.flac", np.zeros(800), 16000)
    errors = []
    how = {"nan": "raise", "truncated": "raise"}
    first, second = read_all(Path("in"), 16000, errors, **how)
    assert first.shape == (1600,) and np.median(first) == pytest.approx(0.2, abs=1e-3)
    assert second.shape == (800,) and not second.any()
    assert not errors and len(read_all(Path("in"), 32000, errors, **how)) == 1
    message = "in/2.flac has 16000 Hz and no upper bands for a model at 32000 Hz: remove it, or fit with"
    assert errors == [f"{message} --set sr=16000"]
    with pytest.raises(InputError, match=message):
        read_all(Path("in/2.flac"), 32000, [], **how)
    with pytest.raises(InputError, match="no such file"):
        read_all(Path("out"), 16000, [], **how)


def test_a_bad_file_among_good_ones_is_named_and_left_out(undin, folders):
    Path("speech/bad.wav").write_bytes(Path("speech/0.wav").read_bytes()[:-4000])
    code, out, err = undin("fit", "speech", "noise", "-o", "mine.npz", *SMALL)
    assert code == 1 and out.startswith("mine.npz: learned from 3.0 s of speech")
    assert err.startswith("undin: speech/bad.wav is truncated") and err.count("\n") == 1
    assert "pass --truncated keep" in err
    code, out, err = undin("fit", "speech", "noise", "-o", "all.npz", "--truncated", "keep", *SMALL)
    assert (code, err) == (0, "") and out.startswith("all.npz: learned from 3.9 s of speech")


def test_a_missing_extra_names_the_file(undin, folders, monkeypatch):
    Path("speech/film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    monkeypatch.setitem(sys.modules, "av", None)
    code, _, err = undin("fit", "speech", "noise", "-o", "mine.npz", *SMALL)
    assert code == 1 and err.startswith("undin: speech/film.mp4: av is required") and "undin[video]" in err


def test_nothing_is_learned_for_a_place_that_is_not_there(undin, folders, monkeypatch):
    monkeypatch.setattr("undin.methods.nmf.NMF.fit", lambda *_: pytest.fail("it has learned"))
    code, _, err = undin("fit", "speech", "noise", "-o", "nodir/x.npz")
    assert (code, err) == (2, "undin: nodir/x.npz: no such folder: nodir; create it first\n")


def test_saving_to_a_missing_folder(here):
    model = NMF(n_fft=256, hop_length=64, n_speech=4, n_noise=4, fit_iter=2)
    rng = np.random.default_rng(0)
    model.fit(rng.uniform(-1, 1, 4000), rng.uniform(-1, 1, 4000), 16000)
    with pytest.raises(InputError, match=r"nodir/x.npz: no such folder: nodir; create it first"):
        model.save("nodir/x.npz")


def test_a_file_is_not_a_folder_to_save_in(undin, folders):
    code, _, err = undin("fit", "speech", "noise", "-o", "speech.txt/x.npz")
    assert code == 2 and "no such folder" in err
    (folders / "speech.txt").write_text("")
    code, _, err = undin("fit", "speech", "noise", "-o", "speech.txt/x.npz")
    assert (code, err) == (2, "undin: speech.txt/x.npz: speech.txt is a file, not a folder: choose another place\n")
