"""A corpus: a folder of audio files and the rows that say what lies where in them."""

import os
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin import audio
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


@dataclass(frozen=True)
class Clip:
    """One utterance of speech or one recording of noise: a slice of a file, and what is known about it.

    Attributes:
        path: the audio file, relative to the corpus.
        offset_s: where the slice starts in it, in seconds.
        duration_s: how long it is, in seconds.
        split: train, dev or test.
        corpus: the collection it comes from.
        speaker: label of the talker; empty for noise.
        gender: F, M or empty.
        language: code such as en; empty for noise.
        text: what is said, where that is known.
        kind: what sort of noise it is; empty for speech.
        licence: under which it was published.
        source: who or what made it.
        original: its name there.
        noisy_path: file of the same length and offset in which this utterance lies under noise or other talkers.
        active_level_db: level without pauses, dB re full scale (see `audio.active_level_db`); None where not measured.
    """

    path: str
    offset_s: float
    duration_s: float
    split: str
    corpus: str = ""
    speaker: str = ""
    gender: str = ""
    language: str = ""
    text: str = ""
    kind: str = ""
    licence: str = ""
    source: str = ""
    original: str = ""
    noisy_path: str = ""
    active_level_db: float | None = None

    def __post_init__(self) -> None:
        if not self.path:
            raise InputError("path must not be empty")
        if self.offset_s < 0:
            raise InputError(f"offset_s must be 0 or more; got {self.offset_s}")
        if self.duration_s <= 0:
            raise InputError(f"duration_s must be more than 0; got {self.duration_s}")


class Corpus:
    """Rows of clips under one folder, all of one sample rate and mono.

    Args:
        root: the folder.
        rows: what lies in it.
        sr: resample what has another rate, Hz; None refuses it.
        mono: take the mean of the channels where there are several; False refuses them.
        reader: to share, among corpora of one folder, what it keeps.

    `speech + noise` joins two corpora, wherever their folders are.
    """

    def __init__(
        self,
        root: Path,
        rows: Iterable[Clip],
        *,
        sr: int | None = None,
        mono: bool = False,
        reader: "SliceReader | None" = None,
    ) -> None:
        self.root, self.rows = root, tuple(rows)
        self._sr = sr if sr is None else audio.check_rate(sr)
        self.reader = reader or SliceReader(root, mono=mono)

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
        return Corpus(root, rows, sr=self._sr or other._sr, mono=self.reader.mono or other.reader.mono)

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
            raise InputError(f"the corpus at {self.root} has no rows, hence no sample rate")
        return self.reader.sr(self.rows[0].path)

    def select(self, **wanted: str | Iterable[str]) -> "Corpus":
        """Narrow the rows.

        Args:
            wanted: field of Clip = value, or several values of which any will do: split="test", kind=["hum", "rain"].
                Naming a speaker leaves no noise, naming a kind leaves no speech.

        Returns:
            a Corpus of the same folder with the rows that fit all of it; there may be none.

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
                raise InputError(f"{field} is no field to select by: use one of {', '.join(Clip.__dataclass_fields__)}")
            known = {getattr(clip, field) for clip in self.rows}
            if unknown := values - known:
                there = ", ".join(sorted(map(str, known - {""}))[:40]) or "nothing"
                raise InputError(f"{field} must be one of {there}; got {', '.join(sorted(map(str, unknown)))}")
            rows = tuple(clip for clip in rows if getattr(clip, field) in values)
        return Corpus(self.root, rows, sr=self._sr, reader=self.reader)

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

    def load_noisy(self, clip: Clip) -> NDArray[np.float32]:
        """Read the noisy twin of a row, sample by sample beside `load`.

        Raises:
            InputError: the row has none; as `load`.
        """
        if not clip.noisy_path:
            raise InputError(f"{clip.path} has no noisy twin: mix noise to it with undin.mixing")
        return self.read(clip.noisy_path, clip.offset_s, clip.duration_s)

    def read(self, path: str, offset_s: float, duration_s: float) -> NDArray[np.float32]:
        """Read any slice of a file of this corpus; see `load`. A slice that is resampled ends in silence."""
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


def moved(clip: Clip, folder: Path) -> Clip:
    """The clip as seen from a folder further up; absolute paths stay."""
    noisy_path = (folder / clip.noisy_path).as_posix() if clip.noisy_path else ""
    return replace(clip, path=(folder / clip.path).as_posix(), noisy_path=noisy_path)


class SliceReader:
    """Reads slices of the files in a folder, each exactly what the same samples of the whole file are.

    Files without loss are read where the slice lies. A decoder of Opus or MP3 carries its past with it: after a seek,
    Opus gives samples that differ by up to 1e-3, and starting it 2 s before the slice does not cure that. So these
    files are decoded whole, and the latest are kept.
    """

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

        Raises:
            InputError: the file is missing, unreadable or not mono, or ends more than a sample before the slice does.
        """
        sr, seekable = self._about(path)
        start, stop = round(offset_s * sr), round(offset_s * sr) + round(duration_s * sr)
        x = self._decode(path, start, stop) if seekable else self._whole(path)[start:stop].copy()
        if len(x) < stop - start - 1:  # tables round seconds to 4 decimals, which is more than half a sample at 16 kHz
            raise InputError(
                f"{self.root / path} ends before {offset_s + duration_s:.4f} s, where a row of the table ends"
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
