"""Where sound comes from: utterances of speech and recordings of noise, listed in tables, read slice by slice.

open(root) -> Corpus(root, rows) -> select(split="test", ...) -> load(row) -> x

    corpus.py    Clip, a slice of a file and what is known about it; Corpus, rows of them
    layouts.py   LAYOUTS, the corpora whose folders are known; scan: a folder -> its clips
    tables.py    speech.csv and noise.csv, read and written
    plain.py     folders of one's own; and one file for each of the other layouts
    trees.py     what layouts share; headers.py: the lengths of many files
    contents.py  survey: what is in a corpus, and what is wrong with it; faults.py: in one signal
"""

import os
import warnings
from pathlib import Path

from undin.corpora.contents import Survey, survey
from undin.corpora.corpus import Clip, Corpus
from undin.corpora.layouts import LAYOUTS, Fault, Scan, scan
from undin.corpora.plain import Role
from undin.corpora.tables import open_tables, write_tables

__all__ = [
    "LAYOUTS",
    "Clip",
    "Corpus",
    "Fault",
    "Scan",
    "Survey",
    "mini",
    "open",
    "open_tables",
    "scan",
    "survey",
    "write_tables",
]

MINI = Path(__file__).parents[1] / "mini"


def mini() -> Corpus:
    """Open the corpus that is shipped inside undin: 8 synthetic voices and 10 kinds of noise at 16 kHz.

    Returns:
        its Corpus; `mini/card.md` in the package says how it was made.

    >>> corpus = mini().select(split="test")
    >>> sorted({clip.speaker for clip in corpus.speech})
    ['awb', 'lucia', 'slt']
    >>> corpus.load(corpus.noise[0]).shape
    (96000,)
    """
    return open_tables(MINI)


def open(
    root: str | os.PathLike[str] | None = None,
    *,
    layout: str | None = None,
    role: Role | None = None,
    sr: int | None = None,
    mono: bool = False,
) -> Corpus:
    """Open a corpus folder: the given one, else the one the environment variable UNDIN_DATA names, else `mini`.

    Two of them are one by `open("LibriSpeech") + open("DEMAND", sr=16000)`.

    Args:
        root: a folder of any layout in LAYOUTS, plain folders included; None for the default.
        layout: name of the layout; None to recognise it.
        role: take a plain folder for "speech" or for "noise", whatever its name.
        sr: resample what has another rate, Hz; None refuses it when it is loaded.
        mono: take the mean of several channels; False refuses them.

    Returns:
        the Corpus with every clip that is there. Files that cannot be read are left out with a warning that names them.

    Raises:
        InputError: there is no such folder, no sound in it, or a row of its tables is broken.
    """
    root = root or os.environ.get("UNDIN_DATA") or MINI
    found = scan(root, layout=layout, role=role)
    if found.unreadable:
        first = "; ".join(f"{path}: {reason}" for path, reason in found.unreadable[:3])
        more = ", ..." if len(found.unreadable) > 3 else ""
        warnings.warn(
            f"{len(found.unreadable)} files of {root} cannot be read and are left out ({first}{more}): "
            "`undin corpus` lists them all",
            stacklevel=2,
        )
    return Corpus(found.root, found.rows, sr=sr, mono=mono)
