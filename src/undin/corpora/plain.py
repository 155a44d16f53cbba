"""Plain folders: <speaker>/*.wav, speech/<speaker>/*.wav beside noise/<kind>/*.wav, or files by themselves.

    train, dev, valid, test, ...  a folder of this name says the split; else it is drawn, by speaker or by recording
    noise, noises, backgrounds    what lies in it is noise: its kind is the next folder, or the file's name
    music                         what lies in it is noise of that kind
    speech, clean, voices         what lies in it is speech
    any other folder              the first one names the talker (or, in noise, the kind)

Speech without a folder of its own has no talker's name: good for enhancement, not for mixing talkers.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from undin.corpora import trees
from undin.corpora.corpus import Clip

Role = Literal["speech", "noise"]

NOISE = {"noise", "noises", "background", "backgrounds", "music"}
SPEECH = {"speech", "clean", "voice", "voices", "speakers", "wav", "wavs", "audio"}
SPLITS = dict.fromkeys(("train", "training"), "train") | dict.fromkeys(("test", "eval", "evaluation"), "test")
SPLITS |= dict.fromkeys(("dev", "val", "valid", "validation", "development"), "dev")


def recognise(root: Path) -> bool:
    """Whether there is any audio file."""
    return any(True for _ in trees.files(root))


def is_named(path: Path, *, splits: bool = False) -> bool:
    """Whether a folder's name says that what lies in it is speech or noise; or, with `splits`, of which split it is."""
    name = path.resolve().name.lower() if path.name in ("", "..") else path.name.lower()
    return name in NOISE | SPEECH or (splits and name in SPLITS)


def rows(root: Path, role: Role | None = None, among: Iterable[Path] = ()) -> Iterator[Clip]:
    """Every audio file of the tree.

    Args:
        root: the folder.
        role: all of it is speech, or noise; None to go by the names of folders, the root's own included.
        among: folders and files of it that are meant; all when empty.
    """
    here = root.resolve().name.lower()
    for path in (file for each in among or (root,) for file in ((each,) if each.is_file() else trees.files(each))):
        place = path.relative_to(root)
        names = [name.lower() for name in place.parts[:-1]]
        split = next((SPLITS[name] for name in names if name in SPLITS), "")
        labels = [name for name in place.parts[:-1] if name.lower() not in NOISE | SPEECH | SPLITS.keys()]
        if role == "noise" or (role is None and not NOISE.isdisjoint([here, *names])):
            kind = "music" if "music" in [here, *names] else labels[0] if labels else _kind(path.stem)
            yield trees.whole(root, path, split or trees.split_of(place.as_posix()), kind=kind)
        else:
            speaker = labels[0] if labels else ""
            yield trees.whole(root, path, split or trees.split_of(speaker or path.stem), speaker=speaker)


def _kind(stem: str) -> str:
    """What a recording is of, from its name.

    >>> _kind("drill_03"), _kind("heavy rain"), _kind("007")
    ('drill', 'heavy rain', 'noise')
    """
    return re.sub(r"[\W_]*\d+$", "", stem) or "noise"
