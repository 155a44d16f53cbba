"""WSJ0: si_tr_s, si_dt_05 and si_et_05 with <speaker>/*.wv1 (SPHERE) or *.wav, on discs or not; *spkrinfo.txt.

The far microphone (.wv2) is left out. The discs compress their samples (shorten): decode them with sph2pipe first.

Source: Garofalo et al. 1993, LDC93S6A.
"""

from collections.abc import Iterator
from pathlib import Path

from undin.corpora import trees
from undin.corpora.clip import Clip

SPLITS = {"si_tr_s": "train", "si_dt_05": "dev", "si_et_05": "test"}


def recognize(root: Path) -> bool:
    """Whether one of the three folders exists, up to two levels down."""
    return bool(_folders(root))


def rows(root: Path) -> Iterator[Clip]:
    """Every utterance by the near microphone."""
    genders = _genders(root)
    for folder in _folders(root):
        for path in trees.files(folder):
            is_copied = path.suffix.lower() == ".wv1" and path.with_suffix(".wav").exists()
            if path.suffix.lower() == ".wv2" or is_copied:
                continue
            speaker = path.stem[:3].lower()
            yield trees.whole(
                root,
                path,
                SPLITS[folder.name.lower()],
                corpus="wsj0",
                speaker=speaker,
                gender=genders.get(speaker, ""),
                language="en",
                licence="LDC93S6A",
            )


def _folders(root: Path) -> list[Path]:
    return [folder for name in SPLITS for up in ("", "*/", "*/*/") for folder in sorted(root.glob(up + name))]


def _genders(root: Path) -> dict[str, str]:
    """Speaker -> gender, from lines such as `01L F  ...`."""
    tables = [table for up in ("", "*/", "*/*/") for table in sorted(root.glob(up + "*spkrinfo.txt"))]
    cells = [line.split() for table in tables for line in trees.text(table).splitlines() if not line.startswith(";")]
    return {row[0].lower(): trees.gender_of(row[1]) for row in cells if len(row) > 1}
