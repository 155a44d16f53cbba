import math

import numpy as np
import pytest

from undin.audio.loudness import LoudnessMeter, k_weighting


def tone(*parts, sr=48000, hz=1000):
    """(n_samples,) of (dB, seconds) one after the other."""
    return np.concatenate([10 ** (db / 20) * np.sin(2 * np.pi * hz * np.arange(round(s * sr)) / sr) for db, s in parts])


def loudness(x, sr=48000, block=96000):
    meter = LoudnessMeter(sr)
    for start in range(0, x.shape[-1], block):
        meter.process(x[:, start : start + block])
    return meter.lufs


def test_a_tone_of_full_scale_in_one_channel_is_at_minus_3_01():
    """ITU-R BS.1770-4, annex 1."""
    assert loudness(tone((0, 5), hz=997)[None]) == pytest.approx(-3.01, abs=0.005)


@pytest.mark.parametrize(
    "parts",
    [
        [(-23, 20)],
        [(-36, 10), (-23, 60), (-36, 10)],  # relative gate
        [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)],  # absolute gate
        [(-26, 20), (-20, 20.1), (-26, 20)],
    ],
)
def test_minimum_requirements_of_ebu_tech_3341(parts):
    assert loudness(np.stack([tone(*parts)] * 2)) == pytest.approx(-23, abs=0.1)


def test_surround_channels_weigh_more_and_the_lfe_nothing():
    """EBU Tech 3341, test 6, and the same with an LFE channel."""
    x = np.stack([tone((db, 20)) for db in (-28, -28, -24, -30, -30)])
    assert loudness(x) == pytest.approx(-23, abs=0.1)
    assert loudness(np.insert(x, 3, tone((0, 20)), 0)) == pytest.approx(loudness(x), abs=1e-9)


def test_the_weighting_is_that_of_the_recommendation():
    signal = pytest.importorskip("scipy.signal")
    h = k_weighting(48000)
    y = signal.lfilter([1.53512485958697, -2.69169618940638, 1.19839281085285],
                       [1, -1.69065929318241, 0.73248077421585], np.eye(1, len(h))[0])  # fmt: skip
    y = signal.lfilter([1, -2, 1], [1, -1.99004745483398, 0.99007225036621], y)
    np.testing.assert_allclose(h, y, atol=1e-12)


@pytest.mark.parametrize(("sr", "tolerance"), [(8000, 0.5), (11025, 0.25), (16000, 0.1), (44100, 0.02), (96000, 0.05)])
def test_rates_agree(sr, tolerance):
    """As in other meters the shelf is bent a little where it is near half the rate."""
    expected = loudness(tone((-20, 3), hz=400)[None])
    assert loudness(tone((-20, 3), sr=sr, hz=400)[None], sr) == pytest.approx(expected, abs=tolerance)


def test_pieces_of_any_size_measure_the_same():
    x = np.random.default_rng(0).standard_normal((2, 50000)) * np.linspace(0.001, 0.3, 50000)
    assert loudness(x, 16000, 777) == pytest.approx(loudness(x, 16000), abs=1e-9)


def test_less_than_a_block_is_measured_and_silence_has_none():
    x = tone((-20, 0.3))[None]
    assert loudness(x) == pytest.approx(loudness(tone((-20, 3))[None]), abs=0.1)
    assert loudness(x[:, :2000]) == pytest.approx(-22.6, abs=0.8)
    assert loudness(0 * x) == loudness(x[:, :0]) == -math.inf
