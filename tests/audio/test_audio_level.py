import math

import numpy as np
import pytest

from undin.audio import active_level_db
from undin.errors import InputError

SR = 16000


def noise(seconds, *, rms=0.1, sr=SR, seed=0):
    return rms * np.random.default_rng(seed).standard_normal(round(seconds * sr))


def rms_db(x):
    return 10 * np.log10(np.mean(x**2))


def speech(n_bursts=10, *, pause=1.0, sr=SR):
    """Bursts of 1 s with pauses of `pause` s between and after."""
    parts = [np.append(noise(1, sr=sr, seed=i), np.zeros(round(pause * sr))) for i in range(n_bursts)]
    return np.concatenate(parts)


def literal(x, sr):
    """The recommendation's algorithm, sample by sample, with thresholds of 1/8 dB instead of 6 dB."""
    g, n_hang = math.exp(-1 / (sr * 0.03)), math.ceil(0.2 * sr)
    p = q = 0.0
    thresholds = 10 ** (np.arange(-80, 0, 0.125) / 20)
    active, hang = np.zeros(len(thresholds)), np.full(len(thresholds), n_hang)
    for a in np.abs(x):
        p = g * p + (1 - g) * a
        q = g * q + (1 - g) * p
        above = q >= thresholds
        hang = np.where(above, 0, hang)
        active += above | (hang < n_hang)
        hang += ~above & (hang < n_hang)
    with np.errstate(divide="ignore"):
        levels_db = 10 * np.log10(np.sum(x**2) / active)
    return levels_db[np.flatnonzero(levels_db - 20 * np.log10(thresholds) <= 15.9)[0]]


@pytest.mark.parametrize("sr", [8000, 16000, 22050, 44100, 48000])
def test_the_level_of_a_sound_without_pauses_is_its_rms(sr):
    x = noise(5, sr=sr)
    assert active_level_db(x, sr) == pytest.approx(rms_db(x), abs=0.05)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(5 * sr) / sr)
    assert active_level_db(tone, sr) == pytest.approx(rms_db(tone), abs=0.05)


def test_active_level_is_3_db_above_the_rms_with_pauses_half_of_the_time():
    x = np.concatenate([np.append(noise(5, seed=i), np.zeros(5 * SR)) for i in range(3)])
    assert 2.7 < active_level_db(x, SR) - rms_db(x) < 3.01  # about 0.3 s of every pause count as speech


def test_added_silence_changes_nothing():
    x = speech(3, pause=0.5)
    level_db = active_level_db(x, SR)
    for padded in (np.pad(x, (0, 20 * SR)), np.pad(x, (7 * SR + 5, 0)), np.insert(x, int(1.45 * SR), np.zeros(3 * SR))):
        assert active_level_db(padded, SR) == pytest.approx(level_db, abs=0.05)
        assert rms_db(padded) < rms_db(x) - 1


def test_a_floor_of_noise_in_the_pauses_changes_little():
    x = speech()
    assert active_level_db(x + noise(20, rms=1e-3, seed=99), SR) == pytest.approx(active_level_db(x, SR), abs=0.1)


def test_it_follows_a_gain_exactly_and_keeps_the_array():
    x = speech(3)
    before = x.copy()
    assert active_level_db(0.03 * x, SR) - active_level_db(x, SR) == pytest.approx(20 * np.log10(0.03), abs=1e-9)
    assert np.array_equal(x, before)


@pytest.mark.parametrize("sr", [1000, 8000])
def test_it_is_the_recommendation_sample_by_sample(sr):
    rng = np.random.default_rng(3)
    for pause in (0.1, 0.3, 0.8):
        x = speech(3, pause=pause, sr=sr) * np.repeat(rng.uniform(0.2, 1, 3), round((1 + pause) * sr))
        x += noise(len(x) / sr, rms=1e-4, sr=sr, seed=5)
        assert active_level_db(x, sr) == pytest.approx(literal(x, sr), abs=0.1)


def test_what_dies_away_is_speech_down_to_the_margin():
    """Decays by 50 dB each, where the threshold decides how much of them counts."""
    x = noise(6, sr=8000) * np.tile(10 ** (-np.linspace(0, 50, 16000) / 20), 3)
    assert active_level_db(x, 8000) == pytest.approx(literal(x, 8000), abs=0.05)


def test_channels_share_one_level():
    x = speech(3)
    assert active_level_db(np.stack([x, x]), SR) == pytest.approx(active_level_db(x, SR), abs=1e-9)
    assert active_level_db(np.stack([x, 0 * x]), SR) == pytest.approx(active_level_db(x, SR) - 3.01, abs=0.01)


def test_edges():
    assert active_level_db(np.zeros(SR), SR) == active_level_db(np.zeros(0), SR) == -math.inf
    assert active_level_db(np.float32([0.5]), SR) == pytest.approx(-6.02, abs=0.01)
    click = np.zeros(SR)
    click[SR // 2] = 1
    assert active_level_db(click, SR) == pytest.approx(10 * np.log10(1 / (0.2 * SR)), abs=0.1)
    with pytest.raises(InputError, match="floating point"):
        active_level_db(np.zeros(SR, np.int16), SR)
    with pytest.raises(InputError, match="finite"):
        active_level_db(np.array([0.1, np.nan]), SR)
