"""What every network promises, over all of NETS in each of its forms: a new one is tested without a separate test."""

import numpy as np
import pytest
import torch
from networks import CASES, SMALL, batch_of, network, spectra

from undin.methods import LEARNED
from undin.runner import FRAMES, OUTPUTS, Runner
from undin.training.checkpoint import Loaded, load_weights, save_weights
from undin.training.export import write_graph
from undin.training.nets import NETS, Network

ALWAYS_LEARN = ("cmask", "lull", "hush")  # every parameter, from speech alone and from noise alone too


@pytest.fixture(params=CASES, ids=str)
def loaded(request: pytest.FixtureRequest) -> Loaded:
    return network(*request.param)


def n_freq_of(loaded: Loaded) -> int:
    return loaded.config.n_fft // 2 + 1


def run(net: Network, X: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(X, net.initial_state(len(X)))[0]


def check_graph(loaded: Loaded, path) -> None:
    """Torch == ONNX whole == ONNX frame by frame, states too."""
    net = loaded.net
    runner = Runner(write_graph(loaded, path, card={}))
    assert not net.training
    for n_frames in (1, 7, 60):
        X = spectra(n_frames, n_freq_of(loaded))
        with torch.no_grad():
            ref, ref_state = net(X, net.initial_state(2))
        est, state = runner.run(X.numpy(), runner.initial_state(2))
        np.testing.assert_allclose(est, ref.numpy(), atol=1e-4)
        assert state.keys() - {"voice"} == ref_state.keys() and ("voice" in state) == bool(net.voice)
        if net.voice:
            with torch.no_grad():
                out, V, _ = net.describe(X, net.initial_state(2))
            assert torch.equal(out, ref) and V.shape[:2] + V.shape[3:] == (2, net.n_src, net.voice)
            np.testing.assert_allclose(state["voice"], V.numpy(), atol=1e-4)
        if runner.meta["frames"] == "all":
            continue
        state, frames = runner.initial_state(2), []
        for t in range(n_frames):
            frame, state = runner.run(X[:, :, t : t + 1].numpy(), state)
            frames.append(frame)
        np.testing.assert_allclose(np.concatenate(frames, 2), ref.numpy(), atol=1e-4)
        for key, value in ref_state.items():
            np.testing.assert_allclose(state[key], value.numpy(), atol=1e-3, rtol=1e-4)


def test_torch_equals_onnx_whole_and_frame_by_frame(loaded, tmp_path):
    check_graph(loaded, tmp_path / "net.onnx")


@pytest.mark.parametrize("settings", SMALL["toy"], ids=str)
def test_graphs_of_other_layers_equal_torch_too(toy, tmp_path, settings):
    check_graph(network("toy", settings), tmp_path / "net.onnx")


def test_it_keeps_the_contract(loaded):
    net, n_freq = loaded.net, n_freq_of(loaded)
    assert isinstance(net, Network) and net.config == loaded.config and LEARNED[loaded.name].id == loaded.name
    assert net.output in OUTPUTS and net.frames in FRAMES
    n_src = net.n_src or 0
    counts = {"spectrum": {2}, "mask": {n_src} if n_src else {1, 2}, "shares": {n_src + 1, 2 * n_src + 2}}
    out = run(net, spectra(7, n_freq))
    assert out.shape == (2, out.shape[1], 7, n_freq) and out.shape[1] in counts.get(net.output, range(1, 100))
    for name, value in net.initial_state(3).items():
        assert len(value) == 3 and value.dtype == torch.float32 and not value.any(), name
    assert net.frames != "all" or not net.initial_state(1)


def test_blocks_of_any_length_give_the_whole_and_a_state_resumes(loaded):
    net, X = loaded.net, spectra(40, n_freq_of(loaded))
    if net.frames == "all":
        pytest.skip("takes the entire signal")
    with torch.no_grad():
        ref, last = net(X, net.initial_state(2))
        for sizes in ([1] * 40, [1, 1, 5, 20, 13], [39, 1]):
            state, parts = net.initial_state(2), []
            for part in torch.split(X, sizes, 2):
                state = {name: torch.from_numpy(s.numpy().copy()) for name, s in state.items()}  # as if it was stored
                M, new = net(part, state)
                assert {name: s.shape for name, s in new.items()} == {name: s.shape for name, s in state.items()}
                state, parts = new, [*parts, M]
            torch.testing.assert_close(torch.cat(parts, 2), ref, atol=1e-4, rtol=0)
            for name, value in last.items():
                torch.testing.assert_close(state[name], value, atol=1e-4, rtol=1e-4)


def test_rows_of_a_batch_are_independent(loaded):
    net, X = loaded.net, spectra(9, n_freq_of(loaded), batch=3)
    torch.testing.assert_close(run(net, X), torch.cat([run(net, x[None]) for x in X]), atol=1e-4, rtol=0)


def test_an_answer_sees_the_past_and_its_lookahead_alone(loaded):
    net, X = loaded.net, spectra(40, n_freq_of(loaded))
    changed = X.clone()
    changed[:, :, 30:] = spectra(40, n_freq_of(loaded), seed=2)[:, :, 30:]
    before, after = run(net, X), run(net, changed)
    assert (before - after)[:, :, 30:].abs().max() > 1e-5
    if net.frames == "all":
        assert not torch.equal(before[:, :, 0], after[:, :, 0])
    else:
        torch.testing.assert_close(before[:, :, :30], after[:, :, :30], atol=1e-6, rtol=0)


def test_silence_and_any_level_are_finite_and_the_level_does_not_matter(loaded):
    net, X = loaded.net, spectra(20, n_freq_of(loaded))
    assert run(net, 0 * X).isfinite().all()
    ref = run(net, X)
    for gain in (1e-3, 1e4):
        torch.testing.assert_close(run(net, gain * X), ref, atol=2e-3, rtol=0)


@pytest.mark.parametrize("silent", ["none", "speech", "noise", "both"])
def test_the_loss_is_finite_and_reaches_every_parameter(loaded, silent):
    net, levels = loaded.net.train(), {"none": (1, 1), "speech": (0, 1), "noise": (1, 0), "both": (0, 0)}[silent]
    seconds = 1.2 if net.voice else 0.5  # a voice is learned from a second of speech
    losses = net.loss(batch_of(1 + hasattr(loaded.config, "talkers"), loaded.config.sr, None, *levels, seconds))
    losses["loss"].backward()
    assert all(value.isfinite() and value.ndim == 0 for value in losses.values())
    for name, p in net.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all(), name
        assert not (silent == "none" or (silent != "both" and loaded.name in ALWAYS_LEARN)) or p.grad.any(), name


def test_a_checkpoint_gives_back_its_network_and_tables_can_be_saved(loaded, tmp_path):
    found = load_weights(save_weights(tmp_path / "best.pt", *loaded))
    X = spectra(5, n_freq_of(loaded))
    assert found.config == loaded.config and not found.net.training
    assert torch.equal(run(found.net, X), run(loaded.net, X))
    batch = batch_of(1 + hasattr(loaded.config, "talkers"), loaded.config.sr)
    for arrays in found.net.tables(batch).values():
        assert all(np.isfinite(x.detach().numpy()).all() for x in arrays.values())


def test_every_network_has_a_small_form_here():
    assert set(NETS) <= set(SMALL)
