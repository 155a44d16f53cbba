from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_files import names

import undin as package
from undin.methods import METHODS
from undin.methods.base import Card, Method


@dataclass(frozen=True)
class Config:
    sr: int = 16000
    n_fft: int = 512
    hop_length: int = 128
    window: str = "sqrt_hann"
    share: float = 0.25


class Split(Method):
    id, Config, bins, causal, n_src = "split", Config, "any", False, 2
    card = Card("shares", "nobody", kind="separate")

    def estimate(self, X):
        return np.stack([self.config.share * X, (1 - self.config.share) * X])


@pytest.fixture(autouse=True)
def split(monkeypatch):
    monkeypatch.setitem(METHODS, "split", Split)


def test_one_file_for_each_talker(undin, here):
    code, out, err = undin("separate", "a.wav", "-m", "split", "--set", "share=0.5", "--talkers", "2")
    assert (code, err) == (0, "")
    assert out.startswith("a.wav -> a.1.wav a.2.wav   0.5 s at 16000 Hz")
    x, y1, y2 = (soundfile.read(name)[0] for name in ("a.wav", "a.1.wav", "a.2.wav"))
    np.testing.assert_allclose(y1, 0.5 * x, atol=2e-4)
    np.testing.assert_allclose(y1 + y2, x, atol=4e-4)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_lone_voice_comes_first_and_is_reported(undin, here, suffix):
    x, sr = soundfile.read("a.wav")
    soundfile.write(f"b.{suffix}", x, sr)
    code, out, _ = undin("separate", f"b.{suffix}", "-m", "split", "--set", "share=0.001", "--talkers", "2")
    assert code == 0 and f"one talker found: b.2.{suffix} is near silence" in out
    y1, y2 = (soundfile.read(f"b.{k}.{suffix}")[0] for k in (1, 2))
    np.testing.assert_allclose(y1, 0.999 * x, atol=2e-4)
    np.testing.assert_allclose(y2, 0.001 * x, atol=2e-4)
    assert names(here) == ["a.wav", f"b.1.{suffix}", f"b.2.{suffix}", f"b.{suffix}"]


def test_outputs_that_repeat_each_other_are_one_talker(undin, here):
    code, out, _ = undin("separate", "a.wav", "-m", "split")
    assert code == 0 and out.endswith("one talker found: a.2.wav is near silence\n")
    x, y1, y2 = (soundfile.read(name)[0] for name in ("a.wav", "a.1.wav", "a.2.wav"))
    np.testing.assert_allclose(y1, x, atol=1e-4)
    assert not y2.any()
    assert "2 talkers found" in undin("separate", "a.wav", "-m", "split", "--talkers", "2")[1]


def test_a_lone_voice_comes_first_in_arrays(here):
    x = soundfile.read("a.wav")[0]
    s = package.separate(x, 16000, talkers=2, method=Split(share=0.001))
    np.testing.assert_allclose(s, np.stack([0.999 * x, 0.001 * x]), atol=1e-5)
    assert package.separate(x, 16000, talkers=2, method=Split(share=0.1))[0].std() < 0.2 * x.std()


def test_the_default_takes_any_two_voices_in_stereo_too(undin, here):
    x, sr = soundfile.read("a.wav")
    soundfile.write("pair.wav", np.stack([x, 0.5 * x], 1), sr)
    assert undin("separate", "pair.wav", "-q").code == 0
    y1, y2 = (soundfile.read(f"pair.{k}.wav")[0] for k in (1, 2))
    np.testing.assert_allclose(y1 + y2, np.stack([x, 0.5 * x], 1), atol=1e-3)
    np.testing.assert_allclose(y1[:, 1], 0.5 * y1[:, 0], atol=1e-3)


def test_another_place(undin, here):
    assert undin("separate", "a.wav", "-m", "split", "-o", "talk.flac", "-q").code == 0
    assert undin("separate", "a.wav", "-m", "split", "-o", "out/", "-q").code == 0
    assert names(here) == ["a.wav", "out", "talk.1.flac", "talk.2.flac"]
    assert names(Path("out")) == ["a.1.wav", "a.2.wav"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["separate", "a.wav", "--talkers", "3"], "got --talkers 3: use -m deep-clustering, or a model"),
        (["separate", "a.wav", "-m", "log-mmse"], "log-mmse enhances; it does not separate talkers: use another -m"),
        (["separate", "a.wav", "-m", "split", "--talkers", "3"], "split separates 2 talkers; got --talkers 3"),
        (["separate", "a.wav", "--voice", "a.wav"], "blstm-mask does not recognize voices: use a separator that does"),
        (["separate", "a.wav", "--voice", "s3://b/a.wav"], "--voice must be a file on this machine; got s3://b/a.wav"),
        (["separate", "a.wav", "-m", "split", "-o", "-"], "a pipe carries one signal"),
        (["separate", "a.wav", "-m", "two.npz"], "two.npz"),
        (["enhance", "a.wav", "-m", "split"], "split separates 2 talkers: use undin separate -m split"),
    ],
)
def test_bad_settings(undin, here, args, message):
    code, out, err = undin(*args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert names(here) == ["a.wav"]
