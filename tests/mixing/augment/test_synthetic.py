"""Synthetic noises: each kind by what makes it that kind."""

import numpy as np
import pytest

from undin.errors import InputError
from undin.mixing.augment.synthetic import SYNTHETIC, _shaped, synthesise
from undin.spectrum import stft

SR = 16000


def made(kind, seed, seconds=4, sr=SR):
    return synthesise(kind, seconds * sr, sr, np.random.default_rng(seed))


def power_of(x, sr=SR):
    """Power over frequency, with a window whose side lobes are 90 dB down, and the frequencies."""
    return np.abs(np.fft.rfft(x * np.blackman(len(x)))) ** 2, np.fft.rfftfreq(len(x), 1 / sr)


def flatness(x):
    """Geometric over arithmetic mean of the power, 1 for white noise."""
    power, _ = power_of(x)
    power = power[: len(power) // 64 * 64].reshape(-1, 64).mean(1) + 1e-12
    return np.exp(np.log(power).mean()) / power.mean()


@pytest.mark.parametrize("kind", SYNTHETIC)
@pytest.mark.parametrize("sr", [8000, 16000, 44100, 48000])
def test_any_rate_and_length(kind, sr):
    for n_samples in (1, 2, 333, sr + 1):
        x = synthesise(kind, n_samples, sr, np.random.default_rng(3))
        assert x.shape == (n_samples,) and x.dtype == np.float32
        assert np.sqrt(np.mean(np.square(x, dtype=float))) == pytest.approx(0.1, rel=1e-4)
    again = synthesise(kind, sr + 1, sr, np.random.default_rng(3))
    np.testing.assert_array_equal(x, again)
    assert np.abs(synthesise(kind, sr + 1, sr, np.random.default_rng(4)) - x).max() > 1e-3


def test_what_cannot_be_made():
    with pytest.raises(InputError, match="kind must be one of coloured, hum"):
        synthesise("purr", 100, SR, np.random.default_rng(0))
    with pytest.raises(InputError, match="n_samples must be 1 or more; got 0"):
        synthesise("hum", 0, SR, np.random.default_rng(0))


def test_colored_noise_has_many_slopes():
    slopes = []
    for seed in range(40):
        power, f = power_of(made("coloured", seed))
        bands = [np.mean(power[(f >= low) & (f < 2 * low)]) for low in 125 * 2.0 ** np.arange(6)]
        slopes.append(np.polyfit(np.arange(6), 10 * np.log10(bands), 1)[0])
    assert np.mean(slopes) == pytest.approx(-3.0, abs=1.2)  # a = 1 on average: -10 log10(2) dB an octave
    assert min(slopes) < -6 and max(slopes) > -0.5


def test_hum_has_lines_at_multiples_of_the_mains():
    mains = set()
    for seed in range(12):
        power, f = power_of(made("hum", seed))
        shares = {f0: power[np.abs(f / f0 - np.rint(f / f0)) * f0 < 3].sum() / power.sum() for f0 in (50, 60)}
        mains.add(max(shares, key=shares.get))
        assert max(shares.values()) > 0.99
        assert power[f > 0.46 * SR].sum() < 1e-4 * power.sum()
    assert mains == {50, 60}


def test_engines_glide():
    ratios = []
    for seed in range(10):
        x = made("engine", seed)
        starts = [power_of(x[k : k + 8000])[0][: 1000 // 2] for k in (0, 56000)]  # to 1 kHz, lines 2 Hz apart
        ratios.append(np.corrcoef(*np.sqrt(starts))[0, 1])
    assert np.median(ratios) < 0.6  # the lines are elsewhere at the end


def test_fans_are_noise_with_lines():
    for seed in range(6):
        x = made("fan", seed)
        power, f = power_of(x)
        line = f[np.argmax(power)]
        assert flatness(x) > 1e-12 and power.max() > 20 * np.median(power[(f > line / 2) & (f < line * 1.5)])


def test_sirens_glide_between_their_ends():
    spans = []
    for seed in range(12):
        X = np.abs(stft(made("siren", seed), 1024, 256))[:, 4:-4]
        low = np.arange(len(X)) * SR / 1024
        ridge = low[np.argmax(np.where((low > 350) & (low < 2000), X.T, 0), -1)]
        share = np.sort(X**2, 0)[-40:].sum() / np.sum(X**2)
        assert share > 0.75, seed  # a few harmonics, moving within a frame, hold what 40 of 513 bins of noise would not
        spans.append(ridge.max() / ridge.min())
        assert ridge.min() > 380 and ridge.max() < 1900
    assert min(spans) > 1.2


def test_beeps_are_tones_with_pauses():
    quiet = []
    for seed in range(10):
        x = made("beeps", seed)
        X = np.abs(stft(x, 512, 128)) ** 2
        level = X.sum(0)
        quiet.append(np.mean(level < 1e-4 * level.max()))
        loud = X[:, level > 0.5 * level.max()]
        assert np.sort(loud, 0)[-30:].sum() > 0.97 * loud.sum()
    assert max(quiet) > 0.2


@pytest.mark.parametrize(("kind", "least", "most"), [("clicks", 600, 6200), ("knocks", 60, 600)])
def test_events_ring_in_their_band_between_silences(kind, least, most):
    for seed in range(8):
        x = made(kind, seed)
        assert np.abs(x).max() > 6 * 0.1
        assert np.mean(np.abs(x) < 1e-3) > 0.1
        power, f = power_of(x)
        center = np.sum(f * power) / power.sum()
        assert 0.5 * least < center < 1.2 * most


def test_rain_is_dense():
    for seed in range(8):
        x = made("rain", seed)
        assert flatness(x) > 0.001
        loudest = np.abs(x).reshape(-1, 1600).max(1)
        assert loudest.min() > 0.005  # something in every tenth of a second
        assert np.mean(np.square(x, dtype=float) ** 2) > 3.3 * 0.1**4  # and not Gaussian: more in the tails


def test_shaped_noise_at_its_levels():
    x = _shaped(2 * SR, SR, np.random.default_rng(0), lambda f: np.where(f < 1000, 0.0, -40.0))
    power, f = power_of(x)
    below, above = power[(f > 100) & (f < 800)].mean(), power[f > 1300].mean()
    assert 10 * np.log10(below / above) == pytest.approx(40, abs=1)
