import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undin.errors import InputError
from undin.metrics import fw_segmental_snr, lsd, segmental_snr, snr
from undin.metrics.frames import CENTERS, WIDTHS


def noisy_pair(sr=8000, seconds=1.0, seed=0, rows=()):
    rng = np.random.default_rng(seed)
    ref, noise = rng.standard_normal((2, *rows, round(seconds * sr)))
    ref *= 0.1 * (1.05 + np.sin(np.arange(ref.shape[-1]) * 2 * np.pi * 3 / sr))
    return ref, ref + 0.02 * noise


@given(db=st.floats(-60, 100), gain=st.floats(1e-9, 1e9))
def test_snr_is_the_ratio_it_was_built_with(db, gain):
    ref, noise = np.random.default_rng(0).standard_normal((2, 500))
    noise *= 10 ** (-db / 20) * np.linalg.norm(ref) / np.linalg.norm(noise)
    assert snr(ref=gain * ref, est=gain * (ref + noise)) == pytest.approx(db, abs=1e-6)


def test_snr_counts_gain_and_dc_as_noise_and_perfect_is_infinite():
    ref, _ = noisy_pair()
    assert snr(ref=ref, est=2 * ref) == pytest.approx(0, abs=1e-12)
    assert snr(ref=ref, est=ref + 1) == pytest.approx(10 * np.log10((ref**2).mean()), abs=1e-9)
    assert snr(ref=ref, est=ref.copy()) == np.inf


def twin_frames(x, sr, frame_ms, hop_ms):
    n, hop = round(frame_ms * sr / 1000), int(hop_ms * sr / 1000)
    w = [0.5 * (1 - np.cos(2 * np.pi * (m + 1) / (n + 1))) for m in range(n)]
    return [x[t * hop : t * hop + n] * w for t in range((len(x) - n) // hop)]


@pytest.mark.parametrize(("sr", "frame_ms", "hop_ms"), [(8000, 30, 7.5), (16000, 32, 16), (11025, 30, 7.5)])
def test_segmental_snr_equals_a_loop_over_frames(sr, frame_ms, hop_ms):
    ref, est = noisy_pair(sr)
    expected = []
    for s, e in zip(*(twin_frames(x, sr, frame_ms, hop_ms) for x in (ref, est)), strict=True):
        expected.append(min(max(10 * np.log10((s**2).sum() / ((s - e) ** 2).sum()), -10), 35))
    assert len(set(expected)) > 20
    score = segmental_snr(ref=ref, est=est, sr=sr, frame_ms=frame_ms, hop_ms=hop_ms)
    assert score == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize(("gain", "db"), [(0.9, 20.0), (0.5, 6.0206), (1.001, 35.0), (10.0, -10.0)])
def test_every_frame_has_the_ratio_of_a_gain_error_within_its_clamp(gain, db):
    ref, _ = noisy_pair()
    assert segmental_snr(ref=ref, est=gain * ref, sr=8000) == pytest.approx(db, abs=1e-4)


def test_segmental_snr_of_pauses():
    ref, _ = noisy_pair(seconds=2)
    ref[8000:] = 0
    assert segmental_snr(ref=ref, est=ref, sr=8000) == 35  # where both are silent there is nothing to score
    noise = 1e-3 * np.random.default_rng(1).standard_normal(8000)
    est = np.r_[ref[:8000], noise]
    assert segmental_snr(ref=ref, est=est, sr=8000) == pytest.approx((35 - 10) / 2, abs=0.5)
    late = np.r_[np.zeros(7000), 1e-5, np.zeros(59)]
    with pytest.raises(InputError, match="silent in every frame"):
        segmental_snr(ref=late, est=late, sr=8000)


def twin_bands(n, sr):
    """One weight after the other."""
    n_fft = 2 ** int(np.ceil(np.log2(2 * n)))
    bands = np.zeros((25, n_fft // 2))
    for i, (center, width) in enumerate(zip(CENTERS, WIDTHS, strict=True)):
        for k in range(n_fft // 2):
            distance = (k - np.floor(center * n_fft / sr)) / (width * n_fft / sr)
            weight = 70.0 / width * np.exp(-11 * distance**2)
            bands[i, k] = weight if weight > np.exp(-30 / 4.606) else 0
    return n_fft, bands


@pytest.mark.parametrize("sr", [8000, 16000])
def test_fw_segmental_snr_equals_a_loop_over_frames_and_bands(sr):
    ref, est = noisy_pair(sr, seconds=0.3)
    n_fft, bands = twin_bands(round(0.03 * sr), sr)
    expected = []
    for s, e in zip(*(twin_frames(x, sr, 30, 7.5) for x in (ref, est)), strict=True):
        S, E = (np.abs(np.fft.fft(x, n_fft))[: n_fft // 2] for x in (s, e))
        S, E = S / S.sum(), E / E.sum()
        top, weights = 0.0, 0.0
        for band in bands:
            X, Y = (band * S).sum(), (band * E).sum()
            top += X**0.2 * 10 * np.log10(X**2 / max((X - Y) ** 2, np.finfo(float).eps))
            weights += X**0.2
        expected.append(min(max(top / weights, -10), 35))
    assert fw_segmental_snr(ref=ref, est=est, sr=sr) == pytest.approx(np.mean(expected), abs=1e-8)


def test_fw_segmental_snr_ignores_gain_and_content_above_4_khz():
    ref, est = noisy_pair(16000)
    score = fw_segmental_snr(ref=ref, est=est, sr=16000)
    assert fw_segmental_snr(ref=ref, est=7 * est, sr=16000) == pytest.approx(score, abs=1e-6)
    assert fw_segmental_snr(ref=ref, est=ref, sr=16000) == 35
    hiss = 0.3 * np.sin(2 * np.pi * 6000 / 16000 * np.arange(16000))
    worse = 0.3 * np.sin(2 * np.pi * 1000 / 16000 * np.arange(16000))
    # Both spectra sum to one, so a tone outside the bands lowers all of them alike, and no shape is bent.
    loss = score - np.array([fw_segmental_snr(ref=ref + x, est=est + x, sr=16000) for x in (hiss, worse)])
    assert fw_segmental_snr(ref=ref, est=ref + worse, sr=16000) < score
    assert np.all(np.abs(loss) < 15)


def test_longer_than_a_block_of_frames_scores_the_same(monkeypatch):
    ref, est = noisy_pair()
    scores = [f(ref=ref, est=est, sr=8000) for f in (segmental_snr, fw_segmental_snr)]
    monkeypatch.setattr("undin.metrics.frames.BLOCK", 10)
    assert scores == pytest.approx([f(ref=ref, est=est, sr=8000) for f in (segmental_snr, fw_segmental_snr)], abs=1e-12)


def test_lsd_of_a_gain_is_that_gain_in_db():
    ref, est = noisy_pair()
    assert lsd(ref=ref, est=ref / 2, sr=8000, range_db=200) == pytest.approx(20 * np.log10(2), abs=1e-9)
    assert lsd(ref=ref, est=-ref, sr=8000) == pytest.approx(0, abs=1e-12)  # phase does not count
    assert lsd(ref=9 * ref, est=9 * est, sr=8000) == pytest.approx(lsd(ref=ref, est=est, sr=8000), abs=1e-9)


def test_lsd_floor_keeps_silence_from_outweighing_speech():
    ref, _ = noisy_pair(seconds=2)
    ref[8000:] = 0
    est = ref + 1e-7 * np.random.default_rng(1).standard_normal(16000)
    assert lsd(ref=ref, est=est, sr=8000) < 1e-3
    assert lsd(ref=ref, est=est, sr=8000, range_db=150) > 5


def test_lsd_equals_its_definition():
    ref, est = noisy_pair(seconds=0.2)
    n, hop = 256, 128
    w = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)

    def spectra(x):
        x = np.r_[np.zeros(hop), x, np.zeros(n)]  # frames end with their hop
        n_frames = -(-(len(ref) + n - hop) // hop)
        return np.abs([np.fft.rfft(w * x[t * hop : t * hop + n]) for t in range(n_frames)])

    X, Y = spectra(ref), spectra(est)
    floor = X.max() * 10 ** (-50 / 20)
    D = 20 * np.log10(np.maximum(X, floor)) - 20 * np.log10(np.maximum(Y, floor))
    assert lsd(ref=ref, est=est, sr=8000) == pytest.approx(np.mean(np.sqrt(np.mean(D**2, 1))), abs=1e-9)


SEGMENTAL = [segmental_snr, fw_segmental_snr, lsd]


@pytest.mark.parametrize("metric", SEGMENTAL)
def test_a_batch_scores_like_its_rows(metric):
    ref, est = noisy_pair(seconds=0.2, rows=(2, 3))
    scores = metric(ref=ref, est=est, sr=8000)
    assert scores.shape == (2, 3)
    for i in np.ndindex(2, 3):
        one = metric(ref=ref[i], est=est[i], sr=8000)
        assert isinstance(one, float)
        assert scores[i] == pytest.approx(one, abs=1e-9)
    assert snr(ref=ref, est=est).shape == (2, 3)


@pytest.mark.parametrize("metric", SEGMENTAL)
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda k: k | {"est": 0 * k["est"]}, "is undefined: est is silent"),
        (lambda k: k | {"ref": k["ref"][:-1]}, "must have the same shape"),
        (lambda k: k | {"sr": 8000.0}, "sr must be a positive whole number of Hz"),
        (lambda k: k | {"ref": k["ref"].astype(int)}, "ref must be floating point"),
    ],
)
def test_bad_input_is_an_error_with_the_reason(metric, edit, message):
    ref, est = noisy_pair(seconds=0.2)
    with pytest.raises(InputError, match=message):
        metric(**edit({"ref": ref, "est": est, "sr": 8000}))


def test_their_own_rules():
    ref, est = noisy_pair(seconds=0.2)
    with pytest.raises(InputError, match=r"segmental SNR is undefined: it needs at least 37.5 ms; got 37.4 ms"):
        segmental_snr(ref=ref[:299], est=est[:299], sr=8000)
    with pytest.raises(InputError, match=r"hop_ms must be at least a sample and at most frame_ms = 30; got 40"):
        segmental_snr(ref=ref, est=est, sr=8000, hop_ms=40)
    with pytest.raises(InputError, match=r"fwSegSNR needs sr >= 8000, for bands up to 3.8 kHz; got 7999"):
        fw_segmental_snr(ref=ref, est=est, sr=7999)
    with pytest.raises(InputError, match="range_db must be above 0 dB; got 0"):
        lsd(ref=ref, est=est, sr=8000, range_db=0)
