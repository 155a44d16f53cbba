"""Mixtures that are generated once and reused, instead of new ones at every step: `train.kept` of a recipe."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from undin.errors import InputError
from undin.spectrum import n_frames_of
from undin.training.data import ExampleSource
from undin.training.stft import Stft

Signals = NDArray[np.float32]


class CachedExample(NamedTuple):
    """Arrays stored for a mixture: (n_samples,) twice, (n_src, n_samples) of several talkers, (n, 2, T, F) of all."""

    noisy: Signals
    speech: Signals
    sources: Signals | tuple[()] = ()
    spectra: Signals | tuple[()] = ()


class CachedExamples:
    """Examples 0 ... n - 1 of an endless list, over and over, in another order each time.

    Each is made when it is first asked for, by any process, and read from the file from then on: a run that was cut off
    continues with the existing content. Example i depends on i alone.

    Args:
        examples: the endless list.
        n: how many are kept.
        path: their file: of each whether it is there, and its signals as float32.
        seed: of the order.
        stft: the network's transform, to keep the signals' spectra as well; None for signals alone.

    Raises:
        InputError: not enough space for the file.
    """

    def __init__(self, examples: ExampleSource, n: int, path: Path, *, seed: int, stft: Stft | None = None) -> None:
        self.sr, self.n_samples, self.n, self.path, self.seed = examples.sr, examples.n_samples, n, path, seed
        self._examples, self._stft, self._epoch = examples, stft, -1
        n_src = len(getattr(examples[0], "sources", ()))
        n_signals = 2 + (n_src if n_src > 1 else 0)
        kept: list[Any] = [("signals", np.float32, (n_signals, self.n_samples)), ("there", np.uint32)]
        if stft is not None:
            n_frames = n_frames_of(self.n_samples, stft.n_fft, stft.hop_length)
            kept.append(("spectra", np.float32, (n_signals, 2, n_frames, stft.n_fft // 2 + 1)))
        self._dtype = np.dtype(kept)
        _reserve(path, n * self._dtype.itemsize)
        self._open()

    def _open(self) -> None:
        self._kept = np.memmap(self.path, self._dtype, "r+", shape=(self.n,))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_kept"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    def __getitem__(self, i: int) -> CachedExample:
        epoch, place = divmod(i, self.n)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.n)
        kept = self._kept[int(self._order[place])]
        if not kept["there"]:
            self._make(int(self._order[place]))
        signals = np.array(kept["signals"])
        spectra = () if self._stft is None else np.array(kept["spectra"])
        return CachedExample(signals[0], signals[1], signals[2:] if len(signals) > 2 else (), spectra)

    def _make(self, k: int) -> None:
        made, kept = self._examples[k], self._kept[k]
        sources = getattr(made, "sources", ()) if kept["signals"].shape[0] > 2 else ()
        kept["signals"] = np.stack([made.noisy, made.speech, *sources])
        if self._stft is not None:
            kept["spectra"] = self._stft(torch.from_numpy(kept["signals"])).numpy()
        kept["there"] = 1

    def remove(self) -> None:
        """Take the file away."""
        del self._kept
        self.path.unlink(missing_ok=True)


def _reserve(path: Path, n_bytes: int) -> None:
    """Make a file of zeros of this size, if it is not there: on a full disk now, not in the middle of a step."""
    if path.exists() and path.stat().st_size == n_bytes:
        return
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            else:
                file.truncate(n_bytes)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(
            f"train.kept needs {n_bytes / 1e9:.2g} GB at {path} ({error}): reduce it, or leave it out"
        ) from error
