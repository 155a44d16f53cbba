"""Bytes and integers <-> floating point samples, exactly: full scale 1.0 is 2^(bits - 1), and writing rounds.

libsndfile reads with 2^(bits - 1) but writes floats with 2^(bits - 1) - 1 and cuts the fraction off, so a file read and
written again would change. Here x = q / 2^(bits - 1) both ways, q = round(x · 2^(bits - 1)), and +1.0 alone, which no
integer holds, becomes the greatest integer.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin.audio.check import Array

BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # stored plainly
STAYS_FLOAT = ("FLOAT", "DOUBLE", "VORBIS", "OPUS", "MP3", "AAC", "MPEG", "PCM_F", "AC3", "EAC3", "WMA", "MP2")


def bits_of(subtype: str) -> int | None:
    """Bit depth at which a sample format clips; None for formats without a fixed limit (float, lossy)."""
    if subtype.startswith(STAYS_FLOAT):
        return None
    found = re.fullmatch(r"(?:PCM_|ALAC_)[SU]?(\d+)(?:LE|BE)?", subtype)
    return int(found[1]) if found else 16  # ULAW, ALAW, ADPCM and their kind unfold to 16 bits


def quantize(x: Array, bits: int) -> NDArray[np.int32]:
    """Round samples to integers of `bits` bits; what exceeds their range takes its nearest end."""
    scale = 2.0 ** (bits - 1)
    q: Array = np.rint(np.multiply(x, scale, dtype=np.float64 if bits > 24 else x.dtype))
    return np.clip(q, -scale, scale - 1, out=q).astype(np.int32)


def left_justified(x: Array, bits: int) -> NDArray[np.int16] | NDArray[np.int32]:
    """Integers as libsndfile takes them without scaling: the sample in the highest bits of an int16 or int32."""
    q = quantize(x, bits)
    return (q << (16 - bits)).astype(np.int16) if bits <= 16 else q << (32 - bits)


def _dtype(kind: str, n_bytes: int, endian: str) -> np.dtype[Any]:
    return np.dtype(f"{'>' if endian == 'BIG' else '<'}{kind}{n_bytes}")


def encode(x: Array, subtype: str, endian: str = "LITTLE") -> bytes:
    """Store samples (any shape, C order) as the bytes of one of `BYTES`.

    Args:
        x: float samples of any shape, full scale 1.
        subtype: a key of `BYTES`.
        endian: "LITTLE" or "BIG".
    """
    n_bytes = BYTES[subtype]
    if subtype in ("FLOAT", "DOUBLE"):
        return x.astype(_dtype("f", n_bytes, endian)).tobytes()
    q = quantize(x, 8 * n_bytes)
    if subtype == "PCM_U8":
        return (q + 128).astype(np.uint8).tobytes()
    if n_bytes == 3:
        quads = q.astype(_dtype("i", 4, endian)).reshape(-1, 1).view(np.uint8)  # (n, 4), the sign byte to be dropped
        return (quads[:, 1:] if endian == "BIG" else quads[:, :3]).tobytes()
    return q.astype(_dtype("i", n_bytes, endian)).tobytes()


def decode(data: bytes, subtype: str, endian: str = "LITTLE", *, dtype: Any = np.float32) -> Array:
    """Read what `encode` stored: (n_values,) of dtype.

    Args:
        data: the bytes.
        subtype, endian: as in `encode`.
        dtype: of the result.
    """
    n_bytes = BYTES[subtype]
    if subtype in ("FLOAT", "DOUBLE"):
        return np.frombuffer(data, _dtype("f", n_bytes, endian)).astype(dtype)
    if subtype == "PCM_U8":
        q: NDArray[Any] = np.frombuffer(data, np.uint8).astype(np.int16) - 128
    elif n_bytes == 3:
        quads = np.zeros((len(data) // 3, 4), np.uint8)
        big = endian == "BIG"
        quads[:, slice(0, 3) if big else slice(1, 4)] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        q = quads.view(_dtype("i", 4, endian))[:, 0] >> 8
    else:
        q = np.frombuffer(data, _dtype("i", n_bytes, endian))
    scale = 2.0 ** -(8 * n_bytes - 1)
    x: Array = np.multiply(q, scale, dtype=np.float64 if n_bytes == 4 else dtype)
    return x.astype(dtype, copy=False)
