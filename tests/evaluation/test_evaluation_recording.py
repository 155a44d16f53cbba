"""Each fault is found in a signal that has it, and nothing is found in the same signal without it."""

from functools import cache

import numpy as np
import pytest
import soundfile

from undin import audio, corpora, mixing
from undin.errors import InputError
from undin.evaluation.recording import check, check_recording
from undin.evaluation.recording.amplitude import Level
from undin.evaluation.recording.probe import Recording

SR = 16000


@cache
def voice():
    corpus = corpora.mini().select(split="test")
    x = np.concatenate([corpus.load(clip) for clip in corpus.speech[:3]])
    return x + np.random.default_rng(0).normal(0, 3e-4, len(x)).astype(np.float32)


def time_of(x, sr=SR):
    return np.arange(x.shape[-1]) / sr


def check_signal(x, sr, bits=16):
    x = np.atleast_2d(x).astype(np.float32)
    blocks = (x[:, n : n + check.BLOCK] for n in range(0, x.shape[-1], check.BLOCK))
    return check._checked(Recording("signal", sr, len(x), bits), blocks, "samples", [])


def faults(x, sr=SR, **settings):
    return {finding.what: finding for finding in check_signal(x, sr, **settings).faults}


def test_a_sound_recording_has_no_faults():
    result = check_signal(voice(), SR)
    assert result.faults == []
    assert {f.what for f in result.findings} == {"noise", "level", "clipping", "offset", "hum", "bandwidth", "gaps"}
    assert check_signal(np.stack([voice(), np.roll(voice(), 9)]), SR).faults == []


def test_clipping():
    x = np.clip(3 * voice(), -0.3, 0.3)
    finding = faults(x)["clipping"]
    runs = sum(_count_runs(s * x, np.float32(0.3)) for s in (1, -1))
    assert finding.values["clipped_places"] == pytest.approx(runs, rel=0.02) and runs > 100
    assert faults(0.1 * x)["clipping"]  # turned down afterwards
    assert "clipping" not in faults(3 * voice())


def _count_runs(y, peak):
    edges = np.diff(np.r_[False, y >= peak, False].astype(int))
    return int(np.sum(np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1) >= 3))


@pytest.mark.parametrize("hz", [30, 50, 440])
def test_a_loud_low_tone_in_16_bits_is_not_clipped(hz):
    x = np.round(0.9 * 32767 * np.sin(2 * np.pi * hz * np.arange(3 * 48000) / 48000)) / 32768
    assert "clipping" not in faults(x.astype(np.float32), 48000)


def test_offset():
    assert "+2.0 %" in faults(voice() / 2 + 0.02)["offset"].text
    assert "−2.0 %" in faults(np.stack([voice() / 2, np.roll(voice(), 5) / 2 - 0.02]))["offset"].text


@pytest.mark.parametrize(("hz", "sr"), [(50, SR), (60, SR), (49.95, SR), (50, 44100)])
def test_hum(hz, sr):
    x = audio.resample(voice(), SR, sr) if sr != SR else voice()
    t = time_of(x, sr)
    finding = faults(x + sum(0.01 / k * np.sin(2 * np.pi * k * hz * t) for k in (1, 2, 3)), sr)["hum"]
    assert finding.values["hum_hz"] == round(hz / 10) * 10
    assert finding.values["hum_db"] == pytest.approx(10 * np.log10(0.5e-4 * (1 + 1 / 4 + 1 / 9)), abs=1.5)


def test_a_voice_at_the_mains_frequency_is_not_hum():
    t = time_of(voice())
    song = 0.1 * np.sin(2 * np.pi * 100 * t + 3 * np.sin(2 * np.pi * 5 * t)) * (np.sin(2 * np.pi * 0.3 * t) > 0)
    assert "hum" not in faults(voice() + song)


def test_a_steady_tone_and_a_sustained_voice_are_not_hum():
    t, rng = time_of(voice()), np.random.default_rng(0)
    band = np.fft.rfft(rng.standard_normal(len(t)))  # noise of a fan: 6 Hz wide about 100 Hz
    hz = np.fft.rfftfreq(len(t), 1 / SR)
    band[np.abs(hz - 100) > 3] = 0
    fan = np.fft.irfft(band, len(t))
    assert "hum" not in faults(voice() + 0.02 * fan / fan.std())
    vibrato = (
        0.05 * np.sin(2 * np.pi * 100 * t + 2 * np.sin(2 * np.pi * 2 * t)) * (1 + 0.8 * np.sin(2 * np.pi * 0.5 * t))
    )
    assert "hum" not in faults(voice() + vibrato)


def test_a_pure_note_that_swells_is_no_hum_and_the_same_note_held_is():
    t = time_of(voice())
    note = 0.1 * np.sin(2 * np.pi * 100 * t) + 0.05 * np.sin(2 * np.pi * 200 * t)
    assert "hum" in faults(voice() + note)
    assert "hum" not in faults(voice() + note * (0.6 - 0.5 * np.cos(2 * np.pi * 0.2 * t)))  # by 21 dB


@pytest.mark.parametrize("keep", [7000, 5600])
def test_a_band_that_ends_where_converters_and_encoders_end_it_is_fine(keep):
    X = np.fft.rfft(np.random.default_rng(0).normal(0, 0.03, 3 * SR))
    X[keep * 3 :] = 0
    found = next(f for f in check_signal(np.fft.irfft(X), SR).findings if f.what == "bandwidth")
    assert found.status == "fine" and "band-limited to" in found.text
    assert found.values["bandwidth_hz"] == pytest.approx(keep, abs=150)


def test_an_offset_does_not_hide_noise_nor_make_any():
    noise = np.random.default_rng(0).normal(0, 0.01, len(voice())).astype(np.float32)
    for x in (voice(), voice() + noise):
        plain, moved = (check_signal(y, SR).findings[0].values["snr_db"] for y in (x, x + 0.2))
        assert moved == pytest.approx(plain, abs=0.3)


def test_inverted_channels_with_noise_of_their_own_are_named_and_their_noise_is_judged():
    noise = np.random.default_rng(0).normal(0, 0.02, (2, len(voice()))).astype(np.float32)
    both = faults(np.stack([voice(), -voice()]) + noise)
    assert "channels 1 and 2 are inverted" in both["channels"].text
    alone = check_signal(voice() + noise[0], SR).findings[0].values["snr_db"]
    assert both["noise"].values["snr_db"] == pytest.approx(alone, abs=1)


@pytest.mark.parametrize(("low", "sr"), [(8000, 16000), (8000, 48000), (16000, 44100)])
def test_bandwidth(low, sr):
    rng = np.random.default_rng(1)
    full = rng.normal(0, 0.03, 3 * sr).astype(np.float32)
    narrow = audio.resample(audio.resample(full, sr, low), low, sr)
    assert faults(narrow, sr)["bandwidth"].values["bandwidth_hz"] == pytest.approx(low / 2, rel=0.08)
    assert "bandwidth" not in faults(full, sr)
    assert "bandwidth" not in faults(np.cumsum(full) * np.float32(0.01), sr)  # falls by 6 dB per octave, and never ends


def test_gaps_that_cut_and_gaps_of_a_gate():
    x = voice().copy()
    x[9000:9800] = 0
    x[30000:30640] = 0
    finding = faults(x)["gaps"]
    assert finding.values == {"gaps": 2, "gap_seconds": 0.09, "cut_gaps": 2}
    assert "the longest 0.05 s at 0:00.6; 2 cut into sound" in finding.text
    fade = np.clip(np.abs(time_of(voice()) - 3) - 0.2, 0, 0.1) * 10
    gated = faults(voice() * fade.astype(np.float32))["gaps"]
    assert gated.values["gaps"] == 1 and gated.values["cut_gaps"] == 0 and "noise gate" in gated.text


def test_leading_and_trailing_silence_are_not_gaps():
    assert "gaps" not in faults(np.pad(voice(), 8000))


def test_level():
    assert check_signal(voice(), SR).findings[1].values["active_level_db"] == pytest.approx(-25, abs=4)
    assert "very quiet" in faults(0.01 * voice(), bits=24)["level"].text
    assert "very loud" in faults(9 * voice(), bits=24)["level"].text
    assert "silent" in faults(np.zeros(SR, np.float32))["level"].text


@pytest.mark.parametrize("sr", [8000, 16000, 44100])
def test_the_level_block_by_block_is_that_of_the_whole(sr):
    x = audio.resample(voice(), SR, sr) if sr != SR else voice()
    level = Level(Recording("x", sr, 1, 16))
    for start in range(0, len(x), 977):
        level.update(x[None, start : start + 977])
    assert level.findings()[0].values["active_level_db"] == pytest.approx(audio.active_level_db(x, sr), abs=0.3)


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (lambda x: x, "channels 1 and 2 are identical"),
        (lambda x: -x, "channels 1 and 2 are inverted"),
        (lambda x: 0 * x, "channel 2 is silent"),
    ],
)
def test_channels(other, text):
    assert text in faults(np.stack([voice(), other(voice())]))["channels"].text


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 30.0])
@pytest.mark.parametrize("kind", ["fan", "rain", "white"])
def test_snr_of_steady_noise(kind, snr_db):
    noise = corpora.mini().select(split="test", kind=kind)
    noisy = mixing.mix(voice(), noise.load(noise.noise[0]), snr_db=snr_db).noisy
    finding = check_signal(noisy, SR).findings[0]
    assert finding.values["snr_db"] == pytest.approx(snr_db, abs=4)
    assert (finding.status == "fault") == (snr_db < 20)


def test_too_short_for_a_number_is_said():
    assert "shorter than 3 s" in check_signal(voice()[:8000], SR).findings[0].text
    assert check_signal(np.zeros(0, np.float32), SR).seconds == 0


@pytest.mark.parametrize("block", [1, 3, 1000, 16000])
def test_blocks_of_any_size_find_the_same(monkeypatch, block):
    x = np.clip(3 * voice()[:30000], -0.3, 0.3)
    x[9000:9800] = 0
    x = np.stack([x, x + 0.05])[:, : 30000 if block > 100 else 4000]
    whole = check_signal(x, SR)
    monkeypatch.setattr(check, "BLOCK", block)
    for a, b in zip(check_signal(x, SR).findings, whole.findings, strict=True):
        assert (a.what, a.status) == (b.what, b.status)
        for name, value in a.values.items():
            assert value == pytest.approx(b.values[name], abs=0.11), name


def test_files_with_nan_and_files_that_end_too_early(tmp_path):
    x = voice().copy()
    x[100] = np.nan
    soundfile.write(tmp_path / "a.wav", x, SR, subtype="FLOAT")
    finding = check_recording(str(tmp_path / "a.wav")).faults[0]
    assert finding.what == "damage" and "got nan at sample 100" in finding.text
    soundfile.write(tmp_path / "b.wav", voice(), SR)
    whole = (tmp_path / "b.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(whole[: len(whole) // 2])
    result = check_recording(str(tmp_path / "b.wav"))
    assert "is truncated" in result.faults[0].text and result.seconds == pytest.approx(len(voice()) / SR / 2, abs=0.01)
    with pytest.raises(InputError, match=r"c\.wav"):
        check_recording(str(tmp_path / "c.wav"))


def test_an_empty_recording_is_reported():
    assert [f.text for f in check_signal(np.zeros(0, np.float32), SR).faults] == ["it has no samples"]
    silent = {f.what: f.text for f in check_signal(np.zeros(5 * SR, np.float32), SR).findings}
    assert silent["level"] == "the recording is silent"
    assert silent["noise"] == "noise not estimated: too little contrast between speech and noise"
