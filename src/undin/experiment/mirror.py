"""A run folder at a URL: stages work in a folder of this machine, whose files are put there as they become complete.

What a stage needs is fetched when it begins. `stages.json` is not mirrored but read and written there: a stage is begun
before its first file is put and finished after its last. So what is there is at all times what a local run that was
killed would leave, and a run resumes from it on any machine.
"""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from undin import copies
from undin.atomic import PART
from undin.claims import claim
from undin.errors import InputError
from undin.experiment.lock import RANKS
from undin.store import Entry, Folder, Store

CLAIM, TABLES = ".undin-run", (".csv", ".journal")
SCRATCH = "kept.f32"  # mixtures that the training can draw again


def folder_of(place: Store) -> Path:
    """Where a run in `place` works on this machine: there, or in the cache, which keeps its pack of the corpus."""
    if isinstance(place, Folder):
        return Path(place.url)
    return copies.cache_folder() / "runs" / hashlib.sha256(place.identity().encode()).hexdigest()[:32]


@contextmanager
def mirrored(place: Store, folder: Path) -> Iterator["Mirror | None"]:
    """Hold a run folder at a URL; None for a folder of this machine, which needs no mirror.

    Args:
        place: the run folder.
        folder: from `folder_of`.

    Raises:
        InputError: another run is at work there, or this is one of several processes.
    """
    if isinstance(place, Folder):
        yield None
        return
    if any(os.environ.get(rank, "0") != "0" for rank in RANKS):
        raise InputError(f"{place.url}: several machines need a run folder that they share: use a path")
    with claim(place, CLAIM) as is_ours:
        if not is_ours:
            raise InputError(
                f"{place.url} is in use by another undin, or was less than a minute ago: wait, or use another folder"
            )
        yield Mirror(place, folder)


class Mirror:
    """Files of stages, here and there.

    Args:
        place: the run folder.
        folder: of this machine.
    """

    def __init__(self, place: Store, folder: Path) -> None:
        self._place, self._folder = place, folder
        self._same: dict[str, Entry | None] = {}  # files there, as they are here
        self._fetched = set[str]()

    def fetch(self, stages: Sequence[str]) -> None:
        """Get the files of stages, each once.

        Args:
            stages: their names.
        """
        for stage in set(stages) - self._fetched:
            shutil.rmtree(self._folder / stage, ignore_errors=True)  # of an earlier run
            for entry in Store(self._place.at(stage)).files():
                name = f"{stage}/{entry.name}"
                file = self._folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                self._place.fetch(name, file, entry.size)
                self._same[name] = Folder(self._folder / stage).find(entry.name)
            self._fetched.add(stage)

    @contextmanager
    def saving(self, stage: str) -> Iterator[None]:
        """Put what changes in a stage during the block, every `copies.SAVE_S` and at the end, also after an error.

        Args:
            stage: its name.
        """
        ended = threading.Event()
        thread = threading.Thread(target=self._save, args=(stage, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._put(stage)

    def _save(self, stage: str, ended: threading.Event) -> None:
        pause_s = copies.SAVE_S
        while not ended.wait(pause_s):
            start = time.monotonic()
            with suppress(OSError):  # it is put again later
                self._put(stage)
            pause_s = max(copies.SAVE_S, 20 * (time.monotonic() - start))

    def _put(self, stage: str) -> None:
        """Put new and changed files: checkpoints first and tables last, which may know more than a checkpoint does."""
        found = {f"{stage}/{entry.name}": entry for entry in Folder(self._folder / stage).files()}
        now = {name: entry for name, entry in found.items() if not (PART.search(name) or name.endswith(SCRATCH))}
        before = {name: entry for name, entry in self._same.items() if name.startswith(f"{stage}/")}
        for name in sorted(now, key=lambda name: (not name.endswith(".ckpt"), name.endswith(TABLES))):
            if before.get(name) != now[name]:
                self._place.put(name, self._folder / name)
                self._same[name] = now[name]
        for name in before.keys() - now.keys():
            self._place.remove(name)
            del self._same[name]
