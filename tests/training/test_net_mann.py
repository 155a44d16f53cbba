"""The memory network: one step equals its equations in loops; heads, masks, losses; see test_nets_contract too."""

import math

import numpy as np
import pytest
import torch

import undin
from undin.errors import InputError
from undin.methods.mann import MANNConfig
from undin.training.batch import Batch
from undin.training.checkpoint import Loaded
from undin.training.export import write_graph
from undin.training.nets.mann import MANN, NTM

SMALL = {"n_fft": 64, "hop_length": 32, "n_hidden": 20, "n_lstm": 12, "n_cell": 10, "n_rows": 5, "n_width": 6}
FORMS = [
    {},
    {"n_read": 2, "n_write": 3, "shifts": 2, "start": "learned", "feature": "compressed"},
    {"gives": "hidden", "shifts": 0, "context": 3},
    {"n_rows": 0},
    {"layer": "lstm", "context": 5},
    {"layer": "dnn", "feature": "compressed"},
]


def make(**settings) -> MANN:
    torch.manual_seed(0)
    net = MANN(MANNConfig(**{**SMALL, **settings})).eval()
    net.calibrate([batch()])
    with torch.no_grad():  # weights that make every head do something different
        for name in ("w_0", "address.weight", "write.weight"):
            if (p := dict(net.layer.named_parameters()).get(name)) is not None:
                p.copy_(torch.randn_like(p))
    return net


def batch(n: int = 2000, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    t = np.arange(n) / 100
    speech = 0.1 * np.sin(t * rng.uniform(5, 30, (4, 1))) * (np.sin(t * rng.uniform(0.3, 1, (4, 1))) > 0)
    s, v = (torch.tensor(x, dtype=torch.float32) for x in (speech, 0.03 * rng.standard_normal((4, n))))
    return Batch(s + v, s, v, 16000)


def spectra(n_frames: int = 30, seed: int = 1) -> torch.Tensor:
    return torch.randn(2, 2, n_frames, 33, generator=torch.Generator().manual_seed(seed))


def run(net: MANN, X: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(X, net.initial_state(len(X)))[0]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def literal_step(ntm: NTM, x, s):
    """One frame of one item of the batch, index by index; s holds h, c, r, w and M themselves."""
    p = {name: value.detach().double().numpy() for name, value in ntm.state_dict().items()}
    c, H, N, D = ntm.config, ntm.config.n_cell, ntm.config.n_rows, ntm.config.n_width
    z = np.concatenate([s["h"], *s["r"]])
    gates = p["input.weight"] @ x + p["input.bias"] + p["recurrent.weight"] @ z
    i, f, o, u = (gates[k * H : (k + 1) * H] for k in range(4))
    cell = sigmoid(f) * s["c"] + sigmoid(i) * np.tanh(u)
    h = sigmoid(o) * np.tanh(cell)
    size, weights = D + 3 + 2 * c.shifts + 1, []
    for head in range(c.n_read + c.n_write):
        a = (p["address.weight"] @ h + p["address.bias"])[head * size : (head + 1) * size]
        k, beta, g = np.tanh(a[:D]), softplus(a[D]), sigmoid(a[D + 1])
        shift, gamma = np.exp(a[D + 2 : -1]) / np.exp(a[D + 2 : -1]).sum(), 1 + softplus(a[-1])
        score = np.zeros(N)
        for row in range(N):
            norm = math.sqrt((k**2).sum()) * math.sqrt((s["M"][row] ** 2).sum())
            score[row] = beta * (k @ s["M"][row]) / (norm + 1e-6)
        content = np.exp(score) / np.exp(score).sum()
        gated = g * content + (1 - g) * s["w"][head]
        turned = np.zeros(N)
        for row in range(N):
            for j in range(-c.shifts, c.shifts + 1):
                turned[row] += gated[(row - j) % N] * shift[c.shifts + j]
        sharp = (turned + 1e-6) ** gamma
        weights.append(sharp / sharp.sum())
    read = [sum(weights[head][row] * s["M"][row] for row in range(N)) for head in range(c.n_read)]
    kept, added = np.ones((N, D)), np.zeros((N, D))
    for n in range(c.n_write):
        a = (p["write.weight"] @ h + p["write.bias"])[n * 2 * D : (n + 1) * 2 * D]
        for row in range(N):
            kept[row] *= 1 - weights[c.n_read + n][row] * sigmoid(a[:D])
            added[row] += weights[c.n_read + n][row] * np.tanh(a[D:])
    out = np.concatenate([h, *read]) if c.gives == "both" else h
    return out, {"h": h, "c": cell, "r": read, "w": weights, "M": s["M"] * kept + added}


@pytest.mark.parametrize(
    "settings", [{}, {"n_read": 2, "n_write": 3, "shifts": 2, "start": "learned"}, {"gives": "hidden", "shifts": 0}]
)
def test_the_cell_is_its_equations(settings):
    ntm = make(**settings).layer
    c, x = ntm.config, torch.randn(2, 9, 12)
    with torch.no_grad():
        out, looks, new = ntm(x, {name: torch.zeros(2, *shape) for name, shape in ntm.shapes.items()})
        w_0, M_0 = torch.softmax(ntm.w_0, -1).double().numpy(), ntm.M_0.double().numpy()
    for item in range(2):
        s = {"h": np.zeros(c.n_cell), "c": np.zeros(c.n_cell), "r": np.zeros((c.n_read, c.n_width)), "w": w_0, "M": M_0}
        for t in range(9):
            ref, s = literal_step(ntm, x[item, t].double().numpy(), s)
            np.testing.assert_allclose(out[item, t], ref, atol=1e-5)
            np.testing.assert_allclose(looks[item, t], s["w"], atol=1e-5)
        np.testing.assert_allclose(new["memory"][item], s["M"] - M_0, atol=1e-5)
        np.testing.assert_allclose(new["w"][item], s["w"], atol=1e-5)
        np.testing.assert_allclose(new["c"][item], s["c"], atol=1e-5)  # the cell's own state, not h, is carried


def test_heads_look_at_rows_by_weights_that_sum_to_one_and_each_has_its_own():
    net = make(n_read=2, n_write=2)
    looks = net.tables(batch())["attention"]
    assert looks["read"].shape == looks["write"].shape == (4, 2, 64, 5)
    together = torch.cat([looks["read"], looks["write"]], 1)
    assert together.min() >= 0
    torch.testing.assert_close(together.sum(-1), torch.ones(4, 4, 64), atol=1e-4, rtol=0)
    for a in range(4):
        for b in range(a):
            assert (together[:, a] - together[:, b]).abs().max() > 0.05
    assert make(n_rows=0).tables(batch()) == make(layer="lstm").tables(batch()) == {}


def test_the_graph_returns_the_attention_of_its_heads(tmp_path):
    net = make(n_read=2, n_fft=1024, hop_length=512, window="hamming")
    path = write_graph(Loaded("mann", net.config, net), tmp_path / "net.onnx", card={})
    x = 0.1 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    with torch.no_grad():
        X = net.stft(torch.tensor(x)[None])
        ref = net._masks(X, net.initial_state(1))[1][0].permute(1, 2, 0).numpy()  # (heads, n_rows, T)
    found = undin.load(path).attention(x, 16000)
    np.testing.assert_allclose(np.concatenate([found["read"], found["write"]]), ref, atol=1e-4)
    assert undin.load(path).attention(np.zeros(0, np.float32), 16000)["write"].shape == (1, 5, 0)
    with pytest.raises(InputError, match="pass one channel"):
        undin.load(path).attention(np.zeros((2, 8000), np.float32), 16000)
    net = make(layer="lstm")
    path = write_graph(Loaded("mann-lstm", net.config, net), tmp_path / "lstm.onnx", card={})
    with pytest.raises(InputError, match="has no memory"):
        undin.load(path).attention(x, 16000)


def test_compiled_steps_give_the_same(monkeypatch):
    net, X = make(), spectra()
    whole = run(net, X)
    monkeypatch.setattr(torch, "compile", lambda f, **_: lambda *a: calls.append(1) or f(*a))
    calls = []
    net.compile()
    torch.testing.assert_close(run(net, X), whole)
    assert len(calls) == 30


def test_stored_content_is_read_back_many_frames_later():
    """The memory by itself: add to one row, wait, and ask for that content."""
    ntm = make(n_rows=5, n_width=6).layer
    state = {name: torch.zeros(1, *shape) for name, shape in ntm.shapes.items()}
    with torch.no_grad():
        M = state["memory"] + ntm.M_0
        M[0, 3] = torch.tensor([1.0, -1, 1, -1, 1, -1])
        for _ in range(50):  # no head looks at it
            M = ntm._written(torch.randn(1, 10), torch.eye(5)[None, :1], M)
        torch.testing.assert_close(M[0, 3], torch.tensor([1.0, -1, 1, -1, 1, -1]))
        ntm.address.weight.zero_()
        bias = torch.tensor([3.0, -3, 3, -3, 3, -3, 50, 50, -50, 50, -50, 0])  # key, β, g, three shifts, γ
        ntm.address.bias.copy_(bias.repeat(2))
        w = ntm._look(torch.zeros(1, 10), torch.full((1, 2, 5), 0.2), M)
    torch.testing.assert_close((w[:, :1] @ M)[0, 0], M[0, 3], atol=1e-2, rtol=0)


@pytest.mark.parametrize("settings", FORMS, ids=str)
def test_the_level_does_not_matter(settings):
    net, X = make(**settings), spectra()
    assert run(net, X).min() >= 0 and run(net, X).max() <= 1
    for gain in (1e-6, 1e-3, 1e4):
        torch.testing.assert_close(run(net, gain * X), run(net, X), atol=1e-3, rtol=0)


def test_only_the_memory_retains_early_input():
    X, other = spectra(n_frames=9), spectra(n_frames=9, seed=2)
    for settings, remembers in (({}, True), ({"n_rows": 0}, True), ({"layer": "dnn"}, False)):
        net = make(level_s=0.001, **settings)  # a level of one frame
        last = [run(net, torch.cat([start, X[:, :, 3:]], 2))[:, :, 3] for start in (X[:, :, :3], other[:, :, :3])]
        assert torch.allclose(*last, atol=1e-6) is not remembers


def test_masks_of_speech_and_noise_sum_to_one_and_the_state_starts_at_zero():
    net = make(n_read=2)
    with torch.no_grad():
        masks, _, _ = net._masks(spectra(), net.initial_state(2))
    torch.testing.assert_close(masks.sum(1), torch.ones(2, 30, 33), atol=5e-3, rtol=0)
    assert run(net, torch.zeros(1, 2, 5, 33)).isfinite().all()


def test_the_loss_is_that_of_the_paper():
    b, net = batch(), make(discriminative=0.05)
    with torch.no_grad():
        loss, plain = net.loss(b), make().loss(b)
        level = 1 / (b.noisy.square().mean(-1).sqrt() + 1e-5)
        X, S, V = (net.stft(x * level[:, None]) for x in (b.noisy, b.speech, b.noise))
        masks, _, _ = net._masks(X, net.initial_state(4))
    X, S, V = (net.scale * x.square().sum(1).sqrt() for x in (X, S, V))
    own = (masks[:, 0] * X - S) ** 2 + (masks[:, 1] * X - V) ** 2
    other = (masks[:, 0] * X - V) ** 2 + (masks[:, 1] * X - S) ** 2
    assert float(loss["loss"]) == pytest.approx(float((own - 0.05 * other).mean()) / 2, rel=1e-3)
    assert float(plain["loss"]) == pytest.approx(float(own.mean()) / 2, rel=1e-3)


def test_loss_does_not_depend_on_the_level():
    net, b = make(stoi=0.3), batch(9000)
    quiet = Batch(0.1 * b.noisy, 0.1 * b.speech, 0.1 * b.noise, b.sr)
    with torch.no_grad():
        assert float(net.loss(quiet)["loss"]) == pytest.approx(float(net.loss(b)["loss"]), rel=2e-2)


def test_it_learns():
    net, b = make(feature="compressed").train(), batch()
    optimizer, losses = torch.optim.Adam(net.parameters(), 3e-3), []
    for _ in range(30):
        loss = net.loss(b)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_rows": -1}, "n_rows must be a whole number, 0 or more; got -1"),
        ({"shifts": 3, "n_rows": 6}, "2 shifts . 1 <= n_rows; got 3 and 6"),
        ({"context": 4}, "context must be an odd number of frames"),
        ({"discriminative": 1.0}, "discriminative must be a finite number, 0 or more and below 1"),
        ({"layer": "gru"}, "layer must be one of ntm, lstm, dnn; got 'gru'"),
        ({"gives": "all"}, "gives must be one of both, hidden"),
        ({"n_read": 0}, "n_read must be a whole number, 1 or more"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        MANNConfig(**settings)
