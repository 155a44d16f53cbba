"""The networks that separate talkers: what they are asked for, in any order; the rest is in test_nets_contract."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import undin
from undin.errors import InputError
from undin.methods import LEARNED
from undin.methods.deep_clustering import ClusteringConfig, find_centers, nearest
from undin.methods.talker_masks import MaskConfig
from undin.metrics import si_sdr
from undin.training.batch import Batch
from undin.training.checkpoint import load_weights, save_weights
from undin.training.data import stack, to_batch
from undin.training.export import export
from undin.training.fit import fit
from undin.training.logs import read_log
from undin.training.nets import NETS
from undin.training.nets.trunk import clustering_loss, dominance
from undin.training.options import Options
from undin.training.permutation import cheapest, in_order

FRAME = {"sr": 4000, "n_fft": 64, "hop_length": 32, "n_layers": 2, "n_hidden": 12, "dropout": 0.0, "level_s": 0.2}
SMALL = MaskConfig(**FRAME)
MASKS = ("ff-mask", "lstm-mask", "blstm-mask")


def voices(n: int = 2, n_samples: int = 3200) -> torch.Tensor:
    """Two talkers of different pitch in turn and together, (B, 2, n_samples)."""
    t = torch.arange(n_samples) / 4000
    rng = torch.Generator().manual_seed(0)
    pitch = torch.tensor([300.0, 700.0])[None, :, None] * (1 + 0.1 * torch.rand(n, 2, 1, generator=rng))
    gate = (torch.sin(2 * torch.pi * (3 * t + torch.rand(n, 2, 1, generator=rng))) > -0.5).float()
    return 0.1 * torch.sin(2 * torch.pi * pitch * t) * gate + 1e-3 * torch.randn(n, 2, n_samples, generator=rng)


def batch_of(sources: torch.Tensor) -> Batch:
    mixture = sources.sum(1)
    return Batch(mixture, mixture, torch.zeros_like(mixture), 4000, sources)


def make(name: str = "blstm-mask", config: MaskConfig = SMALL, **changes: object):
    torch.manual_seed(0)
    return NETS[name](replace(config, **changes))


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(("activation", "most"), [("softmax", 1.0), ("sigmoid", 1.0), ("relu", np.inf)])
def test_masks_match_the_activation_at_every_level(name, activation, most):
    net, X = make(name, activation=activation).eval(), torch.randn(2, 2, 9, 33)
    with torch.no_grad():
        M, quiet = (net(scale * X, net.initial_state(2))[0] for scale in (1.0, 1e-3))
        silent, _ = net(0 * X, net.initial_state(2))
    assert M.shape == (2, 2, 9, 33) and M.min() >= 0 and M.max() <= most and silent.isfinite().all()
    torch.testing.assert_close(M, quiet, atol=1e-3, rtol=0)
    if activation == "softmax":
        torch.testing.assert_close(M.sum(1), torch.ones(2, 9, 33))


@pytest.mark.parametrize("objective", ["pit", "upit"])
@pytest.mark.parametrize("target", ["ibm", "irm", "amplitude", "psm", "signal"])
def test_the_order_of_the_talkers_does_not_matter_unless_it_is_fixed(objective, target):
    if (objective, target) == ("pit", "signal"):
        with pytest.raises(InputError, match='use the objective "upit"'):
            make(objective=objective, target=target)
        return
    sources = voices()
    swapped = torch.stack([sources[0], sources[1].flip(0)])
    net = make(objective=objective, target=target, segment=10).eval().requires_grad_(False)
    losses = [net.loss(batch_of(x)) for x in (sources, swapped)]
    for name, value in losses[0].items():
        torch.testing.assert_close(value, losses[1][name])
    fixed = make(objective="fixed", target=target).eval().requires_grad_(False)
    assert abs(float(fixed.loss(batch_of(sources))["loss"] - fixed.loss(batch_of(swapped))["loss"])) > 1e-6


@pytest.mark.parametrize(("target", "least"), [("ibm", 0.0), ("irm", 0.0), ("amplitude", None), ("psm", None)])
def test_loss_is_least_at_the_target_itself_in_any_order(target, least):
    net, sources = make(target=target, activation="relu"), voices()
    X, S = (net.stft(x) for x in (sources.sum(1), sources.flatten(0, 1)))
    S = S.unflatten(0, (2, 2))
    magnitude, talkers = X.square().sum(1).add(1e-12).sqrt()[:, None], S.square().sum(2).add(1e-12).sqrt()
    M = {
        "ibm": dominance(S),
        "irm": talkers / talkers.sum(1, keepdim=True),
        "amplitude": talkers / magnitude,
        "psm": ((S * X[:, None]).sum(2) / magnitude**2).clamp(min=0),
    }[target]
    cost = net._bin_cost(M.flip(1), X, S)
    total, order = cheapest(cost)
    assert total.max() < 1e-5 and order[:, 0].tolist() == [[1, 0], [1, 0]]
    metrics = net._accuracy(dominance(S).flip(1), X, S, order)
    assert metrics["accuracy"] == 1 and 0.5 < metrics["chance"] < 1
    assert make(objective="fixed")._accuracy(dominance(S), X, S, order)["chance"] == pytest.approx(0.5)


def test_signal_target_is_the_ratio_of_signal_to_error_and_asks_for_silence_of_the_silent():
    net, sources = make(target="signal"), voices()
    sources[:, 1] = 0
    X = net.stft(sources.sum(1))
    ones, zeros = torch.ones(2, 1, X.shape[2], 33), torch.zeros(2, 1, X.shape[2], 33)
    right = net._signal_cost(torch.cat([ones, zeros], 1), X, sources, sources.sum(1))
    torch.testing.assert_close(cheapest(right)[0], torch.full((2, 1), -35.0), atol=0.1, rtol=0)  # limits of 30 and 40
    twice = net._signal_cost(torch.cat([ones, ones], 1) / 2, X, sources, sources.sum(1))
    assert (cheapest(twice)[0] > -7).all()  # a talker who comes out twice costs


def test_noise_belongs_to_the_rest_and_nobody_is_asked_for_it():
    net, sources = make(target="signal", rest=True), voices()
    noise = 0.1 * torch.randn(sources[:, 0].shape, generator=torch.Generator().manual_seed(1))
    X = net.stft(sources.sum(1) + noise)
    S = net.stft(sources.flatten(0, 1)).unflatten(0, (2, 2)).square().sum(2)
    ideal = S / (S.sum(1, keepdim=True) + net.stft(noise).square().sum(1, keepdim=True))
    shared = ideal + (1 - ideal.sum(1, keepdim=True)) / 2
    apart, together = (cheapest(net._signal_cost(M, X, sources, sources.sum(1) + noise))[0] for M in (ideal, shared))
    assert (apart < together - 3).all()
    silent = [net._signal_cost(g * ideal, net.stft(noise), 0 * sources, noise).mean() for g in (0, 0.1)]
    assert silent[0] == pytest.approx(-40, abs=0.1) and silent[1] > -39  # nobody speaks: silence re the noise


def test_the_rest_is_the_last_mask_and_weights_without_it_start_a_training_with_it(tmp_path, capsys):
    net, X = make(rest=True).eval(), torch.randn(2, 2, 9, 33)
    with torch.no_grad():
        M, _ = net(X, {})
        assert M.shape == (2, 3, 9, 33) and net.output == "shares" and M[:, 2].mean() < 0.15
        torch.testing.assert_close(M.sum(1), torch.ones(2, 9, 33))
        torch.testing.assert_close(net.source_masks(X, M).sum(1), torch.ones(2, 9, 33))
    bare = trained("blstm-mask", SMALL, tmp_path / "bare")
    more = trained("blstm-mask", replace(SMALL, rest=True, voice=4), tmp_path / "more", bare.last)
    assert "has no describer, rest: these start from random weights" in capsys.readouterr().err
    ours, theirs = (load_weights(fitted.best).net.state_dict() for fitted in (more, bare))
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-9) for name in theirs)
    with pytest.raises(InputError, match='a mask for the rest needs the activation "softmax"'):
        MaskConfig(rest=True, activation="relu")


def test_cheapest_tries_every_order():
    rng = np.random.default_rng(0)
    cost = torch.tensor(rng.random((4, 3, 3)))
    least, order = cheapest(cost)
    for row, value, places in zip(cost, least, order, strict=True):
        assert value == pytest.approx(float(row[places, range(3)].mean()))
    assert (least <= cost.diagonal(dim1=1, dim2=2).mean(-1)).all()
    x = torch.arange(12).reshape(4, 3, 1)
    assert torch.equal(in_order(x, order)[:, :, 0], torch.gather(x[:, :, 0], 1, order))


def test_clustering_loss_is_that_of_the_matrices_of_pairs():
    torch.manual_seed(0)
    V = torch.nn.functional.normalize(torch.randn(2, 4, 3, 5), dim=-1)
    Y, weight = dominance(torch.randn(2, 2, 2, 4, 3)), (torch.rand(2, 4, 3) > 0.3).float()
    direct = []
    for v, y, w in zip(V.flatten(1, 2), Y.flatten(2).transpose(1, 2), weight.flatten(1).bool(), strict=True):
        direct.append((v[w] @ v[w].T - y[w] @ y[w].T).square().mean())
    torch.testing.assert_close(clustering_loss(V, Y, weight), torch.stack(direct).mean())
    perfect = torch.zeros(2, 4, 3, 5)
    perfect[..., :2] = Y.permute(0, 2, 3, 1)
    assert clustering_loss(perfect, Y, weight).abs() < 1e-6


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("name", [*MASKS, "deep-clustering"])
def test_every_parameter_learns(name, embedding):
    config = (
        ClusteringConfig(**FRAME, embedding=4) if name == "deep-clustering" else replace(SMALL, embedding=embedding)
    )
    torch.manual_seed(0)
    net = NETS[name](config)
    losses = net.loss(batch_of(voices()))
    losses["loss"].backward()
    assert all(value.isfinite() for value in losses.values())
    for key, p in net.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.any(), key


@pytest.mark.parametrize("normalise", ["bin", "global"])
def test_calibration_takes_mean_and_deviation_of_nonsilent_frames(normalise):
    net, sources = make(normalise=normalise), voices(4)
    sources[0] = 0
    net.calibrate([batch_of(sources)])
    f, _ = net.trunk._spectrum(net.stft(sources[1:].sum(1)), {})
    g = (f.flatten(0, 1) - net.trunk.mean) / net.trunk.std
    axes = 0 if normalise == "bin" else (0, 1)
    torch.testing.assert_close(g.mean(axes), torch.zeros_like(g.mean(axes)), atol=1e-3, rtol=0)
    torch.testing.assert_close(g.std(axes), torch.ones_like(g.std(axes)), atol=1e-2, rtol=0)
    assert normalise == "bin" or net.trunk.std.unique().numel() == 1


def test_a_share_of_the_talkers_is_left_alone_and_the_mixture_with_them():
    net = make(alone=0.5).train()
    from undin.training.nets.talker_masks import talkers_of

    torch.manual_seed(3)
    batch = batch_of(voices(64))
    left, sources = talkers_of(batch, 2, net.config.alone)
    assert left.sources is sources
    torch.testing.assert_close(left.noisy, sources.sum(1))
    torch.testing.assert_close(left.speech, left.noisy)
    alone = ~sources[:, 1].any(-1)
    assert 0.25 < alone.float().mean() < 0.75 and torch.equal(sources[~alone], batch.sources[~alone])
    assert torch.equal(sources[:, 0], batch.sources[:, 0])


def test_fixed_labels_that_are_arbitrary_teach_nothing_and_the_best_order_does():
    """The trap: swapped labels are as likely, so 0.5 is the best answer, of error 0.25."""
    outcome = {}
    for objective in ("fixed", "upit"):
        net = make("ff-mask", objective=objective, target="ibm", activation="sigmoid")
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        order = torch.Generator().manual_seed(1)
        sources = voices(16)
        for _ in range(80):
            swap = torch.rand(16, 1, 1, generator=order) < 0.5
            losses = net.loss(batch_of(torch.where(swap, sources.flip(1), sources)))
            optimizer.zero_grad()
            losses["loss"].backward()
            optimizer.step()
        outcome[objective] = {k: float(v.detach()) for k, v in losses.items()}
    assert outcome["fixed"]["loss"] > 0.2 and outcome["fixed"]["accuracy"] < 0.65
    assert outcome["upit"]["loss"] < 0.17 and outcome["upit"]["accuracy"] > 0.75


@pytest.mark.parametrize("name", [*MASKS, "deep-clustering"])
def test_the_graph_separates_like_the_network(name, tmp_path):
    config = ClusteringConfig(**FRAME, embedding=4) if name == "deep-clustering" else SMALL
    torch.manual_seed(0)
    net = NETS[name](config).eval()
    save_weights(tmp_path / "best.pt", name, config, net)
    model = undin.load(export(tmp_path / "best.pt", tmp_path / "m.onnx", card={}))
    assert isinstance(model, LEARNED[name]) and model.n_src == 2 and model.causal == (name in ("ff-mask", "lstm-mask"))
    x = voices(1).sum(1)[0].numpy()
    y = model(x, 4000)
    assert y.shape == (2, 3200)
    np.testing.assert_allclose(y.sum(0), x, atol=1e-5)
    if name != "deep-clustering":
        with torch.no_grad():
            est = net.separate(torch.from_numpy(x)[None])[0].numpy()
        np.testing.assert_allclose(y, est, atol=1e-5)


def test_k_means_finds_the_clusters_and_a_lone_talker_is_not_duplicated(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    V = (np.eye(3)[truth] + 0.1 * rng.standard_normal((500, 3))).astype(np.float32)
    of = nearest(V, find_centers(V, 2, tries=3))
    assert (of == truth).all() or (of != truth).all()
    config = ClusteringConfig(**FRAME, embedding=3)
    save_weights(tmp_path / "best.pt", "deep-clustering", config, NETS["deep-clustering"](config))
    model = undin.load(export(tmp_path / "best.pt", tmp_path / "m.onnx", card={}))
    X = np.ones((20, 25), np.complex64)
    M = model.masks(X, V.reshape(20, 25, 3))
    assert (M.sum(0) == 1).all() and 0.4 < M[0].mean() < 0.6
    together = model.masks(X, (np.eye(3)[0] + 0.1 * rng.standard_normal((20, 25, 3))).astype(np.float32))
    assert together[0] == pytest.approx(0.99) and together[1] == pytest.approx(0.01)  # quiet bins too
    three = model.with_settings(talkers=3)
    assert three(voices(1).sum(1)[0].numpy(), 4000).shape == (3, 3200)
    assert undin.separate(np.zeros(900, np.float32), 4000, talkers=3, method=tmp_path / "m.onnx").shape == (3, 900)
    with pytest.raises(InputError, match="embedding is 3 in these weights"):
        model.with_settings(embedding=4)


class Pairs:
    sr, n_samples = 4000, 3200

    def __getitem__(self, i):
        sources = voices(1)[0].numpy().astype(np.float32)
        return SimpleNamespace(noisy=sources.sum(0), speech=sources.sum(0), sources=sources, voices=(0, 1))


def trained(net, config, folder, start_from=None):
    options = Options(
        steps=1, batch=2, lr=1e-12, n_valid=3, n_metrics=2, n_calibrate=1, workers=0, threads=1, tensorboard=False
    )
    return fit(net, config, options, Pairs(), Pairs(), folder, start_from=start_from)


def test_clusters_grow_from_the_layers_of_masks(tmp_path):
    masks = trained("blstm-mask", SMALL, tmp_path / "masks")
    config = ClusteringConfig(**{**FRAME, "n_layers": 1}, embedding=3)
    clusters = trained("deep-clustering", config, tmp_path / "clusters", masks.best)
    ours, theirs = (load_weights(fitted.best).net.state_dict() for fitted in (clusters, masks))
    layers = [name for name in ours if name.startswith("trunk.")]
    assert layers and all(torch.allclose(ours[name], theirs[name], atol=1e-9) for name in layers)
    for net, size in (("deep-clustering", {"n_layers": 3}), ("lstm-mask", {})):  # more layers than there are; one way
        config = replace(ClusteringConfig(**FRAME) if net == "deep-clustering" else SMALL, **size)
        with pytest.raises(InputError, match="another size"):
            trained(net, config, tmp_path / net, masks.best)


def test_validation_clusters_the_first_examples(tmp_path):
    config = ClusteringConfig(**FRAME, embedding=3, one_talker=1.0)
    fitted = trained("deep-clustering", config, tmp_path)
    row, sources = read_log(tmp_path / "log.csv")[-1], Pairs()[0].sources
    model = undin.load(export(fitted.best, tmp_path / "m.onnx", card={}))
    est = model(sources.sum(0), 4000)
    expected = max(si_sdr(ref=sources, est=est[order]).mean() for order in ([0, 1], [1, 0]))
    assert row["si_sdr_db"] == pytest.approx(expected, abs=0.1)  # of examples that are all alike
    assert row["si_sdr_in_db"] == pytest.approx(
        si_sdr(ref=sources, est=np.stack([sources.sum(0)] * 2)).mean(), abs=1e-3
    )


def test_empty_bins_say_nothing():
    X = 0.1 * torch.randn(1, 2, 40, 33)
    X[..., 17:] = 0
    net = make().eval()
    with torch.no_grad():
        net.trunk.mean[:], net.trunk.std[:] = torch.randn(33) - 3, torch.rand(33) + 0.5
        before, _ = net(X, {})
        net.trunk.mean[17:] += 5
        after, _ = net(X, {})
        net.trunk.mean[:17] += 5
        changed, _ = net(X, {})
    assert torch.equal(before, after) and not torch.allclose(before, changed, atol=1e-3)


def test_batches_carry_talkers():
    batch = to_batch(stack(Pairs(), range(3)), 4000)
    assert batch.sources.shape == (3, 2, 3200) and not batch.noise.any()
    assert batch.to("cpu").sources.shape == (3, 2, 3200)
    with pytest.raises(InputError, match="separates 3 talkers, but mixtures have 2"):
        make(talkers=3).loss(batch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"talkers": 1}, "talkers must be a whole number, 2 to 4; got 1"),
        ({"activation": "tanh"}, "activation must be one of softmax, sigmoid, relu; got 'tanh'"),
        ({"objective": "free"}, "objective must be one of"),
        ({"target": "wave"}, "target must be one of"),
        ({"width": -1}, "width must be a whole number, 0 or more"),
        ({"dropout": 1.0}, "dropout must be a finite number, 0 or more and below 1"),
        ({"alone": 1.5}, "alone must be a finite number, 0 or more"),
        ({"normalise": "frame"}, "normalise must be one of bin, global"),
        ({"cluster_weight": 2.0}, "cluster_weight must be a finite number, 0 to 1"),
        ({"segment": 0}, "segment must be a whole number, 1 or more"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        MaskConfig(**settings)
