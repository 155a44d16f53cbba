"""Reading slices of the sound files of a corpus: plain files, and several readers as one. packed.py reads packs."""

from collections import OrderedDict
from collections.abc import Iterable
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from undin import audio
from undin.corpora.clip import Clip
from undin.corpora.headers import about
from undin.errors import InputError

LOSSLESS = {
    "WAV",
    "WAVEX",
    "FLAC",
    "AIFF",
    "AU",
    "CAF",
    "RF64",
    "W64",
    "NIST",
}  # formats in which libsndfile seeks exactly


class ClipReader(Protocol):
    """Reads slices of the sound files of a folder.

    Attributes:
        mono: whether several channels become their mean; False refuses them.
        clips: rows that it knows itself, so that another process need not be sent them.
    """

    mono: bool
    clips: tuple[Clip, ...]

    def sr(self, path: str) -> int:
        """Sample rate of a file in Hz."""

    def read(self, path: str, offset_s: float, duration_s: float) -> NDArray[np.float32]:
        """One slice, (n_samples,).

        Args:
            path: of the file, below the root.
            offset_s, duration_s: of the slice, in seconds.
        """


class JoinedReader:
    """Reads the files of several readers, each under its own prefix, such as "data/train.pack/".

    An absolute path is for the first that reads plain files.
    """

    clips: tuple[Clip, ...] = ()

    def __init__(self, places: Iterable[tuple[str, ClipReader]]) -> None:
        self._places = sorted(places, key=lambda place: -len(place[0]))  # the longest prefix first
        self.mono = any(reader.mono for _, reader in self._places)

    def __copy__(self) -> "JoinedReader":
        return JoinedReader((prefix, copy(reader)) for prefix, reader in self._places)

    def sr(self, path: str) -> int:
        """Sample rate of a file in Hz."""
        reader, path = self._of(path)
        return reader.sr(path)

    def read(self, path: str, offset_s: float, duration_s: float) -> NDArray[np.float32]:
        """One slice, (n_samples,).

        Args:
            path, offset_s, duration_s: as in `ClipReader.read`.
        """
        reader, path = self._of(path)
        return reader.read(path, offset_s, duration_s)

    def _of(self, path: str) -> tuple[ClipReader, str]:
        if Path(path).is_absolute():
            return next(reader for _, reader in self._places if isinstance(reader, SliceReader)), path
        return next((reader, path.removeprefix(prefix)) for prefix, reader in self._places if path.startswith(prefix))


class SliceReader:
    """Reads slices of the files in a folder, each exactly what the same samples of the whole file are.

    Lossless files are read at the slice itself. A decoder of Opus or MP3 depends on the past: after a seek,
    Opus gives samples that differ by up to 1e-3, and starting it 2 s before the slice does not cure that. So these
    files are decoded whole, and the latest are kept.
    """

    clips: tuple[Clip, ...] = ()

    def __init__(self, root: Path, *, mono: bool = False, keep_samples: int = 2**26) -> None:
        self.root, self.mono, self.keep_samples = root, mono, keep_samples
        self._rates: dict[str, tuple[int, bool]] = {}  # path -> sample rate, whether it seeks exactly
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def __reduce__(self) -> Any:  # to another process goes the folder, not the samples
        return partial(SliceReader, mono=self.mono, keep_samples=self.keep_samples), (self.root,)

    def sr(self, path: str) -> int:
        """Sample rate of a file in Hz."""
        return self._about(path)[0]

    def read(self, path: str, offset_s: float, duration_s: float) -> NDArray[np.float32]:
        """Read one slice, (n_samples,) float32.

        Args:
            path, offset_s, duration_s: as in `ClipReader.read`.

        Raises:
            InputError: the file is missing, unreadable or not mono, or ends more than a sample before the slice does.
        """
        sr, seekable = self._about(path)
        start, stop = round(offset_s * sr), round(offset_s * sr) + round(duration_s * sr)
        x = self._decode(path, start, stop) if seekable else self._whole(path)[start:stop].copy()
        if len(x) < stop - start - 1:  # tables round seconds to 4 decimals, which is more than half a sample at 16 kHz
            raise InputError(
                f"{self.root / path} ends before {offset_s + duration_s:.4f} s, the end of its row in the table"
            )
        return x

    def _about(self, path: str) -> tuple[int, bool]:
        if path not in self._rates:
            file = self.root / path
            if not file.is_file():
                raise InputError(f"the audio file {file} is missing: the corpus's table lists it")
            format = about(file)
            if format.n_channels != 1 and not self.mono:
                raise InputError(
                    f"a corpus must be mono; {file} has {format.n_channels} channels: "
                    "open the corpus with mono=True to take their mean"
                )
            self._rates[path] = format.sr, format.container in LOSSLESS
        return self._rates[path]

    def _whole(self, path: str) -> NDArray[np.float32]:
        if path not in self._kept:
            self._kept[path] = self._decode(path, 0, None)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > self.keep_samples:
                self._kept.popitem(last=False)
        self._kept.move_to_end(path)
        return self._kept[path]

    def _decode(self, path: str, start: int, stop: int | None) -> NDArray[np.float32]:
        x, _ = audio.read(self.root / path, start=start, stop=stop)
        return (x if x.ndim == 1 else x.mean(0)).astype(np.float32, copy=False)
