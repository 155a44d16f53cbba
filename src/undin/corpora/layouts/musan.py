"""MUSAN: {speech,music,noise}/<source>/*.wav with ANNOTATIONS; music is noise of the kind music.

A file of speech counts as one talker, named after it. There are no official splits: they are drawn by file.

Source: Snyder, Chen, Povey 2015, openslr.org/17.
"""

from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip

SOURCES = {"speech": {"librivox", "us-gov"}, "music": {"fma", "jamendo", "hd-classical"}, "noise": {"free-sound"}}
LANGUAGES = {"english": "en", "german": "de", "spanish": "es", "french": "fr", "italian": "it", "russian": "ru"}


def recognize(root: Path) -> bool:
    """Whether its three folders exist and contain one of its sources."""
    there = trees.folders(root)
    return there.keys() >= SOURCES.keys() and any(
        not names.isdisjoint(trees.folders(there[part])) for part, names in SOURCES.items()
    )


def rows(root: Path) -> Iterator[Clip]:
    """Every file of speech, then of music, then of noise."""
    for part in SOURCES:
        for source in trees.folders(root / part).values():
            notes = _notes(source)
            for path in trees.files(source):
                known = {"kind": part} if part != "speech" else _about(path.stem, notes.get(path.stem, []))
                split = trees.split_of(path.stem)
                yield trees.whole(root, path, split, corpus="musan", source="openslr.org/17", **known)


def _notes(folder: Path) -> dict[str, list[str]]:
    """File -> the words behind its name in ANNOTATIONS."""
    lines = [line.split() for line in trees.text(folder / "ANNOTATIONS").splitlines()]
    return {words[0]: words[1:] for words in lines if words}


def _about(stem: str, words: list[str]) -> dict[str, str]:
    gender, language, *_ = [*words, "", ""]
    return {
        "speaker": stem,
        "gender": trees.gender_of(gender),
        "language": LANGUAGES.get(language.lower(), language.lower()),
    }
