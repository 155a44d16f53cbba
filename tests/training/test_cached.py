"""Mixtures that are made once: the same in any process and after a break, each as often as the others."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from undin.errors import InputError
from undin.training import cached
from undin.training.cached import CachedExamples
from undin.training.data import Loader
from undin.training.stft import Stft


class Counted:
    """Examples that say how often they were made."""

    sr, n_samples = 8000, 50

    def __init__(self, n_src=1):
        self.n_src, self.made = n_src, []

    def __getitem__(self, i):
        self.made.append(i)
        sources = np.random.default_rng(i).standard_normal((self.n_src, 50)).astype(np.float32)
        return SimpleNamespace(noisy=sources.sum(0) + np.float32(0.1), speech=sources.sum(0), sources=sources)


@pytest.mark.parametrize("n_src", [1, 2])
def test_each_is_made_once_and_served_in_every_epoch(tmp_path, n_src):
    endless = Counted(n_src)
    examples = CachedExamples(endless, 5, tmp_path / "kept.f32", seed=3)
    endless.made.clear()
    rounds = [[examples[5 * epoch + i] for i in range(5)] for epoch in range(3)]
    assert sorted(endless.made) == [0, 1, 2, 3, 4]
    orders = []
    for served in rounds:
        found = [next(k for k in range(5) if np.array_equal(endless[k].noisy, x.noisy)) for x in served]
        assert sorted(found) == [0, 1, 2, 3, 4]
        orders.append(found)
        for k, x in zip(found, served, strict=True):
            assert np.array_equal(x.speech, endless[k].speech)
            assert np.array_equal(x.sources, endless[k].sources) if n_src > 1 else x.sources == ()
    assert orders[0] != orders[1] or orders[1] != orders[2]


def test_existing_examples_survive_an_interruption_and_another_process(tmp_path):
    first = CachedExamples(Counted(), 4, tmp_path / "kept.f32", seed=0)
    served = [first[i].noisy for i in range(4)]
    endless = Counted()
    again = pickle.loads(pickle.dumps(CachedExamples(endless, 4, tmp_path / "kept.f32", seed=0)))
    assert all(np.array_equal(again[i].noisy, served[i]) for i in (3, 0, 2, 1))
    assert again._examples.made == [0]  # for its size alone
    (tmp_path / "kept.f32").unlink()
    reopened = CachedExamples(Counted(), 4, tmp_path / "kept.f32", seed=0)
    assert all(np.array_equal(reopened[i].noisy, served[i]) for i in range(4))  # not the zeros of the new file
    reopened.remove()
    assert not list(tmp_path.iterdir())


def test_loaders_with_processes_hear_the_same(tmp_path):
    settings = {"batch": 2, "start": 0, "stop": 4}
    alone = list(Loader(CachedExamples(Counted(2), 3, tmp_path / "a.f32", seed=1), **settings))
    shared = list(Loader(CachedExamples(Counted(2), 3, tmp_path / "b.f32", seed=1), workers=2, **settings))
    for a, b in zip(alone, shared, strict=True):
        assert a.keys() == b.keys() == {"noisy", "speech", "sources"}
        assert all((a[name] == b[name]).all() for name in a)


@pytest.mark.parametrize("n_src", [1, 2])
def test_spectra_are_kept_with_the_signals(tmp_path, n_src):
    stft = Stft(16, 8)
    examples = CachedExamples(Counted(n_src), 3, tmp_path / "kept.f32", seed=0, stft=stft)
    for batch in Loader(examples, batch=2, start=0, stop=2, workers=1):
        signals = torch.stack([batch["noisy"], batch["speech"]], 1)
        signals = torch.cat([signals, batch["sources"]], 1) if n_src > 1 else signals
        torch.testing.assert_close(batch["spectra"].flatten(0, 1), stft(signals.flatten(0, 1)))


def test_a_full_disk_is_reported_before_the_first_step(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cached.os, "posix_fallocate", full, raising=False)
    with pytest.raises(InputError, match=r"train.kept needs 2e-06 GB at .*No space left.*: reduce it, or leave it out"):
        CachedExamples(Counted(), 5, tmp_path / "kept.f32", seed=0)
    assert not list(tmp_path.iterdir())
