"""What mixtures are drawn like."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from undin.audio import MOST_TALKERS
from undin.checks import Positive, Range, Share, check, check_fields
from undin.corpora import Corpus
from undin.corpora.corpus import SPLIT_IS_SET
from undin.errors import InputError
from undin.mixing.manifest import SnrOver

Snr = float | tuple[float, float] | Sequence[float]
MOST_NOISES = 3  # in one mixture


@dataclass(frozen=True)
class Settings:
    """Settings of random mixtures; ranges are (low, high), drawn uniformly.

    Attributes:
        snr_db: a tuple (low, high), drawn to 0.01 dB; a list of values used in turn; or a number.
        snr_over: measure the level of the speech over the complete "clip" or over its "active" parts (ITU-T P.56).
        talkers: number of simultaneous talkers, 1 to 4.
        talker_db: level of further talkers below the first, range in dB.
        lengths: talkers together last as long as the shortest ("min", the others are cropped) or the longest ("max",
            the others fall silent).
        noises: number of simultaneous noises, 0 to 3, or a range; None for 1 with one talker and 0 with more.
        noise_db: level of further noises below the first, range in dB.
        every_noise: pair each utterance with every recording instead of drawing: row i takes utterance
            i // n_recordings and recording i % n_recordings. For one talker and one noise.
        kinds: of noise; all when None.
        split: train, dev or test, of speech and noise; None for all. Several splits give their speech in
            turn, and all of their noise.
        speech_from: collections (`Clip.corpus`) to take speech from; all when None.
        crowds: collections of many people whose names are not known, or one name for all of them: in examples each of
            their utterances counts as a separate voice.
        twice: examples 2 k and 2 k + 1 have the same talkers, at the same speed and pitch: a network that learns to
            recognize voices needs talkers who return.
        level_db: RMS of the mixture in dB re full scale, range; None keeps the level of the first talker.
        duration_s: of every mixture; longer utterances are cropped, shorter ones padded. None: that of the speech.
        short: what to do with utterances shorter than duration_s: "pad" or "drop" them.
        min_duration_s: shorter utterances are joined with the next of the same speaker in the same file.
        rooms: share of the mixtures in a random simulated room, 0 to 1; needs the extra `rooms`.
        rt60_s: reverberation time, range in seconds.
        reference: which reflections the reference contains: "early" reflections, up to 50 ms, or none ("dry").
    """

    snr_db: Snr = (-5.0, 15.0)
    snr_over: SnrOver = "clip"
    talkers: Annotated[int, ">= 1", f"<= {MOST_TALKERS}"] = 1
    talker_db: Range = (0.0, 5.0)
    lengths: Literal["min", "max"] = "min"
    noises: int | tuple[int, int] | None = None
    noise_db: Range = (0.0, 0.0)
    every_noise: bool = False
    kinds: Sequence[str] | None = None
    split: str | Sequence[str] | None = None
    speech_from: Sequence[str] | None = None
    crowds: Sequence[str] = ()
    twice: bool = False
    level_db: Range | None = None
    duration_s: Positive | None = None
    short: Literal["pad", "drop"] = "pad"
    min_duration_s: float = 2.5
    rooms: Share = 0.0
    rt60_s: Annotated[Range, ">= 0.1"] = (0.2, 0.6)
    reference: Literal["early", "dry"] = "early"

    def __post_init__(self) -> None:
        check_fields(self)
        low, high = self.noise_range
        if not 0 <= low <= high <= MOST_NOISES:
            raise InputError(f"noises must be 0 to {MOST_NOISES}, or a range of these; got {self.noises!r}")
        if self.every_noise and (self.talkers, low, high) != (1, 1, 1):
            raise InputError("every_noise is for one talker and one noise")
        if isinstance(self.snr_db, tuple):
            check("snr_db", self.snr_db, Range)
        elif isinstance(self.snr_db, Sequence) and not self.snr_db:
            raise InputError("snr_db must contain at least one value; got an empty list")

    @property
    def noise_range(self) -> tuple[int, int]:
        """Minimum and maximum number of simultaneous noises."""
        if self.noises is None:
            return (1, 1) if self.talkers == 1 else (0, 0)
        return (self.noises, self.noises) if isinstance(self.noises, int) else (self.noises[0], self.noises[1])


def where_of(corpus: Corpus, settings: Settings) -> str:
    """What mixtures are drawn from, in words."""
    return f"the {settings.split} split of {corpus.root}" if settings.split else str(corpus.root)


def more_speakers(corpus: Corpus) -> str:
    """How many there are, and how there can be more, for the end of an error."""
    return f" (speakers: {corpus.voices}): add others, each in a separate folder, or change the split: {SPLIT_IS_SET}"
