import numpy as np
import pytest
import torch

import undin
from undin import corpora, metrics
from undin.errors import InputError
from undin.methods.lull import LullConfig
from undin.training.batch import Batch
from undin.training.nets import NETS
from undin.training.opinion import LEVEL, decimated, opinions

pytest.importorskip("speechmos", reason="speechmos is not installed")
SR = 16000


@pytest.fixture(scope="module")
def pairs():
    """(clean, noisy) with the clean voice at the level at which the network hears it."""
    corpus, rng, found = corpora.mini().select(split="test"), np.random.default_rng(0), []
    for clip, snr_db in zip(corpus.speech[:3], (0, 10, 30), strict=True):
        clean = np.tile(corpus.load(clip), 4)[: 9 * SR]
        noise = rng.standard_normal(len(clean)).astype(np.float32)
        noisy = undin.mixing.mix(clean, noise, snr_db=snr_db).noisy
        gain = LEVEL / np.sqrt(np.mean(clean**2))
        found.append((clean * gain, noisy * gain))
    return found


def heard(est, ref, sr=SR):
    return opinions(torch.tensor(est)[None], torch.tensor(ref)[None], sr)[0].numpy()


def test_it_is_dnsmos(pairs):
    for clean, noisy in pairs:
        published = metrics.dnsmos(est=np.pad(noisy, (0, 160)), sr=SR)[:3]
        np.testing.assert_allclose(heard(noisy, clean), published, atol=0.03)


def test_the_level_and_the_rate_do_not_matter(pairs):
    clean, noisy = pairs[1]
    np.testing.assert_allclose(heard(noisy / 50, clean / 50), heard(noisy, clean), atol=1e-3)
    high = [undin.resample(x, SR, 48000) for x in (noisy, clean)]
    np.testing.assert_allclose(heard(*high, 48000), heard(noisy, clean), atol=0.1)


def test_a_rate_that_16_khz_does_not_divide_is_refused():
    with pytest.raises(InputError, match="multiple of 16000; got 44100"):
        opinions(torch.zeros(1, 44100), torch.zeros(1, 44100), 44100)


def test_decimation_keeps_what_is_below_and_removes_what_is_above():
    t = torch.arange(48000) / 48000
    low, high = (decimated(torch.sin(2 * np.pi * hz * t)[None], 3)[0, 500:-500] for hz in (1000.0, 10000.0))
    expected = torch.sin(2 * np.pi * 1000 * torch.arange(16000) / 16000)[500:-500]
    assert (low - expected).abs().max() < 0.01 and high.abs().max() < 0.003


def test_less_noise_is_better_and_the_gradient_says_so(pairs):
    clean, noisy = pairs[0]
    share = torch.tensor(1.0, requires_grad=True)
    clean, noise = torch.tensor(clean)[None], torch.tensor(noisy - clean)[None]
    overall = opinions(clean + share * noise, clean, SR)[0, 2]
    overall.backward()
    assert share.grad < 0 and opinions(clean + 0.1 * noise, clean, SR)[0, 2] > overall


def test_it_is_in_the_loss_of_lull_by_its_weight(pairs):
    clean, noisy = (torch.tensor(np.stack([pair[k] for pair in pairs])[:, :SR]) for k in (0, 1))
    batch = Batch(noisy, clean, noisy - clean, SR)
    losses = {}
    for weight in (0.0, 0.5):
        torch.manual_seed(0)
        losses[weight] = NETS["lull"](LullConfig(dnsmos_weight=weight)).eval().loss(batch)
    assert "dnsmos" not in losses[0.0]
    added = losses[0.5]["loss"] - losses[0.0]["loss"]
    assert added.item() == pytest.approx(0.5 * (5 - losses[0.5]["dnsmos"].item()), rel=1e-4)
