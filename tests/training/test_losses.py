import math

import numpy as np
import pytest
import torch

from undin import corpora, metrics
from undin.training import losses

N = 4096


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def speech():
    corpus = corpora.mini().select(split="test")
    return np.concatenate([corpus.load(clip) for clip in corpus.speech[:3]])


def as_complex(X):
    return (X[:, 0] + 1j * X[:, 1]).numpy().astype(complex)


def test_si_sdr_is_the_metric(rng):
    ref = rng.standard_normal((3, N)).astype(np.float32)
    est = 2 * ref + np.float32([[0.1], [1], [4]]) * rng.standard_normal((3, N)).astype(np.float32) + 0.5
    ours = losses.si_sdr_each(torch.tensor(est), torch.tensor(ref))
    np.testing.assert_allclose(ours, metrics.si_sdr(ref=ref, est=est), atol=3e-3)  # the ceiling's part
    assert losses.si_sdr(torch.tensor(est), torch.tensor(ref)) == pytest.approx(-float(ours.mean()))


def test_si_sdr_levels_off_and_wants_silence_where_the_reference_is_silent(rng):
    ref = torch.tensor(rng.standard_normal((1, N)), dtype=torch.float32)
    assert losses.si_sdr(ref, ref) == pytest.approx(-60, abs=0.01)
    silence = torch.zeros(1, N)
    assert losses.si_sdr(silence, silence) == 0
    level = 0.1 * torch.ones(1, N) * (-1) ** torch.arange(N)  # -20 dB
    assert losses.si_sdr(level, silence) == pytest.approx(40, abs=1e-3)


def test_the_spectral_loss_is_its_formula(rng):
    est, ref = (torch.tensor(rng.standard_normal((2, 2, 5, 9)), dtype=torch.float32) for _ in range(2))
    Y, S = map(as_complex, (est, ref))
    compress = lambda Z: np.abs(Z) ** 0.3 * np.exp(1j * np.angle(Z))  # noqa: E731
    of_magnitude = np.mean((np.abs(Y) ** 0.3 - np.abs(S) ** 0.3) ** 2)
    wilson = of_magnitude + 0.113 * np.mean(np.abs(compress(Y) - compress(S)) ** 2)
    assert float(losses.compressed_spectral(est, ref)) == pytest.approx(wilson, rel=1e-4)


def test_stoi_is_nearly_the_metric_and_leaves_pauses_out(rng):
    t = np.arange(48000) / 16000
    ref = rng.standard_normal(48000) * (np.sin(12 * t) ** 2 + 0.02) * (t % 1.5 < 1)
    noise = rng.standard_normal(48000)
    signals = [torch.tensor(ref + gain * noise, dtype=torch.float32) for gain in (0.0, 0.01, 0.1, 0.5, 1.5)]
    values = [float(losses.stoi(est, signals[0])) for est in signals]
    assert abs(values[0]) < 1e-3 and values == sorted(values) and values[-1] > 0.4
    scores = [metrics.stoi(ref=ref, est=est.double().numpy(), sr=16000) for est in signals]
    np.testing.assert_allclose(1 - np.array(values), scores, atol=0.06)
    assert float(losses.stoi(3 * signals[2], signals[0])) == pytest.approx(values[2], abs=1e-3)
    cleaned = signals[3] * torch.tensor(t % 1.5 < 1)  # where nobody speaks
    assert float(losses.stoi(cleaned, signals[0])) == pytest.approx(values[3], abs=0.01)
    together = losses.stoi(torch.stack(signals[1:3]), torch.stack([signals[0]] * 2))
    assert float(together) == pytest.approx(sum(values[1:3]) / 2, abs=1e-3)
    assert losses.stoi(signals[1], 0 * signals[0]) == 1  # nothing to be understood


@pytest.mark.parametrize("extended", [False, True])
def test_stoi_follows_the_measures_on_voices(extended, speech, rng):
    noise = np.std(speech) * rng.standard_normal(len(speech)).astype(np.float32)
    measure = metrics.estoi if extended else metrics.stoi
    for snr_db in (-10, -5, 0, 5, 10, 20):
        est = speech + 10 ** (-snr_db / 20) * noise
        loss = losses.stoi(torch.tensor(est), torch.tensor(speech), extended=extended)
        assert 1 - float(loss) == pytest.approx(measure(ref=speech, est=est, sr=16000), abs=0.06)
    with torch.autocast("cpu", torch.bfloat16):
        assert losses.stoi(torch.tensor(est), torch.tensor(speech), extended=extended) == pytest.approx(
            float(loss), abs=1e-5
        )


LOSSES = {"si_sdr": (2, N), "stoi": (2, N), "compressed_spectral": (2, 2, 5, 9)}  # and what they take


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0])
def test_gradients_are_finite_down_to_silence(name, scale, rng):
    x = [torch.tensor(scale * rng.standard_normal(LOSSES[name]), dtype=torch.float32) for _ in range(2)]
    for est, ref in ((x[0], x[1]), (x[0], x[0]), (x[0], 0 * x[1]), (0 * x[0], x[1])):
        est = est.clone().requires_grad_()
        loss = getattr(losses, name)(est, ref)
        loss.backward()
        assert math.isfinite(loss.item()) and est.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_descending_the_gradient_descends_the_loss(name, rng):
    loss = getattr(losses, name)
    est, ref = (torch.tensor(rng.standard_normal(LOSSES[name]), dtype=torch.float32) for _ in range(2))
    before = loss(est.requires_grad_(), ref)
    before.backward()
    step = 1e-2 * est.detach().norm() * est.grad / est.grad.norm()
    assert loss(est.detach() - step, ref) < before
