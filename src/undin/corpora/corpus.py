"""A corpus: a folder of audio files and rows that describe their content."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin import audio
from undin.corpora.clip import Clip, moved
from undin.corpora.readers import ClipReader, JoinedReader, SliceReader
from undin.errors import InputError

SPLIT_IS_SET = "folders named train, dev and test above the recordings set it, or the column split of their tables"


class Corpus:
    """Rows of clips under one folder, all of one sample rate and mono.

    Args:
        root: the folder.
        rows: its clips.
        sr: resample files of other rates to this rate in Hz; None rejects them.
        mono: average several channels; False rejects them.
        reader: a cache shared among corpora of one folder.

    `speech + noise` joins two corpora, wherever their folders are.
    """

    def __init__(
        self,
        root: Path,
        rows: Iterable[Clip],
        *,
        sr: int | None = None,
        mono: bool = False,
        reader: ClipReader | None = None,
    ) -> None:
        self.root, self.rows = root, tuple(rows)
        self._sr = sr if sr is None else audio.check_rate(sr)
        self.reader: ClipReader = reader or SliceReader(root, mono=mono)

    def __reduce__(self) -> Any:
        return _reopened, (self.root, _compact(self.rows, self.reader.clips), self._sr, self.reader)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Corpus({str(self.root)!r}: {len(self.speech)} utterances, {len(self.noise)} recordings of noise)"

    def __add__(self, other: "Corpus") -> "Corpus":
        roots = [corpus.root.resolve() for corpus in (self, other)]
        root = Path(os.path.commonpath(roots))
        rows = [
            moved(clip, old.relative_to(root))
            for old, each in zip(roots, (self, other), strict=True)
            for clip in each.rows
        ]
        sr, mono = self._sr or other._sr, self.reader.mono or other.reader.mono
        if isinstance(self.reader, SliceReader) and isinstance(other.reader, SliceReader):
            return Corpus(root, rows, sr=sr, mono=mono)
        places = [(_prefix(old, root), each.reader) for old, each in zip(roots, (self, other), strict=True)]
        return Corpus(root, rows, sr=sr, reader=JoinedReader(places))

    @cached_property
    def speech(self) -> tuple[Clip, ...]:
        """The utterances."""
        return tuple(clip for clip in self.rows if not clip.kind)

    @cached_property
    def noise(self) -> tuple[Clip, ...]:
        """The recordings of noise."""
        return tuple(clip for clip in self.rows if clip.kind)

    @cached_property
    def sr(self) -> int:
        """Sample rate in Hz: the one asked for, else that of the first row's file, which every other must have."""
        if self._sr is not None:
            return self._sr
        if not self.rows:
            raise InputError(f"the corpus at {self.root} is empty and has no sample rate")
        return self.reader.sr(self.rows[0].path)

    @property
    def digest(self) -> str:
        """Digest of the rows, including their splits."""
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()

    @property
    def voices(self) -> str:
        """Number of labeled speakers per split, as text.

        >>> from undin import corpora
        >>> corpora.mini().voices
        '1 in dev, 3 in test, 4 in train'
        """
        names = {(clip.split, clip.speaker) for clip in self.speech if clip.speaker}
        counts = sorted(Counter(split for split, _ in names).items())
        return ", ".join(f"{n} in {split}" for split, n in counts) or "none"

    def select(self, **wanted: str | Iterable[str]) -> "Corpus":
        """Select rows.

        Args:
            wanted: field of Clip = value, or a list of accepted values: split="test", kind=["hum", "rain"].
                Selecting a speaker excludes noise, selecting a kind excludes speech.

        Returns:
            a Corpus of the same folder with the matching rows, possibly none.

        Raises:
            InputError: no such field, or no row of this corpus has the value.

        >>> from undin import corpora
        >>> corpora.mini().select(split="train", gender="F").speech[0].speaker
        'annie'
        """
        rows = self.rows
        for field, values in wanted.items():
            values = {values} if isinstance(values, str) else set(values)
            if field not in Clip.__dataclass_fields__:
                raise InputError(f"{field} is not a field of a clip: use one of {', '.join(Clip.__dataclass_fields__)}")
            known = {getattr(clip, field) for clip in self.rows}
            if unknown := values - known:
                there = ", ".join(sorted(map(str, known - {""}))[:40]) or "nothing"
                message = f"{field} must be one of {there}; got {', '.join(sorted(map(str, unknown)))}"
                raise InputError(message + (f": {SPLIT_IS_SET}" if field == "split" else ""))
            rows = tuple(clip for clip in rows if getattr(clip, field) in values)
        return self.with_rows(rows)

    def with_rows(self, rows: Iterable[Clip]) -> "Corpus":
        """A corpus of the same files with other rows."""
        return Corpus(self.root, rows, sr=self._sr, reader=self.reader)

    def apart(self) -> "Corpus":
        """The same corpus with a separate reader for another thread, without cached files."""
        twin = Corpus(self.root, self.rows, sr=self._sr, reader=copy(self.reader))
        twin.sr = self.sr
        return twin

    def load(self, clip: Clip) -> NDArray[np.float32]:
        """Read a row's samples.

        Args:
            clip: a row of this corpus.

        Returns:
            (n_samples,) float32 at `sr`, the caller's own.

        Raises:
            InputError: the file is missing, unreadable, too short, not mono or of another sample rate, unless the
                corpus was opened with `mono` or `sr`.
        """
        return self.read(clip.path, clip.offset_s, clip.duration_s)

    def read(self, path: str, offset_s: float, duration_s: float) -> NDArray[np.float32]:
        """Read any slice of a file of this corpus; see `load`. The end of a resampled slice is padded with silence.

        Args:
            path: of the file, below the root.
            offset_s, duration_s: of the slice, in seconds.
        """
        sr = self.reader.sr(path)
        if sr != self.sr and self._sr is None:
            raise InputError(
                f"every file of a corpus must have one sample rate; {path} has {sr} Hz, not {self.sr}: "
                f"open the corpus with sr={self.sr} to resample it"
            )
        x = self.reader.read(path, offset_s, duration_s)
        if sr == self.sr:
            return x
        y = audio.resample(x, sr, self.sr)[: round(duration_s * self.sr)]
        return np.pad(y, (0, round(duration_s * self.sr) - len(y))).astype(np.float32, copy=False)


def _prefix(folder: Path, root: Path) -> str:
    return "" if folder == root else f"{folder.relative_to(root).as_posix()}/"


def _compact(rows: tuple[Clip, ...], known: tuple[Clip, ...]) -> Any:
    """Rows for another process, which knows some: all of these (None), or which of them, and what differs."""
    if rows == known:
        return None
    place = {(clip.path, clip.offset_s, clip.duration_s): k for k, clip in enumerate(known)}
    which = [place.get((clip.path, clip.offset_s, clip.duration_s), -1) for clip in rows]
    changes: dict[str, dict[int, Any]] = {}
    for n, (k, clip) in enumerate(zip(which, rows, strict=True)):
        if k < 0 or clip is known[k]:
            continue
        for name, value in vars(clip).items():
            if value != getattr(known[k], name):
                changes.setdefault(name, {})[n] = value
    return np.array(which, np.int32), changes, {n: rows[n] for n, k in enumerate(which) if k < 0}


def _reopened(root: Path, recorded: Any, sr: int | None, reader: ClipReader) -> Corpus:
    if recorded is None:
        return Corpus(root, reader.clips, sr=sr, reader=reader)
    which, changes, others = recorded
    rows = [others[n] if k < 0 else reader.clips[k] for n, k in enumerate(which.tolist())]
    fields: dict[int, dict[str, Any]] = {}
    for name, values in changes.items():
        for n, value in values.items():
            fields.setdefault(n, {})[name] = value
    for n, values in fields.items():
        rows[n] = replace(rows[n], **values)
    return Corpus(root, rows, sr=sr, reader=reader)
