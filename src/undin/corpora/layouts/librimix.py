"""LibriMix and WSJ0-2mix: <rate>/<min|max>/<split>/{s1,s2,...,mix_clean,mix_both,noise}/*.wav; metadata/*.csv.

Every source is an utterance whose noisy twin is the mixture: mix_clean, else mix_both or mix. Where several
rates and lengths are there, the highest rate and `min` (cut to the shorter talker) are taken: name a folder further
down for another. Genders come from the metadata with columns speaker_ID and sex, which LibriMix brings for LibriSpeech.

Source: Cosentino et al. 2020, arXiv 2005.11262; Hershey et al. 2016.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip

SPLITS = {"tr": "train", "cv": "dev", "tt": "test"}  # WSJ0-2mix
MIXES = ("mix_clean", "mix_both", "mix")


def recognize(root: Path) -> bool:
    """Whether s1 and s2 are next to a folder of mixtures, up to three folders down."""
    return bool(_sets(root))


def rows(root: Path) -> Iterator[Clip]:
    """Every source of every mixture, then the noise."""
    genders = _genders(root)
    for folder in _sets(root):
        name = folder.name.lower()
        split = SPLITS.get(name, name.split("-")[0])
        mix = next((each for each in MIXES if (folder / each).is_dir()), "")
        for source in sorted(folder.glob("s[1-9]")):
            for path in trees.files(source):
                speaker = _speaker(path.stem, int(source.name[1]) - 1)
                twin = folder / mix / path.name
                yield trees.whole(
                    root,
                    path,
                    split,
                    corpus="librimix" if "-" in path.stem.split("_")[0] else "wsj0-mix",
                    speaker=speaker,
                    gender=genders.get(speaker, ""),
                    language="en",
                    noisy_path=twin.relative_to(root).as_posix() if mix and twin.is_file() else "",
                )
        for path in trees.files(folder / "noise") if (folder / "noise").is_dir() else ():
            yield trees.whole(root, path, split, corpus="librimix", kind="wham")


def _sets(root: Path) -> list[Path]:
    """Folders that hold s1, s2 and mixtures, of one rate and length."""
    for up in ("", "*/", "*/*/", "*/*/*/"):
        found = sorted(s1.parent for s1 in root.glob(up + "s1") if s1.with_name("s2").is_dir())
        if found := [folder for folder in found if any(folder.glob("mix*"))]:
            best = max((folder.parent for folder in found), key=_worth)
            return [folder for folder in found if folder.parent == best]
    return []


def _worth(folder: Path) -> tuple[int, bool]:
    rates = re.findall(r"wav(\d+)k", folder.as_posix())
    return int(rates[-1]) if rates else 0, folder.name == "min"


def _speaker(stem: str, i: int) -> str:
    """Talker i of 4077-13754-0001_5142-33396-0065 or 011a0101_1.3_02ma0101_-1.3, with gains in dB in between."""
    names = [part for part in stem.split("_") if not re.fullmatch(r"-?\d+\.?\d*", part)]
    name = names[i] if i < len(names) else ""
    return name.split("-")[0] if "-" in name else name[:3]


def _genders(root: Path) -> dict[str, str]:
    genders = {}
    for table in sorted({*root.glob("metadata/**/*.csv"), *root.glob("*.csv")}):
        with table.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                if not {"speaker_ID", "sex"} <= row.keys():
                    break
                genders[row["speaker_ID"]] = trees.gender_of(row["sex"])
    return genders
