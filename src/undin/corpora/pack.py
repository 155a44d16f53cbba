"""Packs, writing: a corpus decoded once into memory-mapped int16, as one file or in parts; packed.py reads them.

Each sound file is decoded whole, to float32 at the corpus's rate, then cut into its clips, whose active levels are
measured, and rounded to q = round(x · 32768 / scale), without dither. A lossless 16-bit source is unchanged to
the bit; any other is off by at most half a step of 2^-15. Where a file passes full scale, as decoders of lossy formats
may, scale brings its peak to 32767, so that nothing is clipped; else it is 1.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from undin import audio
from undin.atomic import check_folder
from undin.corpora import packed
from undin.corpora.clip import Clip
from undin.corpora.corpus import Corpus
from undin.corpora.pack_file import Packed, PackWriter
from undin.corpora.packed import check_pack, open_pack
from undin.corpora.scan import Fault, fault_of
from undin.errors import InputError, UndinError
from undin.store import Store, is_url, split
from undin.workers import Executor, Progress, Threads, WorkerDied

__all__ = ["Packed", "check_pack", "is_pack_of", "open_pack", "pack"]

GAP_S = 0.2  # a gap between two clips of a file up to this is packed with them
CLIP_BYTES = 120  # largest size of a clip in the index, excluding its texts
INDEX_BYTES = 4096  # that the rest of an index takes
AHEAD = 2  # decoded files per worker that wait to be written


class Piece(NamedTuple):
    """A clip to be packed: samples start ... stop - 1 of its sound file, of which begin ... stop - 1 are written."""

    begin: int
    start: int
    stop: int
    row: int
    clip: Clip


class Cut(NamedTuple):
    """A piece's samples, which end early where the file does, its clip with the active level, and the file's scale."""

    samples: NDArray[np.int16]
    clip: Clip
    scale: float


def pack(
    corpus: Corpus,
    path: str | os.PathLike[str],
    *,
    part_mb: float | None = None,
    workers: int | Executor = 1,
    overwrite: bool = False,
    errors: Callable[[Fault], object] | None = None,
    tick: Callable[[float, float], object] | None = None,
) -> list[Packed]:
    """Write a corpus as a pack.

    Args:
        corpus: what to pack, at its rate `corpus.sr`; noisy twins (`Clip.noisy_path`) are left out.
        path: the file or its URL, which must end in .pack; in parts <name>.1-of-<n>.pack and so on, each a pack of
            some clips.
        part_mb: greatest size of a part, in 10^6 bytes; None for one file.
        workers: files decoded in parallel, in threads; or an `Executor`.
        overwrite: replace files with other content.
        errors: called with each unreadable audio file, which is then skipped; None raises the error.
        tick: called with (seconds of clips done, seconds in all).

    Returns:
        the result for each file, in order. A file with the same clips, from audio files of the same size and
        age, is skipped: an interrupted run resumes with the unfinished part.

    Raises:
        InputError: the corpus is empty, a name is wrong or taken, a clip does not fit into a part, the disk is full, or
            an audio file cannot be read; no file is left half-written.
    """
    place, name = split(os.fspath(path))
    if isinstance(workers, int) and workers < 1:
        raise InputError(f"workers must be at least 1; got {workers}")
    if not corpus.rows:
        raise InputError(f"the corpus at {corpus.root} has no clips to pack: choose another split or folder")
    pieces = _pieces(corpus)
    parts = [pieces] if part_mb is None else _parts(pieces, part_mb)
    names = _names(place, name, None if part_mb is None else len(parts))
    strays = _strays(place, name, names, overwrite)
    digest = _digest(corpus, part_mb)
    made = {k: found for k in range(len(parts)) if (found := _there(place.at(names[k]), digest, overwrite))}
    todo = [(k, piece) for k, part in enumerate(parts) if k not in made for piece in part]
    total, done = sum(piece.clip.duration_s for _, piece in todo), 0.0
    for k, cuts in groupby(_cuts(corpus, pieces, todo, workers), key=lambda cut: cut[0]):
        with place.written(names[k]) as file, PackWriter(file, corpus.sr, digest) as writer:
            for _, piece, cut in cuts:
                if isinstance(cut, Cut):
                    writer.add(piece.row, piece.begin, cut.clip, cut.samples, cut.scale)
                elif cut not in writer.left_out:
                    if errors is None:
                        raise InputError(str(cut._replace(path=str(corpus.root / cut.path))))
                    errors(cut)
                    writer.left_out.append(cut)
                done += piece.clip.duration_s
                if tick:
                    tick(done, total)
            if part_mb is None and not writer.rows:
                raise InputError(f"none of the files of {corpus.root} can be read; the reasons are listed for each")
            made[k] = replace(writer.finish(), path=_path(place.at(names[k])))
    for stray in strays:
        place.remove(stray)
    return [made[k] for k in range(len(names))]


def _pieces(corpus: Corpus) -> list[Piece]:
    """All clips, those of a file together and in its order; files in the order in which the corpus names them."""
    sr, gap, by_file = corpus.sr, round(GAP_S * corpus.sr), dict[str, list[Piece]]()
    for row, clip in enumerate(corpus.rows):
        start = round(clip.offset_s * sr)
        piece = Piece(0, start, start + round(clip.duration_s * sr), row, clip)
        by_file.setdefault(clip.path, []).append(piece)
    pieces = []
    for of_file in by_file.values():
        end = -gap - 1  # of what is written of the file
        for piece in sorted(of_file, key=lambda piece: piece[1:4]):
            pieces.append(piece._replace(begin=end if piece.start <= end + gap else piece.start))
            end = max(end, piece.stop)
    return pieces


def _parts(pieces: Sequence[Piece], part_mb: float) -> list[list[Piece]]:
    """Fill one part after the other. Clips that overlap stay together."""
    if not (math.isfinite(part_mb) and part_mb > 0):
        raise InputError(f"part_mb must be more than 0; got {part_mb}")
    limit = part_mb * 1e6 - packed.SAMPLES_AT - INDEX_BYTES
    parts: list[list[Piece]] = [[]]
    left = limit
    for atom in _atoms(pieces):
        size = sum(map(_size, atom))
        if size > limit:
            raise InputError(
                f"a part must contain complete clips; {atom[0].clip.path} from {atom[0].clip.offset_s:.1f} s takes "
                f"{size / 1e6:.1f} MB of {max(limit, 0) / 1e6:.1f}: use a part_mb above {part_mb:g}"
            )
        if size > left:
            parts.append([])
            left = limit
        parts[-1] += atom
        left -= size
    return parts


def _atoms(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces, those together that share samples."""
    atom: list[Piece] = []
    end = 0
    for piece in pieces:
        if atom and not (piece.clip.path == atom[0].clip.path and piece.start < end):
            yield atom
            atom = []
        end = max(piece.stop, end) if atom else piece.stop
        atom.append(piece)
    if atom:
        yield atom


def _size(piece: Piece) -> int:
    texts = (value for value in vars(piece.clip).values() if isinstance(value, str))
    return 2 * max(piece.stop - piece.begin, 0) + CLIP_BYTES + len(json.dumps(list(texts), ensure_ascii=False).encode())


def _path(name: str) -> Path | str:
    return name if is_url(name) else Path(name)


def _names(place: Store, name: str, n: int | None) -> list[str]:
    path = place.at(name)
    if not name.endswith(".pack") or packed.part_of(Path(name)) or Path(path).is_dir():
        numbered = ", without the number of a part" if name.endswith(".pack") else ""
        raise InputError(f"the name of a pack must end in .pack{numbered}; got {path}")
    if not is_url(path):
        check_folder(Path(path))
    return [name] if n is None else [f"{Path(name).stem}.{i}-of-{n}.pack" for i in range(1, n + 1)]


def _strays(place: Store, name: str, names: Sequence[str], overwrite: bool) -> list[str]:
    """Files of another pack of this name, which would be opened with it."""
    parts = ((each, packed.part_of(Path(each))) for each in place.names())
    ours = [each for each, part in parts if each == name or (part and f"{part[0]}.pack" == name)]
    strays = [each for each in ours if each not in names]
    if strays and not overwrite:
        raise InputError(f"{place.at(strays[0])} belongs to another pack of that name; use --overwrite or another name")
    return strays


def _digest(corpus: Corpus, part_mb: float | None) -> str:
    """Digest of all that shapes the files, and of the size and age of the sound files."""
    digest = hashlib.blake2b(repr((packed.FORMAT, corpus.sr, corpus.reader.mono, part_mb)).encode(), digest_size=16)
    known = dict[str, tuple[int, int]]()
    for clip in corpus.rows:
        if clip.path not in known:
            file = corpus.root / clip.path
            about = file.stat() if file.is_file() else None  # clips of another pack have no file
            known[clip.path] = (about.st_size, about.st_mtime_ns) if about else (0, 0)
        digest.update(repr((astuple(clip), known[clip.path])).encode())
    return digest.hexdigest()


def is_pack_of(path: Path, corpus: Corpus) -> bool:
    """Whether a file is the single-part pack of all clips of a corpus, with its sound files in their current state."""
    return _has_digest(path, _digest(corpus, None))


def _has_digest(path: str | Path, digest: str) -> bool:
    try:
        return bool(packed.read_index(path)["digest"] == digest)
    except (InputError, OSError):
        return False


def _there(path: str, digest: str, overwrite: bool) -> Packed | None:
    """Report for an existing, identical pack."""
    place, name = split(path)
    entry = None if overwrite else place.find(name)
    if entry is None:
        return None
    if not _has_digest(path, digest):
        raise InputError(f"{path} already exists with other content; use --overwrite or another name")
    index = packed.read_index(path)
    left_out = tuple(Fault(*fault) for fault in index["left_out"])
    durations_s = index["clips"]["duration_s"]
    return Packed(_path(path), "skipped", len(durations_s), sum(durations_s), entry.size, left_out)


def _cuts(
    corpus: Corpus, pieces: Sequence[Piece], todo: Sequence[tuple[int, Piece]], workers: int | Executor
) -> Iterator[tuple[int, Piece, Cut | Fault]]:
    """Decode each file once, several side by side, a few ahead; give (part, piece, its samples) in order."""
    ends = {path: max(p.stop for p in part) for path, part in groupby(pieces, key=lambda piece: piece.clip.path)}
    jobs = ((list(group), ends[path]) for path, group in groupby(todo, key=lambda item: item[1].clip.path))
    pool = Threads(workers, AHEAD) if isinstance(workers, int) else workers
    with closing(pool.map(partial(_cutter, corpus), jobs, ordered=True)) as outcomes:
        for (job, _), found in outcomes:
            if isinstance(found, WorkerDied):
                found = Fault(job[0][1].clip.path, str(found))
            for n, (k, piece) in enumerate(job):
                yield k, piece, found if isinstance(found, Fault) else found[n]


def _cutter(corpus: Corpus, _: Progress) -> Callable[[tuple[list[tuple[int, Piece]], int]], list[Cut] | Fault]:
    """The work of a worker."""
    return lambda job: _cut(corpus, [piece for _, piece in job[0]], job[1])


def _cut(corpus: Corpus, pieces: Sequence[Piece], end: int) -> list[Cut] | Fault:
    """Decode a file up to sample `end`, and cut it."""
    path, sr = pieces[0].clip.path, corpus.sr
    try:
        x = corpus.apart().read(path, 0.0, end / sr)
        scale = _scale(x)
        q = np.rint(x * np.float32(32768 / scale)).astype("<i2")
        top_hz = corpus.reader.sr(path) / 2  # a file of a lower rate has nothing above it
        return [Cut(q[p.begin : p.stop], _measured(p.clip, x[p.start : p.stop], sr, top_hz), scale) for p in pieces]
    except (UndinError, OSError) as error:
        return fault_of(corpus.root, path, error)


def _scale(x: NDArray[np.float32]) -> float:
    """1, or what brings the peak of x to 32767 where it would pass what an int16 holds."""
    low, high = float(x.min(initial=0)), float(x.max(initial=0))
    return 1.0 if low >= -1 and round(high * 32768) <= 32767 else max(-low, high) * 32768 / 32767


def _measured(clip: Clip, x: NDArray[np.float32], sr: int, top_hz: float) -> Clip:
    level_db = audio.active_level_db(x, sr)
    known_db = round(level_db, 3) if math.isfinite(level_db) else None
    bandwidth_hz = min(clip.bandwidth_hz or top_hz, top_hz)
    limited_hz = bandwidth_hz if bandwidth_hz < sr / 2 else None
    return replace(clip, active_level_db=known_db, bandwidth_hz=limited_hz, noisy_path="")
