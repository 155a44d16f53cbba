"""Examples -> tensors: which examples a step takes, and the processes that mix them meanwhile.

Step s of process r of W, with B examples each, takes examples s B W + r B ... + B - 1. So what a step sees follows from
its number alone: an interrupted run resumes with the same data, and W processes see what one with W B sees.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from undin.errors import UndinError
from undin.training.batch import Batch
from undin.workers import end_with_parent, quiet_start

NICE = 10  # of processes that mix: batches are ahead, and a thread of the network that waits makes all others wait
# `noisy` and `speech` of a Batch, whose difference is the noise; `sources`, `spectra`, `voices` where there are any.
Pair = dict[str, Tensor]


class Example(Protocol):
    """Members used of `undin.mixing.Mixture`."""

    @property
    def noisy(self) -> np.ndarray[Any, np.dtype[np.float32]]: ...  # noqa: D102
    @property
    def speech(self) -> np.ndarray[Any, np.dtype[np.float32]]: ...  # noqa: D102


class ExampleSource(Protocol):
    """Members used of `undin.mixing.Examples`: mixture i of an endless list follows from i alone."""

    @property
    def sr(self) -> int: ...  # noqa: D102
    @property
    def n_samples(self) -> int: ...  # noqa: D102
    def __getitem__(self, i: int) -> Example: ...


def to_batch(pair: Pair, sr: int) -> Batch:
    """Complete a pair by its noise; on a GPU, after the pair has got there."""
    return Batch(**pair, noise=pair["noisy"] - pair["speech"], sr=sr)


def stack(examples: ExampleSource, numbers: Iterable[int]) -> Pair:
    """Make the examples of these numbers."""
    mixtures = [examples[i] for i in numbers]
    pair = {name: _stacked([getattr(m, name) for m in mixtures]) for name in ("noisy", "speech")}
    for name in ("sources", "spectra", "voices"):
        parts: list[Any] = [getattr(m, name, ()) for m in mixtures]
        if len(parts[0]) > 1:
            pair[name] = _stacked(parts)
    return pair


def _stacked(arrays: list[np.ndarray[Any, Any]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


class Loader:
    """The batches of steps start ... stop - 1, mixed ahead by processes of one thread each.

    Args:
        examples: to mix.
        batch: examples per step, B.
        start: the first step.
        stop: the step before which to end.
        rank: which process of a distributed run this is, r.
        world: how many of them there are, W.
        workers: processes that mix; 0 mixes when asked.
        prefetch: batches that each of them has in hand.
        pin: keep batches where a GPU can fetch them.
    """

    def __init__(
        self,
        examples: ExampleSource,
        *,
        batch: int,
        start: int,
        stop: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        prefetch: int = 2,
        pin: bool = False,
    ) -> None:
        settings: dict[str, Any] = {"batch_sampler": _Numbers(batch, range(start, stop), rank, world)}
        if workers:
            settings |= {"prefetch_factor": prefetch, "multiprocessing_context": _context()}
            settings |= {"worker_init_fn": _serve}
        self._loader: DataLoader[Any] = DataLoader(
            _Items(examples), num_workers=workers, collate_fn=_same, pin_memory=pin, **settings
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Pair]:
        with quiet_start():
            batches = iter(self._loader)
        for item in batches:
            if isinstance(item, UndinError):
                raise item
            yield item


def batches(examples: ExampleSource, n: int, batch: int, workers: int) -> Iterator[Batch]:
    """The first n batches of a run, for a network that takes statistics of its data.

    Args:
        examples: to read from.
        n: number of batches.
        batch: examples in each.
        workers: processes that read.
    """
    loader = Loader(examples, batch=batch, start=0, stop=n, workers=workers)
    return (to_batch(pair, examples.sr) for pair in islice(loader, n))


class _Numbers:
    """The numbers of each step's examples."""

    def __init__(self, batch: int, steps: range, rank: int, world: int) -> None:
        self.batch, self.steps, self.rank, self.world = batch, steps, rank, world

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[range]:
        for step in self.steps:
            first = (step * self.world + self.rank) * self.batch
            yield range(first, first + self.batch)


class _Items(Dataset[Any]):
    """Whole batches, so that the examples of one are written side by side; errors are returned, not raised."""

    def __init__(self, examples: ExampleSource) -> None:
        self.examples = examples

    def __getitems__(self, numbers: Iterable[int]) -> Pair | UndinError:
        try:
            return stack(self.examples, numbers)
        except UndinError as error:  # raised here, it would carry the traceback of the other process as text
            return error


def _same(item: Any) -> Any:
    return item


def _serve(_: int) -> None:
    """Leave the cores to the network as long as it computes, and end when the parent does.

    Torch's own watch takes the fork server for the parent, which would let it live on after a kill -9.
    """
    if hasattr(os, "nice"):
        os.nice(NICE)
    end_with_parent()


def _context() -> Any:
    """How processes start: never by a fork, which would copy locks that other threads hold."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["undin.training.data"])  # torch is imported once for all of them
    return context
