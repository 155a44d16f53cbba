"""MP3 files that do not say how long they are, as pipes and recorders leave them, are given a count of frames.

libsndfile guesses such a length from the first bit rate and stops reading there, so of a file with a variable rate it
would drop the rest. Here the frames are counted, and a copy gets the frame with Xing's header that encoders put first.
"""

import mmap
import shutil
import struct
import tempfile
from typing import IO

# kbit/s by the four bits of the header: MPEG-1 layer III, and MPEG-2 and 2.5 layer III (ISO 11172-3, 13818-3)
BITRATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by the version bits


def counts_frames(head: bytes) -> bool:
    """Whether the first frame of an MP3 says how many follow (Xing's header, flag 1)."""
    at = max(head[:200].find(b"Xing"), head[:200].find(b"Info"))
    return at >= 0 and bool(head[at + 7] & 1) and any(head[at + 8 : at + 12])


def frame_length(head: bytes) -> int:
    """Bytes of the layer III frame that starts with these four; 0 if none does.

    A frame holds 1152 samples in MPEG-1 and 576 in MPEG-2, so 144 or 72 · bit rate / sample rate bytes, and padding.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, bits, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    kbps = (BITRATES_1 if version == 3 else BITRATES_2)[bits]
    if version not in RATES or rate == 3 or not kbps:
        return 0
    return (144_000 if version == 3 else 72_000) * kbps // RATES[version][rate] + (head[2] >> 1 & 1)


def with_count(file: IO[bytes], start: int) -> IO[bytes] | None:
    """Copy an MP3 into a temporary file behind a frame that counts its frames.

    Args:
        file: a real file.
        start: bytes before its first frame (the ID3 tag).

    Returns:
        The copy, without the tag, at its start; None if it has no layer III frame.
    """
    n_frames, first, at = 0, b"", start
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while 0 <= at < len(data):
            if n := frame_length(data[at : at + 4]):
                first = first or data[at : at + 4]
                n_frames += 1
                at += n
            else:
                at = data.find(b"\xff", at + 1)  # junk between frames
    if not first:
        return None
    copy: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the reader closes it
    copy.write(_counting_frame(first, n_frames))
    file.seek(start)
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _counting_frame(first: bytes, n_frames: int) -> bytes:
    """A frame of the same kind as `first`, silent, with Xing's header behind its side information."""
    mpeg1, mono = first[1] >> 3 & 3 == 3, first[3] >> 6 == 3
    head = bytes([0xFF, first[1] | 1, 0xC0 | first[2] & 0x0C, first[3]])  # no checksum, a large frame, no padding
    n_side = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    body = head + bytes(n_side) + b"Xing" + struct.pack(">II", 1, n_frames)
    return body + bytes(frame_length(head) - len(body))
