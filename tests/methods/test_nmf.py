import dataclasses
import json

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import non_negative_factorization

from undin.errors import InputError, WeightsError
from undin.methods.nmf import NMF, NMFConfig
from undin.methods.nmf_bases import Bases
from undin.methods.nmf_updates import (
    descend,
    digamma,
    encode,
    fit_bases,
    fit_gamma,
    kl_divergence,
    prior_cost,
    random_start,
    trigamma,
    wiener_gain,
)

SR = 16000
SMALL = {"n_fft": 256, "hop_length": 64, "n_speech": 8, "n_noise": 6, "n_free": 4, "fit_iter": 20}
PRIORS = [None, "exponential", "gamma"]


def voice(n_samples: int = SR, pitch: float = 130.0) -> np.ndarray:
    """Harmonics of a gliding pitch in syllables with pauses."""
    t = np.arange(n_samples) / SR
    phase = 2 * np.pi * np.cumsum(pitch + 20 * np.sin(2 * np.pi * 0.9 * t)) / SR
    x = sum(np.cos(k * phase) / k for k in range(1, 15)) * np.maximum(np.sin(2 * np.pi * 2.5 * t), 0)
    return (0.1 * x).astype(np.float32)


def hiss(n_samples: int = SR, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(n_samples + 1)
    return (0.05 * np.diff(x)).astype(np.float32)


def spectrogram(n_freq: int = 40, n_frames: int = 300, rank: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    V = rng.gamma(0.4, 1, (n_freq, rank)) @ rng.gamma(0.4, 1, (rank, n_frames)) + 0.1 * rng.random((n_freq, n_frames))
    return (V / V.mean()).astype(np.float32)


def trained(**changes) -> NMF:
    return NMF(**{**SMALL, "prior": "exponential", **changes}).fit(voice(), hiss(), SR)


@pytest.fixture(scope="module")
def model() -> NMF:
    return trained()


@pytest.fixture(scope="module")
def blind() -> NMF:
    return NMF(**SMALL, prior="exponential").fit(voice(), None, SR)


def never_rises(kl: list[float]) -> bool:
    return bool(np.all(np.diff(kl) <= 1e-5 * np.abs(kl[:-1])))


# The mathematics


@pytest.mark.parametrize("n_frames", [60, 700])  # one stage, two stages
@pytest.mark.parametrize("accelerate", [True, False])
def test_divergence_never_rises_in_fitting(n_frames, accelerate):
    V = spectrogram(n_frames=n_frames)
    fit = fit_bases(V, 8, n_iter=60, accelerate=accelerate)
    assert never_rises(fit.kl) and fit.kl[-1] < fit.kl[0]
    assert kl_divergence(V, fit.W, fit.H) <= fit.kl[-1] * (1 + 1e-5)
    np.testing.assert_allclose(fit.W.sum(0), 1, rtol=1e-5)
    assert fit.W.min() > 0 and fit.H.min() > 0 and fit.W.dtype == fit.H.dtype == np.float32


def test_plain_updates_reach_what_sklearn_reaches():
    V = spectrogram()
    W, H = random_start(V, 8, np.random.default_rng(3))
    theirs_W, theirs_H, _ = non_negative_factorization(
        V, W=W.copy(), H=H.copy(), n_components=8, init="custom", solver="mu", beta_loss="kullback-leibler", tol=0,
        max_iter=30,
    )  # fmt: skip
    theirs = kl_divergence(V, theirs_W, theirs_H)
    ours = fit_bases(V, 8, n_iter=30, accelerate=False, start=(W, H))
    assert ours.kl[-1] == pytest.approx(theirs, rel=1e-3)
    assert descend(V, *unit(W, H), n_iter=30).kl[-1] < theirs


def unit(W: np.ndarray, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return W / W.sum(0), H * W.sum(0)[:, None]


def test_one_pass_of_descend_is_the_joint_update():
    V = spectrogram(10, 20, 3)
    W, H = unit(*random_start(V, 4, np.random.default_rng(0)))
    R = V / (W @ H)
    W1 = W * (R @ H.T)
    fit = descend(V, W, H, n_iter=1)
    np.testing.assert_allclose(fit.H, H * (W.T @ R), rtol=1e-4)
    np.testing.assert_allclose(fit.W, W1 / W1.sum(0), rtol=1e-4)
    assert fit.kl == pytest.approx([kl_divergence(V, W, H)], rel=1e-4)


def test_fitting_leaves_its_inputs_alone_and_keeps_fixed_columns():
    V = spectrogram()
    W, H = unit(*random_start(V, 6, np.random.default_rng(0)))
    before = W.copy(), H.copy(), V.copy()
    fit = descend(V, W, H, n_iter=20, n_fixed=4)
    for a, b in zip((W, H, V), before, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(fit.W[:, :4], W[:, :4])
    assert np.abs(fit.W[:, 4:] - W[:, 4:]).max() > 1e-3


@pytest.mark.parametrize("k", [1.0, 1.7])
def test_cost_with_prior_never_rises_in_inference(k):
    V = spectrogram()
    W, _ = unit(*random_start(V, 6, np.random.default_rng(0)))
    rate = np.linspace(0.01, 0.3, 6, dtype=np.float32)[:, None]
    prior = {"penalty": rate, "pull": np.full_like(rate, 0.2 * (k - 1))}
    Hs = [encode(V, W, n_iter=n, **prior) for n in range(1, 25)]
    costs = [kl_divergence(V, W, H) + prior_cost(H, **prior) for H in Hs]
    assert never_rises(costs) and costs[-1] < costs[0]
    H0 = np.repeat(V.sum(0, keepdims=True) / 6, 6, 0)
    assert never_rises(descend(V, W, H0, n_iter=40, n_fixed=2, **prior).kl)


def test_encode_equals_a_literal_twin_with_each_prior():
    V = spectrogram(9, 5, 2).astype(np.float64)
    W = spectrogram(9, 3, 2, seed=1).astype(np.float64)
    W /= W.sum(0)
    gamma, k, theta = 0.3, np.array([0.5, 1.0, 2.0]), np.array([0.4, 1.0, 3.0])
    H = np.repeat(V.sum(0, keepdims=True) / 3, 3, 0)
    for _ in range(7):
        new = np.empty_like(H)
        for i in range(3):
            for t in range(5):
                pulled = sum(W[f, i] * V[f, t] / (W[f] @ H[:, t]) for f in range(9))
                new[i, t] = max(H[i, t] * pulled + gamma * (k[i] - 1), 1e-12) / (W[:, i].sum() + gamma / theta[i])
        H = new
    pull, penalty = (gamma * (k - 1))[:, None], (gamma / theta)[:, None]
    ours = encode(V.astype(np.float32), W.astype(np.float32), n_iter=7, penalty=penalty.astype(np.float32), pull=pull)
    np.testing.assert_allclose(ours, H, rtol=1e-3, atol=1e-6)


def test_digamma_and_trigamma_agree_with_scipy():
    x = np.geomspace(1e-3, 1e4, 400)
    np.testing.assert_allclose(digamma(x), scipy.special.digamma(x), rtol=1e-10)
    np.testing.assert_allclose(trigamma(x), scipy.special.polygamma(1, x), rtol=1e-10)


def test_gamma_fit_finds_known_parameters():
    k, theta = np.array([0.3, 1.0, 4.0]), np.array([2.0, 0.5, 0.1])
    H = np.random.default_rng(0).gamma(k, theta, (20000, 3)).T
    found_k, found_theta = fit_gamma(H, floor=0)
    np.testing.assert_allclose(found_k, k, rtol=0.05)
    np.testing.assert_allclose(found_theta, theta, rtol=0.05)
    for row, a, b in zip(H, found_k, found_theta, strict=True):
        theirs = scipy.stats.gamma.fit(row, floc=0)
        assert (a, b) == pytest.approx((theirs[0], theirs[2]), rel=1e-3)


# The method


def test_gains_sum_to_one_whatever_the_level_and_power():
    S = np.random.default_rng(0).random((4, 3, 5)).astype(np.float32) * np.float32(1e-12)
    for power in (0.5, 1, 2, 8):
        np.testing.assert_allclose(wiener_gain(S, power).sum(-2), 1, rtol=1e-5)
    np.testing.assert_allclose(
        wiener_gain(S, 2), S**2.0 / (S.astype(np.float64) ** 2).sum(-2, keepdims=True), rtol=1e-2
    )


@pytest.mark.parametrize("prior", PRIORS)
def test_it_removes_noise_that_it_knows(prior):
    clean, noisy = voice(), voice() + hiss(seed=7)
    y = trained(prior=prior)(noisy, SR)
    assert np.mean((y - clean) ** 2) < 0.3 * np.mean((noisy - clean) ** 2)


@pytest.mark.parametrize("prior", PRIORS)
def test_it_removes_noise_that_it_learns_from_the_recording(prior):
    clean, noisy = voice(), voice() + hiss(seed=7)
    blind = NMF(**SMALL, prior=prior).fit(voice(2 * SR, 110), None, SR)
    assert not blind.causal and blind.latency_ms is None
    y = blind(noisy, SR)
    assert np.mean((y - clean) ** 2) < 0.5 * np.mean((noisy - clean) ** 2)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("form", ["both bases", "speech bases"])
@pytest.mark.parametrize("level", [1e-5, 300.0])
def test_the_level_changes_nothing(prior, form, level):
    settings = {**SMALL, "prior": prior, "penalty": 0.5}
    model = NMF(**settings).fit(voice(), hiss() if form == "both bases" else None, SR)
    louder = NMF(**settings).fit(voice() * 7, hiss() * 0.01 if form == "both bases" else None, SR)
    x = (voice(8000) + hiss(8000, 3)).astype(np.float32)
    y = model(x, SR)
    np.testing.assert_allclose(model(x * np.float32(level), SR) / level, y, atol=2e-3 * np.abs(y).max())
    np.testing.assert_allclose(louder(x, SR), y, atol=2e-2 * np.abs(y).max())


@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=6))
def test_chunks_match_the_complete_signal(sizes):
    model = MODELS.setdefault("chunked", trained())
    assert model.causal and model.latency_ms == 16
    x = voice(sum(sizes)) + hiss(sum(sizes))
    stream = model.stream(SR)
    ys = [stream.process(part) for part in np.split(x, np.cumsum(sizes)[:-1])]
    np.testing.assert_allclose(np.concatenate([*ys, stream.flush()]), model(x, SR), atol=1e-5)


MODELS: dict[str, NMF] = {}


def test_smoothing_is_one_pole(model):
    X = np.random.default_rng(0).standard_normal((1, 129, 9)) + 1j
    plain, _ = model.with_settings(smoothing_s=0.0).step(X, model.initial_state(1))
    assert np.abs(plain).max() > 0
    slow, state = model.with_settings(smoothing_s=1e6).step(X, model.initial_state(1))
    assert np.abs(slow - plain).max() > 1e-3 and state["S"].shape == (1, 2, 129)


def test_a_uniform_exponential_prior_changes_nothing_and_a_real_one_does(model):
    x = voice(6000) + hiss(6000, 2)
    eta = 1 / model.bases[0].mean
    assert eta.max() > 1.2 * eta.min()
    flat = model.with_settings(penalty=3.0, noise_penalty=3.0)
    flat.bases = tuple(b._replace(mean=np.full_like(b.mean, 0.1)) for b in model.bases)
    none = flat.with_settings(prior=None)
    np.testing.assert_allclose(flat(x, SR), none(x, SR), atol=1e-5)
    assert np.abs(model.with_settings(penalty=3.0, noise_penalty=3.0)(x, SR) - none(x, SR)).max() > 1e-3
    assert np.abs(flat.with_settings(noise_penalty=0.0)(x, SR) - none(x, SR)).max() > 1e-3


@pytest.mark.parametrize("form", ["model", "blind"])
def test_silence_stays_silence_and_any_level_stays_finite(form, request):
    model = request.getfixturevalue(form)
    assert not model(np.zeros(5000, np.float32), SR).any()
    x = voice(8000) + hiss(8000)
    x[2000:5000] = 0  # digital silence inside
    for peak in (1e-6, 1.0):
        y = model((x * peak / np.abs(x).max()).astype(np.float32), SR)
        assert np.isfinite(y).all() and 0 < np.abs(y).max() < 2 * peak


@pytest.mark.parametrize("sr", [8000, 44100])
@pytest.mark.parametrize("form", ["model", "blind"])
def test_other_rates_are_enhanced_too(form, sr, request):
    from undin.audio import resample

    clean, noise = voice(), hiss(seed=9)
    clean, noise = resample(clean, SR, sr), resample(noise, SR, sr)
    y = request.getfixturevalue(form)(clean + noise, sr)
    assert np.mean((y - clean) ** 2) < 0.6 * np.mean(noise**2)


def test_columns_cut_to_fewer_bins_sum_to_one_again(model):
    W, penalty, pull = model._model(65, 2)
    np.testing.assert_allclose(W.sum(0), 1, rtol=1e-5)
    assert W.shape == (65, 14) and penalty.shape == pull.shape == (14, 1)


def test_the_shipped_bases_need_nothing_else():
    model = NMF.pretrained(prior="exponential", penalty=0.02)
    assert (model.id, model.config.penalty, model.causal, model.n_src) == ("nmf-exp", 0.02, False, None)
    assert model.bases[0].W.shape == (513, 128) and "librispeech" in model.card.data
    np.testing.assert_allclose(model.bases[0].W.sum(0), 1, rtol=1e-5)
    clean, noise = voice(), hiss(seed=4)
    y = model(clean + noise, SR)
    assert np.mean((y - clean) ** 2) < 0.6 * np.mean(noise**2)


def test_epsilon_stops_the_whole_signal_and_ends_causality(model):
    x = voice(6000) + hiss(6000)
    never = model.with_settings(epsilon=1e-30, prior=None)
    assert not never.causal
    np.testing.assert_allclose(never(x, SR), model.with_settings(prior=None)(x, SR), atol=1e-4)
    at_once = model.with_settings(epsilon=1e6)(x, SR)
    assert np.abs(at_once - never(x, SR)).max() > 1e-3


def test_talkers_are_separated_and_sum_to_the_mixture():
    a, b = voice(pitch=100), voice(pitch=233)[::-1].copy()
    model = NMF(**SMALL).fit_talkers([a, [b[:8000], b[8000:]]], SR)
    assert model.n_src == 2 and model.causal and model.card.kind == "separate"
    x = np.stack([a + b, b + a])
    y = model(x, SR)
    assert y.shape == (2, 2, SR)
    np.testing.assert_allclose(y.sum(0), x, atol=1e-5)
    for ref, est in zip((a, b), y[:, 0], strict=True):
        assert np.mean((est - ref) ** 2) < 0.4 * np.mean((x[0] - ref) ** 2)
    whole = model.with_settings(epsilon=1e-30)(x, SR)
    np.testing.assert_allclose(whole, y, atol=1e-4)


def test_the_seed_decides_every_bit(model):
    same, other = trained(), NMF(**SMALL, prior="exponential").fit(voice(), hiss(), SR, rng=1)
    for a, b, c in zip(same.bases, model.bases, other.bases, strict=True):
        np.testing.assert_array_equal(a.W, b.W)
        assert np.abs(a.W - c.W).max() > 1e-6


def test_fit_noise_keeps_the_speech_bases(blind):
    known = blind.with_settings().fit_noise([hiss(), hiss(seed=1)], SR)
    assert known.causal and not blind.causal
    np.testing.assert_array_equal(known.bases[0].W, blind.bases[0].W)


@pytest.mark.parametrize("prior", PRIORS)
def test_a_saved_model_gives_the_same_bits(tmp_path, prior):
    model = trained(prior=prior, window=("kaiser", 6.0), penalty=0.2)
    model.save(tmp_path / "mine.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.npz"]
    again = NMF.load(tmp_path / "mine.npz")
    assert again.config == model.config and again.id == model.id
    x = voice(5000) + hiss(5000)
    np.testing.assert_array_equal(again(x, SR), model(x, SR))


def test_talkers_survive_saving(tmp_path):
    model = NMF(**SMALL).fit_talkers([voice(), hiss(), voice(pitch=300)], SR)
    model.save(tmp_path / "three.npz")
    assert NMF.load(tmp_path / "three.npz").n_src == 3


def test_damaged_and_foreign_files_are_refused(tmp_path, model):
    path = tmp_path / "m.npz"
    with pytest.raises(InputError, match="no such file"):
        NMF.load(path)
    model.save(path)
    sound = path.read_bytes()
    for damaged in (b"", b"hello", sound[:100], sound[: len(sound) // 2], sound[:300] + b"xx" + sound[302:]):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"m\.npz is damaged or is not a model written by NMF\.save"):
            NMF.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(WeightsError, match="is not a model written by NMF"):
        NMF.load(path)
    np.savez(path, meta=np.array([{"a": 1}], object))  # a pickle
    with pytest.raises(WeightsError, match="is not a model written by NMF"):
        NMF.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "format version 99"),
        ({"format": "x"}, "its format is not"),
        ({"n_sources": 5}, "W2"),
        ({"config": {**dataclasses.asdict(NMFConfig()), "n_fft": 128}}, "do not match n_fft = 128"),
        ({"config": {"n_fft": 256, "what": 1}}, "is not a model written by NMF"),
    ],
)
def test_wrong_meta_data_is_refused(tmp_path, model, change, message):
    path = tmp_path / "m.npz"
    model.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    meta = {**json.loads(str(arrays["meta"])), "version": 1, **change}  # the version without a checksum
    arrays["meta"] = np.array(json.dumps({name: value for name, value in meta.items() if name != "checksum"}))
    np.savez(path, **arrays)
    with pytest.raises(WeightsError, match=message):
        NMF.load(path)


def test_arrays_with_nan_are_refused(tmp_path, model):
    broken = model.with_settings()
    broken.bases = (Bases(*(a * np.float32(np.nan) for a in model.bases[0])),)
    broken.save(tmp_path / "m.npz")
    with pytest.raises(WeightsError, match=r"must be in 0 to 1e\+06"):
        NMF.load(tmp_path / "m.npz")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior": "laplace"}, "prior must be one of exponential, gamma, or none"),
        ({"n_speech": 0}, "n_speech must be a whole number, 1 to 10000; got 0"),
        ({"n_iter": 2.5}, "n_iter must be a whole number"),
        ({"penalty": -1}, "penalty must be a finite number, 0 or more, or none; got -1"),
        ({"penalty": float("nan")}, "penalty must be"),
        ({"wiener_power": 0}, "wiener_power must be a finite number, above 0 and 8 or less; got 0"),
        ({"penalti": 1}, "did you mean penalty"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        NMF(**settings)


def test_bad_sounds_are_refused(model):
    new = NMF(**SMALL)
    with pytest.raises(InputError, match="has no bases: call fit"):
        new(voice(), SR)
    with pytest.raises(InputError, match="has no bases"):
        new.save("x.npz")
    with pytest.raises(
        InputError, match=r"speech must be \(n_samples,\) or a list of such arrays; got the shape \(2, 100"
    ):
        new.fit(np.zeros((2, 100), np.float32), None, SR)
    with pytest.raises(InputError, match="noise must contain audio"):
        new.fit(voice(), np.zeros(SR, np.float32), SR)
    with pytest.raises(InputError, match="speech must last"):
        new.fit([], None, SR)
    for learn in (new.fit, lambda x, y, sr: NMF.pretrained().fit_noise(y, sr)):
        with pytest.raises(InputError, match=r"must last 0.0\d+ s or more"):
            learn(voice()[:10], hiss()[:10], SR)
    with pytest.raises(InputError, match="floating point"):
        new.fit(np.zeros(100, np.int16), None, SR)
    with pytest.raises(InputError, match="speech must have the model's 16000 Hz or more; got 8000 Hz"):
        new.fit(voice(), None, 8000)
    with pytest.raises(InputError, match="two or more; got 1"):
        new.fit_talkers([voice()], SR)
    with pytest.raises(InputError, match="fit_noise needs speech bases"):
        new.fit_noise(hiss(), SR)
    with pytest.raises(InputError, match=r"must end in \.npz"):
        model.save("model.bin")
    assert new.bases == ()
    with pytest.raises(InputError, match="n_fft is 256 in these bases and cannot become 512: fit a new NMF"):
        model.with_settings(n_fft=512)
    assert new.with_settings(n_fft=512).config.n_fft == 512


def test_fit_takes_other_rates_and_float64_and_changes_nothing_of_it():
    from undin.audio import resample

    x = resample(voice(), SR, 48000).astype(np.float64)
    before = x.copy()
    model = NMF(**SMALL).fit(x, hiss(48000).astype(np.float64), 48000)
    np.testing.assert_array_equal(x, before)
    assert model.bases[0].W.shape == (129, 8) and model.bases[0].W.dtype == np.float32
