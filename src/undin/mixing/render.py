"""Rows -> samples: read the slices, put them into the room, amplify, add."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from undin.audio import rms_db
from undin.corpora import Corpus
from undin.errors import InputError
from undin.mixing.manifest import MixtureRow, Source
from undin.mixing.mix import Mixture, Samples, amplified, cut, find_gain, find_scale, level_db
from undin.mixing.rooms import Room

PAIR = "pair"  # the reference of a mixture that was not made here


@dataclass(frozen=True)
class Parts:
    """Components of a mixture, at full length and before gains.

    Attributes:
        talkers: as recorded by the microphone.
        references: what an estimate is compared with; the same without a room.
        noises: as recorded by the microphone.
    """

    talkers: list[Samples]
    references: list[Samples]
    noises: list[Samples]


def render(row: MixtureRow, corpus: Corpus) -> Mixture:
    """Render one mixture of a manifest.

    Args:
        row: of the manifest.
        corpus: the one it was made from.

    Returns:
        the Mixture, `row.n_samples` long, at `corpus.sr`.

    Raises:
        InputError: a file is missing or too short or has another rate, or the SNR differs: the corpus is
            not that of the manifest.
    """
    try:
        parts = load(row, corpus)
    except InputError as error:
        raise InputError(f"mixture {row.id}: {error}") from error
    if row.noise and row.reference != PAIR:
        speech = _sum(amplified(parts.talkers, [source.gain_db for source in row.speech]))
        noise = _sum(amplified(parts.noises, [source.gain_db for source in row.noise]))
        snr_db = level_db(speech, row.sr, row.snr_over) - rms_db(noise)
        if not abs(snr_db - row.snr_db) < 0.01:
            raise InputError(
                f"mixture {row.id} has an SNR of {snr_db:.2f} dB, but its row says {row.snr_db}: "
                f"{corpus.root} is not the corpus of the manifest, or the row was edited"
            )
    return combine(row, parts)


def load(row: MixtureRow, corpus: Corpus) -> Parts:
    """Read the slices of a row and put them into its room."""
    if row.sr != corpus.sr:
        raise InputError(
            f"the row has {row.sr} Hz and {corpus.root} {corpus.sr} Hz: open the corpus at the rate of the manifest"
        )
    dry = [_talker(corpus, source, row.n_samples) for source in row.speech]
    noises = [_noise(corpus, source, row.n_samples) for source in row.noise]
    if row.reference == PAIR:
        noises = [x - _sum(np.asarray(dry)) for x in noises]
    if not row.room:
        return Parts(dry, dry, noises)
    room = Room.parse(row.room, len(dry) + len(noises))
    responses = room.responses(row.sr)
    talkers = [response.wet(x) for x, response in zip(dry, responses, strict=False)]
    early = [response.early(x) for x, response in zip(dry, responses, strict=False)]
    noises = [response.wet(x) for x, response in zip(noises, responses[len(dry) :], strict=True)]
    return Parts(talkers, dry if row.reference == "dry" else early, noises)


def combine(row: MixtureRow, parts: Parts) -> Mixture:
    """Apply the gains of a row."""
    gains_db = [source.gain_db + row.scale_db for source in row.speech]
    sources = amplified(parts.references, gains_db)
    speech = _sum(sources)
    wet = speech if parts.talkers is parts.references else _sum(amplified(parts.talkers, gains_db))
    if not row.noise:
        silence = np.zeros_like(speech)
        return Mixture(wet.copy(), speech, silence, sources, 0, 0.0, row.scale_db, row)
    noise = _sum(amplified(parts.noises, [source.gain_db + row.scale_db for source in row.noise]))
    first = row.noise[0]
    return Mixture(wet + noise, speech, noise, sources, first.onset, first.gain_db, row.scale_db, row)


def measure(row: MixtureRow, parts: Parts, target_db: float | None) -> MixtureRow:
    """Find the gains of a row.

    Args:
        row: whose sources contain, in place of gains, their levels below the first source of the same type, in dB.
        parts: what `load` gives for it.
        target_db: RMS of the mixture in dB re full scale; None keeps the level of the first talker.

    Returns:
        the row with its gains and scale, all to 1e-6 dB.

    Raises:
        InputError: a talker or a noise is silent.
    """
    speech = _relative(row.speech, parts.talkers, lambda x: level_db(x, row.sr, row.snr_over))
    noise = _relative(row.noise, parts.noises, rms_db)
    if noise:
        s = _sum(amplified(parts.talkers, [source.gain_db for source in speech]))
        n = _sum(amplified(parts.noises, [source.gain_db for source in noise]))
        gain_db = find_gain(level_db(s, row.sr, row.snr_over), rms_db(n), row.snr_db)
        noise = tuple(replace(source, gain_db=round(source.gain_db + gain_db, 6)) for source in noise)
    row = replace(row, speech=speech, noise=noise, scale_db=0.0)
    made = combine(row, parts)
    return replace(row, scale_db=find_scale([made.noisy, made.speech, made.noise, *made.sources], target_db))


def _relative(
    sources: Sequence[Source], signals: Sequence[Samples], level: Callable[[Samples], float]
) -> tuple[Source, ...]:
    """Give each source the gain that puts it as far under the first as it asks for."""
    levels_db = [level(x) for x in signals]
    for source, value in zip(sources, levels_db, strict=True):
        if value == -math.inf:
            raise InputError(
                f"{source.path} is silent over the {len(signals[0])} samples in use (slice at "
                f"{source.offset_s} s, onset {source.onset}): its level is undefined: remove it from the corpus"
            )
    gains_db = [
        round(levels_db[0] - value - source.gain_db, 6) for source, value in zip(sources, levels_db, strict=True)
    ]
    return tuple(replace(source, gain_db=gain) for source, gain in zip(sources, gains_db, strict=True))


def _talker(corpus: Corpus, source: Source, n_samples: int) -> Samples:
    """Read n_samples of a talker; silence follows where there are fewer."""
    start, length = _span(corpus, source)
    if source.onset > max(length - n_samples, 0):
        raise InputError(
            f"speech_onset must be in 0 to {max(length - n_samples, 0)} for {n_samples} of the {length} samples of "
            f"{source.path}; got {source.onset}"
        )
    return _read(corpus, source.path, start + source.onset, min(length, n_samples), n_samples)


def _noise(corpus: Corpus, source: Source, n_samples: int) -> Samples:
    """Read n_samples of a noise, around and around where there are fewer."""
    start, length = _span(corpus, source)
    if length < n_samples or source.onset > length - n_samples:  # what is wrong with the onset, `cut` says
        return cut(_read(corpus, source.path, start, length, length), n_samples, source.onset)
    return _read(corpus, source.path, start + source.onset, n_samples, n_samples)


def _span(corpus: Corpus, source: Source) -> tuple[int, int]:
    """(start, length) of a slice, in samples."""
    return round(source.offset_s * corpus.sr), round(source.duration_s * corpus.sr)


def _read(corpus: Corpus, path: str, start: int, length: int, n_samples: int) -> Samples:
    """Read `length` samples; zeros follow up to n_samples, as also where rounding lets a slice end behind its file."""
    x = corpus.read(path, start / corpus.sr, length / corpus.sr)
    return x if len(x) == n_samples else np.pad(x, (0, n_samples - len(x)))


def _sum(signals: Samples) -> Samples:
    """Add signals (n, n_samples) -> (n_samples,)."""
    y: Samples = signals[0] if len(signals) == 1 else signals.sum(0, dtype=np.float32)
    return y
