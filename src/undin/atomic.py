"""Files that appear complete or not at all: written under a hidden name in the same folder, then renamed.

The hidden name cannot be guessed, is created exclusively and is never opened again by name. So in a folder that others
write to, no link that they plant makes undin overwrite what it points to. It tells the machine and the process, by
which the next run finds what killed processes have left.
"""

import hashlib
import io
import os
import platform
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

from undin.errors import InputError

PART = re.compile(r"\.undin-([0-9a-f]{8})-(\d+)-[0-9a-f]+\.part")  # machine, process
BOOT = Path("/proc/sys/kernel/random/boot_id")  # of this machine since it started; containers see it too
BEFORE = ContextVar[Callable[[Path, Path], object]]("before", default=lambda part, path: None)
OLD_S = 86_400.0  # another machine has given up a file that it has not written to for so long


def open_part(path: Path) -> tuple[Path, BinaryIO]:
    """Create the hidden file that will become `path`, for reading and writing.

    Raises:
        OSError: it cannot be created, or `path` is too long a name.
    """
    with suppress(FileNotFoundError):
        path.lstat()  # a name that is too long is refused now, not when the file is complete
    part = path.with_name(f".undin-{this_machine()}-{os.getpid()}-{secrets.token_hex(8)}.part")
    try:
        return part, part.open("x+b")  # x: O_CREAT | O_EXCL, which follows no link
    except OSError as error:
        error.filename = str(path)
        raise


def check_folder(path: Path) -> None:
    """Refuse to write where no folder is: a misspelt one is not made.

    Raises:
        InputError: the folder is not there, or is a file.
    """
    folder = path.resolve().parent if path.is_symlink() else path.parent
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{path}: {folder} is a file, not a folder: choose another place")
    if not folder.is_dir():
        raise InputError(f"{path}: no such folder: {folder}; create it first")


@contextmanager
def before_naming(call: Callable[[Path, Path], object]) -> Iterator[None]:
    """Have `call(part, path)` called for every file that gets its name in the block, when it is complete."""
    token = BEFORE.set(call)
    try:
        yield
    finally:
        BEFORE.reset(token)


def give_name(part: Path, path: Path) -> None:
    """Rename a complete file."""
    BEFORE.get()(part, path)
    part.replace(path)


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Have errors of the disk name the file that is written, which that of a full disk does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@overload
def atomic_write(path: Path, mode: Literal["w"] = "w") -> AbstractContextManager[TextIO]: ...
@overload
def atomic_write(path: Path, mode: Literal["wb"]) -> AbstractContextManager[BinaryIO]: ...
@contextmanager  # type: ignore[misc]
def atomic_write(path: Path, mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """Open a file that appears under its name when the block ends; if it fails, the previous file is kept.

    Args:
        path: the file; a link keeps pointing to the file that is written.
        mode: "w" for UTF-8 text with line endings unchanged, "wb" for bytes.

    Raises:
        InputError: its folder is not there.
        OSError: it cannot be written.
    """
    check_folder(path)
    path = path.resolve()
    with naming(path):
        part, file = open_part(path)
        try:
            with file if mode == "wb" else io.TextIOWrapper(file, "utf-8", newline="") as opened:
                yield opened
            give_name(part, path)
        finally:
            part.unlink(missing_ok=True)


def clear_parts(folder: Path, *, below: bool = False) -> None:
    """Remove what killed processes have left half-written in a folder, or also in those below it."""
    for parent, folders, names in os.walk(folder):
        for part in (Path(parent, name) for name in names if name.startswith(".undin-")):
            with suppress(OSError):
                if _is_left(part):
                    part.unlink(missing_ok=True)
        if not below:
            folders.clear()


def _is_left(part: Path) -> bool:
    found = PART.fullmatch(part.name)
    if not found:
        return False
    gone = is_gone(found[1], int(found[2]))
    return time.time() - part.stat().st_mtime > OLD_S if gone is None else gone


def is_gone(machine: str, process: int) -> bool | None:
    """Whether a process has ended; None where that cannot be known, as on another machine.

    Args:
        machine: as `this_machine` there.
        process: its id.
    """
    if machine != this_machine() or os.name != "posix":  # elsewhere than on POSIX signal 0 does not ask
        return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


@cache
def this_machine() -> str:
    """Where process ids mean the same: this machine, and on it this container."""
    try:
        container = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 (a link to no file)
    except OSError:
        container = 0
    try:
        boot = BOOT.read_text()
    except OSError:
        boot = ""
    return hashlib.sha256(f"{platform.node()} {container} {boot}".encode()).hexdigest()[:8]
