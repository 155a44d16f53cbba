"""The mixer: SNR over the whole clip, one scale for all three, loops without clicks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undin.audio import rms
from undin.errors import InputError
from undin.mixing import mix
from undin.mixing.mix import FADE, cut


def sound(n, seed=0, level=0.05):
    return (level * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


@given(snr_db=st.floats(-30, 40), n_noise=st.integers(1, 6000), seed=st.integers(0, 9), level=st.floats(1e-4, 0.9))
def test_snr_sum_and_peak_hold(snr_db, n_noise, seed, level):
    s = sound(2000, seed, level)
    m = mix(s, sound(n_noise, seed + 1), snr_db=snr_db, onset=np.random.default_rng(seed))
    assert 20 * np.log10(rms(m.speech) / rms(m.noise)) == pytest.approx(snr_db, abs=1e-4)
    np.testing.assert_array_equal(m.noisy, m.speech + m.noise)
    np.testing.assert_allclose(m.speech, m.scale * s, rtol=1e-6)
    assert max(np.abs(x).max() for x in (m.noisy, m.speech, m.noise)) < 1
    assert all(x.dtype == np.float32 and x.shape == (2000,) for x in (m.noisy, m.speech, m.noise))


def test_speech_is_unchanged_where_there_is_headroom():
    s = sound(1000)
    m = mix(s, sound(1000, 1), snr_db=3)
    np.testing.assert_array_equal(m.speech, s)
    assert m.scale_db == 0 and m.scale == 1


def test_a_peak_over_full_scale_scales_all_three():
    s, n = sound(1000, level=0.5), sound(1000, 1)
    m = mix(s, n, snr_db=-10)
    assert m.scale_db < 0
    assert max(np.abs(x).max() for x in (m.noisy, m.speech, m.noise)) == pytest.approx(0.99, abs=1e-4)
    np.testing.assert_allclose(m.speech / m.scale, s, rtol=1e-5)


def test_level_is_that_of_the_mixture():
    for level_db in (-50, -26):
        m = mix(sound(4000), sound(4000, 1), snr_db=0, level_db=level_db)
        assert 20 * np.log10(rms(m.noisy)) == pytest.approx(level_db, abs=1e-4)
    assert np.abs(mix(sound(4000), sound(4000, 1), snr_db=0, level_db=0).noisy).max() < 1


def test_longer_noise_is_cut_at_the_onset():
    s, n = sound(100), sound(300, 1)
    m = mix(s, n, snr_db=0, onset=150)
    np.testing.assert_allclose(m.noise / rms(m.noise), n[150:250] / rms(n[150:250]), rtol=1e-5)
    onsets = {mix(s, n, snr_db=0, onset=np.random.default_rng(i)).onset for i in range(40)}
    assert len(onsets) > 20 and min(onsets) >= 0 and max(onsets) <= 200


def test_shorter_noise_is_looped_with_a_crossfade():
    n = sound(1000, level=1)
    loop = cut(n, 5000, 0)
    period = 1000 - FADE
    np.testing.assert_array_equal(loop[:period], loop[period : 2 * period])
    np.testing.assert_array_equal(loop[FADE:period], n[FADE:period])
    np.testing.assert_array_equal(cut(n, 5000, 500)[: period - 500], loop[500:period])
    # the seam jumps no further than the noise does elsewhere, where tiling a slow ramp would jump by all of it
    t = np.linspace(-1, 1, 1000, dtype=np.float32)
    assert np.abs(np.diff(t[np.arange(5000) % 1000])).max() > 1.9
    assert np.abs(np.diff(cut(t, 5000, 0))).max() < 0.05
    # and white noise keeps its power across it
    powers = [rms(cut(sound(1000, seed, 1.0), 5000, 0)[period : period + FADE]) ** 2 for seed in range(50)]
    assert np.mean(powers) == pytest.approx(1, abs=0.05)


@given(n_noise=st.integers(1, 700), n_samples=st.integers(1, 2000), part=st.floats(0, 1, exclude_max=True))
def test_cut_returns_the_requested_segment(n_noise, n_samples, part):
    last = n_noise - n_samples if n_noise >= n_samples else n_noise - 1
    n = np.ones(n_noise, np.float32)
    y = cut(n, n_samples, int(part * (last + 1)))
    assert y.shape == (n_samples,) and y.min() >= 0.99 and y.max() <= 1.5
    assert (n == 1).all()


def test_inputs_are_left_alone():
    s, n = sound(1000, level=0.9), sound(300, 1)
    before = s.copy(), n.copy()
    mix(s, n, snr_db=-20, level_db=-6)
    np.testing.assert_array_equal(s, before[0])
    np.testing.assert_array_equal(n, before[1])


def test_float64_and_lists_are_taken():
    s, n = sound(50).astype(np.float64), list(sound(50, 1).astype(float))
    np.testing.assert_array_equal(mix(s, n, snr_db=0).noisy, mix(sound(50), sound(50, 1), snr_db=0).noisy)


GOOD = sound(100)


@pytest.mark.parametrize(
    ("speech", "noise", "settings", "message"),
    [
        (np.zeros(100), GOOD, {}, "the speech is silent over the complete mixture, so its SNR is undefined"),
        (GOOD, np.zeros(9), {}, "the noise is silent"),
        (GOOD, np.r_[GOOD, np.zeros(100)], {"onset": 100}, "the noise is silent over"),
        (GOOD[:0], GOOD, {}, r"speech must be .* at least one sample; got float32 of shape \(0,\)"),
        (np.ones((2, 100)), GOOD, {}, r"speech must be floating point of shape \(n_samples,\)"),
        (GOOD, np.ones(100, np.int16), {}, "noise must be floating point .* got int16"),
        (GOOD, np.r_[GOOD, np.nan], {}, "noise must be finite; sample 100 is nan"),
        (GOOD, GOOD, {"snr_db": np.inf}, "snr_db must be finite; got inf"),
        (GOOD, GOOD, {"level_db": np.nan}, "level_db must be finite"),
        (GOOD, np.r_[GOOD, GOOD], {"onset": 101}, r"onset must be in 0 to 100 for 200 samples of noise; got 101"),
        (GOOD, GOOD[:50], {"onset": 50}, r"onset must be in 0 to 49"),
        (GOOD, GOOD, {"onset": -1}, r"onset must be in 0 to 0 "),
    ],
)
def test_invalid_mixtures_are_rejected(speech, noise, settings, message):
    with pytest.raises(InputError, match=message):
        mix(speech, noise, **{"snr_db": 0, **settings})
