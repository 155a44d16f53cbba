"""VoiceBank-DEMAND: clean_*set_*wav/ next to noisy_*set_*wav/, with the same file names.

The testset is test; the speakers p226 and p287 of the trainset are dev, as is usual.

Source: Valentini-Botinhao 2017, doi 10.7488/ds/2117.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip

CLEAN = re.compile(r"clean_(train|test)set.*")
DEV = ("p226", "p287")


def recognize(root: Path) -> bool:
    """Whether a folder of clean speech has its noisy twin."""
    return bool(_pairs(root))


def rows(root: Path) -> Iterator[Clip]:
    """Every clean utterance, with its noisy version if present."""
    for clean in _pairs(root):
        said = root / (re.sub("clean_|_wav.*", "", clean.name) + "_txt")
        for path in trees.files(clean):
            name = path.relative_to(root).as_posix()
            noisy = re.sub(r"\bclean_", "noisy_", name)
            speaker = path.stem.split("_")[0]
            trained = "dev" if speaker in DEV else "train"
            yield trees.whole(
                root,
                path,
                "test" if clean.name.lower().startswith("clean_test") else trained,
                corpus="voicebank-demand",
                speaker=speaker,
                language="en",
                text=trees.text(said / f"{path.stem}.txt"),
                licence="CC-BY-4.0",
                source="doi 10.7488/ds/2117",
                noisy_path=noisy if (root / noisy).is_file() else "",
            )


def _pairs(root: Path) -> list[Path]:
    """The folders of clean speech that have a noisy twin."""
    names = trees.folders(root)
    return [names[name] for name in names if CLEAN.fullmatch(name) and name.replace("clean_", "noisy_", 1) in names]
