import numpy as np
import pytest
import torch

import undin
from undin import corpora, metrics
from undin.methods.lull import LullConfig
from undin.training.batch import Batch
from undin.training.nets import NETS
from undin.training.perceptual import N_FREQ, Ear, pesq_mos
from undin.training.stft import Stft

SR = 16000


@pytest.fixture(scope="module")
def voices():
    corpus = corpora.mini().select(split="test")
    return [corpus.load(clip) for clip in corpus.speech[:3]]


@pytest.fixture(scope="module")
def outputs(voices):
    """(clean, noisy or enhanced) of several methods and ratios."""
    rng, found = np.random.default_rng(0), []
    for method in (None, "log-mmse", "spectral-gate", "lull"):
        enhance = undin.load(method) if method else lambda x, sr: x
        for snr_db in (-5, 5, 15, 30):
            for clean in voices:
                noise = rng.standard_normal(len(clean)).astype(np.float32)
                found.append((clean, enhance(undin.mixing.mix(clean, noise, snr_db=snr_db).noisy, SR)))
    return found


def predicted(est, ref, sr=SR):
    return float(pesq_mos(torch.tensor(est)[None], torch.tensor(ref)[None], sr))


def test_it_follows_pesq(outputs):
    ours = [predicted(est, ref) for ref, est in outputs]
    theirs = [metrics.pesq(ref=ref, est=est, sr=SR) for ref, est in outputs]
    assert np.corrcoef(ours, theirs)[0, 1] > 0.97
    assert np.abs(np.subtract(ours, theirs)).mean() < 0.3


def test_climbing_it_raises_pesq(voices):
    clean = voices[0]
    noise = np.random.default_rng(1).standard_normal(len(clean)).astype(np.float32)
    noisy = torch.tensor(undin.mixing.mix(clean, noise, snr_db=10).noisy)[None]
    ref, stft = torch.tensor(clean)[None], Stft(512, 256)
    X = stft(noisy)
    logits = torch.full((1, 1, *X.shape[2:]), 2.0, requires_grad=True)
    enhanced = lambda: stft.inverse(X * torch.sigmoid(logits), len(clean))  # noqa: E731
    optimizer = torch.optim.Adam([logits], lr=0.5)
    for _ in range(40):
        optimizer.zero_grad()
        (-pesq_mos(enhanced(), ref, SR)).sum().backward()
        optimizer.step()
    before, after = (metrics.pesq(ref=clean, est=x[0].detach().numpy(), sr=SR) for x in (noisy, enhanced()))
    assert after > before + 0.5


def test_a_rate_and_a_level_change_nothing_and_a_perfect_estimate_is_best(voices):
    ref = voices[1]
    est = undin.mixing.mix(ref, np.random.default_rng(2).standard_normal(len(ref)).astype(np.float32), snr_db=10).noisy
    score = predicted(est, ref)
    assert predicted(np.float32(0.1) * est, ref) == pytest.approx(score, abs=1e-3)
    x, s = (undin.resample(v, SR, 48000) for v in (est, ref))
    assert predicted(x, s, 48000) == pytest.approx(score, abs=0.05)
    assert predicted(ref, ref) == pytest.approx(4.64, abs=0.01)


def test_gradients_are_finite_in_silence_and_at_the_best(voices):
    ref = torch.tensor(voices[0])[None]
    for est, target in ((ref, ref), (0 * ref, ref), (ref, 0 * ref), (0 * ref, 0 * ref)):
        est = est.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            pesq_mos(est, target, SR).sum().backward()
        assert est.grad.isfinite().all()


def test_the_ear_is_that_of_the_standard():
    ear = Ear(torch.device("cpu"))
    assert ear.split.shape == (N_FREQ, 49) and (ear.split > 0).sum() == N_FREQ - 1  # all but the bin at 8 kHz
    t = torch.arange(4 * SR) / SR
    tones = [ear.powers(torch.sin(2 * torch.pi * hz * t)[None], SR)[0, 5] for hz in (440.0, 1000.0, 3000.0)]
    assert [int(P.argmax()) for P in tones] == [13, 23, 38]  # at 4.5, 8.5 and 15.5 Bark
    assert 2.0 < float(ear.threshold.min()) ** -1 < 8 and 35 < int(ear.threshold.argmin()) < 42  # best at 3 to 4 kHz
    assert ear.threshold[0] > 1e4 * ear.threshold.min() and ear.threshold[-1] > 2 * ear.threshold.min()
    assert ear.exponent[0] > ear.exponent[10] > ear.exponent[20] == ear.exponent[-1] == pytest.approx(0.23)
    quiet = torch.full((1, 1, 49), 1e-3)
    assert (ear.loudness(quiet)[..., 8:] == 0).all() and (ear.loudness(1e6 * quiet)[..., 8:] > 0).all()


def test_what_hearing_forgives_costs_little(voices):
    """A slope of the spectrum, slow changes of level, and differences under a quarter of the loudness."""
    ear, ref = Ear(torch.device("cpu")), torch.tensor(voices[0])[None]
    R = ear.powers(ref, SR)
    slope_db = torch.linspace(-10, 10, R.shape[2])
    drift_db = torch.linspace(-6, 6, R.shape[1])[None, :, None]
    for change_db in (slope_db, drift_db):
        E = R * 10 ** (change_db / 10)
        assert float(ear.score(R, E)) < 4.0 < 4.4 < float(ear.score(*ear.equalized(R, E)))
    assert float(ear.score(R, 2 * R)) > 4.47 and float(ear.score(R, 10 * R)) < 4.0


def test_half_precision_around_it_changes_nothing(voices):
    ref = torch.tensor(voices[0])[None]
    est = ref + 0.01 * torch.randn(ref.shape, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = pesq_mos(est, ref, SR)
    assert torch.equal(inside, pesq_mos(est, ref, SR))


def test_a_burst_costs_more_than_the_same_spread_out(voices):
    ear = Ear(torch.device("cpu"))
    R = ear.powers(torch.tensor(voices[0])[None], SR)
    n = R.shape[1]
    burst = torch.ones(1, n, 1)
    burst[:, n // 2 : n // 2 + 10] = 8.0
    spread = torch.full((1, n, 1), 8.0 ** (10 / n))
    assert float(ear.score(R, R * burst)) < float(ear.score(R, R * spread)) - 0.3


def test_the_enhancer_learns_with_it(voices):
    torch.manual_seed(0)
    speech = torch.tensor(np.stack([v[:SR] for v in voices[:2]]))
    noise = 0.02 * torch.randn(2, SR)
    speech[1] = 0  # noise alone: no score, and no part in the mean
    batch = Batch(speech + noise, speech, noise, SR)
    plain, tasting = (NETS["lull"](LullConfig(pesq_weight=weight)).eval() for weight in (0.0, 0.5))
    tasting.load_state_dict(plain.state_dict())
    with torch.no_grad():
        before, after = plain.loss(batch), tasting.loss(batch)
    assert "pesq" not in before and 1 <= float(after["pesq"]) <= 4.64
    assert float(after["loss"] - before["loss"]) == pytest.approx(0.5 * (4.64 - float(after["pesq"])), abs=1e-5)
