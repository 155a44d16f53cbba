"""TIMIT: TRAIN|TEST/DR1...DR8/<speaker>/*.WAV (SPHERE or RIFF), *.TXT; upper or lower case.

TEST is test; a tenth of the speakers of TRAIN, drawn by their names, is dev. The sentences SA1 and SA2 are said by all
speakers, of every split: leave them out where the words must be new.

Source: Garofolo et al. 1993, LDC93S1.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip


def recognize(root: Path) -> bool:
    """Whether TRAIN or TEST has the dialect regions DR1 ... DR8."""
    parts = trees.folders(root)
    return any(re.fullmatch("dr[1-8]", name) for part in _parts(parts) for name in trees.folders(parts[part]))


def rows(root: Path) -> Iterator[Clip]:
    """Every utterance once, also if there is a RIFF copy next to the SPHERE file."""
    parts = trees.folders(root)
    for part in _parts(parts):
        for path in trees.files(parts[part]):
            if path.with_name(path.name + ".wav").exists():  # SA1.WAV.wav is a copy of SA1.WAV
                continue
            speaker = path.parent.name
            stem = path.name.split(".")[0]
            said = trees.text(trees.first(*(path.with_name(stem + end) for end in (".TXT", ".txt"))))
            yield trees.whole(
                root,
                path,
                "test" if part == "test" else trees.split_of(speaker.lower(), test=False),
                corpus="timit",
                speaker=speaker,
                gender=trees.gender_of(speaker[:1]),
                language="en",
                text="".join(said.split(maxsplit=2)[2:]),  # behind its first and last sample
                licence="LDC93S1",
            )


def _parts(parts: dict[str, Path]) -> list[str]:
    return [part for part in ("train", "test") if part in parts]
