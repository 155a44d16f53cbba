"""Faults in a signal are reported, and good signals pass."""

import numpy as np
import pytest

from undin import corpora
from undin.audio import resample
from undin.corpora.faults import count_clipped, faults, share_of_zeros

SR = 16000
RNG = np.random.default_rng(0)


def noise(seconds=1.0, rms=0.05, seed=0):
    return rms * np.random.default_rng(seed).standard_normal(round(seconds * SR))


def tone(hz, sr=SR, peak=0.5):
    """A second of a sine in 16 bits, as low tones are flat there."""
    return np.round(32768 * peak * np.sin(2 * np.pi * hz * np.arange(sr) / sr)) / 32768


def names(x, sr=SR, **settings):
    return [reason.split(":")[0] for reason in faults(x, sr, **settings)]


@pytest.mark.parametrize("clip", corpora.mini().rows, ids=lambda clip: f"{clip.speaker}{clip.kind}-{clip.offset_s}")
def test_nothing_is_wrong_with_the_shipped_corpus(clip):
    assert names(corpora.mini().load(clip), is_noise=bool(clip.kind)) == []


@pytest.mark.parametrize("peak", [1.0, 0.3])
def test_clipping_is_found_at_any_level(peak):
    clipped = peak * np.clip(noise(rms=0.5), -0.9, 0.9) / 0.9
    assert names(clipped) == ["clipped"]
    assert names(-clipped) == ["clipped"]
    assert f"at its peak of {peak:.3f}" in next(faults(clipped, SR))


@pytest.mark.parametrize("hz", [20, 50, 120, 1000, 3999])
@pytest.mark.parametrize("sr", [8000, 48000])
def test_a_tone_is_not_clipped(hz, sr):
    assert count_clipped(tone(hz, sr)) == 0
    assert count_clipped(np.clip(tone(hz, sr), -0.25, 0.25)) > 100 or hz == 3999  # there every sample is near zero


def test_a_few_clipped_samples_are_no_fault():
    x = noise()
    x[100:104] = 1.0
    assert count_clipped(x) == 0
    for i in range(100, 2100, 100):
        x[i : i + 4] = 1.0
    assert count_clipped(x) == 80


@pytest.mark.parametrize(("x", "reason"), [(np.zeros(SR), "every sample is 0"), (noise(rms=3e-5), "RMS -90 dBFS")])
def test_silence(x, reason):
    assert list(faults(x, SR)) == [f"silent: {reason}"]


def test_an_offset():
    assert names(noise() + 0.02) == ["DC offset"]
    assert names(noise() + 0.005) == []
    assert "its mean is -0.0" in next(faults(noise() - 0.02, SR))


def test_a_band_that_ends_below_half_of_nyquist():
    x = resample(resample(noise(2), SR, 7000), 7000, SR)
    (reason,) = faults(x, SR)
    top = float(reason.split("above ")[1].split()[0])
    assert reason.startswith("band-limited") and 3.2 < top < 3.8
    assert names(resample(resample(noise(2), SR, 12000), 12000, SR)) == []


def test_noise_padded_with_silence():
    x = np.pad(noise(), (0, SR))
    assert list(faults(x, SR, is_noise=True)) == ["padded: 50 % of it is digital silence"]
    assert names(x) == []
    x = noise(rms=0.5)
    x[::2] = 0  # zeros that are not a pause
    assert share_of_zeros(x, 2) < 0.01


def test_edges():
    assert names(np.zeros(0)) == ["silent"]
    assert names(noise(0.01)) == []
