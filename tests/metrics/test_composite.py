import numpy as np
import pytest

from undin.errors import InputError
from undin.metrics import composite, llr, pesq, pesq_raw, segmental_snr, wss
from undin.metrics.composite import _levinson, _peak_weights, composite_of
from undin.metrics.frames import CENTERS, WIDTHS


def noisy_pair(sr=8000, seconds=0.3, seed=0, noise=0.02):
    """A buzz through two resonances with an envelope, and the same plus noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sr)) / sr
    ref = sum(
        np.sin(2 * np.pi * 130 * k * t) / (1 + ((130 * k - f) / 200) ** 2) for k in range(1, 28) for f in (600, 1800)
    )
    ref = 0.05 * (ref + 0.02 * rng.standard_normal(len(t))) * (1.1 + np.sin(2 * np.pi * 5 * t))
    return ref, ref + noise * rng.standard_normal(len(t))


def twin_frames(x, sr):
    n = round(0.03 * sr)
    w = [0.5 * (1 - np.cos(2 * np.pi * (m + 1) / (n + 1))) for m in range(n)]
    return [(x[t : t + n] + np.finfo(float).eps) * w for t in (np.arange((len(x) - n) // (n // 4)) * (n // 4))]


def lowest_95(values):
    return np.mean(sorted(values)[: int(0.95 * len(values) + 0.5)])


def twin_llr(ref, est, sr):
    """The definition with matrices: the normal equations solved, the quadratic forms written out."""
    order = 10 if sr < 10000 else 16
    values = []
    for s, e in zip(twin_frames(ref, sr), twin_frames(est, sr), strict=True):
        filters, matrices = [], []
        for x in (s, e):
            r = np.array([x[: len(x) - k] @ x[k:] for k in range(order + 1)])
            matrices.append(np.array([[r[abs(i - j)] for j in range(order + 1)] for i in range(order + 1)]))
            filters.append(np.r_[1, np.linalg.solve(matrices[-1][1:, 1:], -r[1:])])
        R = matrices[0]
        values.append(np.log((filters[1] @ R @ filters[1]) / (filters[0] @ R @ filters[0])))
    return lowest_95(values)


@pytest.mark.parametrize("sr", [8000, 16000])
def test_llr_equals_its_definition_with_matrices(sr):
    ref, est = noisy_pair(sr)
    expected = twin_llr(ref, est, sr)
    assert expected > 0.1
    assert llr(ref=ref, est=est, sr=sr) == pytest.approx(expected, rel=1e-7)


def test_levinson_solves_the_normal_equations_and_survives_a_pure_tone():
    x = np.random.default_rng(0).standard_normal((3, 400))
    R = np.stack([(x[:, : 400 - k] * x[:, k:]).sum(-1) for k in range(6)], -1)
    a, energy = _levinson(R)
    for r, a_i, energy_i in zip(R, a, energy, strict=True):
        T = np.array([[r[abs(i - j)] for j in range(6)] for i in range(6)])
        np.testing.assert_allclose(T @ a_i, [energy_i, 0, 0, 0, 0, 0], atol=1e-9)
    tone = np.cos(0.3 * np.arange(17))
    assert np.isfinite(_levinson(tone)[0]).all()
    assert _levinson(tone)[1] >= 0


def twin_weights(energy):
    """Klatt's weights by the walk uphill that the published program makes."""
    slope = np.diff(energy)
    weights = []
    for i in range(24):
        n = i
        if slope[i] > 0:
            while n < 24 and slope[n] > 0:
                n += 1
            peak = energy[n - 1]
        else:
            while n >= 0 and slope[n] <= 0:
                n -= 1
            peak = energy[n + 1]
        weights.append(20 / (20 + max(energy) - energy[i]) / (1 + peak - energy[i]))
    return np.array(weights)


@pytest.mark.parametrize("shape", [lambda i: i, lambda i: -i, lambda i: 0 * i, lambda i: abs(i - 9), lambda i: i % 7])
def test_the_nearest_peak_is_found_by_walking_uphill(shape):
    energy = 3.0 * shape(np.arange(25))
    np.testing.assert_allclose(_peak_weights(energy), twin_weights(energy))


@pytest.mark.parametrize("sr", [8000, 16000])
def test_wss_equals_a_loop_over_frames_and_bands(sr):
    ref, est = noisy_pair(sr)
    n_fft = 2 ** int(np.ceil(np.log2(0.06 * sr)))
    k = np.arange(n_fft // 2)
    bands = []
    for center, width in zip(CENTERS, WIDTHS, strict=True):
        weight = 70 / width * np.exp(-11 * ((k - np.floor(center * n_fft / sr)) / (width * n_fft / sr)) ** 2)
        bands.append(np.where(weight > np.exp(-30 / 4.606), weight, 0))
    values = []
    for frames in zip(twin_frames(ref, sr), twin_frames(est, sr), strict=True):
        powers = [np.abs(np.fft.fft(x, n_fft)[: n_fft // 2]) ** 2 for x in frames]
        X, Y = (np.array([10 * np.log10(max((b * p).sum(), 1e-10)) for b in bands]) for p in powers)
        W = (twin_weights(X) + twin_weights(Y)) / 2
        values.append((W * (np.diff(X) - np.diff(Y)) ** 2).sum() / W.sum())
    expected = lowest_95(values)
    assert expected > 5
    assert wss(ref=ref, est=est, sr=sr) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", [llr, wss])
def test_perfect_is_zero_gain_does_not_matter_and_a_batch_scores_like_its_rows(metric):
    pairs = [noisy_pair(seed=seed, noise=0.01 * (seed + 1)) for seed in range(2)]
    ref, est = (np.stack(x)[:, None] for x in zip(*pairs, strict=True))
    scores = metric(ref=ref, est=est, sr=8000)
    assert scores.shape == (2, 1)
    assert scores[0, 0] < scores[1, 0]
    for score, (r, e) in zip(scores[:, 0], pairs, strict=True):
        assert score == pytest.approx(metric(ref=r, est=e, sr=8000), rel=1e-9)
    assert metric(ref=ref[0, 0], est=0.5 * ref[0, 0], sr=8000) == pytest.approx(0, abs=1e-6)
    assert metric(ref=ref[0, 0], est=0.5 * est[0, 0], sr=8000) == pytest.approx(scores[0, 0], rel=1e-3)


@pytest.mark.parametrize("metric", [llr, wss])
def test_digital_silence_scores_finitely(metric):
    ref, est = noisy_pair()
    ref[1000:1600] = 0
    est[1200:] = 0
    assert 0 < metric(ref=ref, est=est, sr=8000) < 1e4


def test_the_formula_gives_the_example_that_its_authors_published():
    # readme of composite.m: LLR=0.681368 SNRseg=3.991727 WSS=49.671978 PESQ=2.255732 -> 3.3050, 2.6160, 2.7133
    ratings = composite_of(llr=0.681368, wss=49.671978, mos=2.255732, segsnr_db=3.991727)
    assert ratings == pytest.approx((3.3050, 2.6160, 2.7133), abs=5e-5)
    assert composite_of(llr=0.0, wss=0.0, mos=4.64, segsnr_db=35.0) == (5, 5, 5)
    assert composite_of(llr=9.0, wss=99.0, mos=1.0, segsnr_db=-10.0)[::2] == (1, 1)


def test_each_band_takes_its_own_pesq():
    pytest.importorskip("pesq")
    ref, est = noisy_pair(16000, seconds=1.0)
    parts = {
        "llr": llr(ref=ref, est=est, sr=16000), "wss": wss(ref=ref, est=est, sr=16000),
        "segsnr_db": segmental_snr(ref=ref, est=est, sr=16000),
    }  # fmt: skip
    wide = composite(ref=ref, est=est, sr=16000)
    assert wide == composite_of(**parts, mos=pesq(ref=ref, est=est, sr=16000))
    assert composite(ref=ref, est=est, sr=16000, band="nb") == composite_of(
        **parts, mos=pesq_raw(ref=ref, est=est, sr=16000)
    )
    assert all(isinstance(x, float) for x in wide)
    assert [x.shape for x in composite(ref=ref[None], est=est[None], sr=16000)] == [(1,)] * 3
    with pytest.raises(InputError, match="band must be one of wb, nb"):
        composite(ref=ref, est=est, sr=16000, band="swb")
    with pytest.raises(InputError, match="wide-band PESQ needs sr = 16000; got 8000"):
        composite(ref=ref, est=est, sr=8000)


@pytest.mark.parametrize("metric", [llr, wss])
def test_bad_input_is_an_error_with_the_reason(metric):
    ref, est = noisy_pair()
    with pytest.raises(InputError, match="is undefined: ref is silent"):
        metric(ref=0 * ref, est=est, sr=8000)
    with pytest.raises(InputError, match=r"is undefined: it needs at least 37.5 ms; got 12.5 ms"):
        metric(ref=ref[:100], est=est[:100], sr=8000)
    with pytest.raises(InputError, match=r"WSS needs sr >= 8000, for bands up to 3.8 kHz; got 4000"):
        wss(ref=ref, est=est, sr=4000)
