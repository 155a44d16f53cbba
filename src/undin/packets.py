"""Bytes in, as many bytes out: a `Stream` behind the packets of a socket or of a voice agent."""

from typing import Any

import numpy as np

from undin.audio.samples import BYTES, decode, encode
from undin.errors import InputError
from undin.methods.base import Method


class Packets:
    """Enhances packets of interleaved samples.

    Args:
        method: a causal method that enhances.
        sr: sample rate in Hz.
        n_channels: interleaved channels.
        subtype: sample format, a key of `undin.audio.samples.BYTES`.
        limit_db: maximum attenuation in dB; None for no limit.

    Attributes:
        stream: the driver, whose `limit_db` may be changed.
        frame_bytes: bytes of one sample of all channels.
        n_clipped: output samples above full scale, which integers cannot hold.
    """

    def __init__(
        self, method: Method, sr: int, n_channels: int = 1, subtype: str = "PCM_16", *, limit_db: float | None = None
    ) -> None:
        self.stream, self.sr = method.stream(sr, limit_db=limit_db), sr
        self.n_channels, self.subtype = n_channels, subtype
        self.frame_bytes, self.n_clipped = BYTES[subtype] * n_channels, 0

    def process(self, data: bytes) -> bytes:
        """Answer samples, `stream.latency` samples late (at first zeros).

        Args:
            data: any number of samples.

        Raises:
            InputError: part of a sample, NaN or infinity.
        """
        x = self.decode(data)
        return self.encode(self.stream.process(x, equal=True)) if x.size else b""

    def flush(self) -> bytes:
        """End the signal: the delayed rest."""
        return self.encode(self.stream.flush())

    def seconds(self, data: bytes) -> float:
        """Duration of a packet."""
        return len(data) / self.frame_bytes / self.sr

    def decode(self, data: bytes) -> np.ndarray[Any, Any]:
        """A packet as (n_channels, n_samples) float32.

        Args:
            data: complete samples.

        Raises:
            InputError: part of a sample.
        """
        if len(data) % self.frame_bytes:
            rule = f"a packet must contain complete samples, {self.frame_bytes} bytes each"
            raise InputError(f"{rule}; got {len(data)} bytes")
        return decode(data, self.subtype).reshape(-1, self.n_channels).T

    def encode(self, y: np.ndarray[Any, Any]) -> bytes:
        """(n_channels, n_samples) as a packet."""
        if self.subtype == "PCM_16":
            self.n_clipped += int(np.count_nonzero(np.abs(y) > 1))
        return encode(np.ascontiguousarray(y.T), self.subtype)
