"""Where sound comes from: utterances of speech and recordings of noise, listed in tables, read slice by slice.

open(root) -> Corpus(root, rows) -> select(split="test", ...) -> load(row) -> x
"""

import os
from pathlib import Path

from undin.corpora.corpus import Clip, Corpus
from undin.corpora.tables import open_tables

__all__ = ["Clip", "Corpus", "mini", "open", "open_tables"]


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
    return open_tables(Path(__file__).parents[1] / "mini")


def open(root: str | os.PathLike[str] | None = None) -> Corpus:
    """Open a corpus folder: the given one, else the one the environment variable UNDIN_DATA names, else `mini`.

    Args:
        root: folder that holds `speech.csv` and `noise.csv`; None for the default.

    Returns:
        the Corpus with every row of both tables.

    Raises:
        InputError: the folder has no such tables, or a row of them is broken.
    """
    root = root or os.environ.get("UNDIN_DATA")
    return open_tables(root) if root else mini()
