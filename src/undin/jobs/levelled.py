"""An output brought to a loudness: it waits on disk until its own is known, then passes with one gain."""

import math
import tempfile
from contextlib import ExitStack
from typing import Protocol, cast

import numpy as np

from undin.audio import Limiter
from undin.audio.loudness import LoudnessMeter
from undin.audio.writer import Writer
from undin.spectrum import Array

CEILING_DB = -1.0  # of samples; leaves room for what converters and encoders add between them
PIECE_S = 2.0


class Sink(Protocol):
    """Where the output of a method goes."""

    writers: list[Writer]

    @property
    def limited_db(self) -> float:
        """The greatest attenuation by a limiter."""

    def write(self, y: Array) -> None:
        """Take the next samples."""

    def finish(self) -> None:
        """All samples are there."""


class Levelled:
    """A sink before another. Talkers share one gain, from the loudness of their sum, so they sum to the louder input.

    Args:
        sink: gets the output.
        lufs: the wanted loudness; silence stays as it is.
        sr: sample rate, Hz.
        files: closes the file of the waiting samples, without a name in the folder of the first output.
        n_talkers: of the sources; what comes after them, a residual, gets their gain.
    """

    def __init__(self, sink: Sink, lufs: float, sr: int, files: ExitStack, n_talkers: int = 1) -> None:
        part = sink.writers[0].part
        self.writers, self.gain_db = sink.writers, cast("float | None", 0.0)
        self._sink, self._lufs, self._sr, self._n_talkers = sink, lufs, sr, n_talkers
        self._meter = LoudnessMeter(sr)
        self._limiter = Limiter(10 ** (CEILING_DB / 20), lookahead=sr // 200, hold=sr // 100)
        self._waiting = files.enter_context(tempfile.TemporaryFile(dir=part.target.parent if part else None))  # noqa: SIM115
        self._like = np.zeros(0, np.float32)  # shape and type of one sample of all channels

    @property
    def limited_db(self) -> float:
        """The greatest attenuation by a limiter."""
        return max(self._limiter.limited_db, self._sink.limited_db)

    def write(self, y: Array) -> None:
        """Take y (n_channels, n_samples) or (n_src, n_channels, n_samples)."""
        self._like = y[..., :0]
        self._meter.process(y if y.ndim == 2 else y[: self._n_talkers].sum(0))
        self._waiting.write(np.moveaxis(y, -1, 0).tobytes())

    def finish(self) -> None:
        """Pass all samples on, with the gain."""
        is_audible = math.isfinite(self._meter.lufs)
        self.gain_db = self._lufs - self._meter.lufs if is_audible else None
        gain, shape, dtype = 10 ** ((self.gain_db or 0) / 20), self._like.shape[:-1], self._like.dtype
        n_bytes = dtype.itemsize * math.prod(shape) * max(round(PIECE_S * self._sr), 1)
        self._waiting.seek(0)
        while piece := self._waiting.read(n_bytes):
            y = np.moveaxis(np.frombuffer(piece, dtype).reshape(-1, *shape), 0, -1)
            self._sink.write(self._limiter.process(gain * y))
        self._sink.write(self._limiter.flush())
        self._sink.finish()
