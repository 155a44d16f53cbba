"""Headers read and written by ourselves: WAV on pipes, and how many bytes of sound a file's header promises."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from undin.audio.check import check_file_rate
from undin.audio.format import AudioFormat
from undin.audio.samples import BYTES
from undin.audio.source import ByteSource
from undin.errors import InputError

STREAMED = 0x7FFFF000  # sizes from here on mean "not known yet": sox writes about this one, ffmpeg 0xFFFFFFFF
GUID_TAIL = bytes.fromhex("0000 0000 1000 8000 00aa 0038 9b71")  # a WAVEX sub-format after its 16-bit tag
PCM, IEEE_FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
SUBTYPES = {(PCM, 8): "PCM_U8", (PCM, 16): "PCM_16", (PCM, 24): "PCM_24", (PCM, 32): "PCM_32"}
SUBTYPES |= {(IEEE_FLOAT, 32): "FLOAT", (IEEE_FLOAT, 64): "DOUBLE"}

# magic -> bytes before the first chunk, bytes of a chunk's name, its size field, whether that counts the chunk's own
# header, alignment, name of the chunk that holds the sound
LAYOUTS: dict[bytes, tuple[int, int, str, bool, int, bytes]] = {
    b"RIFF": (12, 4, "<I", False, 2, b"data"),
    b"RF64": (12, 4, "<I", False, 2, b"data"),
    b"FORM": (12, 4, ">I", False, 2, b"SSND"),
    b"caff": (8, 4, ">q", False, 1, b"data"),
    b"riff": (40, 16, "<q", True, 8, b"data"),
}


def chunks(f: ByteSource, magic: bytes) -> Iterator[tuple[bytes, int]]:
    """Walk the chunks of a file from its start: (name, bytes of the body). What the caller leaves is passed over."""
    n_before, n_name, size_format, counts_header, align, _ = LAYOUTS[magic]
    f.skip(n_before)
    n_head = n_name + struct.calcsize(size_format)
    while len(head := f.read(n_head)) == n_head:
        (size,) = struct.unpack(size_format, head[n_name:])
        size -= n_head if counts_header else 0
        start = f.position
        yield head[:4], size
        if size < 0:
            return
        f.skip(start + size + -size % align - f.position)


def missing_bytes(path: str | Path) -> int:
    """How many bytes of sound the header promises beyond the end of the file: 0 for a whole or a streamed one."""
    n_file = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        f = ByteSource(file, str(path))
        magic = f.peek(4)
        if magic == b".snd":
            start, size = struct.unpack(">II", f.read(12)[4:])
            return 0 if size >= STREAMED else max(start + size - n_file, 0)
        if magic not in LAYOUTS:
            return 0
        size64 = 0
        for name, size in chunks(f, magic):
            if name == b"ds64":
                size64 = struct.unpack("<Q", f.read(16)[8:])[0]
            if name == LAYOUTS[magic][-1]:
                unknown = size >= STREAMED and magic in (b"RIFF", b"FORM")
                size = size64 if magic == b"RF64" and size >= STREAMED else size
                return 0 if unknown or size < 0 else max(f.position + size - n_file, 0)
    return 0


def read_wav_header(f: ByteSource) -> tuple[AudioFormat | None, int | None]:
    """Read a WAV header up to the first sample, forward only.

    Args:
        f: positioned at the "RIFF" or "RF64" of its file.

    Returns:
        The format, None when its codec is not stored plainly; and the bytes of sound, None when the header was written
        before they were known. A data chunk of 0 bytes is empty only if the RIFF size counts chunks behind it.

    Raises:
        InputError: no format or no data chunk, or a format that makes no sense.
    """
    magic, format, size64 = f.peek(4), None, 0
    (n_riff,) = struct.unpack("<I", f.peek(8)[4:])
    for name, size in chunks(f, magic):
        if name == b"ds64":
            size64 = struct.unpack("<Q", f.read(16)[8:])[0]
        elif name == b"fmt ":
            format = _parse_fmt(f.read(min(size, 40)), f.name)
        elif name == b"data":
            if format is None:
                break
            if format.subtype not in BYTES:
                return None, None
            if magic == b"RF64" and size >= STREAMED:
                return format, size64 or None
            known = 0 < size < STREAMED or (size == 0 and f.position - 8 < n_riff < STREAMED)
            return format, size if known else None
    raise InputError(f"{f.name} is not a WAV file: the fmt or the data chunk is missing")


def _parse_fmt(fmt: bytes, name: str) -> AudioFormat:
    if len(fmt) < 16:
        raise InputError(f"{name} is not a WAV file: its fmt chunk has {len(fmt)} bytes instead of 16 or more")
    tag, n_channels, sr, _, n_block, n_bits = struct.unpack("<HHIIHH", fmt[:16])
    container, mask = "WAV", None
    if tag == EXTENSIBLE and len(fmt) == 40:
        mask, tag = struct.unpack("<IH", fmt[20:26])
        container = "WAVEX"
    n_bits = 8 * (n_block // n_channels) if n_channels and tag in (PCM, IEEE_FLOAT) else n_bits
    if n_channels == 0:
        raise InputError(f"{name} is not a WAV file: it has 0 channels")
    subtype = SUBTYPES.get((tag, n_bits), f"codec {tag:#x}")
    return AudioFormat(check_file_rate(name, sr), n_channels, container, subtype, channel_mask=mask)


def wav_header(format: AudioFormat) -> bytes:
    """Make the header of a streamed WAV; sizes are 0xFFFFFFFF where n_samples is unknown or beyond 4 GiB."""
    n_bits = 8 * BYTES[format.subtype]
    n_block = format.n_channels * n_bits // 8
    tag = IEEE_FLOAT if format.subtype in ("FLOAT", "DOUBLE") else PCM
    extensible = format.container == "WAVEX"
    first = EXTENSIBLE if extensible else tag
    fmt = struct.pack("<HHIIHH", first, format.n_channels, format.sr, format.sr * n_block, n_block, n_bits)
    if extensible:
        fmt += struct.pack("<HHIH", 22, n_bits, format.channel_mask or 0, tag) + GUID_TAIL
    elif tag == IEEE_FLOAT:
        fmt += struct.pack("<H", 0)
    n_data = 0xFFFFFFFF if format.n_samples is None else format.n_samples * n_block
    n_riff = 4 + 8 + len(fmt) + 8 + n_data + n_data % 2
    if n_riff >= STREAMED:
        n_data = n_riff = 0xFFFFFFFF
    return (
        struct.pack("<4sI4s4sI", b"RIFF", n_riff, b"WAVE", b"fmt ", len(fmt))
        + fmt
        + b"data"
        + struct.pack("<I", n_data)
    )


def correct_aiff(file: IO[bytes], n_samples: int, n_bytes: int) -> None:
    """Write the true length into an AIFF file: libsndfile 1.2 counts the pad byte behind an odd length as sound.

    Args:
        file: open for reading and writing, at any position.
        n_samples: per channel.
        n_bytes: of sound, without padding.
    """
    file.seek(0)
    f = ByteSource(file, "")
    places = {name: f.position for name, _ in chunks(f, b"FORM")}
    for at, value in ((places[b"COMM"] + 2, n_samples), (places[b"SSND"] - 4, n_bytes + 8)):
        file.seek(at)
        file.write(struct.pack(">I", value))


def channel_mask(file: IO[bytes]) -> tuple[int, int] | None:
    """Where a WAVEX or RF64 file keeps its speaker positions, and which: (byte offset, mask); None elsewhere."""
    file.seek(0)
    f = ByteSource(file, "")
    for name, size in chunks(f, b"RIFF") if f.peek(4) in (b"RIFF", b"RF64") else ():
        if name == b"fmt ":
            at, fmt = f.position + 20, f.read(min(size, 40))
            return (at, struct.unpack("<I", fmt[20:24])[0]) if fmt[:2] == b"\xfe\xff" and len(fmt) == 40 else None
    return None
