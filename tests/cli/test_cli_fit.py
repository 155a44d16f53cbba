from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_files import names

from undin.cli.fit import read_all
from undin.errors import InputError
from undin.methods import load

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
        (["empty", "noise"], "empty holds no sound"),
        (["speech", "noise", "-o", "a.wav"], "-o must end in .npz; got a.wav"),
        (["speech", "noise", "-o", "old.npz"], "old.npz exists: --overwrite it"),
        (["speech", "--talkers"], "--talkers needs two folders"),
        (["speech", "noise", "--prior", "flat"], "Invalid value for '--prior'"),
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
    first, second = read_all(Path("in"), 16000)
    assert first.shape == (1600,) and np.median(first) == pytest.approx(0.2, abs=1e-3)
    assert second.shape == (800,) and not second.any()
    with pytest.raises(InputError, match=r"in/2.flac has 16000 Hz and lacks the upper bands of a model for 32000 Hz"):
        read_all(Path("in"), 32000)
    with pytest.raises(InputError, match="no such file"):
        read_all(Path("out"), 16000)
