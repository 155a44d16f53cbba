"""The two ways in and out: the reader of any source, and the writer of any target."""

import sys
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from undin.audio.check import Nan
from undin.audio.format import ALSO_READ, VIDEO_EXTENSIONS, AudioFormat, format_for, parse_raw
from undin.audio.reader import DAMAGE, FileReader, PlainReader, Reader, Truncated
from undin.audio.riff import read_wav_header
from undin.audio.source import AudioPath, AudioSource, ByteSource, open_source
from undin.audio.video import VideoReader, VideoWriter
from undin.audio.writer import FileWriter, StreamWriter, Writer
from undin.checks import check
from undin.errors import InputError, UndinError

HEADERS = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3")
PADDED = ("IMA_ADPCM", "MS_ADPCM", "GSM610")  # codecs of whole blocks: the last one is filled up


def open_reader(
    source: AudioSource,
    *,
    raw: str | None = None,
    truncated: Truncated = "raise",
    nan: Nan = "raise",
    dtype: Any = np.float32,
) -> Reader:
    """Open a source of sound for reading in blocks; nothing longer than a block is held in memory.

    Args:
        source: a path; "-" for standard input; or a binary file object. WAV on a pipe is read as it arrives, even with
            the unknown length that ffmpeg and sox write; other formats on a pipe are first copied to a temporary file.
            Sound in .m4a, .mp4, .mov, .mkv, .webm, .aac and others needs the extra `video`.
        raw: "encoding:rate:channels" for headerless samples, e.g. "s16le:16000:1"; see `parse_raw`.
        truncated: reject a file shorter than its header says ("raise"), or read what is there ("keep"). An MP3 is
            refused only at its end, and Ogg files and videos not at all.
        nan: handling of NaN and infinity, as in `check_audio`.
        dtype: float32, or float64 for formats beyond its precision (PCM_32, DOUBLE).

    Raises:
        InputError: no such file, or it is empty, not audio, damaged or truncated: the message says which.
    """
    check("truncated", truncated, Truncated)
    if dtype not in (float, np.float32, np.float64, "float32", "float64"):
        raise InputError(f"dtype must be float32 or float64; got {dtype!r}: read floats, full scale is 1.0")
    f = open_source(source)
    try:
        return _choose(f, raw, truncated, {"nan": nan, "dtype": dtype})
    except BaseException as error:
        f.close()
        if isinstance(error, DAMAGE) and not isinstance(error, UndinError):
            raise InputError(f"{f.name} is damaged or not an audio file ({error}): check it") from error
        raise


def _choose(f: ByteSource, raw: str | None, truncated: Truncated, options: dict[str, Any]) -> Reader:
    """Choose the reader by the source's content."""
    path = Path(f.name) if f.owned else None
    if raw is not None:
        if f.peek(4).startswith(HEADERS):
            raise InputError(f"{f.name} starts with an audio file header: leave out raw={raw!r}")
        n_bytes = path.stat().st_size if path and f.seekable else None
        return PlainReader(f, parse_raw(raw), n_bytes, truncated, **options)
    head = f.peek(12)
    if not head:
        raise InputError(f"{f.name} is empty (0 bytes)")
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        f.mark()
        format, n_bytes = read_wav_header(f)
        if format and (n_bytes is None or path is None):
            f.forget()
            if path and f.seekable:  # never closed properly: all that follows is sound
                n_bytes = path.stat().st_size - f.position
            return PlainReader(f, format, n_bytes, truncated, **options)
        f.rewind()
    extension = Path(f.name).suffix.lower()
    is_video = head[4:8] == b"ftyp" or head[:4] == b"\x1aE\xdf\xa3" or extension in VIDEO_EXTENSIONS + ALSO_READ
    file = path if path and f.seekable else f.spool()
    f.close()
    try:
        if is_video:
            return VideoReader(file, f.name, **options)
        return FileReader(file, f.name, truncated, **options)
    except BaseException:
        if not isinstance(file, Path):
            file.close()
        raise


def open_writer(
    target: AudioPath | IO[bytes], format: AudioFormat, *, like: AudioPath | None = None, subtype: str | None = None
) -> Writer:
    """Open a target for writing in blocks.

    A file is written under a hidden name in the same folder and renamed on success: until then, and
    after any exception, a full disk or a kill, what was there before stays. So it may even be the file being read.

    Args:
        target: a path, whose extension chooses the container (see `format_for`); "-" for standard output, or a binary
            file object: a streamed WAV of the same sample format, or headerless samples if format.container is "RAW".
            .m4a, .mp4, .mov, .mkv, .webm need the extra `video`.
        format: what to keep, mostly the reader's `.format`: rate, channels, sample format, bit rate, tags. Its
            n_samples, where known, is used for the header of a stream and for RF64 in place of WAV beyond 4 GiB.
        like: the file that the sound came from: an MP3's whole tag, a video's picture, subtitles and other sound
            tracks are copied from it untouched. Where it has no extension, the target needs none.
        subtype: sample format to store instead of format.subtype.

    Raises:
        InputError: unknown extension, a folder that is not there or cannot be written to, or a format that the
            container cannot hold.
    """
    if not isinstance(target, (str, Path)):
        return StreamWriter(target, "the file object", format)
    if target == "-":
        return StreamWriter(sys.stdout.buffer, "standard output", format)
    like = None if like == "-" else like
    stored = format_for(target, format, subtype=subtype, like=like)
    if Path(target).suffix.lower() in VIDEO_EXTENSIONS:
        return VideoWriter(target, stored, like)
    if stored.subtype in PADDED:
        warnings.warn(f"{target}: {stored.subtype} stores complete blocks, so the last one is padded", stacklevel=2)
    return FileWriter(target, stored, like)
