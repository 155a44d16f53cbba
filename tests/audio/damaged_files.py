"""Sound files of every container, and damaged copies of them that follow from a seed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import undin

CONTAINERS = ("wav", "rf64", "w64", "caf", "aiff", "au", "flac", "ogg", "mkv")


def sound_file(folder: Path, extension: str) -> Path:
    """A valid file of a tenth of a second in stereo."""
    x = 0.3 * np.sin(0.05 * np.arange(1600)) * np.array([[1], [0.5]])
    path = folder / f"valid.{extension}"
    undin.write(path, x.astype(np.float32), 16000)
    return path


def damaged_copies(valid: Path, n: int, seed: int = 0) -> Iterator[Path]:
    """Copies of a file with bytes changed (mostly in its header), cut out, put in, or cut off; one file, rewritten."""
    rng, data = np.random.default_rng(seed), valid.read_bytes()
    path = valid.with_stem("damaged")
    for _ in range(n):
        copy = bytearray(data)
        for _ in range(rng.integers(1, 9)):
            at = int(rng.integers(min(len(copy), 400 if rng.random() < 0.8 else len(copy))))
            kind = rng.integers(4)
            if kind < 2:
                copy[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))])
            elif kind == 2:
                del copy[at : at + int(rng.integers(1, 9))]
            else:
                copy[at:at] = rng.bytes(int(rng.integers(1, 9)))
        path.write_bytes(copy[: int(rng.integers(1, len(copy)))] if rng.random() < 0.2 else copy)
        yield path
