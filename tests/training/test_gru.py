"""The fused GRU: torch's outputs, gradients, parameters and graph; torch's own code where the kernel cannot run."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from undin.training import gru
from undin.training.gru import GRU

SIZES = [(7, 3, 4, 6), (20, 70, 10, 16), (30, 12, 96, 80)]  # T, N, inputs, hidden
compiled = pytest.mark.usefixtures("kernel")


@pytest.fixture(scope="module")
def kernel() -> None:
    if gru.kernel() is None:  # which may take the compiler half a minute
        pytest.skip("the fused GRU needs a C++ compiler (c++, g++, clang++)")


def pair(inputs: int, hidden: int, *, bidirectional: bool) -> tuple[nn.GRU, GRU]:
    """The same weights in torch's and in ours."""
    torch.manual_seed(0)
    ref = nn.GRU(inputs, hidden, bidirectional=bidirectional)
    net = GRU(inputs, hidden, bidirectional=bidirectional)
    net.load_state_dict(ref.state_dict())
    return ref, net


def gradients(net: nn.GRU, T: int, N: int, *, half: bool = False, state: bool = True) -> list[Tensor]:
    """Outputs, last states, and gradients by input, first state and weights."""
    n_ways, draw = 1 + net.bidirectional, torch.Generator().manual_seed(1)
    x = torch.randn(T, N, net.input_size, generator=draw).requires_grad_()
    h = (0.5 * torch.randn(n_ways, N, net.hidden_size, generator=draw)).requires_grad_() if state else None
    by_y, by_h = (torch.randn(*shape, n_ways * net.hidden_size, generator=draw) for shape in ((T, N), (N,)))
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y, last = net(x, h)
    assert y.dtype == last.dtype == (torch.bfloat16 if half else torch.float32)
    ((y * by_y).sum() + (last.transpose(0, 1).flatten(1) * by_h).sum()).backward()
    found = [y, last, x.grad, *([h.grad] if h is not None else []), *(p.grad for p in net.parameters())]
    return [value.detach().float() for value in found]


def error(est: Tensor, ref: Tensor) -> float:
    return float((est - ref).norm() / (ref.norm() + 1e-9))


@compiled
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("T", "N", "inputs", "hidden"), [*SIZES, (1, 33, 5, 7)])
def test_it_equals_torch(T: int, N: int, inputs: int, hidden: int, bidirectional: bool) -> None:
    ref, net = pair(inputs, hidden, bidirectional=bidirectional)
    for state in (True, False):
        ref.zero_grad(), net.zero_grad()
        for est, want in zip(gradients(net, T, N, state=state), gradients(ref, T, N, state=state), strict=True):
            assert error(est, want) < 1e-5


@compiled
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("T", "N", "inputs", "hidden"), SIZES[1:])
def test_bfloat16_stays_within_half_a_percent(T: int, N: int, inputs: int, hidden: int, bidirectional: bool) -> None:
    ref, net = pair(inputs, hidden, bidirectional=bidirectional)
    for est, want in zip(gradients(net, T, N, half=True), gradients(ref, T, N), strict=True):
        assert error(est, want) < 5e-3


@compiled
def test_saturated_gates_keep_their_gradients() -> None:
    ref, net = pair(8, 16, bidirectional=False)
    with torch.no_grad():
        for a in (ref, net):
            a.bias_ih_l0[16:32] += 5.0  # z near 1: the state decays by 1 - z
            a.weight_ih_l0[32:] *= 10  # n near -1 and 1
    for est, want in zip(gradients(net, 40, 24, half=True), gradients(ref, 40, 24), strict=True):
        assert error(est, want) < 2e-2


@compiled
def test_the_state_is_carried_and_other_threads_change_nothing() -> None:
    _, net = pair(6, 10, bidirectional=False)
    x = torch.randn(12, 70, 6)
    whole, last = net(x)
    first, state = net(x[:5])
    second, state = net(x[5:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(state, last, atol=1e-6, rtol=0)
    n = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(net(x)[0], whole)
    finally:
        torch.set_num_threads(n)


@compiled
def test_not_a_number_is_not_hidden() -> None:
    _, net = pair(4, 8, bidirectional=False)
    for half in (False, True):
        x = torch.zeros(5, 2, 4)
        x[2, 1, 0] = torch.nan
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y, _ = net(x)
        assert y[2:, 1].isnan().all()
        assert not y[:2].isnan().any() and not y[:, 0].isnan().any()


@compiled
def test_a_second_backward_pass_is_refused() -> None:
    _, net = pair(4, 8, bidirectional=False)
    loss = net(torch.randn(5, 2, 4))[0].sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="runs once per forward pass"):
        loss.backward()


@compiled
def test_unsupported_cases_fall_back_to_torch() -> None:
    torch.manual_seed(0)
    for settings in ({"num_layers": 2}, {"batch_first": True}, {"bias": False}, {"dtype": torch.float64}):
        ref, net = nn.GRU(4, 8, **settings), GRU(4, 8, **settings)
        net.load_state_dict(ref.state_dict())
        x = torch.randn(5, 3, 4, dtype=settings.get("dtype"))
        assert torch.equal(net(x)[0], ref(x)[0])
    ref, net = pair(4, 8, bidirectional=False)
    assert torch.equal(net(torch.ones(5, 4))[0], ref(torch.ones(5, 4))[0])  # no axis of sequences
    with torch.no_grad():
        assert torch.equal(net(torch.ones(5, 3, 4))[0], ref(torch.ones(5, 3, 4))[0])
    with pytest.raises(RuntimeError, match="4"):
        net(torch.randn(5, 3, 9))
    with pytest.raises(RuntimeError, match="hidden"):
        net(torch.randn(5, 3, 4), torch.randn(1, 2, 8))


@pytest.fixture
def forgotten() -> Iterator[None]:
    """The kernel is looked for again, in the test and after it."""
    gru.kernel.cache_clear()
    yield
    gru.kernel.cache_clear()


@pytest.mark.parametrize("compiler", ["/nowhere/c++", "false"])
def test_without_a_compiler_torch_s_own_runs(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert gru.kernel() is None
    ref, net = pair(4, 8, bidirectional=True)
    for est, want in zip(gradients(net, 6, 5), gradients(ref, 6, 5), strict=True):
        assert torch.equal(est, want)
    assert not list(tmp_path.rglob("*.so"))


@compiled
def test_a_damaged_library_is_torch_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None) -> None:
    library = gru.kernel()
    assert library is not None
    damaged = tmp_path / "undin" / Path(library._name).name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no library")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    gru.kernel.cache_clear()
    assert gru.kernel() is None


def test_the_graph_is_torch_s() -> None:
    graphs = []
    for net in pair(4, 8, bidirectional=False):
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter
            torch.onnx.export(net.eval(), (torch.randn(5, 2, 4), torch.zeros(1, 2, 8)), file, dynamo=False)
        graph = onnx.load_from_string(file.getvalue()).graph
        for node in graph.node:
            node.doc_string = ""
        graphs.append(graph)
    assert graphs[0].SerializeToString(deterministic=True) == graphs[1].SerializeToString(deterministic=True)
