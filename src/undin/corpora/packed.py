"""Packs, reading: the clips of a corpus in one file that is mapped into memory; any slice of it is one copy.

    0 ... 4095   header: HEADER, then zeros
    4096 ...     samples: int16, little-endian, the clips of one sound file one after the other
    behind them  index: JSON in UTF-8, an object of columns

A sample is q · scale / 32768, where scale is that of its sound file: 1, unless the file passes full scale. Clips keep
the path and the seconds that they had in the sound files, so a manifest of the corpus is one of its pack too. Audio
between neighboring clips, up to 0.2 s, is kept with them: `mixing` joins short utterances over it.
"""

import json
import mmap
import os
import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from undin.corpora.clip import Clip
from undin.corpora.corpus import Corpus
from undin.corpora.layouts.tables import TABLES
from undin.corpora.trees import SUFFIXES
from undin.errors import InputError
from undin.store import split

MAGIC, FORMAT = b"undinpak", 1
HEADER = struct.Struct("<8sIQQII")  # magic, format, n_samples, bytes of the index, CRC-32 of samples, of the index
CRC = struct.Struct("<I")  # of HEADER, behind it
SAMPLES_AT = 4096  # a page, so that mapped samples are aligned
PART = re.compile(r"(.+)\.(\d+)-of-(\d+)\.pack")
TEXTS = ("path", "split", "corpus", "speaker", "gender", "language", "text", "kind", "licence", "source", "original")
NUMBERS = ("offset_s", "duration_s", "active_level_db", "bandwidth_hz")
SEGMENT = ("file", "start", "length")  # columns of the index: number of a sound file, samples of it
AGAIN = "copy it again, or pack it again"


class Segment(NamedTuple):
    """Samples start ... stop - 1 of an audio file, stored in a pack from sample `at` on."""

    start: int
    stop: int
    pack: int
    at: int
    scale: float


class Header(NamedTuple):
    """The header of a pack."""

    n_samples: int
    index_bytes: int
    samples_crc: int
    index_crc: int

    def to_bytes(self) -> bytes:
        """The header as stored in a file."""
        data = HEADER.pack(MAGIC, FORMAT, *self)
        return data + CRC.pack(zlib.crc32(data))


class PackReader:
    """Reads slices of the sound files that packs hold; see `Corpus.read`.

    Args:
        paths: packs of one sample rate. Another process gets these only, and opens them again.

    Raises:
        InputError: as `open_pack`.
    """

    mono = True

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(path.absolute() for path in paths)
        indexes = [read_index(path) for path in self.paths]
        self.digest = "-".join(f"{zlib.crc32(json.dumps(index['digest']).encode()):08x}" for index in indexes)
        rates = {index["sr"]: path for path, index in zip(self.paths, indexes, strict=True)}
        if len(rates) != 1:
            listed = ", ".join(f"{path} {sr} Hz" for sr, path in rates.items())
            raise InputError(
                f"packs opened together must have the same sample rate; got {listed}: pack them with the same sr"
            )
        self._sr: int = next(iter(rates))
        rows = sorted((row for index in indexes for row in _clips(index)), key=lambda row: row[0])
        self.clips = tuple(clip for _, clip in rows)
        self._segments: dict[str, list[Segment]] = {}
        for k, index in enumerate(indexes):
            _add_segments(self._segments, index, k)
        self._check_overlaps()
        self._samples: list[NDArray[np.int16] | None] = [None] * len(self.paths)

    def __reduce__(self) -> Any:
        return partial(_reopened, self.digest), (self.paths,)

    def __copy__(self) -> "PackReader":  # nothing is kept that would have to be separate
        return self

    def sr(self, path: str) -> int:
        """Sample rate in Hz, one for all."""
        self._of(path)
        return self._sr

    def read(self, path: str, offset_s: float, duration_s: float) -> NDArray[np.float32]:
        """Read one slice of a sound file, (n_samples,) float32.

        Args:
            path, offset_s, duration_s: as in `ClipReader.read`.

        Raises:
            InputError: the packs do not hold it.
        """
        start, stop = round(offset_s * self._sr), round(offset_s * self._sr) + round(duration_s * self._sr)
        segments, parts = self._of(path), []
        k = bisect_right(segments, start, key=lambda segment: segment.start) - 1
        while start < stop and 0 <= k < len(segments) and segments[k].start <= start < segments[k].stop:
            segment, end = segments[k], min(stop, segments[k].stop)
            at = segment.at + start - segment.start
            parts.append(self._floats(segment, at, at + end - start))
            start, k = end, k + 1
        if start < stop - 1 or not (parts or start >= stop):  # a clip may end a sample late, see SliceReader
            raise InputError(
                f"{self._names()} contains only {len(segments)} slices of {path}, not the one from "
                f"{offset_s:.4f} s to {offset_s + duration_s:.4f} s: open all parts, or the folder that was packed"
            )
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _floats(self, segment: Segment, start: int, stop: int) -> NDArray[np.float32]:
        x = self._map(segment.pack)[start:stop].astype(np.float32)
        x *= np.float32(segment.scale / 32768)
        return x

    def _map(self, pack: int) -> NDArray[np.int16]:
        samples = self._samples[pack]
        if samples is None:
            with self.paths[pack].open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                n_samples: int = HEADER.unpack_from(mapped)[2]
            samples = self._samples[pack] = np.frombuffer(mapped, "<i2", n_samples, SAMPLES_AT)
        return samples

    def _of(self, path: str) -> list[Segment]:
        if path not in self._segments:
            raise InputError(f"{self._names()} does not contain {path}: pack the corpus again with that file")
        return self._segments[path]

    def _names(self) -> str:
        return str(self.paths[0]) + (f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else "")

    def _check_overlaps(self) -> None:
        for path, segments in self._segments.items():
            segments.sort()
            for a, b in pairwise(segments):
                if b.start < a.stop:
                    raise InputError(
                        f"{self.paths[a.pack]} and {self.paths[b.pack]} contain the same part of {path}: "
                        "open one of them, or remove the old one"
                    )


def _reopened(digest: str, paths: Sequence[Path]) -> PackReader:
    reader = PackReader(paths)
    if reader.digest != digest:
        raise InputError(f"{paths[0]} was replaced while it was open: start again")
    return reader


def open_pack(*paths: str | os.PathLike[str], sr: int | None = None) -> Corpus:
    """Open packs, or parts of one, as one corpus. No samples are read before they are asked for.

    Args:
        paths: files that `pack` wrote; parts may come in any order, and some may be missing.
        sr: resample to this rate, Hz; None for that of the pack.

    Returns:
        a Corpus of the clips in the order in which they were packed, with their active levels.

    Raises:
        InputError: no such file, no pack, a truncated or damaged one, one of a newer undin; two hold the same sound.
    """
    if not paths:
        raise InputError("open_pack needs at least one path of a .pack file")
    files = sorted((Path(path) for path in paths), key=lambda path: [part_of(path) or (path.name, 0, 0), str(path)])
    reader = PackReader(files)
    stem = part_of(reader.paths[0])
    root = reader.paths[0].with_name(f"{stem[0]}.pack") if stem else reader.paths[0]
    return Corpus(root, reader.clips, sr=sr, reader=reader)


def is_packed(corpus: Corpus) -> bool:
    """Whether a corpus reads from packs, so that any slice is available immediately."""
    return isinstance(corpus.reader, PackReader)


def packs_in(folder: Path) -> list[Path]:
    """The packs of a folder that holds nothing else to open: no sound files, tables or folders.

    Raises:
        InputError: there are parts of several packs of one name.
    """
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    packs = [entry for entry in entries if entry.suffix == ".pack" and entry.is_file()]
    others = (entry.is_dir() or entry.suffix.lower() in SUFFIXES or entry.name in TABLES for entry in entries)
    if not packs or any(others):
        return []
    counts: dict[str, set[int]] = {}
    for stem, _, n in filter(None, map(part_of, packs)):
        counts.setdefault(stem, set()).add(n)
    for stem, ns in counts.items():
        if len(ns) > 1:
            names = " and ".join(f"{stem}.*-of-{n}.pack" for n in sorted(ns))
            raise InputError(f"{folder} contains parts of two packs, {names}: move one of them away")
    return packs


def missing_parts(packs: Sequence[Path]) -> list[str]:
    """Names of the parts that are not there."""
    parts = list(filter(None, map(part_of, packs)))
    wanted = {(stem, i, n) for stem, _, n in parts for i in range(1, n + 1)}
    return [f"{stem}.{i}-of-{n}.pack" for stem, i, n in sorted(wanted - set(parts))]


def check_pack(path: str | os.PathLike[str]) -> None:
    """Read all of a pack, at a path or a URL, and compare its checksums.

    Raises:
        InputError: as `open_pack`, or its samples are damaged.
    """
    path = os.fspath(path)
    header, crc = read_header(path), 0
    with _open(path) as file:
        file.seek(SAMPLES_AT)
        left = 2 * header.n_samples
        while left and (data := file.read(min(left, 1 << 24))):
            crc, left = zlib.crc32(data, crc), left - len(data)
    read_index(path)
    if crc != header.samples_crc:
        raise InputError(f"{path}: its samples are damaged (checksum mismatch): {AGAIN}")


def _open(path: str | Path) -> IO[bytes]:
    store, name = split(str(path))
    return store.open(name)


def read_header(path: str | Path) -> Header:
    """The header of a pack, checked against the file size."""
    try:
        with _open(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            data = file.read(HEADER.size + CRC.size)
    except FileNotFoundError:
        raise InputError(f"{path}: no such pack: check the spelling, or create it with undin pack") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not data.startswith(MAGIC):
        raise InputError(f"{path} is not a pack: create one with undin pack CORPUS -o {Path(path).stem}.pack")
    if len(data) < HEADER.size + CRC.size or size < SAMPLES_AT:
        raise InputError(f"{path} is truncated: {size} bytes are too few for its header: {AGAIN}")
    _, format, *fields = HEADER.unpack_from(data)
    if format > FORMAT:
        raise InputError(f"{path} has format {format}, this undin reads up to {FORMAT}: update undin, or pack it again")
    if CRC.unpack_from(data, HEADER.size)[0] != zlib.crc32(data[: HEADER.size]):
        raise InputError(f"{path}: its header is damaged (checksum mismatch): {AGAIN}")
    header = Header(*fields)
    if size != (wanted := SAMPLES_AT + 2 * header.n_samples + header.index_bytes):
        fault = "is truncated" if size < wanted else "is damaged"
        raise InputError(f"{path} {fault}: it has {size} bytes, its header says {wanted}: {AGAIN}")
    return header


def read_index(path: str | Path) -> dict[str, Any]:
    """The index of a pack: sr, digest, part, left_out, clips, files, segments; see `pack`."""
    header = read_header(path)
    with _open(path) as file:
        file.seek(SAMPLES_AT + 2 * header.n_samples)
        data = file.read(header.index_bytes)
    if zlib.crc32(data) != header.index_crc:
        raise InputError(f"{path}: its index is damaged (checksum mismatch): {AGAIN}")
    index: dict[str, Any] = json.loads(data)
    return index


def columns(clips: Sequence[Clip]) -> dict[str, Any]:
    """Clips as columns: numbers as lists, texts as [the different ones, which of them each clip has]."""
    found: dict[str, Any] = {name: [getattr(clip, name) for clip in clips] for name in NUMBERS}
    for name in TEXTS:
        values: dict[str, int] = {}
        codes = [values.setdefault(getattr(clip, name), len(values)) for clip in clips]
        found[name] = [list(values), codes]
    return found


def _clips(index: dict[str, Any]) -> list[tuple[int, Clip]]:
    """(number of its row in the corpus, clip) for each clip of a pack."""
    table = index["clips"]
    fields = {name: table.get(name) or [None] * len(table["row"]) for name in NUMBERS}  # old packs have fewer
    for name in TEXTS:
        values, codes = table[name]
        fields[name] = [values[code] for code in codes]
    rows = zip(*fields.values(), strict=True)
    return [(n, Clip(**dict(zip(fields, row, strict=True)))) for n, row in zip(table["row"], rows, strict=True)]


def _add_segments(known: dict[str, list[Segment]], index: dict[str, Any], pack: int) -> None:
    files = index["files"]
    file, starts, lengths = (index["segments"][name] for name in SEGMENT)
    for k, start, length, at in zip(file, starts, lengths, accumulate(lengths, initial=0), strict=False):
        segment = Segment(start, start + length, pack, at, files["scale"][k])
        known.setdefault(files["path"][k], []).append(segment)


def part_of(path: Path) -> tuple[str, int, int] | None:
    """(name, i, n) of a file named <name>.<i>-of-<n>.pack."""
    found = PART.fullmatch(path.name)
    return (found[1], int(found[2]), int(found[3])) if found else None
