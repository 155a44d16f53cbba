"""Audio of videos and .m4a files, through PyAV: decoded to samples, encoded back next to the unchanged picture."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np

from undin.audio.check import Array
from undin.audio.format import ALSO_READ, VIDEO_EXTENSIONS, AudioFormat
from undin.audio.part import PartFile
from undin.audio.reader import Reader
from undin.audio.source import AudioPath
from undin.audio.writer import Writer
from undin.errors import InputError, require

ENCODERS = {"mp3float": "libmp3lame", "mp3": "libmp3lame", "opus": "libopus", "vorbis": "vorbis"}  # others: same name
PLAIN = {"pcm_u8": "pcm_u8", "pcm_16": "pcm_s16le", "pcm_24": "pcm_s24le", "pcm_32": "pcm_s32le"}  # libsndfile's names
PLAIN |= {"float": "pcm_f32le", "double": "pcm_f64le"}
VIDEOS = VIDEO_EXTENSIONS + ALSO_READ
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
MUXERS = {".m4a": "mp4", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".mka": "matroska"}
MUXERS |= {".webm": "webm"}
MUXER_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder")  # each muxer writes its own
GAP = 0.1  # s; where sound is missing for longer, silence is put in, so that picture and sound stay together


class VideoReader(Reader):
    """The first audio track of a container that PyAV opens, decoded to float.

    The encoder's delay is taken off as the container says, and in MP4 its padding at the end. n_samples is unknown
    until the end, since containers round their durations.
    """

    def __init__(self, file: Path | IO[bytes], name: str, **kw: Any) -> None:
        av = require("av", extra="video")
        self._file = file
        try:
            self._container = av.open(str(file) if isinstance(file, Path) else file)
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{name} cannot be opened as a video or .m4a file ({error}): is it complete?") from error
        if not self._container.streams.audio:
            self._container.close()
            raise InputError(f"{name} has no audio track")
        stream = self._container.streams.audio[0]
        self.has_more = sum(each.type in ("audio", "video", "subtitle") for each in self._container.streams) > 1
        self.n_tracks = len(self._container.streams.audio)
        self._start = stream_start(stream)
        self._resampler = av.AudioResampler(format="fltp")
        self._frames = self._decode(stream, name, av)
        self._rest = np.zeros((stream.channels, 0), np.float32)
        format = AudioFormat(
            stream.sample_rate,
            stream.channels,
            Path(name).suffix.lower(),
            stream.codec_context.name.upper(),
            bitrate=stream.bit_rate or _bitrate(file, av),
            tags={key.lower(): text for key, text in self._container.metadata.items()},
        )
        super().__init__(name, format, **kw)

    def _decode(self, stream: Any, name: str, av: Any) -> Iterator[Array]:
        n_done, exact = 0, stream.time_base <= Fraction(1, stream.sample_rate)
        try:
            for frame in self._container.decode(stream):
                at = 0 if frame.pts is None else round(frame.pts * frame.time_base * stream.sample_rate) - self._start
                if frame.pts is not None and at - n_done > GAP * stream.sample_rate:
                    yield np.zeros((stream.channels, at - n_done), np.float32)
                    n_done = at
                n = frame.samples
                if exact and frame.duration:  # the last frame of an MP4 says how much of it is sound
                    n = min(n, round(frame.duration * frame.time_base * stream.sample_rate))
                for part in self._resampler.resample(frame):
                    yield part.to_ndarray()[:, :n]
                n_done += n
        except av.FFmpegError as error:
            raise InputError(f"{name} is damaged after sample {n_done}: {error}") from error

    def _read(self, n: int) -> Array:
        parts = [self._rest]
        n_have = self._rest.shape[-1]
        while n_have < n and (part := next(self._frames, None)) is not None:
            parts.append(part)
            n_have += part.shape[-1]
        x = np.concatenate(parts, -1)
        self._rest = x[:, n:]
        return x[:, :n].astype(self.dtype, copy=False)

    def close(self) -> None:
        """Close the container."""
        self._container.close()
        if not isinstance(self._file, Path):
            self._file.close()


def stream_start(stream: Any) -> int:
    """Samples before the first one of a track, on the clock of its container."""
    start: int = round((stream.start_time or 0) * stream.time_base * stream.sample_rate)
    return start


def _bitrate(file: Path | IO[bytes], av: Any) -> int | None:
    """Bit rate of the first 500 packets, for containers that do not declare it."""
    if not isinstance(file, Path):
        return None
    with av.open(str(file)) as container:
        stream = container.streams.audio[0]
        packets = [(p.size, p.duration) for p in itertools.islice(container.demux(stream), 500) if p.duration]
        seconds = float(sum(duration for _, duration in packets) * stream.time_base)  # PyAV 19 knows it while open only
    return round(8 * sum(size for size, _ in packets) / seconds) if seconds else None


class VideoWriter(Writer):
    """Sound into a container that PyAV writes, the other tracks of `like` copied packet by packet, untouched.

    That is pictures, subtitles, covers and other audio tracks, and the chapters; not tracks of other data (a camera's
    motion sensor). Containers for sound alone (.m4a, .mka) take other audio tracks and covers.
    """

    part: PartFile

    def __init__(self, target: AudioPath, format: AudioFormat, like: AudioPath | None) -> None:
        self._av = av = require("av", extra="video")
        extension = format.container
        codec = _encoder(format.subtype.lower(), extension, av)
        family = {"libopus": "OPUS", "libmp3lame": "MP3"}.get(codec, codec.upper())
        bitrate = None if codec.startswith(("pcm_", "flac", "alac")) else format.bitrate
        super().__init__(str(target), replace(format, subtype=family, bitrate=bitrate))
        self.part = PartFile(target)
        self._out: Any = None
        self._like: Any = None
        try:
            brand = {"brand": "M4A "} if extension == ".m4a" else {}  # the muxer "ipod" takes no covers
            self._out = av.open(self.part, "w", format=MUXERS[extension], options=brand)
            self._like = av.open(str(like)) if like and Path(like).suffix.lower() in VIDEOS else None
            self._open(codec, av)
        except (av.FFmpegError, ValueError, OSError) as error:
            self.abort()
            others = f" next to the other tracks of {like}" if like else ""
            raise InputError(
                f"{target}: {codec} in {extension} cannot hold {format.n_channels} channels at {format.sr} Hz{others} "
                f"({error}): write .wav or .mkv"
            ) from error
        except BaseException:
            self.abort()
            raise

    def _open(self, codec: str, av: Any) -> None:
        old = self._like.streams.audio[0] if self._like and self._like.streams.audio else None
        self._copies: dict[int, Any] = {}
        for stream in self._like.streams if self._like else ():
            if old is not None and stream.index == old.index:
                self._add_sound(codec, old, av)
            elif stream.type == "audio" or _is_kept(stream, self.format.container, av):
                self._copies[stream.index] = self._out.add_stream_from_template(stream)
                self._copies[stream.index].metadata.update(stream.metadata)
                self._copies[stream.index].disposition = stream.disposition.value
        if old is None:
            self._add_sound(codec, None, av)
        tags = self._like.metadata if self._like else self.format.tags
        self._out.metadata.update({k: v for k, v in tags.items() if k not in MUXER_TAGS})
        if self._like:
            self._out.set_chapters(self._like.chapters())
        streams = [stream for stream in self._like.streams if stream.index in self._copies] if self._copies else []
        self._packets = self._like.demux(streams) if streams else iter(())
        self._start = stream_start(old) if old is not None else 0
        self._next = next(self._packets, None)

    def _add_sound(self, codec: str, old: Any, av: Any) -> None:
        options = {"strict": "-2"} if codec == "vorbis" else {}
        self._sound = self._out.add_stream(codec, rate=self.format.sr, options=options)
        context = self._sound.codec_context
        same_layout = old is not None and old.channels == self.format.n_channels and "channels" not in old.layout.name
        if not same_layout and self.format.n_channels not in LAYOUTS:
            raise ValueError("it supports 1 to 8 channels")
        context.layout = old.layout.name if same_layout else LAYOUTS[self.format.n_channels]
        held = [sample_format.name for sample_format in av.codec.Codec(codec, "w").audio_formats]
        wanted = [old.format.name if old is not None else "", "fltp", "flt", *held]
        context.format = next(name for name in wanted if name in held)
        if self.format.bitrate:
            context.bit_rate = self.format.bitrate
        if old is not None:
            self._sound.metadata.update(old.metadata)
        context.open()

    def _put(self, x: Array) -> None:
        if not x.shape[-1]:
            return
        layout, sr = self._sound.layout.name, self.format.sr
        frame = self._av.AudioFrame.from_ndarray(np.ascontiguousarray(x, np.float32), format="fltp", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = sr, Fraction(1, sr), self._start + self._n_put
        self._n_put += x.shape[-1]
        self._encode(frame)

    _n_put = 0

    def _encode(self, frame: Any) -> None:
        try:
            for packet in self._sound.encode(frame):
                self._copy_until(float(packet.dts * packet.time_base))
                self._out.mux(packet)
        except self._av.FFmpegError as error:
            raise InputError(f"{self.name} cannot be written: {error}: nothing was changed") from error

    def _copy_until(self, seconds: float) -> None:
        """Copy the other tracks up to this time: files play well when their tracks are interleaved."""
        while self._next is not None:
            packet = self._next
            if packet.dts is not None and float(packet.dts * packet.time_base) > seconds:
                return
            if packet.size:  # covers have no time; the empty packet at the end has no audio, picture or text
                packet.stream = self._copies[packet.stream.index]
                self._out.mux(packet)
            self._next = next(self._packets, None)

    def _finish(self) -> None:
        if not self._n_put:
            raise InputError(f"{self.name}: its codec cannot store 0 samples: write .wav")
        self._encode(None)
        try:
            self._copy_until(float("inf"))
            self._out.close()
        except self._av.FFmpegError as error:
            raise InputError(f"{self.name} cannot be written: {error}: nothing was changed") from error
        if self._like:
            self._like.close()
        self.part.finish()

    def abort(self) -> None:
        """Abort: delete the partial output."""
        for container in (self._out, self._like):
            with contextlib.suppress(self._av.FFmpegError, ValueError, OSError):
                if container:
                    container.close()
        self.part.abort()


def _is_kept(stream: Any, extension: str, av: Any) -> bool:
    is_cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
    return stream.type in ("video", "subtitle") and (is_cover or extension not in (".m4a", ".mka"))


def _encoder(codec: str, extension: str, av: Any) -> str:
    """The encoder of the same family as `codec`, or the container's usual codec."""
    codec = PLAIN[codec] if codec in PLAIN and extension in (".mkv", ".mka", ".mov") else ENCODERS.get(codec, codec)
    try:
        if av.codec.Codec(codec, "w").type == "audio" and not codec.startswith("wma"):
            return codec
    except av.codec.codec.UnknownCodecError:
        pass
    return "libopus" if extension == ".webm" else "aac"
