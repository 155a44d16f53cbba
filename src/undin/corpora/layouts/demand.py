"""DEMAND: <KIND>/ch01.wav ... ch16.wav; of the 16 channels the first is taken.

Splits share no kind and fit VoiceBank-DEMAND: its five test kinds are test, its eight train kinds are train, the
others are dev.

Source: Thiemann, Ito, Vincent 2013, doi 10.5281/zenodo.1227121.
"""

from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip

KINDS = {
    "dkitchen": ("kitchen", "train"),
    "dliving": ("living room", "test"),
    "dwashing": ("washing machine", "dev"),
    "nfield": ("field", "dev"),
    "npark": ("park", "dev"),
    "nriver": ("river", "dev"),
    "ohallway": ("hallway", "dev"),
    "omeeting": ("meeting", "train"),
    "ooffice": ("office", "test"),
    "pcafeter": ("cafeteria", "train"),
    "presto": ("restaurant", "train"),
    "pstation": ("station", "train"),
    "scafe": ("cafe", "test"),
    "spsquare": ("public square", "test"),
    "straffic": ("traffic", "train"),
    "tbus": ("bus", "test"),
    "tcar": ("car", "train"),
    "tmetro": ("metro", "train"),
}


def recognize(root: Path) -> bool:
    """Whether a folder with one of its names has a first channel."""
    return bool(_channels(root))


def rows(root: Path) -> Iterator[Clip]:
    """The first channel of every kind."""
    for name, path in _channels(root).items():
        kind, split = KINDS[name]
        yield trees.whole(
            root,
            path,
            split,
            corpus="demand",
            kind=kind,
            licence="CC-BY-SA-3.0",
            source="doi 10.5281/zenodo.1227121",
            original=path.parent.name,
        )


def _channels(root: Path) -> dict[str, Path]:
    """Name -> its first channel, anywhere in its folder (archives unpack to DKITCHEN/ or DKITCHEN_16k/)."""
    found = {}
    for name, folder in trees.folders(root).items():
        if (name := name.split("_")[0]) in KINDS and (paths := sorted(folder.glob("**/ch01.wav"))):
            found[name] = paths[0]
    return found
