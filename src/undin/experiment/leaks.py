"""Leaks: a voice or a recording that is learned from must not be tested on, nor validated on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from undin.corpora import Clip
from undin.corpora.holdout import groups_of, recording, voice
from undin.errors import InputError

TESTED = "set mix.split and train.split to disjoint splits, or correct the splits of the corpus"
VALIDATED = "leave out train.mixing.split and train.valid.split, or set them to disjoint splits"


@dataclass(frozen=True)
class Taken:
    """The clips that one training takes.

    Attributes:
        learned: those it learns from.
        validated: those it validates on.
    """

    learned: Sequence[Clip]
    validated: Sequence[Clip] = field(default=())


def check(taken: Iterable[Taken], tested: Sequence[Clip], *, known: str | None = None) -> None:
    """Refuse a leak.

    Args:
        taken: what each training takes.
        tested: the clips that are tested on.
        known: a split of theirs whose voices may be known, though its recordings may not; see `corpora.keep_aside`.

    Raises:
        InputError: a voice or a recording is on two sides; the message names it.
    """
    strangers = [clip for clip in tested if clip.split != known]
    for each in taken:
        _check_apart(each.learned, each.validated, ("learned from", "validated on"), VALIDATED)
        for clips, use in ((each.learned, "learned from"), (each.validated, "validated on")):
            _check_apart(clips, tested, (use, "tested on"), TESTED)
            _check_voices(clips, strangers, (use, "tested on"), TESTED)
        named = [clip for clip in (*each.learned, *each.validated) if voice(clip)]
        if len(groups_of(named)) > 1:  # else `hold_out` parts the recordings of the one voice that there is
            _check_voices(each.learned, each.validated, ("learned from", "validated on"), VALIDATED)


def _check_apart(one: Iterable[Clip], other: Iterable[Clip], uses: tuple[str, str], cure: str) -> None:
    known = {recording(clip): clip for clip in one}
    for clip in other:
        if found := known.get(recording(clip)):
            raise _leak(f"the recording {clip.path}", (found, clip), uses, cure)


def _check_voices(one: Iterable[Clip], other: Iterable[Clip], uses: tuple[str, str], cure: str) -> None:
    known = {voice(clip): clip for clip in one if voice(clip)}
    for clip in other:
        if found := known.get(voice(clip)):
            raise _leak(f"the voice {clip.speaker!r}", (found, clip), uses, cure)


def _leak(what: str, clips: tuple[Clip, Clip], uses: tuple[str, str], cure: str) -> InputError:
    (one, other), (first, second) = clips, uses
    return InputError(
        f"{what} is both {first} (split {one.split}) and {second} (split {other.split}): "
        f"no voice or recording may be used for both: {cure}"
    )
