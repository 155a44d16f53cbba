"""The peers of the benchmarks: what they give lies where the input lies, whatever their blocks, lags and rates."""

import sys
from pathlib import Path

import numpy as np
import pytest

import undin
from undin.spectrum import get_window

sys.path.append(str(Path(__file__).parents[2]))
from benchmarks.peers import PEERS, OverlapAdd, Packets, Peer, find, offset, systems

RNG = np.random.default_rng(0)


def late(lag: int):
    """A step that gives what it got, `lag` samples late."""
    waiting = [np.zeros(lag, np.float32)]

    def step(block):
        waiting[0] = np.concatenate([waiting[0], block])
        y, waiting[0] = np.split(waiting[0], [block.size])
        return y

    return step


@pytest.fixture(scope="module")
def clean():
    corpus = undin.corpora.mini()
    return corpus.load(corpus.select(split="test").speech[0])


@pytest.mark.parametrize("sr, block, lag", [(16000, 160, 160), (16000, 128, 384), (48000, 480, 1440), (16000, 0, 0)])
@pytest.mark.parametrize("n_samples", [16000, 15999])
def test_a_lag_is_made_up_for(clean, sr, block, lag, n_samples):
    peer = Peer("late", "undin", sr, lambda package: lambda: late(lag), block=block, lag=lag)
    x = clean[:n_samples] * np.hanning(n_samples).astype(np.float32)
    y = peer.enhance(x, 16000)
    np.testing.assert_allclose(y, x, atol=1e-7 if sr == 16000 else 3e-3)  # there and back takes the highest 5 % off
    assert offset(peer, x, 16000) == 0
    assert peer.delay_ms == (1000 * (lag + block) / sr if block else None)
    assert peer.enhance(x[:37], 16000).shape == (37,)


def test_a_lag_that_is_not_made_up_for_is_seen(clean):
    peer = Peer("late", "undin", 16000, lambda package: lambda: late(40), block=160, lag=0)
    assert offset(peer, clean[:16000], 16000) == 40


@pytest.mark.parametrize("block, packet", [(128, 160), (256, 160), (160, 37), (160, 1600)])
def test_packets_of_any_size_come_out_as_they_went_in(block, packet):
    x = RNG.standard_normal(packet * 40).astype(np.float32)
    step = Packets(late(0), block)
    y = np.concatenate([step(part) for part in x.reshape(-1, packet)])
    np.testing.assert_array_equal(y[block:], x[: y.size - block])
    assert not y[:block].any()


def test_overlap_add_gives_back_what_nobody_changed():
    x = RNG.standard_normal(256 * 20).astype(np.float32)
    step = OverlapAdd(lambda frame: frame, get_window("sqrt_hann", 512).astype(np.float32))
    y = np.concatenate([step(block).copy() for block in x.reshape(-1, 256)])
    np.testing.assert_allclose(y[256:], x[:-256], atol=1e-6)


def test_every_state_is_its_own(clean):
    method = find("log-mmse", "log-mmse")
    x = clean[:16000].reshape(-1, 160)
    first, second = (np.concatenate([step(packet) for packet in x]) for step in (method.stream(), method.stream()))
    np.testing.assert_array_equal(first, second)


def test_a_name_that_nobody_has_is_refused():
    with pytest.raises(SystemExit, match="rnoise: known: spectral-gate"):
        systems(only="rnoise,log-mmse")


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_is_aligned(clean, peer):
    if not peer.installed:
        pytest.skip(f"{peer.package} is not installed")
    y = peer.enhance(clean, 16000)
    assert y.shape == clean.shape and np.isfinite(y).all()
    assert abs(offset(peer, clean, 16000)) < (6 if peer.name == "webrtc" else 1)  # its high-pass bends the phase
    if peer.live:
        step = peer.stream()
        assert all(step(np.zeros(peer.sr // 100, np.float32)).size == peer.sr // 100 for _ in range(10))
