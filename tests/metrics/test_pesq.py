import numpy as np
import pytest

from undin.errors import InputError
from undin.metrics import pesq, pesq_raw

package = pytest.importorskip("pesq")


def pair(sr, seconds=2.0, noise=0.1, seed=0):
    """Noise with a syllable-like envelope, and the same plus steady noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sr)) / sr
    ref = 0.2 * rng.standard_normal(len(t)) * (1 + np.sin(2 * np.pi * 2 * t)) / 2
    return ref, ref + noise * 0.2 * rng.standard_normal(len(t))


@pytest.mark.parametrize(("sr", "band"), [(16000, "wb"), (16000, "nb"), (8000, "nb")])
def test_is_the_value_of_the_itu_code(sr, band):
    ref, est = pair(sr)
    score = pesq(ref=ref, est=est, sr=sr, band=band)
    assert score == package.pesq(sr, ref, est, band)
    assert 1 < score < pesq(ref=ref, est=ref, sr=sr, band=band)


@pytest.mark.parametrize(("band", "best"), [("wb", 4.644), ("nb", 4.549)])
def test_a_perfect_estimate_reaches_the_top_of_its_scale(band, best):
    ref, _ = pair(16000)
    assert pesq(ref=ref, est=ref, sr=16000, band=band) == pytest.approx(best, abs=1e-3)


def test_raw_is_narrow_band_before_the_map():
    ref, est = pair(8000)
    raw = pesq_raw(ref=ref, est=est, sr=8000)
    assert isinstance(raw, float)
    mapped = 0.999 + 4 / (1 + np.exp(-1.4945 * raw + 4.6607))
    assert mapped == pytest.approx(pesq(ref=ref, est=est, sr=8000, band="nb"), abs=1e-9)
    assert pesq_raw(ref=ref, est=ref, sr=8000) == pytest.approx(4.5, abs=1e-3)  # the top of P.862
    batch = pesq_raw(ref=np.stack([ref, ref]), est=np.stack([ref, est]), sr=8000)
    assert batch == pytest.approx([4.5, raw], abs=1e-3)


def test_wide_band_is_the_default():
    ref, est = pair(16000)
    assert pesq(ref=ref, est=est, sr=16000) == pesq(ref=ref, est=est, sr=16000, band="wb")
    assert pesq(ref=ref, est=est, sr=16000) != pesq(ref=ref, est=est, sr=16000, band="nb")


def test_a_batch_scores_like_its_rows():
    pairs = [pair(16000, seed=seed, noise=0.1 * seed) for seed in range(1, 3)]
    ref, est = (np.stack(signals)[:, None] for signals in zip(*pairs, strict=True))
    scores = pesq(ref=ref, est=est, sr=16000)
    assert scores.shape == (2, 1)
    assert scores.ravel().tolist() == [pesq(ref=r, est=e, sr=16000) for r, e in pairs]


@pytest.mark.parametrize(
    ("sr", "band", "message"),
    [
        (48000, "wb", "8000 and 16000 only; got 48000: resample both signals to 16000"),
        (8000, "wb", "wide-band PESQ needs sr = 16000; got 8000: pass band='nb'"),
        (16000, "swb", r"band must be one of wb, nb; got 'swb'"),
        (16000.0, "wb", "sr must be a positive whole number of Hz; got 16000.0"),
    ],
)
def test_other_rates_and_bands_are_refused_with_the_cure(sr, band, message):
    ref, est = pair(16000)
    with pytest.raises(InputError, match=message):
        pesq(ref=ref, est=est, sr=sr, band=band)


def test_what_the_package_cannot_score_is_an_error_with_the_reason():
    ref, est = pair(16000)
    with pytest.raises(InputError, match=r"needs 0.25 to 20 s; got 0.249 s"):
        pesq(ref=ref[:3990], est=est[:3990], sr=16000)
    with pytest.raises(InputError, match="PESQ is undefined: ref is silent"):
        pesq(ref=0 * ref, est=est, sr=16000)
    with pytest.raises(InputError, match="PESQ is undefined: est is silent"):
        pesq(ref=ref, est=0 * est, sr=16000)  # the package fails with "cannot convert float NaN to integer"
    ref[1000:], est[1000:] = 0, 0
    with pytest.raises(InputError, match="finds no utterance"):
        pesq(ref=ref, est=est, sr=16000)


def test_long_input_is_refused_before_the_c_code_overflows():
    # 80 bursts that part into more utterances than its arrays of 50 hold: called directly this ends in a segfault.
    x = np.tile(np.r_[np.random.default_rng(0).standard_normal(8000), np.zeros(8000)], 80)
    with pytest.raises(InputError, match=r"needs 0.25 to 20 s; got 80 s"):
        pesq(ref=x, est=x, sr=16000)
