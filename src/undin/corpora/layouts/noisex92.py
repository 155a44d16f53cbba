"""NOISEX-92: one .wav per kind of noise, all in one folder.

Each kind is one recording of about 4 minutes, so the splits share no kind: SPLITS says which is where.

Source: Varga and Steeneken 1993.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip
from undin.errors import InputError

TRAIN = ("buccaneer1", "destroyerengine", "factory1", "hfchannel", "leopard", "machinegun", "pink", "white")
DEV = ("buccaneer2", "volvo")
TEST = ("babble", "destroyerops", "f16", "factory2", "m109")
SUFFIXES = (".flac", ".WAV", ".wav", ".mat")
SPLITS = dict.fromkeys(TRAIN, "train") | dict.fromkeys(DEV, "dev") | dict.fromkeys(TEST, "test")


def recognize(root: Path) -> bool:
    """Whether at least five of its names exist, as audio or .mat files."""
    there = set(os.listdir(root))  # noqa: PTH208 (one look instead of sixty)
    return sum(any(kind + suffix in there for suffix in SUFFIXES) for kind in SPLITS) >= 5


def rows(root: Path) -> Iterator[Clip]:
    """One clip per kind; other files of the folder are left out.

    Raises:
        InputError: there are only .mat files.
    """
    found = {kind: path for kind in SPLITS for path in _places(root, kind)[:-1] if path.exists()}
    if not found:
        raise InputError(f"{root} contains NOISEX-92 as .mat, which is not supported: convert it to .wav at 19980 Hz")
    for kind, path in found.items():
        yield trees.whole(root, path, SPLITS[kind], corpus="noisex-92", kind=kind)


def _places(root: Path, kind: str) -> list[Path]:
    return [root / f"{kind}{suffix}" for suffix in SUFFIXES]
