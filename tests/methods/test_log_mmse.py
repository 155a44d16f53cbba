"""log-mmse: its formulas against literal twins, its tracker on noise of known power."""

import numpy as np
import pytest

import undin
from undin.methods.log_mmse import LogMMSE, _mean_over, e1
from undin.spectrum import stft

SR = 16000


def test_e1_is_scipys():
    special = pytest.importorskip("scipy.special")
    v = np.logspace(-8, 1.8, 2000)
    np.testing.assert_allclose(e1(v)[v <= 1], special.exp1(v[v <= 1]), atol=3e-7)
    np.testing.assert_allclose(e1(v)[v > 1], special.exp1(v[v > 1]), rtol=6e-5)


def test_mean_over_is_a_plain_mean_of_neighbors():
    x = np.random.default_rng(0).random((2, 20)).astype(np.float32)
    cumulated = np.cumsum(np.pad(x, ((0, 0), (1, 0))), -1)
    slow = np.array([[row[max(k - 3, 0) : k + 4].mean() for k in range(20)] for row in x])
    np.testing.assert_allclose(_mean_over(cumulated, 3), slow, rtol=1e-5)


def test_step_is_the_papers_algorithm():
    """One bin-wise literal twin, in the papers' order, float64."""
    special = pytest.importorskip("scipy.special")
    method = LogMMSE()
    c = method.config
    rng = np.random.default_rng(1)
    X = (rng.standard_normal((1, 40, 60)) + 1j * rng.standard_normal((1, 40, 60))).astype(np.complex64)
    X[..., 30:45] *= 20
    Y, _ = method.step(X, method.initial_state(1))

    frame_s = c.hop_length / c.sr
    a_n, a_p, a_s = (np.exp(-frame_s / tau) for tau in (c.tau_noise_s, c.tau_presence_s, c.tau_speech_s))
    xi1, xi_min, g_min = 10 ** (c.snr_presence_db / 10), 10 ** (c.snr_floor_db / 10), 10 ** (c.gain_floor_db / 20)
    noise, presence, speech, zeta = np.zeros(40), np.full(40, 0.5), np.zeros(40), np.zeros(40)
    for t in range(60):
        y2 = np.abs(X[0, :, t].astype(complex)) ** 2
        if t < 4:
            noise = (noise * t + y2) / (t + 1)
        else:
            for k in range(40):
                p = 1 / (1 + (1 + xi1) * np.exp(-min(y2[k] / noise[k] * xi1 / (1 + xi1), 80)))
                presence[k] = a_p * presence[k] + (1 - a_p) * p
                p = min(p, 0.99) if presence[k] > 0.99 else p
                noise[k] = a_n * noise[k] + (1 - a_n) * (p * noise[k] + (1 - p) * y2[k])
        gamma = np.minimum(y2 / noise, 1e3)
        xi = np.maximum(a_s * speech / noise + (1 - a_s) * np.maximum(gamma - 1, 0), xi_min)
        v = xi / (1 + xi) * gamma
        G1 = np.minimum(xi / (1 + xi) * np.exp(special.exp1(v) / 2), 1)
        zeta = 0.7 * zeta + 0.3 * xi

        def scale(z):
            return np.clip((10 * np.log10(z) + 10) / 5, 0, 1)

        local = np.array([zeta[max(k - 1, 0) : k + 2].mean() for k in range(40)])
        wide = np.array([zeta[max(k - 15, 0) : k + 16].mean() for k in range(40)])
        q = np.minimum(1 - scale(local) * scale(wide) * scale(zeta.mean()), c.absence_max)
        p = 1 / (1 + q / (1 - q) * (1 + xi) * np.exp(-np.minimum(v, 80)))
        G = G1**p * g_min ** (1 - p)
        speech = G1**2 * y2
        np.testing.assert_allclose(np.abs(Y[0, :, t]), G * np.sqrt(y2), rtol=2e-3, err_msg=f"frame {t}")


def test_tracker_finds_the_power_of_steady_noise():
    x = np.random.default_rng(2).standard_normal(10 * SR).astype(np.float32) * 0.05
    method = LogMMSE()
    X = stft(x, 512, 256)[None]
    state = method.initial_state(1)
    _, state = method.step(X, state)
    true = 0.05**2 * 256  # variance times Σ w² of the sqrt-Hann window
    assert abs(10 * np.log10(state["noise"][0, 2:-2].mean() / true)) < 1.5


def test_noise_is_attenuated_and_onset_after_silence_survives():
    rng = np.random.default_rng(3)
    noise = 0.05 * rng.standard_normal(8 * SR).astype(np.float32)
    y = undin.enhance(noise, SR, method="log-mmse")
    tail = slice(2 * SR, None)
    assert 20 * np.log10(np.std(y[tail]) / np.std(noise[tail])) < -14
    t = np.arange(SR) / SR
    tone = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    x = np.concatenate([np.zeros(30 * SR, np.float32), tone])
    y = undin.enhance(x, SR, method="log-mmse")
    assert np.std(y[30 * SR : 30 * SR + 1600]) > 0.7 * np.std(tone[:1600])


@pytest.mark.parametrize("level", [1e-30, 1e-10, 1.0, 1e10, 1e14])
@pytest.mark.parametrize("start", ["noise", "silence"])
def test_no_level_overflows(level, start):  # a warning is an error in these tests
    x = np.random.default_rng(0).standard_normal(16000)
    x[:8000] *= start == "noise"
    assert np.isfinite(undin.load("log-mmse")((level * x).astype(np.float32), 16000)).all()
