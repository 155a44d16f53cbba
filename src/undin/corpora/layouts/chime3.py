"""CHiME-3 backgrounds: data/audio/16kHz/backgrounds/BGD_<session>_<n>_<PLACE>.CH1.wav ... CH6.wav.

Of the channels the lowest that is there is taken. Splits are drawn by session. The speech of CHiME-3 is not listed.

Source: Barker et al. 2015.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip

HOMES = ("", "backgrounds", "audio/16kHz/backgrounds", "data/audio/16kHz/backgrounds")
NAME = re.compile(r"(BGD_(\w+)_\w+_([A-Z]{3}))\.CH(\d)\.wav")
KINDS = {"BUS": "bus", "CAF": "cafe", "PED": "pedestrian area", "STR": "street"}


def recognize(root: Path) -> bool:
    """Whether it is the folder of backgrounds or one of those above it."""
    return any(any((root / home).glob("BGD_*.CH?.wav")) for home in HOMES)


def rows(root: Path) -> Iterator[Clip]:
    """Every recording by one channel."""
    folder = next(root / home for home in HOMES if any((root / home).glob("BGD_*.CH?.wav")))
    seen = set()
    for path in sorted(folder.glob("BGD_*.CH?.wav")):
        match = NAME.fullmatch(path.name)
        if match and match[1] not in seen:
            seen.add(match[1])
            kind = KINDS.get(match[3], match[3].lower())
            yield trees.whole(root, path, trees.split_of(match[2]), corpus="chime-3", kind=kind)
