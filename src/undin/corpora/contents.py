"""Contents of a corpus: duration and level per speaker, kinds of noise, and suspicious files."""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from undin import audio
from undin.corpora.clip import Clip
from undin.corpora.corpus import Corpus
from undin.corpora.faults import faults
from undin.corpora.headers import about, in_threads
from undin.corpora.scan import Fault, fault_of
from undin.errors import UndinError

LOOK_S = 3600  # of a file, from its start, are looked at


@dataclass(frozen=True)
class Survey:
    """The result of analyzing every file of a corpus.

    Attributes:
        rows: the clips of files that can be read, with their active level if samples were analyzed.
        rates: sample rate in Hz -> number of files.
        channels: number of channels -> number of files.
        levels_db: RMS of every row, dB re full scale; empty after a quick survey.
        suspicious: files and their faults.
        unreadable: files that cannot be read, and why.
    """

    rows: tuple[Clip, ...]
    rates: dict[int, int]
    channels: dict[int, int]
    levels_db: tuple[float, ...]
    suspicious: tuple[Fault, ...]
    unreadable: tuple[Fault, ...]


@dataclass(frozen=True)
class FileLook:
    """What one file gave."""

    format: audio.AudioFormat
    clips: tuple[Clip, ...]
    levels_db: tuple[float, ...] = ()
    faults: tuple[str, ...] = ()
    digest: bytes = b""  # of its samples; empty for silence, which does not count as a duplicate


def survey(corpus: Corpus, *, quick: bool = False, tick: Callable[[int, int], object] | None = None) -> Survey:
    """Analyze every file of a corpus, up to its first hour.

    Args:
        corpus: the clips; neither `sr` nor `mono` matters.
        quick: read headers only: no levels, and only unreadable files are reported.
        tick: called with (files done, files in all).

    Returns:
        the Survey, in the order of the corpus's files.
    """
    by_file: dict[str, list[Clip]] = {}
    for clip in corpus.rows:
        by_file.setdefault(clip.path, []).append(clip)
    looks: list[FileLook] = []
    suspicious: list[Fault] = []
    unreadable: list[Fault] = []
    seen: dict[bytes, Clip] = {}

    def look(path: str) -> FileLook | Fault:
        try:
            return _look(corpus, path, by_file[path], quick)
        except (UndinError, OSError) as error:
            return fault_of(corpus.root, path, error)

    for i, (path, found) in enumerate(zip(by_file, in_threads(look, by_file, os.cpu_count() or 1), strict=True), 1):
        if isinstance(found, Fault):
            unreadable.append(found)
        else:
            looks.append(found)
            suspicious += [Fault(path, reason) for reason in (*found.faults, *_copies(found, seen))]
        if tick:
            tick(i, len(by_file))
    return Survey(
        rows=tuple(clip for look in looks for clip in look.clips),
        rates=dict(Counter(look.format.sr for look in looks)),
        channels=dict(Counter(look.format.n_channels for look in looks)),
        levels_db=tuple(level_db for look in looks for level_db in look.levels_db),
        suspicious=tuple(suspicious),
        unreadable=tuple(unreadable),
    )


def _look(corpus: Corpus, path: str, clips: Sequence[Clip], quick: bool) -> FileLook:
    format = about(corpus.root / path)
    _check_ends(format, clips)
    if quick:
        return FileLook(format, tuple(clips))
    x, sr = audio.read(corpus.root / path, stop=LOOK_S * format.sr)
    x = x if x.ndim == 1 else x.mean(0)
    measured, levels_db = [], []
    for clip in clips:
        part = x[round(clip.offset_s * sr) : round((clip.offset_s + clip.duration_s) * sr)]
        active_db = audio.active_level_db(part, sr)
        measured.append(replace(clip, active_level_db=active_db if math.isfinite(active_db) else None))
        levels_db.append(audio.rms_db(part))
    reasons = tuple(faults(x, sr, is_noise=bool(clips[0].kind)))
    digest = hashlib.blake2b(np.ascontiguousarray(x).data, digest_size=16).digest() if np.any(x) else b""
    return FileLook(format, tuple(measured), tuple(levels_db), reasons, digest)


def _check_ends(format: audio.AudioFormat, clips: Iterable[Clip]) -> None:
    """Refuse a file that ends before a row of the tables does."""
    end_s = max(clip.offset_s + clip.duration_s for clip in clips)
    if format.duration is not None and (end_s - format.duration) * format.sr > 4:  # tables may round to 0.1 ms
        raise UndinError(f"ends at {format.duration:.4f} s, before {end_s:.4f} s, the end of its row in the table")


def _copies(look: FileLook, seen: dict[bytes, Clip]) -> Iterable[str]:
    """Whether the same samples were there before."""
    clip = look.clips[0]
    first = seen.setdefault(look.digest, clip) if look.digest else clip
    if first is not clip:
        leak = f": a leak from {first.split} into {clip.split}" if first.split != clip.split else ""
        yield f"duplicate: the same samples as {first.path}{leak}"


def summary(found: Survey) -> dict[str, Any]:
    """The survey in numbers, as a program may read them.

    Returns:
        speech and noise, each {split: {n, hours, ...}} with talkers by gender and languages, or kinds; rates,
        channels; levels_db, for speech and noise {rms, active} as [5 %, 50 %, 95 %]; suspicious; unreadable.
    """
    speech = [clip for clip in found.rows if not clip.kind]
    noise = [clip for clip in found.rows if clip.kind]
    levels = dict(zip(map(id, found.rows), found.levels_db, strict=False))
    return {
        "speech": {split: _about_speech(part) for split, part in _by_split(speech).items()},
        "noise": {split: _about_noise(part) for split, part in _by_split(noise).items()},
        "rates": found.rates,
        "channels": found.channels,
        "levels_db": {
            name: {
                "rms": _spread(levels.get(id(clip)) for clip in part),
                "active": _spread(clip.active_level_db for clip in part),
            }
            for name, part in (("speech", speech), ("noise", noise))
            if part and levels
        },
        "suspicious": [fault._asdict() for fault in found.suspicious],
        "unreadable": [fault._asdict() for fault in found.unreadable],
    }


def _by_split(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    known = [split for split in ("train", "dev", "test") if any(clip.split == split for clip in clips)]
    splits = known + sorted({clip.split for clip in clips} - set(known))
    return {split: [clip for clip in clips if clip.split == split] for split in splits}


def _size(clips: Sequence[Clip]) -> dict[str, Any]:
    return {"n": len(clips), "hours": round(sum(clip.duration_s for clip in clips) / 3600, 4)}


def _about_speech(clips: Sequence[Clip]) -> dict[str, Any]:
    genders = Counter({(clip.corpus, clip.speaker): clip.gender for clip in clips if clip.speaker}.values())
    languages = sorted({clip.language for clip in clips if clip.language})
    n_unlabeled = sum(not clip.speaker for clip in clips)
    return _size(clips) | {
        "speakers": {"F": genders["F"], "M": genders["M"], "unknown": genders[""]},
        "without_speaker": n_unlabeled,
        "languages": languages,
    }


def _about_noise(clips: Sequence[Clip]) -> dict[str, Any]:
    return _size(clips) | {"kinds": dict(sorted(Counter(clip.kind for clip in clips).items()))}


def _spread(values: Iterable[float | None]) -> list[float] | None:
    """5 %, 50 % and 95 % quantiles of the known finite values."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return [round(float(value), 1) for value in np.percentile(known, (5, 50, 95))] if known else None
