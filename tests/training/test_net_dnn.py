"""The DNN of Xu et al.: context, noise estimate, level, statistics, targets and the equalized variance."""

import math

import numpy as np
import pytest
import torch

from undin.errors import InputError
from undin.methods.dnn import DNNConfig
from undin.training.batch import Batch
from undin.training.nets.dnn import BIG, DNN, FLOOR, TINY

SMALL = {"n_fft": 64, "hop_length": 32, "n_hidden": 24, "level_s": 0.02, "nat_s": 0.01}
FORMS = [
    {},
    {"nat": "first", "target": "magnitude", "gv": "bin"},
    {"nat": None, "target": "log", "gv": "pooled", "past": 2, "future": 0},
    {"n_bottleneck": 6, "feature": "log-magnitude", "activation": "sigmoid", "past": 0, "future": 2, "target": "log"},
    {"past": 0, "future": 0, "nat_frames": 1, "n_layers": 1},
    {"skip": True, "future": 2},
    {"skip": True, "future": 0, "target": "log"},
]


def make(**settings) -> DNN:
    torch.manual_seed(0)
    net = DNN(DNNConfig(**{**SMALL, **settings})).eval()
    net.calibrate([batch()])
    return net


def batch(n: int = 2000, snr: float = 1.0, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    t = np.arange(n) / 100
    speech = 0.1 * np.sin(t * rng.uniform(5, 30, (4, 1))) * (np.sin(t * rng.uniform(0.3, 1, (4, 1))) > 0)
    noise = 0.03 * snr * rng.standard_normal((4, n))
    s, v = (torch.tensor(x, dtype=torch.float32) for x in (speech, noise))
    return Batch(s + v, s, v, 16000)


def spectra(n_frames: int = 40, seed: int = 1) -> torch.Tensor:
    return torch.randn(2, 2, n_frames, 33, generator=torch.Generator().manual_seed(seed))


def run(net: DNN, X: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(X, net.initial_state(len(X)))[0]


@pytest.mark.parametrize("settings", FORMS, ids=str)
def test_the_level_does_not_matter(settings):
    net, X = make(**settings), spectra()
    assert run(net, X).min() >= 0 and run(net, X).max() <= 2
    for gain in (1e-6, 1e-3, 1e4):
        torch.testing.assert_close(run(net, gain * X), run(net, X), atol=1e-3, rtol=0)


def test_the_first_layer_is_a_matrix_on_stacked_frames():
    net, X = make(nat=None, n_layers=1, past=2, future=1), spectra(n_frames=9)
    c, state = net.config, net.initial_state(2)
    with torch.no_grad():
        f = (net._features(X, state)[0] - net.mean) / net.std
        stacked = torch.cat(
            [torch.nn.functional.pad(f, (0, 0, 3, 0))[:, i : i + 9] for i in range(4)], -1
        )  # (2, 9, 4 F)
        W = net.context.weight.transpose(1, 2).flatten(1)  # (n_hidden, 4 F)
        o = net.head(torch.relu(stacked @ W.T + net.context.bias))
        o = torch.stack(torch.split(o, 33, -1), 1) * net.std + net.mean
    assert (c.past + 1 + c.future) == 4
    torch.testing.assert_close(run(net, X), torch.sigmoid((o[:, :1] - o[:, 1:]) / 2), atol=1e-5, rtol=0)


def test_the_minimum_follows_the_noise_by_definition_and_leaves_silence_out():
    net = make(nat_frames=3, nat_s=0.016)  # a minimum over 8 means of 3 frames
    X = spectra(n_frames=30)
    X[:, :, :4] = 0  # digital silence before the start is nothing seen
    power = X.square().sum(1).clamp(min=TINY).log()
    wanted = torch.zeros(2, 30, 33)
    for t in range(30):
        means = []
        for last in range(max(t - 7, 0), t + 1):
            seen = [power[:, i] for i in range(max(last - 2, 0), last + 1) if i >= 4]
            means += [torch.stack(seen).mean(0)] if seen else []
        wanted[:, t] = torch.stack(means).amin(0) if means else math.log(TINY)
    with torch.no_grad():
        f, z, level, _ = net._features(X, net.initial_state(2))
    torch.testing.assert_close(z, (wanted - level).clamp(min=FLOOR), atol=1e-4, rtol=0)
    assert z[:, 10:].max() < BIG / 2 and (f[:, :4] == FLOOR).all()


def test_the_first_frames_that_sound_are_the_noise_of_the_paper():
    net, X = make(nat="first"), spectra(n_frames=30)
    X[:, :, :2] = 0
    with torch.no_grad():
        _, z, level, _ = net._features(X, net.initial_state(2))
    power = X.square().sum(1).log()
    for t in (2, 4, 7, 29):
        torch.testing.assert_close(z[:, t] + level[:, t], power[:, 2 : min(t, 7) + 1].mean(1), atol=1e-4, rtol=0)


def test_the_level_is_of_the_recent_frames_that_sound():
    net, X = make(level_s=0.02), torch.ones(1, 2, 30, 33)  # ten frames
    X[:, :, 10:] *= 10
    X[:, :, 25:] = 0
    with torch.no_grad():
        level = net._features(X, net.initial_state(1))[2][0, :, 0]
    torch.testing.assert_close(level[[0, 9]], torch.full((2,), math.log(2)))
    torch.testing.assert_close(level[19:29], torch.full((10,), math.log(200)))
    root = (2**0.25 * 6 + 200**0.25 * 4) / 10
    torch.testing.assert_close(level[13], torch.tensor(4 * math.log(root)))


def test_statistics_are_those_of_the_noisy_set():
    net, batches = make(), [batch(seed=seed) for seed in range(3)]
    padded = Batch(
        *(torch.nn.functional.pad(x, (0, 640)) for x in (batches[0].noisy, batches[0].speech)),
        torch.zeros(4, 2640),
        16000,
    )
    net.calibrate([padded, *batches[1:]])
    parts = [net._features(X := net.stft(b.noisy), net.initial_state(len(X)))[:2] for b in batches]
    for k, (mean, std) in enumerate(((net.mean, net.std), (net.noise_mean, net.noise_std))):
        values = torch.cat([part[k].flatten(0, 1) for part in parts])
        torch.testing.assert_close(mean, values.mean(0), atol=2e-2, rtol=0)  # the last frame before the silence differs
        torch.testing.assert_close(std, values.std(0), atol=2e-2, rtol=0)


@pytest.mark.parametrize("settings", FORMS, ids=str)
def test_the_loss_is_that_of_its_target_and_learns(settings):
    net = make(**settings)
    b, n = batch(), net.config.future
    X = torch.nn.functional.pad(net.stft(b.noisy), (0, 0, 0, n))
    with torch.no_grad():
        f, z, level, _ = net._features(X, state := net.initial_state(4))
        o = (net._heads(f, z, net._delay(f, state)[0], state)[0] * net.std + net.mean)[:, :, n:]
        level = level[:, None, : o.shape[2]]
        S, N = (net.stft(x).square().sum(1) for x in (b.speech, b.noise))
        if net.config.target == "log":
            ref = ((S.clamp(min=TINY).log() - level[:, 0]).clamp(min=FLOOR) - net.mean) / net.std
            wanted = ((o[:, 0] - net.mean) / net.std - ref).square().mean()
        else:
            amplitude = torch.exp(level[:, 0] / 2)
            parts = zip(o.unbind(1), (S, N), strict=False)
            wanted = sum((torch.exp(each / 2) - power.sqrt() / amplitude).abs().mean() for each, power in parts)
    net.train()
    net.config = DNNConfig(**{**SMALL, **settings, "dropout_input": 0.0, "dropout_hidden": 0.0})
    torch.testing.assert_close(net.loss(b)["loss"].detach(), wanted, atol=1e-4, rtol=1e-4)
    optimizer, losses = torch.optim.Adam(net.parameters(), 3e-3), []
    for _ in range(40):
        loss = net.loss(b)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_dropout_works_in_training_alone():
    net, b = make(), batch()
    assert net.loss(b)["loss"] == net.loss(b)["loss"]
    net.train()
    assert net.loss(b)["loss"] != net.loss(b)["loss"]


@pytest.mark.parametrize(("gv", "target"), [("pooled", "log"), ("bin", "log"), ("bin", "ratio")])
def test_equalized_outputs_have_the_variance_of_the_references(gv, target):
    net, batches = make(gv=gv, target=target), [batch(seed=seed) for seed in range(2)]
    net.finish(batches)
    with torch.no_grad():
        passes = [net._pass(b) for b in batches]
        est = torch.cat([heads * net.equaliser[:, None] for heads, _ in passes])
        ref = torch.cat([(log.clamp(min=FLOOR) - net.mean) / net.std for _, log in passes])
    variances = [x.var((0, 2), unbiased=False) for x in (est, ref)]
    if gv == "pooled":
        variances = [v.mean(-1) for v in variances]
        assert (net.equaliser == net.equaliser[:, :1]).all()
    torch.testing.assert_close(*variances, rtol=1e-3, atol=1e-4)
    assert not net.training
    plain = make(target=target)
    plain.finish(batches)
    assert (plain.equaliser == 1).all()


def test_silence_gives_finite_masks_and_the_louder_head_wins():
    for settings in FORMS:
        assert run(make(**settings), torch.zeros(1, 2, 5, 33)).isfinite().all()
    net = make()
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias[:33], net.head.bias[33:] = 1.0, -1.0
    assert (run(net, spectra()) > 0.5).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"past": -1}, "past must be a whole number, 0 or more"),
        ({"n_hidden": 0}, "n_hidden must be a whole number, 1 or more"),
        ({"dropout_hidden": 1.0}, "dropout_hidden must be a finite number, 0 or more and below 1"),
        ({"target": "mask"}, "target must be one of log, magnitude, ratio; got 'mask'"),
        ({"nat": "last"}, "nat must be one of minimum, first, or none"),
        ({"gv": "all"}, "gv must be one of pooled, bin, or none"),
        ({"feature": "mel"}, "feature must be one of"),
        ({"activation": "gelu"}, "activation must be one of relu, sigmoid"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        DNNConfig(**settings)
