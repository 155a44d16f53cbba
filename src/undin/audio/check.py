"""The check at the public door, and the one resampler."""

import os
from typing import Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from undin.checks import check
from undin.errors import InputError

Array = NDArray[np.floating]
Nan = Literal["raise", "zero"]
SR_MIN, SR_MAX = 1000, 768_000
MOST_CHANNELS = 256  # an array with more, and fewer samples than that, has its axes the wrong way round
MOST_TALKERS = 4  # at once, mixed and separated: training tries 4! orders at every step


def check_rate(sr: int) -> int:
    """Return sr as a plain int, or refuse it.

    Raises:
        InputError: sr is not an integer, or is outside 1000 to 768000 Hz.
    """
    if isinstance(sr, (int, np.integer)) and SR_MIN <= sr <= SR_MAX:
        return int(sr)
    cure = (
        "give the sample rate in Hz" if isinstance(sr, (int, np.integer)) else "pass the sample rate in Hz, as int(sr)"
    )
    raise InputError(f"sr must be an int in {SR_MIN} to {SR_MAX} Hz; got {sr!r}: {cure}")


def check_file_rate(name: str, sr: int) -> int:
    """Return the sample rate that a file says it has, or refuse the file.

    Raises:
        InputError: sr is outside 1000 to 768000 Hz.
    """
    if not SR_MIN <= sr <= SR_MAX:
        raise InputError(
            f"{name}: its header says {sr} Hz; undin reads {SR_MIN} to {SR_MAX} Hz: check the program that wrote it"
        )
    return sr


def check_audio(x: Array, sr: int, *, nan: Nan = "raise", start: int = 0) -> Array:
    """Check a waveform and its sample rate once, at the public door.

    Args:
        x: (..., n_samples), floating point; any number of leading axes, empty allowed.
        sr: sample rate, Hz, 1000 ... 768000.
        nan: "raise" refuses NaN and infinity; "zero" sets them to zero in a copy.
        start: position of x[..., 0] in its signal, for the message.

    Returns:
        x itself when it is sound float32 or float64 in the machine's byte order, else a copy that is; float16 becomes
        float32.

    Raises:
        InputError: integer or complex samples, no sample axis, a strange sr, or NaN/infinity (its place is named).

    >>> x = np.zeros((2, 100), np.float32)
    >>> check_audio(x, 16000) is x
    True
    """
    check_rate(sr)
    if isinstance(x, (str, os.PathLike)):
        raise InputError(f"x must be an array of samples; got the path {os.fspath(x)!r}: x, sr = undin.read(path)")
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating) or x.ndim == 0:
        raise InputError(
            f"x must be floating point of shape (..., n_samples); got {x.dtype} of shape {x.shape}: "
            "use undin.read(path), or divide integers by their full scale (int16: x / 32768)"
        )
    with np.errstate(over="ignore"):  # beyond float32 it is infinite, and refused below
        x = x.astype(x.dtype.newbyteorder("=") if x.dtype.itemsize in (4, 8) else np.float32, copy=False)
    return check_finite(x, sr, nan, start=start)


def check_axes(x: Array, *, most: int = MOST_CHANNELS) -> Array:
    """Refuse an array whose axes are the wrong way round: more than `most` channels, and fewer samples than that."""
    if x.ndim > 1 and x.shape[-2] > most > x.shape[-1] > 0:
        raise InputError(f"x must be (..., n_channels, n_samples); got {x.shape}: time comes last, so pass x.T")
    return x


def check_finite(x: Array, sr: int, nan: Nan = "raise", *, start: int = 0) -> Array:
    """Refuse or repair NaN and infinity; `start` is the position of x[..., 0] in its signal, for the message.

    Args:
        x: (..., n_samples).
        sr: its sample rate in Hz, for the message.
        nan: "raise" to refuse them, "zero" to set them to zero.
        start: position of x[..., 0] in its signal, for the message.
    """
    check("nan", nan, Nan)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(x.sum()):  # one bad sample spoils the sum: no array of flags is made for sound ones
            return x
    bad = ~np.isfinite(x)
    if nan == "zero":
        return np.where(bad, x.dtype.type(0), x)
    if not bad.any():
        return x
    n = int(bad.reshape(-1, x.shape[-1]).any(0).argmax())
    channel = int(bad[..., n].argmax())
    where = f" of channel {channel}" if x.ndim > 1 else ""
    value = x.reshape(-1, x.shape[-1])[channel, n]
    raise InputError(
        f"x must be finite; got {value} at sample {start + n} ({(start + n) / sr:.3f} s){where}: "
        'repair it, or pass nan="zero" to set such samples to zero'
    )


def resample(x: Array, sr_in: int, sr_out: int) -> Array:
    """Change the sample rate (soxr, high quality, linear phase, no delay).

    Args:
        x: (..., n_samples).
        sr_in: its sample rate, Hz.
        sr_out: the rate wanted, Hz.

    Returns:
        (..., ceil(n_samples * sr_out / sr_in)), dtype kept; x itself when the rates are equal. Resampling back and
        forth never returns fewer samples, so the original length is restored by cutting.

    Raises:
        InputError: as `check_audio`.

    >>> resample(np.zeros((2, 100), np.float32), 48000, 16000).shape
    (2, 34)
    """
    x = check_audio(x, sr_in)
    if check_rate(sr_out) == sr_in:
        return x
    lead, n_in = x.shape[:-1], x.shape[-1]
    n_out = -(-n_in * sr_out // sr_in)
    if not n_out or not x.size:
        return np.zeros((*lead, n_out), x.dtype)
    # soxr rounds the length down or up: zeros behind the signal let it give the last sample always
    n_zeros = 2 + 2 * sr_in // sr_out
    rows = np.zeros((n_in + n_zeros, x.size // n_in), x.dtype)
    rows[:n_in] = x.reshape(-1, n_in).T
    y = soxr.resample(rows, sr_in, sr_out, quality="HQ")[:n_out]
    return np.ascontiguousarray(y.T).reshape(*lead, n_out)
