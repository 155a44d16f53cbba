"""Folders -> audio files: the contents of a tree."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from undin.audio import AS_M4A, EXTENSIONS, VIDEO_EXTENSIONS
from undin.corpora.trees import is_special

# What a folder is searched for. A file named by the user may have any name: its reader decides.
SUFFIXES = frozenset((*EXTENSIONS, *VIDEO_EXTENSIONS, *AS_M4A))
MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"caff", b".snd", b"ID3")
Identity = tuple[int, int]


def find_audio(
    folder: Path, output: Path | None = None, *, on_error: Callable[[OSError], object] | None = None
) -> Iterator[Path]:
    """Audio files of a tree in the order of their names, without hidden ones and the output folder.

    Linked folders are followed, each once, unless they contain the tree or are inside it. What is not a regular file
    is skipped with a warning.

    Args:
        folder: the root of the tree.
        output: a folder to be left out.
        on_error: called with the error of each folder that cannot be read; without it, the first is raised.
    """
    seen = {found for found in (identity(folder), identity(output) if output else None) if found}
    yield from _walk(folder, folder.resolve(), seen, on_error)


def _walk(
    folder: Path, root: Path, seen: set[Identity], on_error: Callable[[OSError], object] | None
) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        if on_error is None:
            raise
        on_error(error)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry):  # noqa: PTH112 (Path.is_dir raises in folders that cannot be entered)
            found = identity(entry)
            if found and found not in seen and not (entry.is_symlink() and _is_covered(entry.resolve(), root)):
                seen.add(found)
                yield from _walk(entry, root, seen, on_error)
        elif (entry.suffix.lower() in SUFFIXES and not is_special(entry)) or _looks_like_audio(entry):
            yield entry


def _is_covered(home: Path, root: Path) -> bool:
    """Whether a folder is met in the tree at `root` under its own name, or holds the tree."""
    if home.is_relative_to(root):
        return not any(part.startswith(".") for part in home.relative_to(root).parts)
    return root.is_relative_to(home)


def _looks_like_audio(path: Path) -> bool:
    """Whether a file without a suffix is of a format whose first bytes are known."""
    try:
        if path.suffix or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4).startswith(MAGIC)
    except OSError:
        return False


def identity(path: str | Path) -> Identity | None:
    """Device and number of a file: the same through symbolic and hard links and other spellings."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
