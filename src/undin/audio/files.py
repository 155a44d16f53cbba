"""Whole files in one call, and files block by block: what most callers need."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from undin.audio.check import Array, Nan, check_audio, check_axes
from undin.audio.format import EXTENSIONS, AudioFormat
from undin.audio.open import open_reader, open_writer
from undin.audio.reader import Truncated
from undin.audio.source import AudioPath, AudioSource
from undin.errors import InputError


def info(path: AudioSource, *, truncated: Truncated = "raise") -> AudioFormat:
    """Return the format of an audio file without reading its samples.

    Raises:
        InputError: as `open_reader`.
    """
    with open_reader(path, truncated=truncated) as reader:
        return reader.format


def read(
    path: AudioSource,
    *,
    dtype: Any = np.float32,
    start: int = 0,
    stop: int | None = None,
    nan: Nan = "raise",
    truncated: Truncated = "raise",
) -> tuple[Array, int]:
    """Read an audio file, or a part of it, into memory.

    Args:
        path: a path, "-" or a binary file object; see `open_reader`.
        dtype: float32, or float64 for formats beyond its precision (PCM_32, DOUBLE).
        start: first sample to read, >= 0.
        stop: sample to stop before; None for the end; larger values mean the end too.
        nan: handling of NaN and infinity, as in `check_audio`.
        truncated: handling of truncated files, as in `open_reader`.

    Returns:
        x: (n_samples,) for one channel, (n_channels, n_samples) for more; full scale is 1.
        sr: sample rate, Hz.

    Raises:
        InputError: as `open_reader`; start or stop is negative.
    """
    whole = all(isinstance(n, (int, np.integer)) for n in (start, stop) if n is not None)
    if not whole or start < 0 or (stop is not None and stop < start):
        raise InputError(f"start and stop must be integers with 0 <= start <= stop; got {start!r} and {stop!r}")
    with open_reader(path, nan=nan, truncated=truncated, dtype=dtype) as reader:
        reader.skip(start)
        n_left = float("inf") if stop is None else stop - start
        parts: list[Array] = []
        while n_left and (x := reader.read(int(min(n_left, 1 << 20)))).shape[-1]:
            parts.append(x)
            n_left -= x.shape[-1]
        y = np.concatenate(parts, -1) if parts else np.zeros((reader.format.n_channels, 0), dtype)
        return (y[0] if len(y) == 1 else y), reader.format.sr


def blocks(path: AudioSource, block_length: int, *, nan: Nan = "raise") -> Iterator[Array]:
    """Read an audio file block by block, in constant memory.

    Args:
        path: a path, "-" or a binary file object; see `open_reader`.
        block_length: samples per block, >= 1; the last one is shorter.
        nan: handling of NaN and infinity, as in `check_audio`.

    Yields:
        (n_channels, <= block_length) float32.
    """
    with open_reader(path, nan=nan) as reader:
        yield from reader.blocks(block_length)


def write(path: AudioPath, x: Array, sr: int, *, subtype: str | None = None, like: AudioPath | None = None) -> None:
    """Write an audio file; a failure leaves no half-written file.

    Args:
        path: its extension chooses the container: .wav .flac .ogg .opus .mp3 .aiff .caf .au .w64 .rf64 .m4a.
        x: (n_samples,) or (n_channels, n_samples), floating point, full scale 1.
        sr: sample rate, Hz.
        subtype: sample format, e.g. "PCM_24", "FLOAT". Default: that of `like`, or soundfile's default: PCM_16
            if the container has it. Integer formats and Opus limit peaks above full scale and warn; FLOAT does not.
        like: a file whose sample format, bit rate and tags are kept, and, for videos, whose picture.

    Raises:
        InputError: x breaks the rules of `check_audio` or is not one or two-dimensional; as `open_writer`.
    """
    x = check_audio(x, sr)
    if x.ndim > 2:
        raise InputError(f"x must be (n_samples,) or (n_channels, n_samples); got {x.shape}")
    x = check_axes(np.atleast_2d(x))
    format = info(like, truncated="keep") if like else AudioFormat(sr, len(x), default_container(path))
    format = replace(format, sr=int(sr), n_channels=len(x), n_samples=x.shape[-1])
    with open_writer(path, format, like=like, subtype=subtype) as writer:
        for n in range(0, x.shape[-1], 1 << 18):
            writer.write(x[:, n : n + (1 << 18)])
    if writer.limited_db:
        warnings.warn(
            f"{path}: peaks above full scale were limited by up to {writer.limited_db:.1f} dB, as "
            f'{writer.format.subtype} cannot hold them: write subtype="FLOAT" to keep them',
            stacklevel=2,
        )


def default_container(path: AudioPath) -> str:
    """The container for the extension of `path`; "WAV" without one."""
    return EXTENSIONS.get(Path(path).suffix.lower(), ("WAV",))[0]
