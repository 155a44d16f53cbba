"""Bytes in, as many bytes out: a `Stream` behind the packets of a socket or of a voice agent."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from undin.audio.samples import BYTES, decode, encode
from undin.errors import InputError
from undin.stream import Startable
from undin.together import process_together

Samples = np.ndarray[Any, Any]  # (n_channels, n_samples)


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
        self, method: Startable, sr: int, n_channels: int = 1, subtype: str = "PCM_16", *, limit_db: float | None = None
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

    def reset(self) -> None:
        """Start a new signal."""
        self.stream.reset()

    @staticmethod
    def process_all(signals: Sequence["Packets"], packets: Sequence[bytes]) -> list[bytes | InputError]:
        """`process_packets` of signals of this class."""
        decoded = [_attempt(signal.decode, packet) for signal, packet in zip(signals, packets, strict=True)]
        at = [i for i, x in enumerate(decoded) if not isinstance(x, InputError) and x.size]
        ys = process_together([signals[i].stream for i in at], [decoded[i] for i in at])  # type: ignore[misc]
        answers: list[bytes | InputError] = [x if isinstance(x, InputError) else b"" for x in decoded]
        for i, y in zip(at, ys, strict=True):
            answers[i] = y if isinstance(y, InputError) else signals[i].encode(y)
        return answers

    def seconds(self, data: bytes) -> float:
        """Duration of a packet."""
        return len(data) / self.frame_bytes / self.sr

    def check(self, data: bytes) -> None:
        """Refuse part of a sample.

        Raises:
            InputError: it is.
        """
        if len(data) % self.frame_bytes:
            rule = f"a packet must contain complete samples, {self.frame_bytes} bytes each"
            raise InputError(f"{rule}; got {len(data)} bytes")

    def decode(self, data: bytes) -> Samples:
        """A packet as (n_channels, n_samples) float32.

        Args:
            data: complete samples.

        Raises:
            InputError: part of a sample.
        """
        self.check(data)
        return decode(data, self.subtype).reshape(-1, self.n_channels).T

    def encode(self, y: Samples) -> bytes:
        """(n_channels, n_samples) as a packet."""
        if self.subtype == "PCM_16":
            self.n_clipped += int(np.count_nonzero(np.abs(y) > 1))
        return encode(np.ascontiguousarray(y.T), self.subtype)


def process_packets(signals: Sequence[Packets], packets: Sequence[bytes]) -> list[bytes | InputError]:
    """`process` of several signals, with one call of a method for all that use it.

    Args:
        signals: each once.
        packets: one for each.

    Returns:
        For each signal its answer, or the error of its packet.
    """
    answers: list[bytes | InputError] = [b""] * len(packets)
    for kind in {type(signal): None for signal in signals}:
        at = [i for i, signal in enumerate(signals) if type(signal) is kind]
        found = kind.process_all([signals[i] for i in at], [packets[i] for i in at])
        for i, answer in zip(at, found, strict=True):
            answers[i] = answer
    return answers


def _attempt(decode: Callable[[bytes], Samples], packet: bytes) -> Samples | InputError:
    try:
        return decode(packet)
    except InputError as error:
        return error
