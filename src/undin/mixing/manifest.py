"""Manifests: a CSV file of mixtures, from which the same corpus gives the same samples.

A row holds what was drawn (clips, onset, SNR) and the gains that were found, so rendering measures nothing: it reads,
multiplies and adds. Its samples are then as stable as the decoder's: to the bit for FLAC and WAV; to the bit with the
same build of libopus for Opus, whose decoder computes in floats.
"""

import csv
import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from undin.corpora import Clip, Corpus
from undin.corpora.tables import read_rows
from undin.errors import InputError
from undin.mixing.mix import Mixture, cut, draw_onset, find_gains, rms, scaled

Item = TypeVar("Item")
Snr = float | tuple[float, float] | Sequence[float]

GAP_S = 0.15  # utterances of one file that are at most this far apart may be joined


@dataclasses.dataclass(frozen=True)
class MixtureRow:
    """One mixture of a manifest; its fields are the columns of the file.

    Attributes:
        id: its name, unique in the manifest.
        speech_path: the speech's file, relative to the corpus.
        speech_offset_s: where the speech starts in it, in seconds.
        speech_duration_s: how long it is.
        noise_path: the noise's file.
        noise_offset_s: where the recording starts in it.
        noise_duration_s: how long the recording is.
        kind: what sort of noise it is.
        onset: sample of the recording at which the noise was started.
        snr_db: signal-to-noise ratio over the whole clip.
        noise_gain_db: what the noise is amplified by to reach it.
        scale_db: what speech and noise are both amplified by afterwards.
        speaker: label of the talker.
        split: train, dev or test.
        seed: of the manifest.
    """

    id: str
    speech_path: str
    speech_offset_s: float
    speech_duration_s: float
    noise_path: str
    noise_offset_s: float
    noise_duration_s: float
    kind: str
    onset: int
    snr_db: float
    noise_gain_db: float
    scale_db: float
    speaker: str
    split: str
    seed: int

    def __post_init__(self) -> None:
        for name in ("id", "speech_path", "noise_path"):
            if not getattr(self, name):
                raise InputError(f"{name} must not be empty")
        for name in ("speech_duration_s", "noise_duration_s"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} must be more than 0; got {getattr(self, name)}")
        for name in ("speech_offset_s", "noise_offset_s", "onset"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be 0 or more; got {getattr(self, name)}")


def make_manifest(
    corpus: Corpus,
    *,
    n: int,
    seed: int,
    snr_db: Snr = (-5.0, 15.0),
    kinds: Iterable[str] | None = None,
    split: str = "test",
    level_db: tuple[float, float] | None = None,
    min_duration_s: float = 2.5,
) -> list[MixtureRow]:
    """Draw n mixtures of a corpus's speech and noise.

    Sentences, noise kinds, the recordings of a kind and listed SNRs are each used in turn, in a new random order every
    round, so that all are used equally often. The first rows do not depend on n.

    Args:
        corpus: where the clips come from.
        n: how many mixtures.
        seed: of the drawing.
        snr_db: a tuple (low, high) to draw from evenly, to 0.01 dB; a list of which each is used in turn; or a number.
        kinds: of noise; all when None.
        split: train, dev or test, of speech and noise.
        level_db: (low, high) RMS of the mixture in dB re full scale, drawn evenly; None leaves speech as it is.
        min_duration_s: shorter utterances are joined with the next of the same speaker in the same file.

    Returns:
        n rows.

    Raises:
        InputError: the split or a kind is not there, a clip cannot be read or is silent, a setting is out of range.
    """
    if n < 0 or seed < 0:
        raise InputError(f"n and seed must be 0 or more; got n = {n}, seed = {seed}")
    part = corpus.select(split=split)
    noises = part.select(kind=kinds).noise if kinds is not None else part.noise
    if not part.speech or not noises:
        raise InputError(f"the {split} split of {corpus.root} must have speech and noise; got {part!r}")
    rng = np.random.default_rng(seed)
    sentences = _turns(join_short(part.speech, min_duration_s), rng)
    names = sorted({clip.kind for clip in noises})
    kind_turns = _turns(names, rng)
    recordings = {kind: _turns([clip for clip in noises if clip.kind == kind], rng) for kind in names}
    snrs = _snrs(snr_db, rng)
    drawn = [(next(sentences), next(recordings[next(kind_turns)]), next(snrs)) for _ in range(n)]
    # Rows are measured file by file, because a file may have to be decoded whole; so each has a generator of its own.
    order = sorted(range(n), key=lambda i: (drawn[i][0].path, drawn[i][1].path))
    rows = {i: _measured(corpus, i, *drawn[i], level_db, seed) for i in order}
    return [rows[i] for i in range(n)]


def _measured(
    corpus: Corpus, i: int, speech: Clip, noise: Clip, snr_db: float, level_db: tuple[float, float] | None, seed: int
) -> MixtureRow:
    """Draw level and onset of row i and find its gains."""
    rng = np.random.default_rng([seed, i])
    s, n = corpus.load(speech), corpus.load(noise)
    onset = draw_onset(len(s), len(n), rng)
    level = None if level_db is None else float(rng.uniform(*level_db))
    try:
        noise_gain_db, scale_db = find_gains(s, cut(n, len(s), onset), snr_db, level)
    except InputError as error:
        names = " with ".join(f"{clip.path} at {clip.offset_s} s" for clip in (speech, noise))
        raise InputError(f"{names}: {error}") from error
    return MixtureRow(
        id=f"{speech.split}-{i:05d}",
        speech_path=speech.path,
        speech_offset_s=speech.offset_s,
        speech_duration_s=speech.duration_s,
        noise_path=noise.path,
        noise_offset_s=noise.offset_s,
        noise_duration_s=noise.duration_s,
        kind=noise.kind,
        onset=onset,
        snr_db=snr_db,
        noise_gain_db=noise_gain_db,
        scale_db=scale_db,
        speaker=speech.speaker,
        split=speech.split,
        seed=seed,
    )


def write_manifest(path: str | os.PathLike[str], rows: Iterable[MixtureRow]) -> None:
    """Write rows to a CSV file, whole or not at all.

    Args:
        path: the file; its folder must be there, an older file is replaced.
        rows: from `make_manifest` or `read_manifest`.
    """
    path = Path(path)
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(field.name for field in dataclasses.fields(MixtureRow))
            table.writerows(dataclasses.astuple(row) for row in rows)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_manifest(path: str | os.PathLike[str]) -> Iterator[MixtureRow]:
    """Read a manifest row by row; floats come back to the bit.

    Args:
        path: the CSV file.

    Yields:
        its rows in order.

    Raises:
        InputError: the file is missing, a column is missing or a cell does not fit; the message names row
            (the header is row 1) and column.
    """
    return read_rows(path, MixtureRow)


def render(row: MixtureRow, corpus: Corpus) -> Mixture:
    """Make one mixture of a manifest.

    Args:
        row: of the manifest.
        corpus: the one it was made from.

    Returns:
        the Mixture, with the speech's length and `corpus.sr`.

    Raises:
        InputError: a file is missing or too short, or the SNR comes out otherwise: the corpus is not that of the
            manifest.
    """
    s = corpus.read(row.speech_path, row.speech_offset_s, row.speech_duration_s)
    n = corpus.read(row.noise_path, row.noise_offset_s, row.noise_duration_s)
    n = cut(n, len(s), row.onset)
    mixture = scaled(s, n, row.onset, row.noise_gain_db, row.scale_db)
    with np.errstate(divide="ignore", invalid="ignore"):
        snr_db = 20 * np.log10(np.float64(rms(mixture.speech)) / np.float64(rms(mixture.noise)))
    if not abs(snr_db - row.snr_db) < 0.01:
        raise InputError(
            f"mixture {row.id} has an SNR of {snr_db:.2f} dB, its row says {row.snr_db}: "
            f"{corpus.root} is not the corpus that the manifest was made from, or the row was changed"
        )
    return mixture


def join_short(speech: Sequence[Clip], min_duration_s: float) -> list[Clip]:
    """Join utterances under min_duration_s with those that follow in the same file, gaps included.

    Args:
        speech: utterances in the order of their files.
        min_duration_s: in seconds; the last of a file may stay shorter.

    Returns:
        clips, each one slice of one file and one speaker.
    """
    joined: list[Clip] = []
    for clip in speech:
        last = joined[-1] if joined else None
        gap_s = clip.offset_s - last.offset_s - last.duration_s if last else 0.0
        neighbours = last and (last.path, last.speaker) == (clip.path, clip.speaker) and -0.001 < gap_s <= GAP_S
        if last and neighbours and last.duration_s < min_duration_s:
            duration_s = round(clip.offset_s + clip.duration_s - last.offset_s, 4)
            text = f"{last.text} {clip.text}".strip()
            joined[-1] = dataclasses.replace(last, duration_s=duration_s, text=text)
        else:
            joined.append(clip)
    return joined


def _turns(items: Sequence[Item], rng: np.random.Generator) -> Iterator[Item]:
    """Every item once in a random order, then again in another, without end."""
    while True:
        yield from (items[i] for i in rng.permutation(len(items)))


def _snrs(snr_db: Snr, rng: np.random.Generator) -> Iterator[float]:
    if isinstance(snr_db, tuple):
        if len(snr_db) != 2 or not snr_db[0] <= snr_db[1]:
            raise InputError(f"snr_db must be (low, high) as a tuple, a list of values or a number; got {snr_db}")
        low, high = snr_db
        return (round(float(rng.uniform(low, high)), 2) for _ in iter(int, 1))
    values = [float(value) for value in np.atleast_1d(np.asarray(snr_db, float))]
    if not values:
        raise InputError("snr_db must hold at least one value; got an empty list")
    return _turns(values, rng)
