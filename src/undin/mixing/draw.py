"""Drawing: row i of a manifest follows from the corpus, the settings, the seed and i alone.

Sentences, noise kinds, the recordings of a kind and listed SNRs are each used in turn, in a new random order every
round, so that all are used equally often. Shards need not draw each other's rows, and memory does not grow with n.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from undin.corpora import Clip, Corpus
from undin.errors import InputError
from undin.mixing.manifest import Errors, MixtureRow, SeenBefore, Source
from undin.mixing.mix import Mixture, draw_onset
from undin.mixing.render import Parts, combine, load, measure
from undin.mixing.rooms import draw_room
from undin.mixing.settings import Settings, more_speakers, where_of
from undin.mixing.turns import Turns

GAP_S = 0.15  # utterances of one file that are at most this far apart may be joined
ROW, SENTENCES, KINDS, RECORDINGS, SNRS, TALKERS = range(6)  # purposes of random generators


@dataclasses.dataclass(frozen=True)
class Seen:
    """The talkers and kinds of noise of a training set."""

    speakers: frozenset[str]
    kinds: frozenset[str]

    @classmethod
    def of(cls, training: "Corpus | Iterable[MixtureRow]") -> "Seen":
        """Collect them from a corpus, or from the rows of a manifest, which may stream."""
        speakers, kinds = set[str](), set[str]()
        if isinstance(training, Corpus):
            return cls(frozenset(c.speaker for c in training.speech), frozenset(c.kind for c in training.noise))
        for row in training:
            speakers.update(source.label for source in row.speech)
            kinds.update(source.label for source in row.noise)
        return cls(frozenset(speakers), frozenset(kinds))

    def mark(self, row: MixtureRow) -> MixtureRow:
        """Set the row's two flags."""
        speaker_seen, noise_seen = _flag(row.speech, self.speakers), _flag(row.noise, self.kinds)
        return dataclasses.replace(row, speaker_seen=speaker_seen, noise_seen=noise_seen)


def _flag(sources: Iterable[Source], known: frozenset[str]) -> SeenBefore:
    found = [source.label in known for source in sources]
    return "" if not found else "yes" if all(found) else "partly" if any(found) else "no"


class Drawing:
    """The endless table of mixtures of a corpus: `row(i)` and `mixture(i)` for any i >= 0, each on its own.

    Args:
        corpus: source of the clips.
        settings: properties of the mixtures.
        seed: of the drawing.
        seen: marks talkers and kinds of noise of a training set.

    Attributes:
        clips: the clips to draw from.

    Raises:
        InputError: the split, a kind or a collection is not there, or there are too few talkers.
    """

    def __init__(self, corpus: Corpus, settings: Settings | None = None, *, seed: int = 0, seen: Seen | None = None):
        if seed < 0:
            raise InputError(f"seed must be 0 or more; got {seed}")
        self.corpus, self.settings, self.seed, self.seen = corpus, settings or Settings(), seed, seen
        self.sr = corpus.sr
        settings = self.settings
        part = corpus if settings.split is None else corpus.select(split=settings.split)
        utterances = _utterances(part, settings)
        speech = _joined(utterances, part, settings)
        noise = part.select(kind=settings.kinds).noise if settings.kinds is not None else part.noise
        if settings.talkers > 1:
            _check_talkers(speech, corpus, settings)
        if not speech or (settings.noise_range[1] and not noise):
            raise InputError(
                f"{where_of(corpus, settings)} must have speech and noise; got {counts(part)}: name a folder of each"
            )
        self.clips = (*utterances, *(noise if settings.noise_range[1] else ()))
        self._noise = noise
        self._speech: Sequence[Clip] = speech
        splits = [settings.split] if settings.split is None or isinstance(settings.split, str) else settings.split
        parts = [[clip for clip in speech if split in (None, clip.split)] for split in splits]
        if not all(parts):
            raise InputError(f"each of the splits {', '.join(map(str, splits))} must have speech; got {counts(part)}")
        self._sentences = [Turns(sentences, seed, SENTENCES) for sentences in parts]
        self._further = [Turns(speech, seed, TALKERS, k) for k in range(1, settings.talkers)]
        kinds = sorted({clip.kind for clip in noise})
        self._kinds = Turns(list(enumerate(kinds)), seed, KINDS)
        of_kind: dict[str, list[Clip]] = {kind: [] for kind in kinds}
        for clip in noise:
            of_kind[clip.kind].append(clip)
        self._recordings = [Turns(of_kind[kind], seed, RECORDINGS, k) for k, kind in enumerate(kinds)]
        snr_db = settings.snr_db
        values = [snr_db] if isinstance(snr_db, (int, float)) else list(snr_db)
        self._snrs = None if isinstance(snr_db, tuple) else Turns([float(v) for v in values], seed, SNRS)

    def __reduce__(self) -> Any:  # another process sorts the clips again, which is faster than sending them twice
        return partial(Drawing, seed=self.seed, seen=self.seen), (self.corpus, self.settings)

    @property
    def n_pairs(self) -> int:
        """How many mixtures pair each utterance with every recording once."""
        return len(self._speech) * len(self._noise)

    def id(self, i: int) -> str:
        """Name of row i."""
        split = self.settings.split
        return f"{split if split and isinstance(split, str) else 'mix'}-{i:05d}"

    def row(self, i: int) -> MixtureRow:
        """Row i, with its gains.

        Raises:
            InputError: a clip cannot be read or is silent; the message names the row.
        """
        return self._made(i)[0]

    def mixture(self, i: int) -> Mixture:
        """Row i rendered, its clips read only once; the row is in `.row`."""
        return combine(*self._made(i))

    def sketch(self, i: int) -> tuple[MixtureRow, float | None]:
        """Draws for row i, before any file is read.

        Returns:
            the row, whose sources have in place of gains, their levels below the first, in dB;
            and the RMS that the mixture is to have, in dB re full scale.
        """
        settings, rng = self.settings, np.random.default_rng([self.seed, ROW, i])
        clips, noises = self._clips(i, rng)
        n_samples = self._length(clips)
        room = ""
        if rng.random() < settings.rooms:
            room = draw_room(rng, len(clips) + len(noises), settings.rt60_s).text
        level_db = None if settings.level_db is None else float(rng.uniform(*settings.level_db))
        splits = {clip.split for clip in (*clips, *noises)}
        row = MixtureRow(
            id=self.id(i),
            sr=self.sr,
            n_samples=n_samples,
            speech=tuple(self._talker(clip, n_samples, k, rng) for k, clip in enumerate(clips)),
            noise=tuple(self._recording(clip, n_samples, k, rng) for k, clip in enumerate(noises)),
            snr_db=self._snr(i, rng) if noises else float("inf"),
            snr_over=settings.snr_over,
            scale_db=0.0,
            split=splits.pop() if len(splits) == 1 else "mixed",
            seed=self.seed,
            room=room,
            reference=settings.reference if room else "",
        )
        return (self.seen.mark(row) if self.seen else row), level_db

    def _made(self, i: int) -> tuple[MixtureRow, Parts]:
        row, level_db = self.sketch(i)
        try:
            parts = load(row, self.corpus)
            return measure(row, parts, level_db), parts
        except InputError as error:
            raise InputError(f"mixture {row.id}: {error}") from error

    def _clips(self, i: int, rng: np.random.Generator) -> tuple[list[Clip], list[Clip]]:
        """The talkers and noises of row i."""
        if self.settings.every_noise:
            sentence, recording = divmod(i, len(self._noise))
            return [self._speech[sentence % len(self._speech)]], [self._noise[recording]]
        turn, part = divmod(i, len(self._sentences))
        clips = [self._sentences[part][turn]]
        for turns in self._further:
            taken = {clip.speaker for clip in clips}
            clips.append(turns.first(i, lambda clip: clip.speaker not in taken))  # noqa: B023 (called at once)
        low, high = self.settings.noise_range
        noises = []
        for slot in range(i * high, i * high + int(rng.integers(low, high + 1))):
            k, _ = self._kinds[slot]
            noises.append(self._recordings[k][slot // len(self._kinds.items)])
        return clips, noises

    def _length(self, clips: list[Clip]) -> int:
        if self.settings.duration_s is not None:
            return max(1, round(self.settings.duration_s * self.sr))
        lengths = [max(1, round(clip.duration_s * self.sr)) for clip in clips]
        return min(lengths) if self.settings.lengths == "min" else max(lengths)

    def _talker(self, clip: Clip, n_samples: int, k: int, rng: np.random.Generator) -> Source:
        spare = round(clip.duration_s * self.sr) - n_samples
        onset = int(rng.integers(spare + 1)) if spare > 0 else 0
        under_db = float(rng.uniform(*self.settings.talker_db)) if k else 0.0
        return Source(clip.path, clip.offset_s, clip.duration_s, onset, under_db, clip.speaker)

    def _recording(self, clip: Clip, n_samples: int, k: int, rng: np.random.Generator) -> Source:
        onset = draw_onset(n_samples, round(clip.duration_s * self.sr), rng)
        under_db = float(rng.uniform(*self.settings.noise_db)) if k else 0.0
        return Source(clip.path, clip.offset_s, clip.duration_s, onset, under_db, clip.kind)

    def _snr(self, i: int, rng: np.random.Generator) -> float:
        if self._snrs is not None:
            return self._snrs[i]
        low, high = tuple(self.settings.snr_db)  # type: ignore[arg-type]
        return round(float(rng.uniform(low, high)), 2)


def draw(
    corpus: Corpus,
    n: int,
    *,
    seed: int = 0,
    start: int = 0,
    seen: Seen | None = None,
    errors: Errors | None = None,
    **settings: Any,
) -> Iterator[MixtureRow]:
    """Draw the rows start ... n - 1 of a manifest, one by one.

    Args:
        corpus: source of the clips.
        n: number of mixtures; the first rows do not depend on it.
        seed: of the drawing.
        start: the first row.
        seen: marks talkers and kinds of noise of a training set.
        errors: called with the error of a row, which is then skipped; None raises it.
        settings: fields of `Settings`.

    Yields:
        rows with their gains, in constant memory.

    Raises:
        InputError: n is negative; as `Drawing` and `Drawing.row`.

    >>> from undin import corpora
    >>> [row.kind for row in draw(corpora.mini(), 2, split="test", kinds=["hum"], snr_db=5.0)]
    ['hum', 'hum']
    """
    if n < 0 or seed < 0:
        raise InputError(f"n and seed must be 0 or more; got n = {n}, seed = {seed}")
    drawing = Drawing(corpus, Settings(**settings), seed=seed, seen=seen)
    for i in range(start, n):
        try:
            row = drawing.row(i)
        except InputError as error:
            if errors is None:
                raise
            errors(error)
        else:
            yield row


def make_manifest(
    corpus: Corpus, *, n: int, seed: int, split: str | None = "test", **settings: Any
) -> list[MixtureRow]:
    """Draw n mixtures of a corpus's speech and noise at once; see `draw` and `Settings`.

    Args:
        corpus, n, seed, split: as in `draw`.
        settings: fields of `Settings`.
    """
    return list(draw(corpus, n, seed=seed, split=split, **settings))


def counts(part: Corpus) -> str:
    """Description of the available clips."""
    numbers = {"utterance": len(part.speech), "recording": len(part.noise)}
    return " and ".join(f"{n} {name}{'s' * (n != 1)}" for name, n in numbers.items()) + " of noise"


def _utterances(part: Corpus, settings: Settings) -> Sequence[Clip]:
    """The utterances to draw from, as the corpus lists them."""
    rows: Sequence[Clip] = part.speech
    if settings.speech_from is not None:
        rows = part.select(corpus=settings.speech_from).speech
    if settings.talkers > 1:
        rows = [clip for clip in rows if clip.speaker]  # whose voice it is must be known
    return rows


def _joined(rows: Sequence[Clip], part: Corpus, settings: Settings) -> list[Clip]:
    """Utterances; short ones are joined, or dropped on request."""
    long_s = settings.duration_s or 0.0
    joined = join_short(rows, max(settings.min_duration_s, long_s))
    if settings.short == "pad":
        return joined
    enough = [clip for clip in joined if clip.duration_s >= long_s]
    if joined and not enough:
        raise InputError(f"no utterance of {part.root} lasts {long_s} s: ask for a shorter duration_s, or short='pad'")
    return enough


def _check_talkers(speech: Sequence[Clip], corpus: Corpus, settings: Settings) -> None:
    speakers, n = {clip.speaker for clip in speech}, settings.talkers
    if len(speakers) < n:
        raise InputError(
            f"{n} talkers need recordings of {n} speakers, each with a label; {where_of(corpus, settings)} has "
            f"{', '.join(sorted(speakers)) or 'none'}{more_speakers(corpus)}"
        )


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
        neighbors = last and (last.path, last.speaker) == (clip.path, clip.speaker) and -0.001 < gap_s <= GAP_S
        if last and neighbors and last.duration_s < min_duration_s:
            duration_s = round(clip.offset_s + clip.duration_s - last.offset_s, 4)
            text = f"{last.text} {clip.text}".strip()
            joined[-1] = dataclasses.replace(last, duration_s=duration_s, text=text)
        else:
            joined.append(clip)
    return joined
