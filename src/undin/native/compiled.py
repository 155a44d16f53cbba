"""A causal network compiled for this machine: `Stream` in C, at .28 (one stream) to .75 (16) of the cost.

Streams of one network share its weights. ctypes releases Python's lock during a call, so threads run in parallel.
"""

import ctypes
import math
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin.errors import InputError
from undin.methods import LIVE, Learned, load
from undin.methods.base import Method
from undin.native.build import MOST_CHANNELS, build_engine
from undin.native.library import MAX_RATE, MIN_RATE
from undin.packets import Packets
from undin.spectrum import Array
from undin.stream import Stream

Bytes = NDArray[np.uint8]
WIDTHS = {"PCM_16": 2, "FLOAT": 4}  # bytes of a sample


class Job(ctypes.Structure):
    """Samples for one stream; as in engine.c."""

    _fields_ = (
        ("stream", ctypes.c_void_p),
        ("input", ctypes.c_char_p),
        ("output", ctypes.c_void_p),
        ("n", ctypes.c_int),
        ("width", ctypes.c_int),
        ("clipped", ctypes.c_int),
        ("keep", ctypes.c_float),
    )


class Compiled:
    """A causal network as a library, compiled once and kept in the user's cache.

    Args:
        method: a network, an id of `undin.METHODS`, or the path of an .onnx.
        say: called with a line of text before compiling, which takes seconds.

    Attributes:
        method: the network.
        id: of the network.
        library: its functions.

    Raises:
        InputError: not a causal network, no C compiler, or the cache cannot be written or belongs to others.
        WeightsError: the file is not a model, the compiler failed, or C does not know an operation of the network.
    """

    def __init__(self, method: Method | str = LIVE, *, say: Callable[[str], object] | None = None) -> None:
        method = load(method) if isinstance(method, str) else method
        if not isinstance(method, Learned) or not method.causal:
            raise InputError(f"only causal networks can be compiled, and {method.id} is not one: use lull")
        self.method, self.id = method, method.id
        self.library = _load(str(build_engine(method, say)))

    @staticmethod
    def takes(sr: int) -> bool:
        """Whether streams can have a sample rate."""
        return MIN_RATE <= sr <= MAX_RATE

    def stream(self, sr: int, *, limit_db: float | None = None) -> "CompiledStream":
        """Start a stream; see `undin.stream.Stream`.

        Args:
            sr: sample rate in Hz, 8000 to 48000.
            limit_db: maximum attenuation in dB; None for no limit.

        Raises:
            InputError: another rate, a limit below 0, or a limit for a network that separates.
        """
        return CompiledStream(self, sr, limit_db=limit_db)


class CompiledStream(Stream):
    """A `Stream` whose work is done in C; its output is the same to within 1e-5 of full scale.

    Args:
        compiled: the network.
        sr: sample rate in Hz, 8000 to 48000.
        limit_db: maximum attenuation in dB; None for no limit.

    Attributes:
        library: the functions of the network.

    Raises:
        InputError: another rate, a limit below 0, or a limit for a network that separates.

    Chunks are (n_samples,) or (n_channels, n_samples), at most 8 channels; others raise an InputError in `process`.
    """

    def __init__(self, compiled: Compiled, sr: int, *, limit_db: float | None = None) -> None:
        if not compiled.takes(sr):
            raise InputError(f"a compiled stream has {MIN_RATE} to {MAX_RATE} Hz; got {sr}: do without compiling")
        self.library, self._handle, self._n_channels = compiled.library, None, 0
        self._close: Callable[[], object] = lambda: None
        super().__init__(compiled.method, sr, limit_db=limit_db)

    def reset(self) -> None:
        """Start a new signal with the same settings."""
        super().reset()
        self._surplus = self.latency  # C gives as many samples as it takes
        if self._handle is not None:
            self.library.undin_reset(self._handle)

    def flush(self) -> Array:
        """End the signal: return the remaining samples and reset the stream; see `Stream.flush`."""
        if self._lead is None or 0 in self._lead or not self.n_in:
            return super().flush()
        y = self._advance(np.zeros((*self._lead, self.latency), self._dtype))
        if self._fifo is not None:
            y = np.concatenate([self._fifo, y], -1)
        self.reset()
        return y

    def begin(self, chunk: Array) -> Array:
        """Streams in C are not answered together: see `CompiledPackets`.

        Raises:
            InputError: always.
        """
        raise InputError("a compiled stream cannot be processed together with others: call process")

    def job(self, data: bytes, n_channels: int, width: int) -> tuple[Job, Bytes]:
        """Work for `run`.

        Args:
            data: interleaved samples.
            n_channels: the same throughout a signal.
            width: bytes of a sample: 2 for 16-bit integers, 4 for floats.

        Returns:
            The job, and the bytes that it writes.

        Raises:
            InputError: more than 8 channels.
        """
        if n_channels != self._n_channels:
            self._open(n_channels)
        out = np.empty(len(data) * (self.method.n_src or 1), np.uint8)
        n = len(data) // (width * int(n_channels))
        return Job(self._handle, data, out.ctypes.data, n, width, 0, self.keep), out

    def _open(self, n_channels: int) -> None:
        _check_channels(n_channels)
        handle = self.library.undin_open(int(self.sr), int(n_channels))
        if handle is None:
            raise MemoryError
        self._close()
        self._handle, self._n_channels = handle, n_channels
        self._close = finalizer = weakref.finalize(self, self.library.undin_close, handle)
        finalizer.atexit = False  # a daemon thread may still be in C

    def _check_axes(self, chunk: Array, equal: bool) -> None:
        super()._check_axes(chunk, equal)
        if chunk.ndim > 2:
            raise InputError(f"a compiled stream takes (n_channels, n_samples); got {chunk.ndim} axes")
        _check_channels(math.prod(chunk.shape[:-1]))

    def _advance(self, x: Array) -> Array:
        """Samples in, final samples out."""
        assert self._lead is not None
        self.n_in += x.shape[-1]
        n_channels = self._lead[0] if self._lead else 1
        data = x.reshape(n_channels, x.shape[-1]).T.astype("<f4").tobytes()
        job, out = self.job(data, n_channels, 4)
        run(self.library, [job])
        y = out.view(np.float32).reshape(x.shape[-1], self.method.n_src or 1, n_channels)
        return self._shape(y.transpose(1, 2, 0))  # enhancement: without the first axis


def run(library: Any, jobs: Sequence[Job]) -> list[int]:
    """Process jobs of different streams in one call.

    Returns:
        For each, how many integers were clipped; -1 where samples are NaN, infinite or beyond ±1e15.
    """
    array = (Job * len(jobs))(*jobs)
    library.undin_process(array, len(jobs))
    return [job.clipped for job in array]


class CompiledPackets(Packets):
    """`Packets` of a compiled stream: bytes in, bytes out, without numpy in between.

    Args:
        compiled: the network; it must enhance.
        sr, n_channels, subtype, limit_db: as in `Packets`; PCM_16 or FLOAT.

    Attributes:
        stream: the driver, whose `limit_db` may be changed.

    Raises:
        InputError: another rate, or a limit below 0.
    """

    stream: CompiledStream

    def __init__(
        self, compiled: Compiled, sr: int, n_channels: int = 1, subtype: str = "PCM_16", *, limit_db: float | None
    ) -> None:
        super().__init__(compiled, sr, n_channels, subtype, limit_db=limit_db)
        self._width = WIDTHS[subtype]

    def process(self, data: bytes) -> bytes:
        """See `Packets.process`.

        Raises:
            InputError: part of a sample, NaN or infinity, or more than 8 channels.
        """
        (answer,) = self.process_all([self], [data])
        if isinstance(answer, InputError):
            raise answer
        return answer

    def flush(self) -> bytes:
        """End the signal: the delayed rest."""
        rest = self.process(bytes(self.stream.latency * self.frame_bytes)) if self.stream.n_in else b""
        self.reset()
        return rest

    @staticmethod
    def process_all(signals: Sequence[Packets], packets: Sequence[bytes]) -> list[bytes | InputError]:
        """See `Packets.process_all`."""
        answers: list[bytes | InputError] = [b""] * len(packets)
        work: defaultdict[Any, list[tuple[int, CompiledPackets, Job, Bytes]]] = defaultdict(list)
        for i, (signal, packet) in enumerate(zip(signals, packets, strict=True)):
            assert isinstance(signal, CompiledPackets)
            try:
                job, out = signal._job(packet)
            except InputError as error:
                answers[i] = error
            else:
                work[signal.stream.library].append((i, signal, job, out))
        for library, rows in work.items():
            for (i, signal, job, out), clipped in zip(rows, run(library, [row[2] for row in rows]), strict=True):
                answers[i] = signal._error(packets[i]) if clipped < 0 else out.tobytes()
                signal.n_clipped += max(clipped, 0)
                signal.stream.n_in += job.n if clipped >= 0 else 0
        return answers

    def _job(self, packet: bytes) -> tuple[Job, Bytes]:
        self.check(packet)
        return self.stream.job(packet, self.n_channels, self._width)

    def _error(self, packet: bytes) -> InputError:
        """Why C refused a packet."""
        try:
            self.stream.process(self.decode(packet), equal=True)
        except InputError as error:
            return error
        raise AssertionError("C and Python disagree on what sound is")


def _check_channels(n_channels: int) -> None:
    if n_channels > MOST_CHANNELS:
        raise InputError(f"a compiled stream has at most {MOST_CHANNELS} channels; got {n_channels}")


def _load(path: str) -> Any:
    """The functions of a library that `build_engine` made."""
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        reason = str(error).removeprefix(f"{path}: ")
        cure = "remove it, or set UNDIN_CACHE to another folder"
        raise InputError(f"{path} cannot be loaded ({reason}): {cure}") from error
    library.undin_open.restype = ctypes.c_void_p
    library.undin_reset.argtypes = library.undin_close.argtypes = [ctypes.c_void_p]
    library.undin_load()
    return library
