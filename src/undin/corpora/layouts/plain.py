"""Plain folders: <speaker>/*.wav, speech/<speaker>/*.wav next to noise/<kind>/*.wav, or files by themselves.

    train, dev, valid, test, ...  a folder of this name says the split; else it is drawn, see below
    noise, noises, backgrounds    contains noise; its kind is the next folder, or the file's name if that says one
    music                         contains noise of that kind
    speech, clean, voices         contains speech
    any other folder              the first one names the talker (or, in noise, the kind)

Speech without a speaker folder has no speaker name: usable for enhancement, not for mixing talkers.

Splits are drawn from names, of speakers or of recordings: 80 % train, 10 % dev, 10 % test, whatever else is there. Of
three or more 2 at least are train and 1 is test; of six speakers or more 4 and 2, so that two can talk at once; then 1
is dev. Folders that state splits take precedence.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from undin.corpora import trees
from undin.corpora.clip import Clip

Role = Literal["speech", "noise"]

# Of how many speakers, utterances without a speaker and recordings of noise train and test consist at least: one or two
# to learn from, as many to validate with, and one or two, who then talk at once, to test with; see `trees.splits_of`.
LEAST = {"speaker": [(4, 2), (2, 1)], "speech": [(2, 1)], "noise": [(2, 1)]}
NOISE = {"noise", "noises", "background", "backgrounds", "music"}
SPEECH = {"speech", "clean", "voice", "voices", "speakers", "wav", "wavs", "audio"}
SPLITS = dict.fromkeys(("train", "training"), "train") | dict.fromkeys(("test", "eval", "evaluation"), "test")
SPLITS |= dict.fromkeys(("dev", "val", "valid", "validation", "development"), "dev")

MUTE = {"audio", "clip", "file", "mix", "mixture", "noisy", "rec", "recording", "sample", "sound", "track", "untitled"}


def recognize(root: Path) -> bool:
    """Whether there is any audio file."""
    return any(True for _ in trees.files(root))


def is_named(path: Path, *, splits: bool = False) -> bool:
    """The role that a folder's name states, speech or noise; or, with `splits`, the split."""
    name = path.resolve().name.lower() if path.name in ("", "..") else path.name.lower()
    return name in NOISE | SPEECH or (splits and name in SPLITS)


def rows(root: Path, role: Role | None = None, among: Iterable[Path] = ()) -> Iterator[Clip]:
    """Every audio file of the tree.

    Args:
        root: the folder.
        role: all of it is speech, or noise; None to go by the names of folders, the root's own included.
        among: folders and files of it that are meant; all when empty.
    """
    here, clips = root.resolve().name.lower(), list[tuple[str, str, Clip]]()  # group, what is drawn by, clip
    for path in (file for each in among or (root,) for file in ((each,) if each.is_file() else trees.files(each))):
        place = path.relative_to(root)
        names = [name.lower() for name in place.parts[:-1]]
        split = next((SPLITS[name] for name in names if name in SPLITS), "")
        labels = [name for name in place.parts[:-1] if name.lower() not in NOISE | SPEECH | SPLITS.keys()]
        if role == "noise" or (role is None and not NOISE.isdisjoint([here, *names])):
            kind = "music" if "music" in [here, *names] else labels[0] if labels else _kind(path.stem)
            clips.append(("noise", place.as_posix(), trees.whole(root, path, split, kind=kind)))
        elif labels:
            clips.append(("speaker", labels[0], trees.whole(root, path, split, speaker=labels[0])))
        else:
            clips.append(("speech", path.stem, trees.whole(root, path, split)))
    drawn = {group: _drawn([clip for clip in clips if clip[0] == group], least) for group, least in LEAST.items()}
    for group, name, clip in clips:
        yield clip if clip.split else replace(clip, split=drawn[group][name])


def _drawn(clips: Sequence[tuple[str, str, Clip]], least: Sequence[tuple[int, int]]) -> dict[str, str]:
    """Name -> split, for files whose folder does not state it."""
    names = [name for _, name, clip in clips if not clip.split]
    if len(names) == len(clips):
        return trees.splits_of(names, *least)
    return {name: trees.split_of(name) for name in names}  # already split by folder: nothing is moved


def _kind(stem: str) -> str:
    """Kind of noise in a recording, from its name.

    >>> _kind("drill_03"), _kind("heavy rain"), _kind("fan.opus"), _kind("007"), _kind("mix-00007")
    ('drill', 'heavy rain', 'fan', 'noise', 'noise')
    """
    name = re.sub(r"[\W_]*\d+$", "", stem.removesuffix(".opus"))
    return "noise" if name.lower() in MUTE | SPLITS.keys() else name or "noise"
