"""A corpus in a bucket: its files are fetched to this machine as they are read, each once."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin.copies import cached
from undin.corpora.readers import SliceReader
from undin.store import Store


class FetchedReader(SliceReader):
    """Reads slices of the files below a URL.

    Args:
        url: that the paths of clips start from.
        mono: as in `ClipReader`.
    """

    def __init__(self, url: str, *, mono: bool = False) -> None:
        super().__init__(Path(url), mono=mono)
        self._store, self._places = Store(url), dict[str, str]()

    def __reduce__(self) -> Any:
        return partial(FetchedReader, mono=self.mono), (self._store.url,)

    def sr(self, path: str) -> int:
        """Sample rate of a file in Hz."""
        return super().sr(self._here(path))

    def read(self, path: str, offset_s: float, duration_s: float) -> NDArray[np.float32]:
        """One slice, (n_samples,).

        Args:
            path, offset_s, duration_s: as in `ClipReader.read`.
        """
        return super().read(self._here(path), offset_s, duration_s)

    def _here(self, path: str) -> str:
        """The absolute path of the copy, which takes the place of one below the root."""
        if path not in self._places:
            self._places[path] = str(cached(self._store, path))
        return self._places[path]
