"""The separator's network: masks that sum to one, causal and not, of any length; silence where it is due; learning."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from undin.errors import InputError
from undin.methods import load
from undin.methods.twain import TwainConfig
from undin.training.batch import Batch
from undin.training.checkpoint import Loaded
from undin.training.export import write_graph
from undin.training.nets.twain import Twain

BANDS = (2, 2, 4, 8, 8, 8)
SMALL = TwainConfig(n_fft=64, hop_length=32, band_bins=BANDS, channels=8, blocks=2, scene=6, scene_channels=2, heads=2)
LIVE = replace(SMALL, causal=True, heads=0, patch_frames=1)
BOTH = pytest.mark.parametrize("config", [SMALL, LIVE], ids=["whole", "live"])


def make(config: TwainConfig = SMALL) -> Twain:
    torch.manual_seed(0)
    return Twain(config).eval()


def batch_of(sources: torch.Tensor, noise: float = 0.0) -> Batch:
    speech = sources.sum(1)
    rest = noise * torch.randn_like(speech)
    return Batch(noisy=speech + rest, speech=speech, noise=rest, sr=16000, sources=sources)


@BOTH
@pytest.mark.parametrize("n_frames", [1, 6, 7])
def test_masks_sum_to_one_at_any_length(config: TwainConfig, n_frames: int) -> None:
    net = make(config)
    X = torch.randn(2, 2, n_frames, 33)
    for gain in (1e-3, 1.0, 1e3):
        M, _ = net(gain * X, net.initial_state(2))
        assert M.shape == (2, 6, n_frames, 33)
        real, imaginary = M.chunk(2, 1)
        torch.testing.assert_close(real.sum(1), torch.ones(2, n_frames, 33))
        torch.testing.assert_close(imaginary.sum(1), torch.zeros(2, n_frames, 33), atol=1e-5, rtol=0)
        assert imaginary.abs().max() > 1e-3


@BOTH
def test_talkers_sum_to_the_input(config: TwainConfig) -> None:
    x = 0.1 * torch.randn(2, 1000)
    with torch.no_grad():
        s = make(config).separate(x)
    assert s.shape == (2, 2, 1000)
    torch.testing.assert_close(s.sum(1), x, atol=1e-5, rtol=0)


def test_loss_is_least_for_the_talkers_themselves_in_any_order() -> None:
    net, s = make(), 0.1 * torch.randn(3, 2, 2000)
    x = s.sum(1) + 0.1 * torch.randn(3, 2000)
    exact = net._cost(s, s, x)
    torch.testing.assert_close(exact.diagonal(dim1=1, dim2=2), torch.full((3, 2), -30.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(net._cost(s.flip(1), s, x), exact.flip(1))
    off = net._cost(s + 0.01 * torch.randn_like(s), s, x).diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(off, torch.full((3, 2), -19.6), atol=0.8, rtol=0)  # the floor adds 0.4


def test_a_silent_talker_asks_for_silence() -> None:
    net, s = make(), 0.1 * torch.randn(1, 2, 2000)
    s[:, 1] = 0
    level = [net._cost(torch.stack([s[:, 0], g * s[:, 0]], 1), s, s[:, 0])[0, 1, 1].item() for g in (1, 0.1, 0.01, 0)]
    np.testing.assert_allclose(level, [0, -20, -37, -40], atol=0.1)
    nobody = net._cost(torch.zeros(1, 2, 2000), torch.zeros(1, 2, 2000), torch.zeros(1, 2000))
    assert torch.isfinite(nobody).all()


def test_it_learns_to_separate_talkers() -> None:
    """Two talkers at different frequencies: which output takes which is free, that they come apart is not."""
    torch.manual_seed(0)
    net, t = Twain(SMALL).train(), torch.arange(1600) / 16000
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    found = []
    for _ in range(30):
        f = torch.stack([300 + 900 * torch.rand(4), 3000 + 3000 * torch.rand(4)], 1)
        s = 0.1 * torch.sin(2 * torch.pi * f[..., None] * t)
        loss = net.loss(batch_of(s))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    assert np.mean(found[-5:]) < -10 < np.mean(found[:2])


@BOTH
def test_the_graph_separates_like_the_network(config: TwainConfig, tmp_path) -> None:
    net = make(replace(config, embedding=3))
    path = write_graph(Loaded("twain", net.config, net), tmp_path / "twain.onnx", card={"licence": "MIT"})
    model = load(path)
    assert (model.n_src, model.causal, model.config) == (2, config.causal, net.config)
    for n in (20, 1000, 9999):
        x = (0.1 * np.random.default_rng(n).standard_normal(n)).astype(np.float32)
        with torch.no_grad():
            ref = net.separate(torch.from_numpy(x)[None])[0].numpy()
        y = model(x, 16000)
        np.testing.assert_allclose(y, ref, atol=2e-5)
        np.testing.assert_allclose(y.sum(0), x, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"band_bins": (4, 4)}, "band_bins must sum to n_fft // 2 = 256"),
        ({"causal": True}, "needs heads = 0 and patch_frames = 1"),
        ({"heads": 5}, "multiple of heads"),
        ({"talkers": 1}, "talkers must be"),
        ({"cluster_weight": -1.0}, "cluster_weight must be"),
    ],
)
def test_settings_are_checked(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TwainConfig(**settings)
