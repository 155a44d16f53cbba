"""What networks are given to learn from: spectra made beforehand teach what those made at every step teach."""

import pytest
import torch
from networks import CASES, batch_of, network

from undin.training.batch import Batch
from undin.training.nets.talker_masks import talkers_of
from undin.training.stft import Stft


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_a_loss_is_the_same_with_spectra_made_beforehand(name, settings, monkeypatch):
    loaded = network(name, settings)
    net, c = loaded.net, loaded.config
    n_src = 2 if hasattr(c, "talkers") else 1
    ref = net.loss(batch_of(n_src, c.sr))
    batch, made = batch_of(n_src, c.sr, net.stft), []
    forward = Stft.forward
    monkeypatch.setattr(Stft, "forward", lambda self, x: made.append(x.requires_grad) or forward(self, x))
    losses = net.loss(batch)
    assert all(made) or name in ("lull", "hush")  # of what comes out alone; for envelopes of both
    assert len(made) == {"cmask": 1, "lull": 2, "hush": 2}.get(name, int(settings.get("stoi", 0) > 0))
    for part, value in ref.items():
        torch.testing.assert_close(losses[part], value, rtol=1e-4, atol=1e-5)


def test_muted_talkers_are_absent_from_the_spectra_too():
    stft = Stft(64, 32)
    torch.manual_seed(2)
    batch, sources = talkers_of(batch_of(2, 4000, stft), 2, 0.5)
    muted = ~sources[:, 1].any(-1)
    assert muted.any() and not muted.all() and batch.sources is sources
    for name in ("noisy", "speech", "sources"):
        made_now = Batch(batch.noisy, batch.speech, batch.noise, 4000, sources).spectrum(name, stft)
        torch.testing.assert_close(batch.spectrum(name, stft), made_now, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(batch.spectrum("noise", stft), stft(batch.noise), rtol=1e-4, atol=1e-4)
    assert len(batch.to("meta")) == 3 and batch.to("meta").spectra.device.type == "meta"
