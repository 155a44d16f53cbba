"""One file in, one file out, block by block: the same length, rate, channels, format and tags, at any length."""

import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from undin.atomic import atomic_write, check_folder
from undin.audio import VIDEO_EXTENSIONS, Limiter, Reader, Writer, open_reader, open_writer
from undin.checks import check
from undin.errors import InputError
from undin.jobs.levelled import Levelled, Sink
from undin.jobs.walk import identity
from undin.methods import Method, Separator, Talkers, Voice, lone_order, open_separator
from undin.spectrum import Array
from undin.stream import Stream
from undin.workers import Progress

STDIN = "standard input"  # as the reader of "-" is named
PICTURE_EXTENSIONS = tuple(name for name in VIDEO_EXTENSIONS if name not in (".m4a", ".mka"))
Lufs = Annotated[float, ">= -70", "<= 0"]
BLOCK_S = 2.0  # seconds read at a time; a live pipe gives what it has


@dataclass(frozen=True)
class FileReport:
    """Result of processing one file."""

    source: str
    targets: tuple[str, ...]
    residual: str | None
    seconds: float  # of audio
    sr: int
    n_channels: int
    container: str  # of the output
    subtype: str  # of the output
    changed: str | None  # properties the output's container could not keep: "FLOAT -> PCM_24"
    limited_db: float  # greatest attenuation by the limiter, 0.0 where nothing exceeded full scale
    wall_s: float
    near_silence: tuple[str, ...] = ()  # targets of talkers that were not found
    talkers: int | None = None  # how many talk, from a method that separates
    gain_db: float | None = 0.0  # that brought the output to the wanted loudness; None if it is too quiet to measure

    @property
    def times_real_time(self) -> float:
        """Seconds of audio done in one second."""
        return self.seconds / self.wall_s if self.wall_s else 0.0


def process_file(
    method: Method,
    source: str,
    target: str | Sequence[str],
    *,
    limit_db: float | None = None,
    independent: bool = False,
    residual: str | None = None,
    nan: Literal["raise", "zero"] = "raise",
    truncated: Literal["raise", "keep"] = "raise",
    raw: str | None = None,
    loudness: float | None = None,
    talkers: Talkers = "auto",
    denoise: bool = False,
    voice: Voice | None = None,
    rttm: str | None = None,
    progress: Progress | None = None,
) -> FileReport:
    """Enhance or separate one file or pipe into one file or pipe, or into one per source.

    Outputs appear whole or not at all. Memory is bounded by the block (by about 40 s for a whole-signal method, and 10
    for talkers).

    Args:
        method: a method returned by `undin.load`.
        source: path, or "-" for standard input.
        target: path or "-"; from a separating method a list of n_src paths, or of one with `voice`. The extension
            chooses the container.
        limit_db: nothing is attenuated by more than this many dB.
        independent: treat channels one by one.
        residual: path for what is in no other output: the removed noise, x - y.
        nan: "raise" at the first NaN or Inf, or "zero" to repair them.
        truncated: "raise" if the file is shorter than its header says, or "keep" the samples it has.
        raw: format of headerless audio, in and out, e.g. "s16le:16000:1".
        loudness: loudness of the output in LUFS (ITU-R BS.1770-4); one gain for the whole file and all talkers, and
            peaks are limited to -1 dBFS. The output waits on disk until its loudness is known. None keeps the level.
        talkers, denoise, voice: as in `Separator`.
        rttm: path for the times at which each talker talks.
        progress: called after every block with the seconds of audio in it.

    Returns:
        A FileReport.

    Raises:
        InputError: a file cannot be read or written, or a setting breaks a rule.
    """
    targets = (target,) if isinstance(target, str) else tuple(target)
    n_out = 1 if voice else method.n_src or 1
    if len(targets) != n_out:
        raise InputError(f"{method.id} writes {n_out} files per input; got {len(targets)} names")
    _check_names(source, targets, [*filter(None, (residual, rttm))])
    if rttm:
        check_folder(Path(rttm))
    start = time.perf_counter()
    with ExitStack() as stack:
        reader = stack.enter_context(open_reader(source, raw=raw, truncated=truncated, nan=nan))
        _check_picture(reader, targets)
        if reader.n_tracks > 1:
            warnings.warn(f"{source} has {reader.n_tracks} audio tracks: the first one is processed", stacklevel=2)
        sr = reader.format.sr
        stream: Stream | Separator = method.stream(sr, limit_db=limit_db, independent=independent)
        if method.n_src:
            options: dict[str, Any] = {"talkers": talkers, "denoise": denoise, "residual": bool(residual)}
            stream = open_separator(method, sr, voice, **options)

        def opened(target: str) -> Writer:
            return stack.enter_context(open_writer(target, reader.format, like=source))

        writers = [opened(target) for target in (*targets, *filter(None, [residual]))]
        ends = _Talkers(writers, len(targets), moves=not method.knows_talkers) if method.n_src else _One(writers[0])
        sink: Sink = ends
        if loudness is not None:
            check("loudness", loudness, Lufs)
            sink = Levelled(sink, loudness, sr, stack, len(targets))
        rest = _Residual(writers[-1]) if residual and not method.n_src else None
        _pump(reader, stream, sink, rest, progress)
    if rttm and isinstance(stream, Separator):
        _write_rttm(rttm, Path(rttm if source == "-" else source).stem, [stream.turns[i] for i in ends.order])
    before, after = reader.format, sink.writers[0].format
    return FileReport(
        source=source,
        targets=targets,
        residual=residual,
        seconds=reader.position / sr,
        sr=sr,
        n_channels=before.n_channels,
        container=after.container,
        subtype=after.subtype,
        changed=None if before.subtype == after.subtype else f"{before.subtype} -> {after.subtype}",
        limited_db=max(sink.limited_db, rest.limited_db if rest else 0.0),
        wall_s=time.perf_counter() - start,
        near_silence=tuple(targets[i] for i in ends.silent),
        talkers=stream.n_talkers if isinstance(stream, Separator) else None,
        gain_db=sink.gain_db if isinstance(sink, Levelled) else 0.0,
    )


def _check_names(source: str, targets: Sequence[str], extras: Sequence[str]) -> None:
    """No two outputs may be one file, and what is written besides the targets may not be the input."""
    outputs = [*targets, *extras]
    for i, name in enumerate(outputs):
        if name in outputs[:i]:
            raise InputError(f"{name} is the name of two outputs: give each its own")
    for name in extras:
        if (itself := identity(name)) is not None and itself == identity(source):
            raise InputError(f"{name} is the input and would be lost: give the residual and the rttm other names")


def _check_picture(reader: Reader, targets: Sequence[str]) -> None:
    """A pipe can be read only once, so the other tracks of a video cannot be copied from it."""
    for target in targets:
        if reader.name == STDIN and reader.has_more and Path(target).suffix.lower() in PICTURE_EXTENSIONS:
            raise InputError(
                f"{target}: the video stream cannot be kept in a pipe: use the file name instead of -, "
                "or write .wav for the audio only"
            )


def _write_rttm(path: str, name: str, turns: list[list[tuple[float, float]]]) -> None:
    """Write who talks when, as tools for diarization read it: a line for each turn, fields without spaces."""
    lines = sorted((start, end, i + 1) for i, each in enumerate(turns) for start, end in each)
    with atomic_write(Path(path)) as file:
        for start, end, i in lines:
            where = f"{'_'.join(name.split())} 1 {start:.3f} {end - start:.3f}"
            file.write(f"SPEAKER {where} <NA> <NA> talker{i} <NA> <NA>\n")


def _pump(
    reader: Reader, stream: Stream | Separator, sink: Sink, rest: "_Residual | None", progress: Progress | None
) -> None:
    """Move all samples from the reader through the stream to the writers."""
    sr = reader.format.sr
    while (x := reader.read(max(round(BLOCK_S * sr), 1))).shape[-1]:
        y = stream.process(x)
        sink.write(y)
        if rest:
            rest.write(x, y)
        if progress:
            progress(x.shape[-1] / sr)
    if reader.position:
        y = stream.flush()
        sink.write(y)
        sink.finish()
        if rest:
            rest.write(y[..., :0], y)


class _One:
    """The one output of an enhancement."""

    silent, order = (), (0,)

    def __init__(self, writer: Writer) -> None:
        self.writers = [writer]

    @property
    def limited_db(self) -> float:
        return self.writers[0].limited_db

    def write(self, y: Array) -> None:
        """Take y (n_channels, n_samples)."""
        self.writers[0].write(y)

    def finish(self) -> None:
        """Nothing is held back here."""


class _Talkers:
    """One output for each talker, and one for the rest if it is kept; what exceeds full scale lowers all alike, so that
    they still sum to the input.
    """

    def __init__(self, writers: list[Writer], n_talkers: int, *, moves: bool) -> None:
        self.writers, self.n_talkers, self._moves = writers, n_talkers, moves
        format = writers[0].format
        ms = format.sr // 1000
        self._limiter = Limiter(lookahead=5 * ms, hold=10 * ms) if format.has_full_scale else None
        self._energies = np.zeros(n_talkers)
        self.silent: Sequence[int] = ()  # files near silence, known at the end
        self.order: Sequence[int] = range(n_talkers)  # of the talkers in the files

    @property
    def limited_db(self) -> float:
        return self._limiter.limited_db if self._limiter else 0.0

    def write(self, y: Array) -> None:
        """Take y (n_writers, n_channels, n_samples)."""
        self._energies += np.square(y[: self.n_talkers], dtype=np.float64).sum((1, 2))
        for writer, y_i in zip(self.writers, self._limiter.process(y) if self._limiter else y, strict=True):
            writer.write(y_i)

    def finish(self) -> None:
        """Write the samples still in the limiter, and name a lone voice as the first talker, if it moves."""
        if self._limiter:
            for writer, y_i in zip(self.writers, self._limiter.flush(), strict=True):
                writer.write(y_i)
        n_silent, order = lone_order(self._energies.tolist())
        self.silent = order[self.n_talkers - n_silent :]
        parts = [writer.part for writer in self.writers[: self.n_talkers] if writer.part]
        if len(parts) < self.n_talkers or not self._moves:  # a stream cannot be renamed
            return
        self.order, self.silent = order, range(self.n_talkers - n_silent, self.n_talkers)
        for part, target in zip([parts[i] for i in self.order], [part.target for part in parts], strict=True):
            part.target = target


class _Residual:
    """x - y: x waits until the method has answered it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._waiting: Array | None = None

    @property
    def limited_db(self) -> float:
        return self._writer.limited_db

    def write(self, x: Array, y: Array) -> None:
        """Take the next x (n_channels, n) and the next y (n_channels, m): write m samples."""
        ready = x if self._waiting is None else np.concatenate([self._waiting, x], -1)
        n = y.shape[-1]
        self._waiting = ready[..., n:]
        self._writer.write(ready[..., :n] - y)
