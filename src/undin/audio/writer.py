"""Writing audio: files are written to a temporary file and renamed, pipes are flushed block by block."""

import contextlib
import os
import sys
from abc import ABC, abstractmethod
from dataclasses import replace
from types import TracebackType
from typing import IO, Self

import numpy as np
import soundfile

from undin.audio.check import Array, check_finite
from undin.audio.format import NEAREST, WAV_MAX, AudioFormat, compression
from undin.audio.limiter import Limiter
from undin.audio.part import PartFile
from undin.audio.riff import channel_mask, correct_aiff, wav_header
from undin.audio.samples import BYTES, bits_of, encode, left_justified
from undin.audio.source import AudioPath
from undin.audio.tags import id3_of, make_id3
from undin.errors import InputError

ONE_BYTE = ("PCM_S8", "PCM_U8", "ULAW", "ALAW")  # a sample
TAGS = {"title", "copyright", "software", "artist", "comment", "date", "album", "license", "tracknumber", "genre"}


class Writer(ABC):
    """An open target for sound: `.format`, `.write(x)`; use it in a `with`: an exception inside leaves no file.

    Integer formats cannot hold what exceeds full scale, nor can decoders of Opus, so what does is limited, all channels
    together, never clipped; the limiter holds back 5 ms until the end. Float formats, Vorbis, MP3 and AAC keep it.

    Attributes:
        format: output format.
        position: samples taken so far.
        part: the file in the making, whose target may be changed until it is closed; None for a stream.
    """

    part: PartFile | None = None

    def __init__(self, name: str, format: AudioFormat) -> None:
        self.name, self.format, self.position = name, format, 0
        ms = format.sr // 1000
        self._limiter = Limiter(1.0, lookahead=5 * ms, hold=10 * ms) if format.has_full_scale else None

    @property
    def limited_db(self) -> float:
        """The greatest attenuation the limiter gave, dB; 0.0 when nothing exceeded full scale."""
        return self._limiter.limited_db if self._limiter else 0.0

    def write(self, x: Array) -> None:
        """Write the next samples.

        Args:
            x: (n_channels, n_samples), any n_samples >= 0; (n_samples,) is taken for one channel.

        Raises:
            InputError: another number of channels, NaN or infinity, or the target cannot be written (disk full).
            BrokenPipeError: the reader of standard output is gone; it is closed silently, so just end.
        """
        x = np.atleast_2d(x)
        if x.ndim != 2 or x.shape[0] != self.format.n_channels:
            raise InputError(f"x must be (n_channels, n_samples) with {self.format.n_channels} channels; got {x.shape}")
        x = check_finite(x, self.format.sr, start=self.position)
        self.position += x.shape[-1]
        self._put(self._limiter.process(x) if self._limiter else x)

    def close(self) -> None:
        """Write the samples still in the limiter and rename the file."""
        if self._limiter and self.position:
            self._put(self._limiter.flush())
        self._finish()

    @abstractmethod
    def _put(self, x: Array) -> None: ...

    @abstractmethod
    def _finish(self) -> None: ...

    def abort(self) -> None:  # noqa: B027
        """Abort: delete the partial output and keep any previous file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None:
            self.abort()
            return
        try:
            self.close()
        except BaseException:
            self.abort()
            raise


class FileWriter(Writer):
    """Whatever libsndfile writes, on disk."""

    part: PartFile

    def __init__(self, target: AudioPath, format: AudioFormat, like: AudioPath | None) -> None:
        super().__init__(str(target), format)
        self._bits = bits_of(format.subtype)
        is_mp3 = format.container == "MP3"
        id3 = (id3_of(like) if like else b"") or make_id3(format.tags) if is_mp3 else b""
        self.part = PartFile(target, id3)
        try:
            kind = (format.sr, format.n_channels, format.subtype, format.endian, format.container)
            self._file = soundfile.SoundFile(self.part, "w", *kind, **compression(format))
        except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as error:
            self.part.abort()
            self.part.check()
            raise InputError(
                f"{target}: {format.container} {format.subtype} cannot hold {format.n_channels} channels at "
                f"{format.sr} Hz ({error}): write .wav"
            ) from error
        except BaseException:  # an interruption
            self.part.abort()
            raise
        if not is_mp3:
            for name in TAGS & format.tags.keys():
                with contextlib.suppress(soundfile.LibsndfileError, RuntimeError):  # W64 and AU hold no tags
                    setattr(self._file, name, format.tags[name])

    def _put(self, x: Array) -> None:
        if not x.shape[-1]:
            return
        if self.format.container in ("WAV", "WAVEX"):
            self._check_size()
        rows = left_justified(x.T, self._bits) if self._bits else x.T
        try:
            self._file.write(np.ascontiguousarray(rows))
        except (soundfile.LibsndfileError, RuntimeError, AssertionError) as error:
            self.part.check()
            raise InputError(f"{self.name} cannot be written: {error}") from error
        self.part.check()

    def _check_size(self) -> None:
        if self.position * self.format.n_channels * BYTES.get(self.format.subtype, 2) > WAV_MAX:
            raise InputError(
                f"{self.name}: WAV is limited to 4 GiB and the length is unknown: write .rf64, .w64 or .flac"
            )

    def _finish(self) -> None:
        if not self.position and (self.format.container in ("FLAC", "MP3") or self.format.subtype == "OPUS"):
            raise InputError(f"{self.name}: {self.format.container} cannot store 0 samples: write .wav")
        self._close_soundfile()
        self.part.check()
        n_bytes = self.position * self.format.n_channels * BYTES.get(self.format.subtype, 1)
        if self.format.container == "AIFF" and n_bytes % 2 and self.format.subtype in ONE_BYTE:
            correct_aiff(self.part.file, self.position, n_bytes)
        if self.format.channel_mask is not None:
            self.part.file.flush()
            if found := channel_mask(self.part.file):
                self.part.seek(found[0])
                self.part.write(self.format.channel_mask.to_bytes(4, "little"))
        self.part.finish()

    def _close_soundfile(self) -> None:
        with contextlib.suppress(soundfile.LibsndfileError, RuntimeError):
            self._file.close()

    def abort(self) -> None:
        """Abort: delete the partial output."""
        self._close_soundfile()
        self.part.abort()


class StreamWriter(Writer):
    """WAV or headerless samples to standard output or another binary file object, flushed after every write."""

    def __init__(self, file: IO[bytes], name: str, format: AudioFormat) -> None:
        if format.container != "RAW":
            container = "WAVEX" if format.container == "WAVEX" else "WAV"
            held = [s for s in (format.subtype, *NEAREST.get(format.subtype, ())) if s in BYTES and s != "PCM_S8"]
            format = replace(format, container=container, subtype=held[0] if held else "PCM_16", endian="LITTLE")
        super().__init__(name, format)
        self._file = file
        self._head = b"" if format.container == "RAW" else wav_header(format)  # with the first samples: sox wants both

    def _put(self, x: Array) -> None:
        if x.shape[-1]:
            self._send(self._head + encode(x.T, self.format.subtype, self.format.endian))
            self._head = b""

    def _send(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except BrokenPipeError:
            if self._file is sys.stdout.buffer:  # else Python complains once more when it flushes at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise
        except OSError as error:
            raise InputError(
                f"{self.name} cannot be written: {error.strerror}: free some space and try again"
            ) from error

    def _finish(self) -> None:
        n = self.format.n_samples
        self._send(self._head)
        if n is not None and n != self.position and self.format.container != "RAW":
            raise InputError(f"{self.name}: {n} samples announced in the header, {self.position} written")
        n_bytes = self.position * self.format.n_channels * BYTES[self.format.subtype]
        if n_bytes % 2 and self.format.container != "RAW" and n is not None:
            self._send(b"\0")  # chunks are even
