"""LibriSpeech: {train,dev,test}-{clean,other}*/<speaker>/<chapter>/*.flac, *.trans.txt; SPEAKERS.TXT.

The folder above the splits, or one split by itself.

Source: Panayotov et al. 2015, openslr.org/12.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip

SPLIT = re.compile(r"(train|dev|test)-(clean|other)(-\d+)?")


def recognize(root: Path) -> bool:
    """Whether it is, or has, a folder named like a split with speakers' numbers in it."""
    return any(name.isdecimal() for folder in _splits(root).values() for name in trees.folders(folder))


def rows(root: Path) -> Iterator[Clip]:
    """Every utterance of the splits found."""
    for name, folder in _splits(root).items():
        genders = _genders(folder.parent)
        for path in trees.files(folder):
            speaker = path.relative_to(folder).parts[0]
            yield trees.whole(
                root,
                path,
                name.split("-")[0],
                corpus="librispeech",
                speaker=speaker,
                gender=genders.get(speaker, ""),
                language="en",
                text=_transcripts(path.parent).get(path.stem, ""),
                licence="CC-BY-4.0",
                source="openslr.org/12",
                original=Path(name, path.relative_to(folder).parent).as_posix(),  # the chapter, read in one go
            )


def _splits(root: Path) -> dict[str, Path]:
    names = {root.name.lower(): root} | trees.folders(root)
    return {name: folder for name, folder in names.items() if SPLIT.fullmatch(name)}


def _genders(root: Path) -> dict[str, str]:
    """Speaker -> gender, from lines such as `14   | F | train-clean-360  | 25.03 | ...`."""
    lines = trees.text(root / "SPEAKERS.TXT").splitlines()
    cells = [line.split("|") for line in lines if "|" in line and not line.startswith(";")]
    return {speaker.strip(): trees.gender_of(gender) for speaker, gender, *_ in cells}


@lru_cache(maxsize=4)
def _transcripts(chapter: Path) -> dict[str, str]:
    lines = [line for table in sorted(chapter.glob("*.trans.txt")) for line in trees.text(table).splitlines()]
    return dict(line.split(maxsplit=1) for line in lines if " " in line)
