"""Samples between two threads."""

import threading

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]  # (n, n_channels)


class Ring:
    """A queue of samples with a fixed size, so that no callback allocates or waits for more than a copy.

    Args:
        size: samples per channel that it holds.
        n_channels: of every block.
    """

    def __init__(self, size: int, n_channels: int) -> None:
        self._data = np.zeros((size, n_channels), np.float32)
        self._start = self._n = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Samples that are waiting."""
        return self._n

    def write(self, x: Samples) -> bool:
        """Append (n, n_channels) samples, or as many as fit; whether all of them did."""
        with self._lock:
            n = min(len(x), len(self._data) - self._n)
            at = (self._start + self._n + np.arange(n)) % len(self._data)
            self._data[at] = x[:n]
            self._n += n
        return n == len(x)

    def read(self, n: int) -> Samples:
        """Take the oldest n samples, or all where there are fewer."""
        with self._lock:
            n = min(n, self._n)
            at = (self._start + np.arange(n)) % len(self._data)
            self._start, self._n = (self._start + n) % len(self._data), self._n - n
            return self._data[at]
