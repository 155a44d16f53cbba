import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

import undin
from undin.audio.loudness import LoudnessMeter
from undin.errors import InputError
from undin.jobs import process_file
from undin.jobs.process import BLOCK_S
from undin.methods.base import Method


@dataclass(frozen=True)
class Config:
    sr: int = 16000
    n_fft: int = 512
    hop_length: int = 128
    window: str = "sqrt_hann"
    gain: float = 0.5


class Gain(Method):
    """Causal, answers two frames late."""

    id, Config, bins, lookahead = "gain", Config, "any", 2

    def initial_state(self, batch):
        return {"past": np.zeros((batch, 1, 2), np.complex64)}

    def step(self, X, state):
        X = np.concatenate([np.broadcast_to(state["past"], (*X.shape[:2], 2)), X], -1)
        return self.config.gain * X[..., :-2], {"past": X[..., -2:]}


class Split(Method):
    """Whole-signal, two sources."""

    id, Config, bins, causal, n_src = "split", Config, "any", False, 2

    def estimate(self, X):
        return np.stack([self.config.gain * X, (1 - self.config.gain) * X])


def samples(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


@pytest.mark.parametrize(
    ("name", "subtype", "n_channels", "sr"),
    [
        ("a.wav", "PCM_16", 1, 16000),
        ("a.wav", "FLOAT", 2, 44100),
        ("a.flac", "PCM_24", 2, 48000),
        ("a.aiff", "PCM_16", 1, 8000),
    ],
)
def test_file_properties_are_preserved(make_wav, tmp_path, name, subtype, n_channels, sr):
    source = make_wav(name, seconds=2 * BLOCK_S + 0.317, n_channels=n_channels, sr=sr, subtype=subtype)
    target = tmp_path / f"o_{name}"
    done = []
    report = process_file(Gain(), source, str(target), progress=done.append)
    before, after = soundfile.info(source), soundfile.info(target)
    for field in ("samplerate", "channels", "frames", "format", "subtype"):
        assert getattr(before, field) == getattr(after, field)
    np.testing.assert_allclose(samples(target), 0.5 * samples(source), atol=2e-4 if subtype == "PCM_16" else 1e-6)
    assert (report.seconds, report.sr, report.n_channels) == (before.frames / sr, sr, n_channels)
    assert (report.limited_db, report.changed) == (0.0, None)
    assert len(done) == 3 and sum(done) == pytest.approx(report.seconds)


def test_residual_and_output_sum_to_the_input(make_wav, tmp_path):
    source = make_wav(seconds=BLOCK_S + 0.1, subtype="FLOAT", n_channels=2)
    y, r = str(tmp_path / "y.wav"), str(tmp_path / "r.wav")
    process_file(Gain(), source, y, residual=r)
    assert np.abs(samples(r)).max() > 0.2
    np.testing.assert_allclose(samples(y) + samples(r), samples(source), atol=1e-6)


def test_talkers_are_limited_together(make_wav, tmp_path):
    source = make_wav(seconds=0.5, n_channels=2, peak=0.9)
    targets = [str(tmp_path / "1.wav"), str(tmp_path / "2.wav")]
    report = process_file(Split(gain=2.0), source, targets, talkers=2)
    y1, y2 = map(samples, targets)
    assert 4 < report.limited_db < 5.3  # 1.8 comes down to 1
    assert np.abs(y1).max() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(y1, -2 * y2, atol=2e-4)  # the second was never too loud, and came down as much


@pytest.mark.parametrize("n_samples", [0, 1])
@pytest.mark.parametrize("method", [Gain(), Split()])
def test_hardly_any_samples(tmp_path, n_samples, method):
    soundfile.write(tmp_path / "a.wav", np.full(n_samples, 0.5), 16000)
    targets = [str(tmp_path / f"{i}.wav") for i in range(method.n_src or 1)]
    report = process_file(method, str(tmp_path / "a.wav"), targets, residual=None)
    assert report.seconds == n_samples / 16000
    assert all(samples(target).shape == (1, n_samples) for target in targets)


def test_the_container_may_change_and_it_is_said(make_wav, tmp_path):
    report = process_file(Gain(), make_wav(subtype="FLOAT"), str(tmp_path / "o.flac"))
    assert (report.container, report.subtype, report.changed) == ("FLAC", "PCM_24", "FLOAT -> PCM_24")


def test_talkers_and_residual_sum_to_the_input(make_wav, tmp_path):
    source = make_wav(seconds=BLOCK_S + 0.1, subtype="FLOAT", n_channels=2)
    *targets, residual = (str(tmp_path / f"{name}.wav") for name in "12r")
    process_file(Split(), source, targets, residual=residual)
    y1, y2, r = map(samples, (*targets, residual))
    assert np.abs(r).max() > 0.2  # what enhancement removes of noise
    np.testing.assert_allclose(y1 + y2 + r, samples(source), atol=1e-6)


def test_a_pipe_gives_what_it_has(make_wav, monkeypatch, tmp_path):
    class Trickle(io.RawIOBase):
        """A pipe that gives 1000 bytes at a time, and keeps what had been written by then."""

        def __init__(self, data):
            self.data, self.written = data, []

        def readable(self):
            return True

        def readinto(self, buffer):
            self.written.append(out.tell())
            part, self.data = self.data[:1000], self.data[1000:]
            buffer[: len(part)] = part
            return len(part)

    out = io.BytesIO()
    trickle = Trickle((0.3 * np.sin(np.arange(16000))).astype("<f4").tobytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(trickle)))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    process_file(Gain(), "-", "-", raw="f32le:16000:1")
    lag = np.arange(len(trickle.written)) * 1000 - np.array(trickle.written)
    assert len(out.getvalue()) == 64000
    assert lag.max() <= 4 * (512 + 2 * 128) + 2 * 1000 + 8192  # the frame, the look-ahead, a read


@pytest.mark.parametrize(
    ("method", "targets", "settings", "message"),
    [
        (Split(), ["o.wav"], {}, "split writes 2 files per input; got 1"),
        (Gain(), ["o.wav", "p.wav"], {}, "gain writes 1 files per input; got 2"),
        (Split(), ["o.wav", "p.wav"], {"limit_db": 3}, "limit_db and independent apply to enhancement"),
        (Gain(), ["o.xyz"], {}, "unknown extension '.xyz'"),
        (Split(), ["o.wav", "o.wav"], {}, "o.wav is the name of two outputs"),
        (Split(), ["o.wav", "p.wav"], {"residual": "p.wav"}, "p.wav is the name of two outputs"),
        (Split(), ["o.wav", "p.wav"], {"rttm": "no/o.rttm"}, "no such folder: no; create it first"),
        (Split(), ["o.wav", "p.wav"], {"rttm": "./a.wav"}, "./a.wav is the input and would be lost"),
        (Gain(), ["o.wav"], {"residual": "a.wav"}, "a.wav is the input and would be lost"),
    ],
)
def test_wrong_settings_leave_nothing(make_wav, here, method, targets, settings, message):
    source = make_wav()
    with pytest.raises(InputError, match=message):
        process_file(method, source, targets, **settings)
    assert [path.name for path in here.iterdir()] == ["a.wav"]


def test_nan_is_named_where_it_is_in_the_file_or_repaired(here):
    x = np.full(80000, 0.1, np.float32)
    x[70000] = np.nan
    soundfile.write("a.wav", x, 16000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"nan at sample 70000 \(4.375 s\)"):
        process_file(Gain(), "a.wav", "o.wav", residual="r.wav")
    assert [path.name for path in here.iterdir()] == ["a.wav"]
    process_file(Gain(), "a.wav", "o.wav", nan="zero")
    assert np.isfinite(samples("o.wav")).all()


def test_a_file_in_one_call(make_wav, here):
    x, sr = undin.read(make_wav("a.wav"))
    report = undin.enhance_file("a.wav", Path("b.wav"), method="log-mmse", limit_db=6, gain_floor_db=-9)
    y, _ = undin.read("b.wav")
    np.testing.assert_allclose(y, undin.enhance(x, sr, method="log-mmse", limit_db=6, gain_floor_db=-9), atol=1e-4)
    assert report.seconds == pytest.approx(len(x) / sr)
    with pytest.raises(InputError, match="unknown setting 'limit'"):
        undin.enhance_file("a.wav", "b.wav", limit=6)
    undin.separate_file("a.wav", ["1.wav", "2.wav"], method="lstm-mask")
    np.testing.assert_allclose(undin.read("1.wav")[0] + undin.read("2.wav")[0], x, atol=1e-4)
    with pytest.raises(InputError, match="use deep-clustering, or a model for 3 talkers"):
        undin.separate_file("a.wav", ["1.wav", "2.wav", "3.wav"])
    with pytest.raises(InputError, match="deep-clustering writes 3 files per input; got 2 names"):
        undin.separate_file("a.wav", ["1.wav", "2.wav"], talkers=3, method="deep-clustering")


def lufs(x, sr=16000):
    meter = LoudnessMeter(sr)
    meter.process(x)
    return meter.lufs


def test_the_output_is_brought_to_a_loudness(make_wav, here):
    source = make_wav(seconds=2 * BLOCK_S + 0.3, n_channels=2, subtype="FLOAT", peak=0.02)
    report = process_file(Gain(), source, "o.wav", residual="r.wav", loudness=-30)
    x, y = samples(source), samples("o.wav")
    assert lufs(y) == pytest.approx(-30, abs=0.01) and report.gain_db > 3 and report.limited_db == 0
    np.testing.assert_allclose(y, 10 ** (report.gain_db / 20) * 0.5 * x, atol=1e-6)
    np.testing.assert_allclose(samples("r.wav"), 0.5 * x, atol=1e-6)  # the residual keeps its level
    assert sorted(path.name for path in here.iterdir()) == ["a.wav", "o.wav", "r.wav"]


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_peaks_stay_below_full_scale_and_it_is_said(make_wav, here, subtype):
    report = process_file(Gain(), make_wav(subtype=subtype), "o.wav", loudness=-1)
    y = samples("o.wav")
    assert np.abs(y).max() <= 10 ** (-1 / 20) + 1e-4
    assert np.abs(y).max() == pytest.approx(10 ** (-1 / 20), abs=0.01) and report.limited_db > 1


def test_talkers_share_the_gain_of_their_sum(make_wav, here):
    source = make_wav(seconds=3, peak=0.01, subtype="FLOAT")
    report = process_file(Split(gain=0.8), source, ["1.wav", "2.wav"], loudness=-40)
    total = samples("1.wav") + samples("2.wav")
    assert lufs(total) == pytest.approx(-40, abs=0.05)
    np.testing.assert_allclose(total, 10 ** (report.gain_db / 20) * samples(source), atol=1e-6)


def test_silence_and_nothing_have_no_loudness(make_wav, here):
    for seconds in (0, 1):
        report = process_file(Gain(), make_wav(seconds=seconds, peak=0), "o.wav", loudness=-16)
        assert not report.gain_db and not samples("o.wav").any()
    with pytest.raises(InputError, match="loudness must be a finite number, -70 to 0; got 3"):
        process_file(Gain(), make_wav(), "o.wav", loudness=3)


def test_a_talker_may_go_to_a_pipe(make_wav, here, capfdbinary):
    source = make_wav("a.wav")
    undin.separate_file(source, ["1.wav", "-"], method=Split(), talkers=2)
    sums = samples("1.wav") + soundfile.read(io.BytesIO(capfdbinary.readouterr().out))[0]
    np.testing.assert_allclose(sums, samples("a.wav"), atol=1e-4)


def test_one_file_for_several_talkers_is_an_error(make_wav, here):
    with pytest.raises(InputError, match=r"outs must be a list of files, one for each talker; got '1\.wav'"):
        undin.separate_file(make_wav("a.wav"), "1.wav")
    with pytest.raises(InputError, match="voice must be a file; for an array of samples use"):
        undin.separate_file("a.wav", ["1.wav"], voice=samples("a.wav"))
