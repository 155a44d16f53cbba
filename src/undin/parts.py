"""Files in the making: written beside their place under a hidden name, and given their own when they are whole."""

import contextlib
import glob
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from undin.errors import InputError

PART = re.compile(r"\..+\.(\d+)\.part")  # with the number of the process
OLD_S = 10.0  # no file is written for so long; a younger one may be that of another machine on the same disk


def part_of(path: Path) -> Path:
    """The name under which this process writes a file; the path is that of the file itself, not of a link to it."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def check_folder(path: Path) -> None:
    """Refuse to write where no folder is: a misspelt one is not made.

    Raises:
        InputError: the folder is not there, or is a file.
    """
    folder = path.resolve().parent if path.is_symlink() else path.parent
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{path}: {folder} is a file, not a folder: choose another place")
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}: make it first")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name to write to. It becomes `path` when the block ends; when it fails, what was there before stays.

    Raises:
        InputError: its folder is not there.
    """
    check_folder(path)
    path = path.resolve()  # a link stays one
    part = part_of(path)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def clear_parts(path: Path) -> None:
    """Remove what processes that were killed have left of a file."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if _is_left(part):
            part.unlink(missing_ok=True)


def clear_parts_below(folder: Path) -> None:
    """Remove what processes that were killed have left of any file, in a folder and below."""
    for parent, _, names in os.walk(folder):
        for part in (Path(parent, name) for name in names):
            with contextlib.suppress(OSError):
                if _is_left(part) and time.time() - part.stat().st_mtime > OLD_S:
                    part.unlink(missing_ok=True)


def _is_left(part: Path) -> bool:
    """Whether it is the part of a process that is gone; elsewhere than on POSIX signal 0 does not ask."""
    found = PART.fullmatch(part.name)
    if not found or os.name != "posix":
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
