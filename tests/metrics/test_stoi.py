import numpy as np
import pytest

from undin.errors import InputError
from undin.metrics import estoi, stoi

pystoi = pytest.importorskip("pystoi")


def pair(sr, seconds=1.0, noise=0.3, seed=0):
    """Noise with a syllable-like envelope, and the same plus steady noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sr)) / sr
    ref = 0.2 * rng.standard_normal(len(t)) * (1 + np.sin(2 * np.pi * 4 * t)) / 2
    return ref, ref + noise * 0.2 * rng.standard_normal(len(t))


@pytest.mark.parametrize("sr", [8000, 10000, 16000, 44100])
def test_is_pystois_value_at_any_rate(sr):
    ref, est = pair(sr)
    assert stoi(ref=ref, est=est, sr=sr) == pystoi.stoi(ref, est, sr)
    assert estoi(ref=ref, est=est, sr=sr) == pytest.approx(pystoi.stoi(ref, est, sr, extended=True), abs=1e-9)


@pytest.mark.parametrize("metric", [stoi, estoi])
def test_perfect_is_one_noise_costs_and_gain_does_not_matter(metric):
    ref, est = pair(10000)
    _, worse = pair(10000, noise=3.0)
    assert metric(ref=ref, est=ref, sr=10000) == pytest.approx(1, abs=1e-6)
    assert 0.95 > metric(ref=ref, est=est, sr=10000) > metric(ref=ref, est=worse, sr=10000) + 0.1
    assert metric(ref=ref, est=0.01 * est, sr=10000) == pytest.approx(metric(ref=ref, est=est, sr=10000), abs=1e-6)


@pytest.mark.parametrize("metric", [stoi, estoi])
def test_a_batch_scores_like_its_rows(metric):
    pairs = [pair(10000, seed=seed) for seed in range(4)]
    ref, est = (np.stack(signals).reshape(2, 2, -1) for signals in zip(*pairs, strict=True))
    scores = metric(ref=ref, est=est, sr=10000)
    assert scores.shape == (2, 2)
    assert scores.ravel().tolist() == [metric(ref=r, est=e, sr=10000) for r, e in pairs]


def test_the_same_pair_scores_the_same_bits_and_draws_nothing_from_the_caller():
    ref, est = pair(10000)
    est[3000:8000] = 0  # silent segments: there pystoi's extended measure correlates its own dither
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.rand(3)  # noqa: NPY002
    first = estoi(ref=ref, est=est, sr=10000)
    np.random.seed(1)  # noqa: NPY002
    assert estoi(ref=ref, est=est, sr=10000) == first
    np.testing.assert_array_equal(np.random.rand(3), expected)  # noqa: NPY002


@pytest.mark.parametrize("metric", [stoi, estoi])
@pytest.mark.parametrize("n_samples", [1, 200, 257, 512, 600, 4000])
def test_too_little_speech_is_an_error_not_a_number(metric, n_samples):
    ref, est = pair(10000)
    with (
        pytest.raises(InputError, match="STOI is undefined: ref has fewer than 30 frames")
        if n_samples > 1
        else (pytest.raises(InputError, match="silent"))
    ):
        metric(ref=ref[:n_samples], est=est[:n_samples], sr=10000)


def test_silence_around_a_word_does_not_count_as_speech():
    ref, est = pair(10000, seconds=2)
    ref[3000:] = 0
    with pytest.raises(InputError, match="fewer than 30 frames"):
        stoi(ref=ref, est=est, sr=10000)
    with pytest.raises(InputError, match=r"fewer than 30 frames .* \(at index \[1\]\)"):
        stoi(ref=np.stack([est, ref]), est=np.stack([est, est]), sr=10000)


@pytest.mark.parametrize("metric", [stoi, estoi])
def test_bad_input_is_an_error_with_the_reason(metric):
    ref, est = pair(10000)
    with pytest.raises(InputError, match="STOI is undefined: est is silent"):
        metric(ref=ref, est=0 * est, sr=10000)
    with pytest.raises(InputError, match=r"same shape; got \(10000,\) and \(9999,\)"):
        metric(ref=ref, est=est[1:], sr=10000)
    with pytest.raises(InputError, match=r"sr must be a positive whole number of Hz; got 16000.0"):
        metric(ref=ref, est=est, sr=16000.0)
