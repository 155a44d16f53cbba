"""The live enhancer's network: its mask, its loss, its bands; the rest is in test_nets_contract."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from undin.errors import InputError
from undin.methods.hush import HushConfig
from undin.methods.lull import LullConfig
from undin.runner import Runner
from undin.training.batch import Batch
from undin.training.checkpoint import Loaded, load_weights, save_weights
from undin.training.export import write_graph
from undin.training.fit import fit
from undin.training.nets.level import level_around
from undin.training.nets.lull import Block, Lull, Scene, runs
from undin.training.options import Options

SMALL = LullConfig(n_fft=64, hop_length=32, band_bins=(2, 2, 4, 8, 8, 8), channels=8, scene=12, scene_channels=2)


def make(config: LullConfig = SMALL) -> Lull:
    """A network with nontrivial statistics in the norms, as after training."""
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


@pytest.mark.parametrize(
    ("old", "wider"),
    [
        ({}, {"causal": False, "kernel_frames": 3}),
        ({}, {"kernel_frames": 4}),
        ({"separable": True}, {"separable": True, "kernel_frames": 3}),
        ({"causal": False, "kernel_frames": 3}, {"causal": False, "kernel_frames": 5}),
    ],
)
def test_a_grown_network_computes_the_same_and_what_is_new_learns(
    monkeypatch: pytest.MonkeyPatch, old: dict[str, Any], wider: dict[str, Any]
) -> None:
    source = make(replace(SMALL, **old))
    net = Lull(replace(SMALL, channels=12, scene=16, **wider))
    monkeypatch.setattr(Lull, "_level", lambda self, X, state, new: X.new_ones(len(X), X.shape[2]))
    grown = net.grow(source)
    assert grown is not None
    net.load_state_dict(grown)
    net.eval()
    X = torch.randn(2, 2, 20, 33)
    M = net(X, net.initial_state(2))[0]
    torch.testing.assert_close(M, source(X, source.initial_state(2))[0], atol=1e-5, rtol=0)
    M.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().amax() > 0 for p in net.merge.weights)
    assert net.merge.hidden.weight.grad[:8, 8:].abs().amax() > 0  # from new channels to old ones


def test_a_network_grows_from_a_narrower_one_of_its_kind_alone() -> None:
    net = make(replace(SMALL, channels=12))
    for other in ({"channels": 16}, {"blocks": 3}, {"kernel_bands": 5}, {"causal": False, "kernel_frames": 3}):
        assert net.grow(make(replace(SMALL, **other))) is None
    assert net.grow(make(replace(SMALL, channels=12))) is None  # is loaded as it is


class Pairs:
    """Two examples of noise."""

    sr, n_samples = 8000, 1600

    def __getitem__(self, i: int) -> SimpleNamespace:
        noisy, speech = np.random.default_rng(i).standard_normal((2, 1600)).astype(np.float32)
        return SimpleNamespace(noisy=noisy, speech=speech)


def test_a_training_of_hush_starts_from_lull(tmp_path: Path) -> None:
    source = make(replace(SMALL, sr=8000))
    small = save_weights(tmp_path / "lull.pt", "lull", source.config, source)
    config = HushConfig(**{**vars(source.config), "channels": 12, "kernel_frames": 3, "causal": False})
    options = Options(steps=1, batch=2, lr=1e-12, n_valid=2, n_metrics=1, workers=0, threads=1, tensorboard=False)
    fitted = fit("hush", config, options, Pairs(), Pairs(), tmp_path / "run", start_from=small)
    learned = load_weights(fitted.best).net.state_dict()
    torch.testing.assert_close(learned["merge.hidden.weight"][:8, :8], source.merge.hidden.weight)


def test_the_level_is_that_below_level_hz() -> None:
    net, X = make(replace(SMALL, level_hz=4000.0)), torch.randn(1, 2, 10, 33)
    louder = X.clone()
    louder[..., 17:] *= 10
    with torch.no_grad():
        (M, state), (M_louder, state_louder) = (net(x, net.initial_state(1)) for x in (X, louder))
    assert torch.equal(state["level"], state_louder["level"])
    assert not torch.equal(M, M_louder)


@pytest.mark.parametrize("causal", [True, False])
def test_bins_above_level_hz_are_attenuated_by_at_most_the_limit_in_the_graph_too(tmp_path, causal: bool) -> None:
    config = replace(SMALL, level_hz=4000.0, causal=causal, kernel_frames=2 if causal else 3)
    n, X = 17, torch.randn(1, 2, 10, 33, generator=torch.Generator().manual_seed(1))  # bin 16 is at 4 kHz
    free, limited = make(config), make(replace(config, upper_limit_db=12.0))
    limited.load_state_dict(free.state_dict())
    with torch.no_grad():
        for net in (free, limited):
            net.merge.biases[-1].view(3, 8, 2)[:, ::2, 0] -= 1.0  # every second bin from 2 kHz up is closed
        M, M_limited = (net(X, net.initial_state(1))[0] for net in (free, limited))
    gain_db, limited_db = (20 * torch.log10(m.square().sum(1).sqrt()) for m in (M, M_limited))
    assert gain_db[..., n:].min() < -15 < -12 < gain_db[..., n:].max()
    assert gain_db[..., :n].min() < -15
    assert torch.equal(M_limited[..., :n], M[..., :n])
    torch.testing.assert_close(limited_db[..., n:], gain_db[..., n:].clamp(min=-12), atol=1e-3, rtol=0)
    runner = Runner(write_graph(Loaded("lull", limited.config, limited), tmp_path / "net.onnx", card={}))
    est, _ = runner.run(X.numpy(), runner.initial_state(1))
    np.testing.assert_allclose(est, M_limited.numpy(), atol=1e-4)


def test_slope_and_offset_lower_uncertain_gains_above_level_hz_only() -> None:
    config = replace(SMALL, level_hz=4000.0)
    n, X = 17, torch.randn(1, 2, 10, 33, generator=torch.Generator().manual_seed(1))
    plain, steep = make(config), make(replace(config, upper_slope=2.0, upper_offset=4.0))
    steep.load_state_dict(plain.state_dict())
    with torch.no_grad():
        gain, steeper = (net(X, net.initial_state(1))[0].square().sum(1).sqrt() for net in (plain, steep))
    assert torch.equal(gain[..., :n], steeper[..., :n])
    torch.testing.assert_close(steeper[..., n:], torch.sigmoid(2 * torch.logit(gain[..., n:]) - 4))


@pytest.mark.parametrize("causal", [True, False])
def test_what_has_little_to_remove_passes_and_noise_ends_that_at_once(causal: bool) -> None:
    """The network removes the bins from 16 up, where the first half has little and the second half much."""
    net = make(replace(SMALL, causal=causal, kernel_frames=3, clean_db=30.0, clean_s=0.2))
    with torch.no_grad():
        for weight, bias in zip(net.merge.weights, net.merge.biases, strict=True):
            weight.zero_()
            bias.zero_()
            bias[..., ::2] = 9.0
        net.merge.biases[-1][-2:, :, ::2] = -9.0
    X = torch.ones(1, 2, 400, 33)
    X[:, :, :200, 16:], X[:, :, 200:, 16:] = 0.003, 0.3
    with torch.no_grad():
        M, _ = net(X, net.initial_state(1))
    change = (M - torch.tensor([1.0, 0.0])[:, None, None]).square().sum(1).sqrt()[0]  # (T, F)
    assert change[60:140].max() < 1e-3
    assert change[210:, 16:].min() > 0.9


@pytest.mark.parametrize(("sr", "n_fft", "bins"), [(16000, 512, 257), (48000, 1536, 257), (32000, 64, 17)])
def test_level_bins_end_at_level_hz(sr: int, n_fft: int, bins: int) -> None:
    assert LullConfig(sr=sr, n_fft=n_fft, band_bins=(n_fft // 2,)).level_bins == bins


def test_the_level_around_is_the_mean_of_the_frames_before_and_after_that_are_not_silent() -> None:
    power = torch.rand(2, 12, 5, generator=torch.Generator().manual_seed(0)) + 0.1
    power[0, 3:6] = power[1, :9] = 0
    level = level_around(power, 2).numpy()
    for b in range(2):
        for t in range(12):
            frames = power[b, max(t - 2, 0) : t + 3].numpy()
            roots = [frame.mean() ** 0.25 for frame in frames if frame.any()]
            assert level[b, t] == pytest.approx(np.mean(roots) ** 4 if roots else 1, rel=1e-4)


@pytest.mark.parametrize("part", ["convolution", "memory", "scene"])
def test_each_part_looks_ahead_in_hush_and_not_in_lull(part: str) -> None:
    """Frames before 5 follow frame 5 where a part looks both ways; later ones follow it in any case."""
    common = {name: getattr(SMALL, name) for name in ("n_fft", "hop_length", "band_bins", "scene", "scene_channels")}
    for config in (HushConfig(**common, channels=8), replace(SMALL, kernel_frames=3)):
        torch.manual_seed(0)
        block, scene = Block(config).eval(), Scene(config).eval()
        with torch.no_grad():
            (block.linear if part == "convolution" else block.conv).weight.zero_()
            u = torch.randn(1, 10, 6, 8)
            changed = u.clone()
            changed[:, 5] += 1
            full = Lull(config).initial_state(1)
            run = scene if part == "scene" else lambda v, state, new, block=block: block(v, state, new, "0")
            moved = (run(changed, full, {}) - run(u, full, {})).abs().amax((0, 2, 3)) > 1e-6
        assert moved[4] == (not config.causal) and moved[6]
        assert not moved[:4].any() or (part != "convolution" and not config.causal)


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


def test_the_signal_to_noise_ratio_in_the_loss_saturates() -> None:
    torch.manual_seed(0)
    speech, noise = 0.1 * torch.randn(2, 800), 0.1 * torch.randn(2, 800)
    for most_db, at_40_db in ((20.0, 20.0), (60.0, 40.0)):
        net = make(replace(SMALL, most_snr_db=most_db))
        net.enhance = lambda noisy, X: speech + 0.01 * noise  # type: ignore[method-assign]
        parts = net.loss(Batch(speech + noise, speech, noise, 16000))
        assert float(parts["snr_db"]) == pytest.approx(at_40_db, abs=0.5)


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
