"""ESC-50: audio/*.wav and meta/esc50.csv; folds 1-3 are train, 4 is dev, 5 is test.

The collection is CC BY-NC 3.0. LICENSE names the license of every clip's own source, and that is given here.

Source: Piczak 2015, github.com/karolpiczak/ESC-50.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip
from undin.errors import InputError

SPLITS = {"1": "train", "2": "train", "3": "train", "4": "dev", "5": "test"}
COLUMNS = {"filename", "fold", "category"}


def recognize(root: Path) -> bool:
    """Whether its table exists."""
    return (root / "meta" / "esc50.csv").is_file()


def rows(root: Path) -> Iterator[Clip]:
    """Every clip of the table.

    Raises:
        InputError: the table lacks a column.
    """
    licenses = dict(re.findall(r"^- \[([\w-]+)\.\w+\]:.*\[([^\]]+)\]\s*$", trees.text(root / "LICENSE"), re.MULTILINE))
    table = root / "meta" / "esc50.csv"
    with table.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            if missing := COLUMNS - row.keys():
                raise InputError(f"{table}: column {', '.join(sorted(missing))} is missing")
            path = root / "audio" / row["filename"]
            name = path.stem.rsplit("-", 1)[0]  # LICENSE leaves out the number of the category
            yield trees.whole(
                root,
                path,
                SPLITS.get(row["fold"], "train"),
                corpus="esc-50",
                kind=row["category"],
                licence=licenses.get(name, "CC-BY-NC-3.0"),
                source=f"freesound {row['src_file']}" if row.get("src_file") else "",
            )
