"""Some speakers and recordings of the training split, held out to validate with."""

import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from undin.corpora.clip import Clip
from undin.corpora.corpus import Corpus
from undin.errors import InputError

MOST = 0.25  # of the voices, or of the recordings, at most
TOO_LONG = 10  # times as long as the mean voice: the main voice of a corpus, or a crowd under one label
ENOUGH = 5  # recordings of a voice, some of which can be held out
ASIDE = 0.2  # share of them
WITHOUT_NAMES = 0.1  # share of the speech recordings, where no two speakers have names
ESC50 = re.compile(r"(?:^|/)[1-5]-(\d+)-[A-Z]-\d+\.\w+$")  # fold, freesound number, take, kind


def hold_out(
    corpus: Corpus,
    *,
    seed: int,
    speakers: int = 30,
    least: int = 1,
    noise: float = 0.1,
    split: str = "train",
    to: str = "valid",
    but: Collection[str] = (),
    learned: Collection[str] = (),
) -> Corpus:
    """Give some speakers and recordings of noise another split.

    Clips of one original recording stay on one side, and so do speakers who share one: a recording is what has one
    `source` and `original` (for ESC-50 the number at Freesound, of which several clips may be cut), else the file.

    Args:
        corpus: whose training split is parted.
        seed: draws depend on it and on the clips, not on their order.
        speakers: how many voices; at most a quarter of those with a name, and at least `least`. A label that speaks
            more than ten times as long as the mean (a crowd under one label, or the main voice) stays. Speech without
            names stays too, but where fewer than two speakers are named a tenth of the speech recordings goes instead.
        least: voices that must be held out, where there are as many: as many as talk at once.
        noise: share of the recordings of noise, up to a quarter, at least one recording if more than 0. As long as
            there is a choice, every kind keeps a recording in training.
        split: the one to part.
        to: split for the others.
        but: speakers to keep.
        learned: collections (`Clip.corpus`) that are asked for by name, so that each keeps a voice in training.

    Returns:
        the corpus with all its rows, in their order. Without noise, or without speech, the other is parted alone.

    Raises:
        InputError: the split is empty, or has only one voice or recording; a number is out of range; too few
            voices are left to hold out.

    >>> from undin import corpora
    >>> held = hold_out(corpora.mini(), seed=0).select(split="valid")
    >>> len({clip.speaker for clip in held.speech}), len(held.noise)
    (1, 1)
    """
    if speakers < 0 or seed < 0 or not 0 <= noise <= MOST:
        raise InputError(
            f"speakers and seed must be 0 or more, and noise a share from 0 to {MOST}; got {speakers}, {seed}, {noise}"
        )
    there = {clip.split for clip in corpus.rows}
    if split not in there or to in there:
        found = ", ".join(sorted(there)) or "none"
        raise InputError(f"{corpus.root} must have clips of the split {split} and none of {to}; it has {found}")
    speech = [clip for clip in corpus.speech if clip.split == split]
    noises = [clip for clip in corpus.noise if clip.split == split]
    held = set[Hashable]()
    if speech and speakers:
        held |= _voices(speech, speakers, least, np.random.default_rng([seed, 0]), but, learned)
    if noises and noise:
        held |= _recordings(noises, noise, np.random.default_rng([seed, 1]))
    rows = corpus.rows
    return corpus.with_rows(
        replace(clip, split=to) if clip.split == split and not held.isdisjoint((voice(clip), recording(clip))) else clip
        for clip in rows
    )


def keep_aside(corpus: Corpus, *, seed: int, speakers: int, split: str = "train", to: str = "seen") -> Corpus:
    """Give a fifth of what some speakers of the training split say another split, to test with voices that are known.

    Args:
        corpus: whose training split is parted.
        seed: draws depend on it and on the clips, not on their order.
        speakers: how many, of those with five recordings or more.
        split: the one to part.
        to: split for the others.

    Returns:
        the corpus with all its rows, in their order.

    Raises:
        InputError: there are fewer such speakers, or the corpus has a split of that name already.

    >>> from undin import corpora
    >>> kept = keep_aside(corpora.mini(), seed=0, speakers=2)
    >>> len({clip.speaker for clip in kept.select(split="seen").speech})
    2
    """
    if any(clip.split == to for clip in corpus.rows):
        raise InputError(f"{corpus.root} has clips of the split {to} already: rename that split")
    recordings: dict[str, set[tuple[str, ...]]] = {}
    for clip in corpus.speech:
        if clip.split == split and clip.speaker:
            recordings.setdefault(clip.speaker, set()).add(recording(clip))
    able = sorted(name for name, found in recordings.items() if len(found) >= ENOUGH)
    if len(able) < speakers:
        raise InputError(
            f"the {split} split of {corpus.root} must have {speakers} speakers with at least {ENOUGH} recordings, "
            f"some of which are held out; it has {len(able)}"
        )
    rng, aside = np.random.default_rng([seed, 2]), set[tuple[str, ...]]()
    for k in rng.permutation(len(able))[:speakers]:
        found = sorted(recordings[able[k]])
        aside |= {found[i] for i in rng.permutation(len(found))[: max(1, round(ASIDE * len(found)))]}
    return corpus.with_rows(
        replace(clip, split=to) if clip.split == split and not clip.kind and recording(clip) in aside else clip
        for clip in corpus.rows
    )


def few_voices(corpus: Corpus, n: int, *, seed: int, first: Collection[str] = (), split: str = "train") -> Corpus:
    """Leave only n speakers in a split, `first` and then others in the order drawn; fewer are a part of more.

    Args:
        corpus: whose split is narrowed.
        n: number of speakers to keep.
        seed: of the draw.
        first: speakers to keep in any case.
        split: the one to narrow; other splits are unchanged.

    Raises:
        InputError: it has fewer with a name, or `first` are more.
    """
    names = sorted({clip.speaker for clip in corpus.speech if clip.split == split} - {"", *first})
    order = [*sorted(first), *(names[k] for k in np.random.default_rng([seed, 3]).permutation(len(names)))]
    if not len(first) <= n <= len(order):
        raise InputError(
            f"there must be {max(len(first), 1)} to {len(order)} training speakers from {corpus.root}; got {n}"
        )
    kept = set(order[:n])
    return corpus.with_rows(c for c in corpus.rows if c.kind or c.split != split or c.speaker in kept)


def recording(clip: Clip) -> tuple[str, ...]:
    """The recording a clip was cut from: the same for all clips that share it."""
    if found := ESC50.search(clip.original or clip.path):
        return "freesound", found[1]
    return (clip.source, clip.original) if clip.original else ("", clip.path)


def voice(clip: Clip) -> tuple[str, str, str] | None:
    """The speaker of a clip; None without a label."""
    return ("voice", clip.speaker, "") if clip.speaker and not clip.kind else None


def _voices(
    speech: Sequence[Clip],
    n: int,
    least: int,
    rng: np.random.Generator,
    but: Collection[str],
    learned: Collection[str],
) -> set[Hashable]:
    """The voices to hold out, or recordings where voices have no names."""
    groups = [group for group in groups_of(speech) if "" not in group]
    if len(groups) < 2:
        return _recordings(speech, WITHOUT_NAMES, rng)
    seconds, places = dict[str, float](), dict[str, set[str]]()
    for clip in speech:
        seconds[clip.speaker] = seconds.get(clip.speaker, 0.0) + clip.duration_s
        places.setdefault(clip.speaker, set()).add(clip.corpus)
    lengths = [sum(seconds[name] for name in group) for group in groups]
    limit = TOO_LONG * sum(lengths) / len(lengths)
    able = [group for group, length in zip(groups, lengths, strict=True) if length <= limit and not {*group} & {*but}]
    n = min(n, max(least, int(MOST * len(groups))), len(able))
    left = Counter(place for group in groups for place in _places(group, places))
    held = list[list[str]]()
    for group in (able[k] for k in rng.permutation(len(able))):
        there = _places(group, places)
        if len(held) < n and all(left[place] > 1 for place in there & {*learned}):
            held.append(group)
            left.subtract(there)
    if len(held) < min(n, least):
        raise InputError(
            f"{min(n, least)} for validation cannot be held out, since each of {', '.join(sorted(learned))} must keep "
            "a training speaker: add speakers, or name fewer collections"
        )
    return {("voice", name, "") for group in held for name in group}


def _places(group: Iterable[str], places: Mapping[str, set[str]]) -> set[str]:
    """The collections of these speakers."""
    return set[str]().union(*(places[name] for name in group))


def groups_of(speech: Iterable[Clip]) -> list[list[str]]:
    """Speakers of clips, grouped where they share a recording."""
    first: dict[tuple[str, ...], str] = {}
    group_of: dict[str, list[str]] = {}
    for clip in speech:
        mine = group_of.setdefault(clip.speaker, [clip.speaker])
        theirs = group_of[first.setdefault(recording(clip), clip.speaker)]
        if mine is not theirs:
            theirs += mine
            group_of.update(dict.fromkeys(mine, theirs))
    return sorted(sorted(group) for group in {id(group): group for group in group_of.values()}.values())


def _recordings(clips: Sequence[Clip], share: float, rng: np.random.Generator) -> set[Hashable]:
    """The recordings to hold out; a kind's last one only if nothing else is left."""
    kinds: dict[tuple[str, ...], set[str]] = {}
    for clip in clips:
        kinds.setdefault(recording(clip), set()).add(clip.kind)
    if len(kinds) < 2:
        what = "noise" if clips[0].kind else "speech"
        raise InputError(
            f"at least 2 recordings of {what} are needed, one for training and one for validation; got 1, "
            f"{clips[0].path}: add some"
        )
    left = Counter(kind for each in kinds.values() for kind in each)
    names = sorted(kinds)
    order = [names[k] for k in rng.permutation(len(names))]
    n = min(max(1, round(share * len(order))), max(1, int(MOST * len(order))))
    held = set[Hashable]()
    for name in order:
        if len(held) < n and all(left[kind] > 1 for kind in kinds[name]):
            held.add(name)
            left.subtract(kinds[name])
    return held or {order[0]}
