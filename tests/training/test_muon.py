"""Muon: steps of matrices are orthogonal, those of vectors Adam's, and both find a minimum."""

import pytest
import torch
from torch import nn

from undin.training.gru import GRU
from undin.training.muon import OF_MATRICES, Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 8), (5, 20), (20, 5), (3, 6, 9)])
def test_singular_values_come_near_one_and_the_directions_stay(shape):
    G = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    est = orthogonal(G)
    U, S, Vh = torch.linalg.svd(G, full_matrices=False)
    directions = U.mT @ est @ Vh.mT  # diagonal where they stay
    found = torch.diagonal(directions, dim1=-2, dim2=-1)
    assert (found[0.1 * S.max() < S] > 0.6).all() and (found < 1.3).all()
    assert torch.allclose(directions, torch.diag_embed(found), atol=1e-4)


def test_bfloat16_turns_large_matrices_by_a_percent():
    G = torch.randn(3, 200, 150, generator=torch.Generator().manual_seed(0))
    exact, rounded = orthogonal(G), orthogonal(G, torch.bfloat16)
    assert rounded.dtype == torch.float32 and 0 < (rounded - exact).norm() < 0.02 * exact.norm()
    small, large = nn.Linear(64, 64, bias=False), nn.Linear(150, 200, bias=False)
    for layer, same in ((small, True), (large, False)):
        weights = []
        for dtype in (torch.float32, torch.bfloat16):
            nn.init.ones_(layer.weight)
            layer.weight.grad = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(1))
            Muon(layer, lr=1e-3, dtype=dtype).step()
            weights.append(layer.weight.detach().clone())
        assert torch.equal(*weights) == same


@pytest.mark.parametrize("gru", [nn.GRU, GRU])
def test_gates_convolutions_and_stacks_are_turned_each_by_themselves(gru):
    net = nn.ModuleList([gru(4, 6), nn.Conv2d(3, 5, (2, 3)), nn.ParameterList([torch.randn(2, 4, 7)])])
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for p in net.parameters():
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
    Muon(net, lr=1e-3).step()
    steps = {name: (before[name] - p.detach()) / 1e-3 for name, p in net.named_parameters()}
    matrices = {"0.weight_ih_l0": (3, 6, 4), "1.weight": (5, 18), "2.0": (2, 4, 7)}
    for name, shape in matrices.items():
        step = steps[name].reshape(shape) / (OF_MATRICES * max(1, shape[-2] / shape[-1]) ** 0.5)
        S = torch.linalg.svdvals(step)
        assert (S > 0.5).all() and (S < 1.3).all(), name
    assert torch.allclose(steps["1.bias"].abs(), torch.ones(5), atol=1e-3)  # Adam's first step is a sign


def test_it_finds_a_minimum_resumes_from_its_state_and_decays_only_matrices():
    def run(n, state=None, weights=None):
        torch.manual_seed(0)
        net = nn.Linear(6, 4)
        if weights:
            net.load_state_dict(weights)
        optimizer = Muon(net, lr=2e-3)
        if state:
            optimizer.load_state_dict(state)
        x = torch.randn(64, 6, generator=torch.Generator().manual_seed(2))
        y = x @ torch.randn(6, 4, generator=torch.Generator().manual_seed(3)) + 0.1
        for _ in range(n):
            optimizer.zero_grad()
            loss = (net(x) - y).square().mean()
            loss.backward()
            optimizer.step()
        return loss.item(), net.state_dict(), optimizer.state_dict()

    _, half, state = run(100)
    whole, resumed = run(200), run(100, state, half)
    assert whole[0] < 0.05 and torch.equal(whole[1]["weight"], resumed[1]["weight"])
    net = nn.Linear(3, 3)
    before = [p.detach().clone() for p in net.parameters()]
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    Muon(net, lr=1e-2, weight_decay=0.5).step()
    assert torch.allclose(net.weight, before[0] * (1 - 0.1 * 0.5)) and torch.equal(net.bias, before[1])
