"""MS-SNSD: clean_train, clean_test, noise_train, noise_test with flat .wav files; noise is named <Kind>_<n>.wav.

A tenth of the files of train, drawn by their names, is dev. Talkers are not labeled.

Source: Reddy et al. 2019, github.com/microsoft/MS-SNSD.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip

PARTS = ("clean_train", "clean_test", "noise_train", "noise_test")


def recognize(root: Path) -> bool:
    """Whether both noise folders, or both clean-speech folders, exist."""
    names = trees.folders(root)
    return any(f"{part}_train" in names and f"{part}_test" in names for part in ("clean", "noise"))


def rows(root: Path) -> Iterator[Clip]:
    """Every file of the four folders."""
    names = trees.folders(root)
    for part in PARTS:
        for path in trees.files(names[part]) if part in names else ():
            split = "test" if part.endswith("test") else trees.split_of(path.stem, test=False)
            known = {"kind": re.sub(r"_\d+$", "", path.stem)} if part.startswith("noise") else {"language": "en"}
            yield trees.whole(root, path, split, corpus="ms-snsd", source="github.com/microsoft/MS-SNSD", **known)
