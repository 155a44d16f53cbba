"""Random crops of speech and noise for examples: sampling of clips and of positions in them.

voice    in proportion to the square root of how long it speaks: between evenly by voice and evenly by second. One with
         a hundred times as much speech is drawn ten times as often. Speech without a name is a voice for each file.
         Every utterance of a crowd is one, and together they are drawn as if each who spoke had spoken for a minute.
speech   of a voice an utterance, in proportion to its length, and of that a random crop; where it is shorter than the
         example, others of that voice follow, each once, with 0.1 to 0.5 s between. What is left then stays silent.
noise    every kind equally often; of a kind a recording, by the square root of its length; of that a random crop, with
         shorter ones going around and around.

A crop from a pause, 40 dB below the active level of its clip, is drawn again.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from undin.audio import rms_db
from undin.corpora import Clip, Corpus
from undin.errors import InputError
from undin.mixing.draw import counts
from undin.mixing.mix import Samples, cut, draw_onset
from undin.mixing.settings import Settings, more_speakers, where_of

Item = TypeVar("Item")

GAP_S = (0.1, 0.5)  # between utterances, and at most before the first
FADE_S = 0.005  # at the ends of utterances that are joined
PAUSE_DB = 40.0  # under the active level of its clip a crop counts as silent
SILENT_DB = -100.0  # as does one of a clip whose level is not known
TRIES = 50  # to find sound
CROWD_S = 60.0  # that each of a crowd is taken to speak for


class Crop(NamedTuple):
    """Samples of a clip (or of several of one voice), (n_samples,).

    Attributes:
        samples: float32.
        bandwidth_hz: where their own sound ends, Hz; at most half the sample rate.
        onset: where they start in the recording, in samples.
    """

    samples: Samples
    bandwidth_hz: float
    onset: int = 0


class Crops:
    """Draws speech and noise of one length.

    Args:
        corpus: source of the clips.
        settings: which of them, and how long; see `Examples`.

    Raises:
        InputError: as `Examples`.
    """

    def __init__(self, corpus: Corpus, settings: Settings) -> None:
        if settings.duration_s is None:
            raise InputError("examples must have one length: set duration_s, in seconds")
        part = corpus if settings.split is None else corpus.select(split=settings.split)
        noise = part.select(kind=settings.kinds).noise if settings.kinds is not None else part.noise
        speech = part.select(corpus=settings.speech_from).speech if settings.speech_from is not None else part.speech
        where = where_of(corpus, settings)
        if not speech or (settings.noise_range[1] and not noise):
            raise InputError(f"{where} must have speech, and noise unless noises=0; got {counts(part)}")
        self.corpus, self.sr = corpus, corpus.sr
        self.n_samples = max(1, round(settings.duration_s * self.sr))
        self._voices = _voices(speech, settings, settings.duration_s, corpus)
        self._kinds = [_by_root(clips) for _, clips in sorted(_grouped(noise, lambda clip: clip.kind).items())]

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Every clip that is drawn from."""
        return tuple(clip for group in (*self._voices.items, *self._kinds) for clip in group.items)

    @property
    def has_noise(self) -> bool:
        """Whether there is any."""
        return bool(self._kinds)

    def voice(self, taken: Sequence[int], rng: np.random.Generator) -> int:
        """Draw the number of a voice that is not taken, if there is one."""
        for _ in range(TRIES):
            if (voice := self._voices.place(rng)) not in taken:
                return voice
        free = [k for k in range(len(self._voices.items)) if k not in taken] or [voice]
        return free[int(rng.integers(len(free)))]

    def speech(self, voice: int, rng: np.random.Generator) -> Crop:
        """n_samples of a voice that are not silent."""
        clips = self._voices.items[voice]
        for _ in range(TRIES):
            first = clips.place(rng)
            x = self._utterances(clips.items, first, rng)
            if _is_heard(x, clips.items[first]):
                return Crop(x, min(map(self._bandwidth_hz, clips.items)))
        raise InputError(f"{clips.items[0].path} is silent in every crop tried: remove it from the corpus")

    def _utterances(self, clips: Sequence[Clip], first: int, rng: np.random.Generator) -> Samples:
        """A crop of one utterance, or several behind one another."""
        n, n_first = self.n_samples, self._length(clips[first])
        if n_first >= n:
            return self._read(clips[first], int(rng.integers(n_first - n + 1)), n)
        y = np.zeros(n, np.float32)
        low, high = (round(gap_s * self.sr) for gap_s in GAP_S)
        at = int(rng.integers(min(high, n - n_first) + 1))
        for k in (first, *(k for k in rng.permutation(len(clips)).tolist() if k != first)):
            length = min(self._length(clips[k]), n - at)
            y[at : at + length] = faded(self._read(clips[k], 0, length), round(FADE_S * self.sr))
            at += length + int(rng.integers(low, high + 1))
            if at >= n:
                break
        return y

    def noise(self, rng: np.random.Generator, fill_band: float = 0.0) -> Crop:
        """n_samples of a noise that are not silent.

        Args:
            rng: draws.
            fill_band: probability that a recording of half the bandwidth or less is played as many times as fast as
                brings its sound up to sr / 2; taking every second or third sample then loses nothing.
        """
        for _ in range(TRIES):
            recordings = self._kinds[int(rng.integers(len(self._kinds)))]
            clip = recordings.items[recordings.place(rng)]
            bandwidth_hz, factor = self._bandwidth_hz(clip), 1
            if fill_band and (most := int(self.sr / 2 / bandwidth_hz)) > 1 and rng.random() < fill_band:
                factor = int(rng.integers(2, most + 1))
            n, length = factor * self.n_samples, self._length(clip)
            onset = draw_onset(n, length, rng)
            x = self._read(clip, onset, n) if length >= n else cut(self._read(clip, 0, length), n, onset)
            if _is_heard(x := x[::factor], clip):
                return Crop(x, factor * bandwidth_hz, onset)
        raise InputError(f"{clip.path} and {TRIES - 1} other noises are silent: remove such recordings from the corpus")

    def _bandwidth_hz(self, clip: Clip) -> float:
        return min(clip.bandwidth_hz or self.sr / 2, self.sr / 2)

    def _length(self, clip: Clip) -> int:
        return round(clip.duration_s * self.sr)

    def _read(self, clip: Clip, start: int, length: int) -> Samples:
        """Samples of a clip; tables may round its end up by one, which is then silent.

        Nothing beyond the clip is asked for, to which another rate's rounding would reach: a pack does not have it.
        """
        offset_s = max((round(clip.offset_s * self.sr) + start) / self.sr, clip.offset_s)
        duration_s = min(length / self.sr, clip.offset_s + clip.duration_s - offset_s)
        x = self.corpus.read(clip.path, offset_s, max(duration_s, 0.0))
        return x if len(x) == length else np.pad(x, (0, length - len(x)))


class _Weighted(Generic[Item]):
    """Items that are drawn in proportion to their weights."""

    def __init__(self, items: Sequence[Item], weights: Iterable[float]) -> None:
        self.items = items
        self._ends = np.cumsum(list(weights))

    def place(self, rng: np.random.Generator) -> int:
        """Draw the place of one."""
        place = int(self._ends.searchsorted(rng.random() * self._ends[-1], side="right"))
        return min(place, len(self.items) - 1)


def _by_root(clips: Sequence[Clip]) -> _Weighted[Clip]:
    return _Weighted(clips, (math.sqrt(clip.duration_s) for clip in clips))


def _voices(
    speech: Iterable[Clip], settings: Settings, duration_s: float, corpus: Corpus
) -> _Weighted[_Weighted[Clip]]:
    """Voices by the square root of their length, each with its utterances by their length."""

    def name_of(clip: Clip) -> str:
        if clip.corpus in settings.crowds:
            return f"\0{clip.path}\0{clip.offset_s}"
        return clip.speaker or ("" if settings.talkers > 1 else f"\0{clip.path}")

    found = _grouped(speech, name_of)
    found.pop("", None)  # mixing several talkers requires speaker names
    lengths_s = {name: sum(clip.duration_s for clip in clips) for name, clips in found.items()}
    if settings.short == "drop":
        found = {name: clips for name, clips in found.items() if lengths_s[name] >= duration_s}
    if len(found) < settings.talkers:
        enough = f" who speak for {duration_s:g} s" if settings.short == "drop" else ""
        names = f" ({', '.join(found)})" if found and settings.talkers > 1 else ""
        cure = more_speakers(corpus) if settings.talkers > 1 else ": add some"
        where = where_of(corpus, settings)
        raise InputError(f"{where} must have {settings.talkers} voices{enough}; got {len(found)}{names}{cure}")

    def weight_of(name: str, clips: Sequence[Clip]) -> float:
        if clips[0].corpus in settings.crowds:
            return lengths_s[name] / math.sqrt(CROWD_S)
        return math.sqrt(lengths_s[name])

    voices = [_Weighted(clips, (clip.duration_s for clip in clips)) for clips in found.values()]
    return _Weighted(voices, (weight_of(name, clips) for name, clips in found.items()))


def _grouped(clips: Iterable[Clip], key: Callable[[Clip], str]) -> dict[str, list[Clip]]:
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(key(clip), []).append(clip)
    return groups


def _is_heard(x: Samples, clip: Clip) -> bool:
    known = clip.active_level_db
    return rms_db(x) > (SILENT_DB if known is None else max(known - PAUSE_DB, SILENT_DB))


def faded(x: Samples, n: int) -> Samples:
    """x (n_samples,), which may be written to, with its ends faded."""
    n = min(n, len(x) // 2)
    ramp = (np.arange(n, dtype=np.float32) + 0.5) / np.float32(max(n, 1))
    x[:n] *= ramp
    x[len(x) - n :] *= ramp[::-1]
    return x
