"""Sources of audio: utterances of speech and recordings of noise, listed in tables, read slice by slice.

open(root) -> Corpus(root, rows) -> select(split="test", ...) -> load(row) -> x

    clip.py      Clip, a slice of a file and what is known about it
    corpus.py    Corpus, rows of clips; readers.py: their samples
    layouts/     LAYOUTS, the corpora whose folders are known, a file each; tables: speech.csv and noise.csv, read and
                 written; plain: other folders
    scan.py      scan: a folder -> its clips
    trees.py     what layouts share; headers.py: the lengths of many files
    pack.py      pack: a corpus as one memory-mapped file; packed.py: how it is read
    holdout.py   hold_out: some speakers and recordings of the training split, to validate with; keep_aside: some
                 utterances of some speakers, to test with; few_voices
    contents.py  survey: what is in a corpus, and what is wrong with it; faults.py: in one signal
"""

import os
import warnings
from pathlib import Path

from undin.checks import counted
from undin.copies import cached
from undin.corpora.clip import Clip
from undin.corpora.contents import Survey, survey
from undin.corpora.corpus import Corpus
from undin.corpora.holdout import few_voices, hold_out, keep_aside
from undin.corpora.layouts import LAYOUTS
from undin.corpora.layouts.plain import Role
from undin.corpora.layouts.tables import open_tables, write_tables
from undin.corpora.pack import Packed, check_pack, is_pack_of, pack
from undin.corpora.packed import is_packed, missing_parts, open_pack, packs_in
from undin.corpora.scan import Fault, Scan, scan
from undin.errors import InputError
from undin.store import Store, is_url

__all__ = [
    "LAYOUTS",
    "Clip",
    "Corpus",
    "Fault",
    "Packed",
    "Scan",
    "Survey",
    "check_pack",
    "few_voices",
    "hold_out",
    "is_pack_of",
    "is_packed",
    "keep_aside",
    "mini",
    "open",
    "open_pack",
    "open_tables",
    "pack",
    "scan",
    "survey",
    "write_tables",
]

MINI = Path(__file__).parents[1] / "mini"


def mini() -> Corpus:
    """Open the corpus inside undin: 8 synthetic voices and 10 kinds of noise at 16 kHz.

    Returns:
        its Corpus; see `mini/card.md` in the package for its origin.

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
    """Open a corpus, a folder or a pack: the given one, else that of the variable UNDIN_DATA, else `mini`.

    Join two corpora with `open("LibriSpeech") + open("DEMAND", sr=16000)`.

    Args:
        root: a folder of any layout in LAYOUTS, plain folders included, or of several side by side; a .pack file or its
            URL, or a folder of nothing but such files; None for the default.
        layout: name of the layout; None to detect it.
        role: treat a plain folder as "speech" or "noise", whatever its name.
        sr: resample files of other rates to this rate in Hz; None rejects them on loading.
        mono: average several channels; False rejects them.

    Returns:
        the Corpus with all clips. Unreadable files are skipped with a warning that names them.

    Raises:
        InputError: no such folder, no audio in it, or audio of unknown role (see `scan`); or a
            row of its tables is invalid.
    """
    root = root or os.environ.get("UNDIN_DATA") or MINI
    if is_url(root):
        if not str(root).endswith(".pack"):
            raise InputError(f"{root}: a corpus at a URL must be a pack, NAME.pack: make one with undin pack")
        root = cached(Store(str(root)))
    if packs := _packs(Path(root)):
        if layout or role:
            raise InputError(f"layout and role apply to folders of audio files; {root} contains packs: leave them out")
        if missing := missing_parts(packs):
            warnings.warn(f"{root} is opened without {len(missing)} parts: {', '.join(missing[:3])} ...", stacklevel=2)
        return open_pack(*packs, sr=sr)
    found = scan(root, layout=layout, role=role)
    if found.unreadable:
        first = "; ".join(map(str, found.unreadable[:3]))
        more = ", ..." if len(found.unreadable) > 3 else ""
        warnings.warn(
            f"left out {counted(len(found.unreadable), 'file')} of {root} that cannot be read ({first}{more}): "
            "`undin corpus` lists all",
            stacklevel=2,
        )
    return Corpus(found.root, found.rows, sr=sr, mono=mono)


def _packs(root: Path) -> list[Path]:
    is_folder = os.path.isdir(root)  # noqa: PTH112 (never raises)
    if root.suffix == ".pack" and not is_folder:
        return [root]
    return packs_in(root) if is_folder else []
