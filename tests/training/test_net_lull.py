"""The live enhancer's network: its mask, its loss, its bands; the rest is in test_nets_contract."""

from dataclasses import replace

import pytest
import torch

from undin.errors import InputError
from undin.methods.lull import LullConfig
from undin.training.batch import Batch
from undin.training.nets.lull import Lull, runs

SMALL = LullConfig(n_fft=64, hop_length=32, band_bins=(2, 2, 4, 8, 8, 8), channels=8, scene=12, scene_channels=2)


def make(config: LullConfig = SMALL) -> Lull:
    """A network with statistics of its own in the norms, as after training."""
    torch.manual_seed(0)
    net = Lull(config)
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(2, 2, 20, config.n_fft // 2 + 1), net.initial_state(2))
    return net.eval()


def test_default_takes_257_bins_and_its_mask_never_amplifies() -> None:
    net = make(LullConfig())
    with torch.no_grad():
        M, _ = net(30 * torch.randn(2, 2, 5, 257), net.initial_state(2))
    assert M.shape == (2, 2, 5, 257)
    assert M.square().sum(1).max() <= 1 + 1e-5
    assert 4 * sum(p.numel() for p in net.parameters()) < 4e6  # bytes


def test_silence_and_full_scale_stay_finite_and_silence_stays_silent() -> None:
    net = make()
    for scale in (0.0, 1e-6, 1.0):
        with torch.no_grad():
            y = net.enhance(scale * torch.ones(1, 500))
        assert y.shape == (1, 500)
        assert y.isfinite().all()
        assert scale or not y.any()


def test_the_level_is_that_below_level_hz() -> None:
    net, X = make(replace(SMALL, level_hz=4000.0)), torch.randn(1, 2, 10, 33)
    louder = X.clone()
    louder[..., 17:] *= 10
    with torch.no_grad():
        (M, state), (M_louder, state_louder) = (net(x, net.initial_state(1)) for x in (X, louder))
    assert torch.equal(state["level"], state_louder["level"])
    assert not torch.equal(M, M_louder)


def test_bins_above_level_hz_have_their_weight_in_the_loss() -> None:
    below, above = (replace(SMALL, level_hz=4000.0, upper_weight=w) for w in (0.0, 0.5))
    error = torch.ones(2, 5, 33)
    assert float(Lull(below)._mean(error)) == 1.0
    assert float(Lull(above)._mean(error)) == pytest.approx(1 + 0.5 * 16 / 17)


def test_loss_falls_with_the_error_and_does_not_depend_on_the_level() -> None:
    net, speech, noise = make(), 0.1 * torch.randn(2, 800), 0.1 * torch.randn(2, 800)

    def loss(kept: float, level: float = 1.0) -> float:
        net.enhance = lambda noisy, X: level * (speech + kept * noise)  # type: ignore[method-assign]
        return float(net.loss(Batch(level * (speech + noise), level * speech, level * noise, 16000))["loss"])

    assert loss(0.0) < loss(0.1) < loss(0.5) < loss(1.0)
    assert loss(0.5, 0.1) == pytest.approx(loss(0.5), rel=1e-2)


def test_runs_join_bands_of_one_width() -> None:
    assert runs((4, 4, 8, 8, 8, 4)) == [(2, 4), (3, 8), (1, 4)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"band_bins": (4, 4)},
            "band_bins must be n_fft // 2 = 256 in all; got .4, 4. with",
        ),
        ({"band_bins": (256, 0)}, "band_bins must be a list, each a whole number, 1 or more"),
        ({"kernel_bands": 4}, "kernel_bands must be odd"),
        ({"complex_weight": 1.5}, "complex_weight must be a finite number, 0 to 1; got 1.5"),
        ({"snr_weight": float("nan")}, "snr_weight must be a finite number, 0 or more; got nan"),
        ({"channels": 0}, "channels must be a whole number, 1 or more"),
    ],
)
def test_settings_are_checked(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LullConfig(**settings)
