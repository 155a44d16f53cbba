"""Shared by all layouts: files and folders in the order of their names, whole-file clips, splits that stay."""

import hashlib
import math
import os
import stat
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from undin.audio import EXTENSIONS, VIDEO_EXTENSIONS
from undin.corpora.clip import Clip
from undin.errors import InputError

SUFFIXES = frozenset((*EXTENSIONS, *VIDEO_EXTENSIONS, ".sph", ".nist", ".wv1", ".wv2"))


def folders(root: Path) -> dict[str, Path]:
    """The folders directly in `root`, by their names in lower case; hidden ones left out."""
    return {path.name.lower(): path for path in _visible(root) if os.path.isdir(path)}  # noqa: PTH112


def files(root: Path) -> Iterator[Path]:
    """Audio files of a tree in the order of their names; hidden ones left out, links to folders followed once.

    Skipped with a warning: files that are not regular, and names that a table cannot store.

    Raises:
        InputError: a folder may not be read.
    """
    seen: set[str] = set()
    for folder, below, names in os.walk(root, followlinks=True, onerror=_refuse):
        if (real := os.path.realpath(folder)) in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122 (5 x faster)
                path = Path(folder, name)
                if not is_special(path) and _is_text(path, root):
                    yield path


def is_special(path: Path) -> bool:
    """Whether this is a named pipe, a device or a socket, from which reading might never end; a warning names it.

    What is not there, as behind a broken link, is not special: its reader says what is wrong.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if found := not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        warnings.warn(f"{path}: skipped: not a regular file", stacklevel=2)
    return found


def _is_text(path: Path, root: Path) -> bool:
    try:
        str(path)[len(str(root)) :].encode()
    except UnicodeEncodeError:
        warnings.warn(f"{path}: skipped: its name is not valid UTF-8: rename it", stacklevel=2)
        return False
    return True


def loose(root: Path) -> list[Path]:
    """Audio files directly in a folder, in the order of their names; hidden ones left out."""
    return [path for path in _visible(root) if path.suffix.lower() in SUFFIXES and os.path.isfile(path)]  # noqa: PTH113


def _visible(root: Path) -> list[Path]:
    """The content of a folder, by name. Uses `os.path`, since `Path` raises without permission."""
    return sorted(path for path in root.iterdir() if not path.name.startswith("."))


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename}: the folder cannot be read: {error.strerror}") from error


def whole(root: Path, path: Path, split: str, **known: str) -> Clip:
    """The clip of a whole file; how long it is is read later, from headers, many at a time.

    Args:
        root: folder of the corpus.
        path: the file in it.
        split: train, dev or test.
        known: other fields of Clip.
    """
    return Clip(path.relative_to(root).as_posix(), 0.0, math.inf, split, **known)  # type: ignore[arg-type]


def split_of(name: str, *, test: bool = True) -> str:
    """Draw a split from a speaker's or recording's name: always the same, independent of the rest of the corpus.

    Args:
        name: the label.
        test: draw 80 % train, 10 % dev, 10 % test; False where the test split is given: 90 % train, 10 % dev.

    >>> [split_of(name) for name in ("anna", "tom", "p226")]
    ['train', 'dev', 'test']
    """
    u = _drawn(name)
    if u < (0.8 if test else 0.9):
        return "train"
    return "dev" if u < 0.9 or not test else "test"


def splits_of(names: Collection[str], *least: tuple[int, int]) -> dict[str, str]:
    """Draw splits as `split_of`, but with few names, make sure that train and test have enough.

    Who was drawn nearest to a split that lacks some is moved to it: another name moves as few as can be.

    Args:
        names: the labels.
        least: how many train and test need, what is best first; the first that there are enough names for is taken.
            Then dev has one too, if there is one left. With too few names for any, all are train.

    >>> splits_of(["anna", "ben", "tom"], (4, 2), (2, 1))
    {'anna': 'train', 'ben': 'train', 'tom': 'test'}
    """
    order = sorted(set(names), key=lambda name: (_drawn(name), name))  # train, then dev, then test
    drawn = Counter(map(split_of, order))
    train, test = next((need for need in least if sum(need) <= len(order)), (len(order), 0))
    dev = min(1, len(order) - train - test)
    n_train = min(max(drawn["train"], train), len(order) - dev - test)
    n_test = min(max(drawn["test"], test), len(order) - dev - n_train)
    n_dev = len(order) - n_train - n_test
    return dict(zip(order, ["train"] * n_train + ["dev"] * n_dev + ["test"] * n_test, strict=True))


def _drawn(name: str) -> float:
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32


def text(path: Path) -> str:
    """Contents of a small text file, or "" if missing."""
    try:
        return "" if is_special(path) else path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def first(*paths: Path) -> Path:
    """The first of these that exists, else the first."""
    return next((path for path in paths if path.exists()), paths[0])


def gender_of(word: str) -> str:
    """F or M from what tables say: f, Female, m, male; "" for anything else.

    >>> gender_of("female"), gender_of("M"), gender_of("")
    ('F', 'M', '')
    """
    return {"f": "F", "female": "F", "m": "M", "male": "M"}.get(word.strip().lower(), "")
