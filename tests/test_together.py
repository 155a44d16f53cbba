"""Streams answered together give what each gives alone."""

import numpy as np
import pytest

import undin
from undin.errors import InputError
from undin.packets import Packets, process_packets
from undin.together import process_together

LIVE = [name for name in undin.METHODS if undin.load(name).causal]


def signals(sr, leads, seconds=0.5):
    rng = np.random.default_rng(0)
    return [0.1 * rng.standard_normal((*lead, round(seconds * sr))).astype(np.float32) for lead in leads]


def chunked(streams, xs, seed=0):
    """Process all of them together, in chunks of sizes that differ."""
    rng, at, parts = np.random.default_rng(seed), [0] * len(xs), [[] for _ in xs]
    while any(a < x.shape[-1] for a, x in zip(at, xs, strict=True)):
        sizes = rng.choice([0, 100, 320, 600], len(xs))
        chunks = [x[..., a : a + n] for x, a, n in zip(xs, at, sizes, strict=True)]
        for part, y in zip(parts, process_together(streams, chunks), strict=True):
            part.append(y)
        at = [a + n for a, n in zip(at, sizes, strict=True)]
    return [np.concatenate(part, -1) for part in parts]


@pytest.mark.parametrize("sr", [16000, 48000])
@pytest.mark.parametrize("name", LIVE)
def test_together_is_as_alone(name, sr):
    """Of streams that differ in channels, strength and chunks; at 48 kHz with gains for the bins above."""
    method = undin.load(name)
    xs = signals(sr, [(1,), (2,), (), (1,), (2, 1)])
    limits = [None] * len(xs) if method.n_src else [None, 6, 12, None, 0]
    streams = [method.stream(sr, limit_db=limit_db) for limit_db in limits]
    for x, y, limit_db in zip(xs, chunked(streams, xs), limits, strict=True):
        alone = method.stream(sr, limit_db=limit_db).process(x, equal=True)
        assert y.shape == alone.shape
        np.testing.assert_allclose(y, alone, atol=1e-7, rtol=0)


def test_streams_go_on_alone_after_a_batch():
    xs = signals(48000, [(2,)] * 3)
    streams = [undin.load("lull").stream(48000) for _ in xs]
    first = process_together(streams, [x[:, :9000] for x in xs])
    for x, y, stream in zip(xs, first, streams, strict=True):
        y = np.concatenate([y, stream.process(x[:, 9000:], equal=True), stream.flush()], -1)
        other = undin.load("lull").stream(48000)
        alone = np.concatenate([other.process(x, equal=True), other.flush()], -1)
        np.testing.assert_allclose(y, alone, atol=1e-7, rtol=0)


def test_methods_rates_and_strengths_may_differ():
    rates, names = (8000, 16000, 48000, 16000), ("spectral-gate", "lull", "lull", "spectral-gate")
    streams = [undin.load(name).stream(sr, limit_db=6) for name, sr in zip(names, rates, strict=True)]
    xs = [signals(sr, [(1,)])[0] for sr in rates]
    for x, y, name, sr in zip(xs, chunked(streams, xs), names, rates, strict=True):
        alone = undin.load(name).stream(sr, limit_db=6).process(x, equal=True)
        np.testing.assert_allclose(y, alone, atol=1e-7, rtol=0)


def test_one_call_answers_all(monkeypatch):
    method = undin.load("lull")
    batches, step = [], type(method).step
    monkeypatch.setattr(type(method), "step", lambda self, X, state: batches.append(len(X)) or step(self, X, state))
    process_together([method.stream(16000, limit_db=k) for k in range(5)], signals(16000, [(1,)] * 5))
    assert batches == [5]


def test_a_bad_packet_leaves_the_others_alone():
    method = undin.load("spectral-gate")
    good, bad, cut = (Packets(method, 16000, subtype=subtype) for subtype in ("PCM_16", "FLOAT", "PCM_16"))
    nan = np.full(320, np.nan, "<f4").tobytes()
    answers = process_packets([good, bad, cut], [bytes(640), nan, bytes(3)])
    assert len(answers[0]) == 640 and all(isinstance(answer, InputError) for answer in answers[1:])
    assert process_packets([good], [b""]) == [b""] and process_packets([], []) == []


def test_only_samples_that_integers_cannot_hold_count_as_clipped():
    y = np.array([[1.5, -2.0, 0.5, 1.0]], np.float32)
    whole, floating = (Packets(undin.load("spectral-gate"), 16000, subtype=subtype) for subtype in ("PCM_16", "FLOAT"))
    assert np.frombuffer(whole.encode(y), "<i2").tolist() == [32767, -32768, 16384, 32767]
    assert np.frombuffer(floating.encode(y), "<f4").tolist() == y[0].tolist()
    assert (whole.n_clipped, floating.n_clipped) == (2, 0)
