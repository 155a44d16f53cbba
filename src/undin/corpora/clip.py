"""Clip: a slice of an audio file and its metadata."""

from dataclasses import dataclass, replace
from pathlib import Path

from undin.errors import InputError


@dataclass(frozen=True)
class Clip:
    """One utterance of speech or one recording of noise: a slice of a file, and its metadata.

    Attributes:
        path: the audio file, relative to the corpus.
        offset_s: where the slice starts in it, in seconds.
        duration_s: how long it is, in seconds.
        split: train, dev or test.
        corpus: the collection it comes from.
        speaker: label of the talker; empty for noise.
        gender: F, M or empty.
        language: code such as en; empty for noise.
        text: the transcript, if known.
        kind: kind of noise; empty for speech.
        licence: license of the recording.
        source: its author or device.
        original: its name there.
        noisy_path: file of the same length and offset with this utterance in noise or other talkers.
        active_level_db: level without pauses, dB re full scale (see `audio.active_level_db`); None if not measured.
        bandwidth_hz: its bandwidth; content above is unknown. None: half the sample rate.
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
    bandwidth_hz: float | None = None

    def __post_init__(self) -> None:
        if not self.path:
            raise InputError("path must not be empty")
        if self.offset_s < 0:
            raise InputError(f"offset_s must be 0 or more; got {self.offset_s}")
        if self.duration_s <= 0:
            raise InputError(f"duration_s must be more than 0; got {self.duration_s}")


def moved(clip: Clip, folder: Path) -> Clip:
    """The clip relative to a parent folder; absolute paths are unchanged."""
    noisy_path = (folder / clip.noisy_path).as_posix() if clip.noisy_path else ""
    return replace(clip, path=(folder / clip.path).as_posix(), noisy_path=noisy_path)
