"""One process at a time in a run folder: two that write the same log and checkpoints leave neither."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from undin.errors import InputError

RANKS = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")  # not 0 in those that help the first process


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder until the block ends, or the process, however it does.

    Windows and some file systems know no such lock: there nothing is held.

    Raises:
        InputError: another process holds it.
    """
    if sys.platform == "win32" or any(os.environ.get(rank, "0") != "0" for rank in RANKS):
        yield
        return
    import fcntl

    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder} is in use by another undin: wait for it, or use another folder") from None
        except OSError:
            pass
        yield
