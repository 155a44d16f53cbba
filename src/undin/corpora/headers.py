"""Headers of audio files: lengths of whole trees without reading a sample."""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from undin import audio
from undin.errors import InputError

In = TypeVar("In")
Out = TypeVar("Out")

N_THREADS = 8  # for headers, where a thread mostly waits for the disk


def about(path: Path) -> audio.AudioFormat:
    """Read the format of an audio file; `audio.info`, which knows less of the SPHERE files of NIST and LDC.

    Raises:
        InputError: as `audio.info`; not a regular file; the samples of a SPHERE file are compressed, or fewer than its
            header says.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a regular file")
    n_promised = _check_sphere(path)
    format = audio.info(path)
    if n_promised is not None and (format.n_samples or 0) < n_promised:
        raise InputError(f"{path} is truncated: {format.n_samples} of {n_promised} samples are present")
    return format


def _check_sphere(path: Path) -> int | None:
    """Samples that a SPHERE header promises; None for other files and where it does not say."""
    with path.open("rb") as file:
        head = file.read(1024)
    if not head.startswith(b"NIST_1A"):
        return None
    fields = dict(re.findall(r"^(\w+) -\w+ (.*?)\s*$", head.decode("latin-1"), re.MULTILINE))
    if "," in (coding := fields.get("sample_coding", "pcm")):
        raise InputError(
            f"{path}: its samples are compressed ({coding}), which cannot be read: "
            "decode it first, with sph2pipe -f wav or ffmpeg"
        )
    return int(fields["sample_count"]) if fields.get("sample_count", "").isdecimal() else None


def in_threads(work: Callable[[In], Out], items: Iterable[In], n: int = N_THREADS) -> Iterator[Out]:
    """Do the work on every item, several at a time, and give the results in the items' order.

    Args:
        work: called with an item.
        items: of any number.
        n: most threads.
    """
    pool = ThreadPoolExecutor(min(n, 4 * (os.cpu_count() or 1)))
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)


def duration_s(path: Path) -> float:
    """Length of a sound file in seconds.

    Raises:
        InputError: as `about`; or it has no samples or does not say how many.
    """
    length = about(path).duration
    if not length or not math.isfinite(length):
        raise InputError(f"{path} has no samples" if length == 0 else f"{path} has no known length")
    return length
