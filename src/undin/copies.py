"""Copies on this machine of what is at URLs: fetched once for all processes, or written here and put there."""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from undin.atomic import PART, open_part
from undin.errors import InputError
from undin.store import Entry, Folder, Store, is_url

SAVE_S = 30.0


def cache_folder() -> Path:
    """Where copies of remote files are kept on this machine: $UNDIN_CACHE, or undin in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("UNDIN_CACHE") or Path(home, "undin"))


def cached(store: Store, name: str = "") -> Path:
    """The copy of a file on this machine, fetched once for all processes; again when it was written again.

    Args:
        store: where it is.
        name: below its URL; "" is the URL itself.

    Raises:
        InputError: no such file.
    """
    entry = store.find(name)
    if entry is None:
        raise InputError(f"{store.at(name)}: no such file: check the spelling and the folder you are in")
    digest = hashlib.sha256(f"{store.at(name)} {entry.size} {entry.version}".encode()).hexdigest()[:32]
    place = cache_folder() / digest / store.at(name).rpartition("/")[2]
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with _one_process(place.with_name(".lock")):
        if not place.exists():
            part, file = open_part(place)
            file.close()
            try:
                store.fetch(name, part, entry.size)
                part.replace(place)
            finally:
                part.unlink(missing_ok=True)
    return place


@contextmanager
def _one_process(lock: Path) -> Iterator[None]:
    """Let one process of this machine in at a time, where the system can; it lets the next in when it dies."""
    with lock.open("w") as file:
        with suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def placed(output: str, keep: Sequence[str] = ()) -> Iterator[Path]:
    """A folder to write to that becomes a URL's content, also after an error; a path is given as it is.

    Args:
        output: a path, or the URL of a folder.
        keep: files that are fetched from there first, where they are; they go there too when they are removed here.
    """
    if not is_url(output):
        yield Path(output)
        return
    store = Store(output)
    with TemporaryDirectory(prefix="undin-") as name:
        folder = Path(name)
        for each in keep:
            if store.find(each):
                store.fetch(each, folder / each)
        before = _states(folder)
        try:
            yield folder
        finally:
            after = _states(folder)
            for each, state in after.items():
                if before.get(each) != state:
                    store.put(each, folder / each)
            for each in set(keep) - after.keys():  # also what a `Saver` has put
                store.remove(each)


def _states(folder: Path) -> dict[str, Entry]:
    """All complete files below a folder, by their names."""
    return {entry.name: entry for entry in Folder(folder).files() if not PART.search(entry.name)}


class Saver:
    """Puts a growing file to a store now and then, so that a crash loses little; at most a twentieth of the time.

    Args:
        store: where to.
        name: of the file there.
        file: on the disk.
    """

    def __init__(self, store: Store, name: str, file: Path) -> None:
        self._put, self._due = partial(store.put, name, file), time.monotonic() + SAVE_S

    def __call__(self) -> None:
        """The file has grown."""
        start = time.monotonic()
        if start >= self._due:
            with suppress(OSError):  # it is put once more at the end
                self._put()
            self._due = time.monotonic() + max(SAVE_S, 20 * (time.monotonic() - start))
