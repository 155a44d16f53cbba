from importlib import import_module

import numpy as np
import pytest

from undin.errors import InputError
from undin.metrics import bss_eval, sdr, si_sdr
from undin.metrics.sdr import TAPS

scipy_signal = pytest.importorskip("scipy.signal")


def colored(n_src, n_samples, seed=0):
    """Sources with distinct spectra and rhythms, like voices."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples)
    rows = []
    for j in range(n_src):
        x = scipy_signal.lfilter([1], [1, -1.5 + 0.3 * j, 0.8], rng.standard_normal(n_samples))
        rows.append(x * (1.1 + np.sin(2 * np.pi * (2 + j) * t / 8000)))
    return np.stack(rows)


def mixed(n_src, n_samples=8000, seed=0, leak=0.2, noise=0.1):
    """Sources, and estimates with a room, some of their neighbor and some noise."""
    rng = np.random.default_rng(seed + 1)
    ref = colored(n_src, n_samples, seed)
    room = rng.standard_normal(200) * 0.97 ** np.arange(200)
    est = scipy_signal.fftconvolve(ref, room[None], axes=-1)[:, :n_samples]
    est = est + leak * np.roll(est, 1, 0) * (n_src > 1)
    return ref, est + noise * ref.std() * rng.standard_normal(ref.shape)


def project(e, references, n_taps):
    """Literal twin: least squares by QR on every shift of every reference."""
    shifts = [np.r_[np.zeros(k), s, np.zeros(n_taps - 1 - k)] for s in references for k in range(n_taps)]
    Q, _ = np.linalg.qr(np.stack(shifts, 1))
    return Q @ (Q.T @ np.r_[e, np.zeros(n_taps - 1)])


def ratio_db(a, b):
    return 10 * np.log10((a**2).sum() / (b**2).sum())


@pytest.fixture
def short_filters(monkeypatch):
    """32 taps: what holds for them holds for 512, in a hundredth of the time."""
    monkeypatch.setattr(import_module("undin.metrics.sdr"), "TAPS", 32)
    return 32


def test_equals_least_squares_on_every_shift(short_filters):
    ref, est = mixed(2, n_samples=15000)  # longer than one transform
    scores = bss_eval(ref=ref, est=est, permute=False)
    for j in range(2):
        e = np.r_[est[j], np.zeros(short_filters - 1)]
        own, joint = (project(est[j], s, short_filters) for s in (ref[j : j + 1], ref))
        assert scores.sdr_db[j] == pytest.approx(ratio_db(own, e - own), abs=1e-8)
        assert scores.sir_db[j] == pytest.approx(ratio_db(own, joint - own), abs=1e-8)
        assert scores.sar_db[j] == pytest.approx(ratio_db(joint, e - joint), abs=1e-8)
        assert sdr(ref=ref[j], est=est[j]) == pytest.approx(scores.sdr_db[j], abs=1e-8)


@pytest.mark.parametrize("db", [-10.0, 0.0, 25.0, 60.0, 100.0])
def test_gives_the_ratio_the_signals_were_built_with(db):
    # Noise that no shift of the reference overlaps in time is orthogonal to all that its filters can make.
    rng = np.random.default_rng(0)
    ref, noise = np.zeros((2, 4000))
    ref[:1500], noise[2500:] = rng.standard_normal(1500), rng.standard_normal(1500)
    noise *= 10 ** (-db / 20) * np.linalg.norm(ref) / np.linalg.norm(noise)
    assert sdr(ref=ref, est=ref + noise) == pytest.approx(db, abs=1e-6 if db < 90 else 1e-2)
    other = 0.5 * rng.standard_normal(4000)  # a second source changes SIR and SAR, not SDR
    scores = bss_eval(ref=np.stack([ref, other]), est=np.stack([ref + noise, other]), permute=False)
    assert scores.sdr_db[0] == pytest.approx(db, abs=1e-6 if db < 90 else 1e-2)


@pytest.mark.parametrize("n_src", [2, 3])
def test_agrees_with_fast_bss_eval(n_src):
    other = pytest.importorskip("fast_bss_eval.numpy")
    ref, est = mixed(n_src, n_samples=4000, seed=3)
    est = est[::-1]
    theirs = other.bss_eval_sources(ref, est)
    ours = bss_eval(ref=ref, est=est)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert ours.permutation.tolist() == list(range(n_src))[::-1]


@pytest.mark.filterwarnings("ignore:mir_eval:FutureWarning")
@pytest.mark.parametrize("n_src", [1, 2])
def test_agrees_with_mir_eval(n_src):
    other = pytest.importorskip("mir_eval.separation")
    ref, est = mixed(n_src, n_samples=4000, seed=5)
    est = np.roll(est, 1, 0)
    for a, b in zip(bss_eval(ref=ref, est=est), other.bss_eval_sources(ref, est), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_filters_of_the_length_are_forgiven_and_longer_ones_are_not():
    ref = colored(1, 6000)[0]
    ref[-600:] = 0  # so that nothing is lost at the end
    assert sdr(ref=ref, est=-3 * np.roll(ref, TAPS - 1)) == np.inf
    assert sdr(ref=ref, est=np.roll(ref, TAPS + 30)) < 15
    assert si_sdr(ref=ref, est=np.roll(ref, TAPS - 1)) < 0


@pytest.mark.parametrize(("gain", "est_gain"), [(-0.2, 5.0), (1e-6, 1e6), (1e6, -1e-6), (1e200, 1e-200)])
def test_gain_does_not_matter(short_filters, gain, est_gain):
    ref, est = mixed(2, n_samples=1500)
    gains = np.array([[gain], [1.0]])
    for a, b in zip(bss_eval(ref=ref, est=est), bss_eval(ref=gains * ref, est=est_gain * est), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_never_below_the_ratio_that_forgives_gain_alone():
    ref, est = mixed(3)
    assert (sdr(ref=ref, est=est) > si_sdr(ref=ref, est=est)).all()


def test_the_order_of_estimates_and_of_sources_does_not_matter():
    ref, est = mixed(3)
    straight = bss_eval(ref=ref, est=est)
    assert straight.permutation.tolist() == [0, 1, 2]
    shuffled = bss_eval(ref=ref[[1, 2, 0]], est=est[[2, 1, 0]])
    assert shuffled.permutation.tolist() == [1, 0, 2]
    for a, b in zip(straight[:3], shuffled[:3], strict=True):
        np.testing.assert_allclose(b, a[[1, 2, 0]], atol=1e-6)
    as_given = bss_eval(ref=ref, est=est[[1, 0, 2]], permute=False)
    assert as_given.permutation.tolist() == [0, 1, 2]
    assert as_given.sir_db[0] < 0 < straight.sir_db[0]


def test_a_batch_scores_like_its_rows():
    pairs = [mixed(2, n_samples=2000, seed=seed) for seed in range(3)]
    ref, est = (np.stack(x)[:, None] for x in zip(*pairs, strict=True))  # (3, 1, 2, n)
    scores = bss_eval(ref=ref, est=est)
    assert [x.shape for x in scores] == [(3, 1, 2)] * 4
    assert sdr(ref=ref, est=est).shape == (3, 1, 2)
    for i, (r, e) in enumerate(pairs):
        for a, b in zip(scores, bss_eval(ref=r, est=e), strict=True):
            np.testing.assert_array_equal(a[i, 0], b)


def test_perfect_is_infinite_and_one_source_meets_no_interference():
    ref, est = mixed(1)
    assert sdr(ref=ref[0], est=0.3 * ref[0]) == np.inf
    assert isinstance(sdr(ref=ref[0], est=est[0]), float)
    scores = bss_eval(ref=ref, est=est)
    assert scores.sir_db == np.inf
    assert scores.sar_db == scores.sdr_db == pytest.approx(sdr(ref=ref[0], est=est[0]), abs=1e-9)


def test_a_tone_that_fades_is_scored_though_its_matrix_is_singular_to_rounding():
    ref = np.hanning(4000) * np.sin(0.2 * np.pi * np.arange(4000))
    est = ref + 0.1 * ref.std() * np.random.default_rng(0).standard_normal(4000)
    assert 20 < sdr(ref=ref, est=est) < 20.4  # least squares on the shifts themselves: 20.33
    other = np.random.default_rng(1).standard_normal(4000)
    scores = bss_eval(ref=np.stack([ref, other]), est=np.stack([est, other]), permute=False)
    assert 20 < scores.sdr_db[0] < 20.4


ODD = {
    "tone": lambda t, x: np.sin(0.7 * t),
    "fading tone": lambda t, x: np.hanning(len(t)) * np.sin(0.7 * t),
    "square": lambda t, x: np.sign(np.sin(0.3 * t + 0.1)),
    "click": lambda t, x: 1.0 * (t == 99),
    "rumble": lambda t, x: np.hanning(len(t)) * np.cumsum(x),
    "burst": lambda t, x: x * (t < 40),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("noise", [1e-6, 0.1])
def test_odd_signals_have_consistent_scores(name, noise):
    rng = np.random.default_rng(0)
    one = ODD[name](np.arange(2500), rng.standard_normal(2500))
    ref = np.stack([one, rng.standard_normal(2500)])
    est = ref + 0.1 * ref[::-1] + noise * rng.standard_normal(ref.shape)
    scores = bss_eval(ref=ref, est=est, permute=False)
    np.testing.assert_allclose(scores.sdr_db, sdr(ref=ref, est=est), atol=0.01)
    assert not np.isnan(scores.sar_db).any()
    # interference and artifacts are parts of the distortion
    assert np.all(scores.sir_db >= scores.sdr_db - 1e-6)
    assert np.all(scores.sar_db >= scores.sdr_db - 1e-6)


@pytest.mark.parametrize("lowpass", [0.02, 0.2])
def test_narrow_bands_and_repeated_sources_have_finite_scores(short_filters, lowpass):
    # Their correlation matrices are singular to rounding: Levinson's recursion and Cholesky both need help.
    t = np.arange(4000)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 4000))
    sine = np.sin(lowpass * np.pi * t)
    assert sdr(ref=sine, est=sine + 0.1 * noise[0]) == pytest.approx(ratio_db(sine, 0.1 * noise[0]), abs=0.5)
    band = scipy_signal.sosfilt(scipy_signal.butter(20, lowpass, output="sos"), noise[0])
    ref = np.stack([band, np.roll(band, 10)])
    scores = bss_eval(ref=ref, est=ref + 0.1 * band.std() * noise, permute=False)
    # A wide noise 20 dB down, of which filters fit TAPS / n in every band that the reference reaches.
    assert np.all((scores.sdr_db > 19) & (scores.sdr_db < 22))
    assert np.all(scores.sar_db >= scores.sdr_db)
    assert np.all(np.isfinite(scores.sir_db))


@pytest.mark.parametrize(
    ("ref", "est", "message"),
    [
        (np.zeros((2, 9000)), np.ones((2, 9000)), r"BSS-eval is undefined: ref is silent \(at index \[0\]\)"),
        (np.eye(2, 1023), np.eye(2, 1023), "BSS-eval is undefined: 2 x 512 taps can fit any signal as short as 1023"),
        (np.zeros(9000), np.ones(9000), r"must be \(..., n_src, n_samples\); got \(9000,\): for one source call sdr"),
        (np.eye(9, 5000), np.eye(9, 5000), "must be in 1 to 8 to be permuted; got 9"),
        (np.eye(2, 2000), np.eye(3, 2000), r"same shape; got \(2, 2000\) and \(3, 2000\)"),
        (np.zeros((0, 2000)), np.zeros((0, 2000)), "must be in 1 to 8 to be permuted; got 0"),
    ],
)
def test_what_bss_eval_cannot_score_is_an_error_with_the_reason(ref, est, message):
    with pytest.raises(InputError, match=message):
        bss_eval(ref=ref, est=est)


@pytest.mark.parametrize(
    ("n_samples", "message"),
    [
        (511, "SDR is undefined: 1 x 512 taps can fit any signal as short as 511 samples"),
        (0, "SDR is undefined: .*empty"),
    ],
)
def test_what_sdr_cannot_score_is_an_error_with_the_reason(n_samples, message):
    with pytest.raises(InputError, match=message):
        sdr(ref=np.ones(n_samples) * np.arange(n_samples), est=np.ones(n_samples) * np.arange(n_samples))


def test_inputs_stay_untouched():
    ref, est = mixed(2, n_samples=2000)
    before = ref.copy(), est.copy()
    bss_eval(ref=ref, est=est)
    sdr(ref=ref, est=est)
    np.testing.assert_array_equal((ref, est), before)
