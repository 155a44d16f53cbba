"""VCTK: wav48_silence_trimmed/<speaker>/*_mic1.flac, or wav48/<speaker>/*.wav; txt/<speaker>/*.txt; speaker-info.txt.

Of two microphones the first is used. There are no official splits: they are drawn by speaker. Speakers read partly
the same sentences.

Source: Yamagishi et al. 2019, doi 10.7488/ds/2645 (version 0.92).
"""

from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip

SOUND = ("wav48_silence_trimmed", "wav48")


def recognize(root: Path) -> bool:
    """Whether one of the audio folders exists."""
    return any(name in trees.folders(root) for name in SOUND)


def rows(root: Path) -> Iterator[Clip]:
    """Every utterance by its first microphone."""
    sound = trees.first(*(root / name for name in SOUND))
    genders = _genders(root)
    for path in trees.files(sound):
        speaker, stem = path.parent.name, path.stem.removesuffix("_mic1")
        if stem.endswith("_mic2"):
            continue
        yield trees.whole(
            root,
            path,
            trees.split_of(speaker),
            corpus="vctk",
            speaker=speaker,
            gender=genders.get(speaker, ""),
            language="en",
            text=trees.text(root / "txt" / speaker / f"{stem}.txt"),
            licence="CC-BY-4.0" if sound.name == SOUND[0] else "ODC-By-1.0",
            source="doi 10.7488/ds/2645" if sound.name == SOUND[0] else "doi 10.7488/ds/1994",
        )


def _genders(root: Path) -> dict[str, str]:
    """Speaker -> gender, from lines such as `p225  23  F    English  ...`; older versions leave out the p."""
    cells = [line.split() for line in trees.text(root / "speaker-info.txt").splitlines()[1:]]
    known = {row[0]: trees.gender_of(row[2]) for row in cells if len(row) > 2}
    return known | {f"p{speaker}": gender for speaker, gender in known.items() if speaker.isdecimal()}
