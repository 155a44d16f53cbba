"""One file of a pack in the making; its format is in packed.py."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from undin.atomic import clear_parts
from undin.audio.part import PartFile
from undin.corpora import packed
from undin.corpora.clip import Clip
from undin.corpora.scan import Fault
from undin.version import __version__


@dataclass(frozen=True)
class Packed:
    """What became of one file of a pack.

    Attributes:
        path: the file; of one at a URL, the URL.
        status: "skipped" where the same was there already.
        n_clips: clips in it.
        seconds: their length.
        n_bytes: its size.
        left_out: sound files that it should hold, which could not be read.
    """

    path: Path | str
    status: Literal["done", "skipped"]
    n_clips: int
    seconds: float
    n_bytes: int
    left_out: tuple[Fault, ...] = ()


class PackWriter:
    """One file in the making: a place for the header, the samples, then the index; the header last."""

    def __init__(self, path: Path, sr: int, digest: str) -> None:
        clear_parts(path.parent)
        self.path, self.sr, self.digest = path, sr, digest
        self.rows: list[int] = []
        self.left_out: list[Fault] = []
        self._clips: list[Clip] = []
        self._files: dict[str, int] = {}
        self._scales: list[float] = []
        self._segments: list[list[int]] = []  # file, start, length
        self._crc = 0
        self._part = PartFile(path)
        self._write(bytes(packed.SAMPLES_AT))

    def __enter__(self) -> "PackWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._part.abort()

    def add(self, row: int, start: int, clip: Clip, samples: NDArray[np.int16], scale: float) -> None:
        """Write a clip behind those before.

        Args:
            row: its place in the corpus.
            start: first sample written, counted in its sound file.
            clip: with its active level.
            samples: those to write; empty if all are shared with earlier clips.
            scale: of its sound file.
        """
        path = clip.path
        if path not in self._files:
            self._files[path] = len(self._files)
            self._scales.append(scale)
        self.rows.append(row)
        self._clips.append(clip)
        if not len(samples):
            return
        last = self._segments[-1] if self._segments else [-1, 0, 0]
        if last[0] == self._files[path] and last[1] + last[2] == start:
            last[2] += len(samples)
        else:
            self._segments.append([self._files[path], start, len(samples)])
        data = samples.astype("<i2", copy=False).tobytes()
        self._crc = zlib.crc32(data, self._crc)
        self._write(data)

    def finish(self) -> Packed:
        """Write index and header, and give the file its name."""
        index: dict[str, Any] = {"sr": self.sr, "digest": self.digest, "made_by": f"undin {__version__}"}
        index["left_out"] = self.left_out
        index["files"] = {"path": list(self._files), "scale": self._scales}
        index["segments"] = {name: [row[k] for row in self._segments] for k, name in enumerate(packed.SEGMENT)}
        index["clips"] = {"row": self.rows, **packed.columns(self._clips)}
        data = json.dumps(index, ensure_ascii=False, separators=(",", ":")).encode()
        self._write(data)
        n_samples = sum(length for *_, length in self._segments)
        self._part.seek(0)
        self._write(packed.Header(n_samples, len(data), self._crc, zlib.crc32(data)).to_bytes())
        try:
            self._part.finish()
        except BaseException:
            self._part.abort()
            raise
        seconds = sum(clip.duration_s for clip in self._clips)
        n_bytes = packed.SAMPLES_AT + 2 * n_samples + len(data)
        return Packed(self.path, "done", len(self.rows), seconds, n_bytes, tuple(self.left_out))

    def _write(self, data: bytes) -> None:
        self._part.write(data)
        self._part.check()
