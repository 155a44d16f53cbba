"""A run folder at a URL: stages work in a folder of this machine, whose files are put there as they become complete.

What a stage needs is fetched when it begins. `stages.json` is not mirrored but read and written there: a stage is begun
before its first file is put and finished after its last. So what is there is at all times what a local run that was
killed would leave, and a run resumes from it on any machine.
"""

import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from undin import copies
from undin.atomic import PART
from undin.claims import claim
from undin.errors import InputError
from undin.experiment.lock import RANKS
from undin.store import Entry, Folder, Store

CLAIM, TABLES, CHECKPOINT = ".undin-run", (".csv", ".journal"), ".ckpt"
ASIDE = re.compile(r"\.old\d+/")  # in the names of what a training with other settings has left
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
    if any(os.environ.get(rank, "0") != "0" for rank in RANKS) or int(os.environ.get("WORLD_SIZE", "1")) > 1:
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
            self.put(stage)

    def _save(self, stage: str, ended: threading.Event) -> None:
        pause_s = copies.SAVE_S
        while not ended.wait(pause_s):
            start = time.monotonic()
            with suppress(OSError):  # it is put again later
                self.put(stage)
            pause_s = max(copies.SAVE_S, 20 * (time.monotonic() - start))

    def put(self, stage: str) -> None:
        """Put what has changed in a stage, so that after a kill at any point a run can resume from what is there.

        First what was set aside; then what was removed is removed; then files, of which weights may be newer than the
        checkpoint but not older; then the checkpoint as it was before them; tables last, which name finished files.

        Args:
            stage: its name.

        Raises:
            OSError: a file cannot be put, or the folder on this machine is gone.
        """
        (self._folder / stage).stat()  # were it gone, all would seem removed
        found = {f"{stage}/{entry.name}": entry for entry in Folder(self._folder / stage).files()}
        now = {name: entry for name, entry in found.items() if not (PART.search(name) or name.endswith(SCRATCH))}
        before = {name: entry for name, entry in self._same.items() if name.startswith(f"{stage}/")}
        changed = sorted((name for name in now if before.get(name) != now[name]), key=_rank)
        n_aside = sum(bool(ASIDE.search(name)) for name in changed)
        with TemporaryDirectory(dir=self._folder) as kept:
            files = {name: self._folder / name for name in changed}
            for i, name in enumerate(changed):
                if name.endswith(CHECKPOINT):
                    os.link(files[name], link := Path(kept) / str(i))  # keeps this one while a newer one replaces it
                    files[name] = link
            self._put_files(changed[:n_aside], files, now)
            for name in before.keys() - now.keys():
                self._place.remove(name)
                del self._same[name]
            self._put_files(changed[n_aside:], files, now)

    def _put_files(self, names: Iterable[str], files: dict[str, Path], now: dict[str, Entry]) -> None:
        for name in names:
            self._place.put(name, files[name])
            self._same[name] = now[name]


def _rank(name: str) -> int:
    """In which order files are put: see `Mirror.put`."""
    if ASIDE.search(name):
        return 0
    return 3 if name.endswith(TABLES) else 2 if name.endswith(CHECKPOINT) else 1
