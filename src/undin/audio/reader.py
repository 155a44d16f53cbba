"""Sound in: one reader for files, pipes, headerless samples and (through video.py) the sound of videos."""

import contextlib
import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np
import soundfile

from undin.audio.check import Array, Nan, check_file_rate, check_finite
from undin.audio.format import LOSSY, AudioFormat, vorbis_nominal
from undin.audio.mp3 import counts_frames, with_count
from undin.audio.riff import channel_mask, missing_bytes
from undin.audio.samples import BYTES, decode
from undin.audio.source import ByteSource
from undin.audio.tags import id3_length
from undin.errors import InputError, UndinError

Truncated = Literal["raise", "keep"]
DAMAGE = (struct.error, ArithmeticError, AttributeError, OSError, ValueError)  # what libraries raise at damaged files
STEP = 1024  # samples a damaged file is read by


class Reader(ABC):
    """An open source of sound: `.format`, `.read(n)`, `.skip(n)`, `.blocks(n)`; use it in a `with`.

    Attributes:
        format: format of the source.
        position: samples read or skipped so far.
        has_more: whether the file has tracks other than the one that is read: a picture, subtitles, other sound.
        n_tracks: audio tracks, of which the first is read.
    """

    has_more, n_tracks = False, 1

    def __init__(self, name: str, format: AudioFormat, *, nan: Nan = "raise", dtype: Any = np.float32) -> None:
        self.name, self.format, self.nan, self.dtype, self.position = name, format, nan, np.dtype(dtype), 0

    def read(self, n: int) -> Array:
        """Read the next samples.

        Args:
            n: samples wanted, >= 1. A file returns n unless it ends; a live pipe returns what has arrived, at least one
                sample, so that latency stays small.

        Returns:
            (n_channels, <= n) float32; (n_channels, 0) at the end.

        Raises:
            InputError: NaN or infinity (unless nan="zero"), or the source ends before what its header promises.
        """
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError(f"a block must be a whole number of samples, at least 1; got {n!r}")
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 or a signaling NaN: refused below
                x = self._read(n)
        except UndinError:
            raise
        except DAMAGE as error:
            raise InputError(f"{self.name} is damaged after sample {self.position}: {error}") from error
        x = check_finite(x, self.format.sr, self.nan, start=self.position)
        self.position += x.shape[-1]
        return x

    def skip(self, n: int) -> None:
        """Pass over n samples, or all that are left."""
        while n and (k := self.read(min(n, 1 << 16)).shape[-1]):
            n -= k

    def blocks(self, block_length: int) -> Iterator[Array]:
        """Yield the rest in blocks of block_length samples (live pipes: what has arrived), the last one shorter."""
        while (x := self.read(block_length)).shape[-1]:
            yield x

    def close(self) -> None:  # noqa: B027
        """Close files opened here."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def _read(self, n: int) -> Array: ...


class PlainReader(Reader):
    """Samples stored plainly, read forward only: WAV and headerless samples on pipes, WAVs without a length."""

    def __init__(
        self, source: ByteSource, format: AudioFormat, n_bytes: int | None, truncated: Truncated, **kw: Any
    ) -> None:
        self._source, self._left, self._truncated = source, n_bytes, truncated
        self._n_block = BYTES[format.subtype] * format.n_channels
        self._rest = b""
        certain = n_bytes is not None and (truncated == "raise" or source.owned)
        n_samples = (n_bytes or 0) // self._n_block if certain else None
        super().__init__(source.name, replace(format, n_samples=n_samples), **kw)

    def _read(self, n: int) -> Array:
        data = self._rest
        while len(data) < self._n_block and (part := self._some(n * self._n_block - len(data))):
            data += part
        n_whole = len(data) // self._n_block * self._n_block
        data, self._rest = data[:n_whole], data[n_whole:]
        if not n_whole:
            self._end()
        values = decode(data, self.format.subtype, self.format.endian, dtype=self.dtype)
        return np.ascontiguousarray(values.reshape(-1, self.format.n_channels).T)

    def _some(self, n: int) -> bytes:
        data = self._source.read_some(n if self._left is None else min(n, self._left)) if self._left != 0 else b""
        self._left = None if self._left is None else self._left - len(data)
        return data

    def _end(self) -> None:
        if not self._source.seekable:  # chunks behind the sound: the program that writes them expects to be read
            while self._source.read_some(1 << 16):
                pass
        n_missing = (self._left or 0) + (self._n_block - len(self._rest) if self._rest and not self._left else 0)
        if n_missing and self._truncated == "raise":
            n_bytes = f"{n_missing} byte{'s' * (n_missing != 1)}"
            raise InputError(
                f"{self.name} ends {n_bytes} too early, after {self.position} complete samples"
                + (f" of {self.format.n_samples}" if self.format.n_samples else "")
                + ': get the complete file, or pass truncated="keep" to process what is there'
            )
        self._rest, self._left = b"", 0

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class FileReader(Reader):
    """Whatever libsndfile reads, from disk or another file that can be sought in."""

    def __init__(self, file: Path | IO[bytes], name: str, truncated: Truncated, **kw: Any) -> None:
        self._file, self._damaged, self._truncated = _open_soundfile(file, name), False, truncated
        tags = self._file.copy_metadata()
        if self._file.subtype == "MPEG_LAYER_III" and (counted := _count_mp3(file)):
            self._file.close()
            self._file, file = _open_soundfile(counted, name), counted
        self._owned = file
        format = _describe(self._file, file, tags)
        if isinstance(file, Path):
            format = self._check_whole(format, file, name, truncated)
        if format.container == "MP3" and truncated == "keep":  # what is there is known at its end
            format = replace(format, n_samples=None)
        super().__init__(name, format, **kw)

    def _check_whole(self, format: AudioFormat, path: Path, name: str, truncated: Truncated) -> AudioFormat:
        n_here = promised = format.n_samples
        if promised and (n_missing := missing_bytes(path)):
            n_block = max(BYTES.get(format.subtype, 1) * format.n_channels, 1)
            promised += -(-n_missing // n_block)
        elif promised and format.container == "FLAC" and not self._has_sample(promised - 1):
            n_here, self._damaged = _count(path), True
            self._file = _open_soundfile(path, name)
        if n_here != promised and truncated == "raise":
            raise InputError(
                f"{name} is truncated: {n_here} of {promised} samples are present: "
                'get the complete file, or pass truncated="keep" to process what is there'
            )
        return replace(format, n_samples=n_here)

    def _has_sample(self, n: int) -> bool:
        try:
            self._file.seek(n)
            found = len(self._file.read(1)) == 1
            self._file.seek(0)
        except (soundfile.LibsndfileError, RuntimeError):
            return False
        return found

    def _read(self, n: int) -> Array:
        if self._damaged:
            n = max(min(n, STEP, (self.format.n_samples or 0) - self.position), 0)
        try:
            wide = self.format.subtype in ("PCM_32", "DOUBLE")  # float32 from 32 bits is rounded once, by numpy
            x = self._file.read(n, dtype="float64" if wide else self.dtype.name, always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise InputError(f"{self.name} is damaged after sample {self.position}: {error}") from error
        promised = self.format.n_samples or 0
        if not len(x) and self.position < promised and self._truncated == "raise":  # MP3: known only at its end
            raise InputError(
                f"{self.name} is truncated: {self.position} of {promised} samples are "
                'present: get the complete file, or pass truncated="keep" to process what is there'
            )
        return np.ascontiguousarray(x.T, self.dtype)

    def skip(self, n: int) -> None:
        """Pass over n samples, without decoding them where that gives the same samples afterwards.

        Opus and MP3 carry their past with them: after a seek their samples differ by up to 1e-3 for seconds.
        """
        if self._damaged or not self._file.seekable() or self.format.container in ("OGG", "MP3"):
            super().skip(n)
        elif n:
            n_samples = self.format.n_samples
            self.position = self._file.seek(
                self.position + n if n_samples is None else min(self.position + n, n_samples)
            )

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if not isinstance(self._owned, Path):
            self._owned.close()


def _open_soundfile(file: Path | IO[bytes], name: str) -> Any:
    try:
        f = soundfile.SoundFile(_named(file))
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        why = getattr(error, "error_string", str(error)).rstrip(".")
        why = "its frames are damaged" if "does not exist" in why else why  # what libsndfile says of a broken MP3
        cure = "check it, or convert it to .wav"
        if name == "standard input":
            cure = f"if it is headerless samples, pass raw='s16le:16000:1' or what they are; else {cure}"
        raise InputError(f"{name} is not a readable audio file ({why}): {cure}") from error
    check_file_rate(name, f.samplerate)
    return f


def _named(file: Path | IO[bytes]) -> bytes | Path | IO[bytes]:
    """A file as soundfile takes it: a name that is not UTF-8 as bytes."""
    return os.fsencode(file) if isinstance(file, Path) and os.name == "posix" else file


def _describe(f: Any, file: Path | IO[bytes], tags: dict[str, str]) -> AudioFormat:
    n_samples = f.frames if f.frames < 1 << 62 else None  # FLAC from a pipe: unknown
    bitrate = None
    with file.open("rb") if isinstance(file, Path) else contextlib.nullcontext(file) as raw:
        back = raw.tell()
        mask = channel_mask(raw)
        if f.subtype in LOSSY and n_samples:
            raw.seek(0)
            n_tag = id3_length(raw.read(10))
            raw.seek(n_tag)
            head = raw.read(4096)
            bitrate = vorbis_nominal(head) or round(8 * (raw.seek(0, 2) - n_tag) * f.samplerate / n_samples)
        raw.seek(back)
    return AudioFormat(
        f.samplerate,
        f.channels,
        f.format,
        f.subtype,
        f.endian if f.endian in ("LITTLE", "BIG") else "FILE",
        n_samples=n_samples,
        bitrate=bitrate,
        channel_mask=mask[1] if mask else None,
        tags=tags,
    )


def _count_mp3(file: Path | IO[bytes]) -> IO[bytes] | None:
    """The copy that `with_count` makes where the MP3 does not count its frames itself."""
    with file.open("rb") if isinstance(file, Path) else contextlib.nullcontext(file) as raw:
        back = raw.tell()
        raw.seek(0)
        n_tag = id3_length(raw.read(10))
        raw.seek(n_tag)
        copy = None if counts_frames(raw.read(200)) else with_count(raw, n_tag)
        raw.seek(back)
        return copy


def _count(path: Path) -> int:
    """Samples that can be decoded from a damaged file, by steps: those that the reader will return."""
    n = 0
    with soundfile.SoundFile(_named(path)) as f, contextlib.suppress(soundfile.LibsndfileError, RuntimeError):
        while len(f.read(STEP, dtype="float32")) == STEP:
            n += STEP
    return n
