"""Format of an audio file: its rate, channels, container and sample format; and formats of each container."""

import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from undin.audio.check import check_rate
from undin.audio.samples import BYTES, bits_of
from undin.errors import InputError

# extension -> containers it may mean; the first is written unless the source has another of them
EXTENSIONS: dict[str, tuple[str, ...]] = {
    ".wav": ("WAV", "WAVEX", "RF64"),
    ".wave": ("WAV", "WAVEX", "RF64"),
    ".rf64": ("RF64",),
    ".w64": ("W64",),
    ".flac": ("FLAC",),
    ".ogg": ("OGG",),
    ".oga": ("OGG",),
    ".opus": ("OGG",),
    ".mp3": ("MP3",),
    ".aiff": ("AIFF",),
    ".aif": ("AIFF",),
    ".aifc": ("AIFF",),
    ".caf": ("CAF",),
    ".au": ("AU",),
    ".snd": ("AU",),
}
VIDEO_EXTENSIONS = (".m4a", ".mp4", ".m4v", ".mov", ".mkv", ".mka", ".webm")  # through PyAV, see video.py
AS_M4A = (".aac", ".wma")  # sound alone, of the following: what undin makes of it is .m4a
ALSO_READ = (".aac", ".ac3", ".amr", ".wma", ".3gp", ".avi", ".flv", ".mpg", ".ts", ".wmv")  # PyAV, but not written

# sample format -> what to store instead, best first, where a container cannot hold it; then the container's default
NEAREST: dict[str, tuple[str, ...]] = {
    "PCM_U8": ("PCM_S8",),
    "PCM_S8": ("PCM_U8",),
    "PCM_32": ("PCM_24",),
    "FLOAT": ("PCM_24",),
    "DOUBLE": ("FLOAT", "PCM_24"),
    "ALAC_20": ("PCM_24",),
    "ALAC_24": ("PCM_24",),
    "ALAC_32": ("PCM_32", "PCM_24"),
}
DEFAULTS = {".opus": "OPUS", ".ogg": "VORBIS", ".oga": "VORBIS", ".mp3": "MPEG_LAYER_III"}  # all others PCM_16
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_III")
UNSAFE = (
    "ALAC_20",
    "ALAC_24",
    "ALAC_32",
)  # libsndfile 1.2.2 writes rubbish where such sound is loud noise: stored as PCM
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)

RAW_ENCODINGS: dict[str, tuple[str, str]] = {
    "s8": ("PCM_S8", "LITTLE"),
    "u8": ("PCM_U8", "LITTLE"),
    "s16le": ("PCM_16", "LITTLE"),
    "s16be": ("PCM_16", "BIG"),
    "s24le": ("PCM_24", "LITTLE"),
    "s24be": ("PCM_24", "BIG"),
    "s32le": ("PCM_32", "LITTLE"),
    "s32be": ("PCM_32", "BIG"),
    "f32le": ("FLOAT", "LITTLE"),
    "f32be": ("FLOAT", "BIG"),
    "f64le": ("DOUBLE", "LITTLE"),
    "f64be": ("DOUBLE", "BIG"),
}


@dataclass(frozen=True)
class AudioFormat:
    """The format of an audio file, used to store outputs like inputs.

    Attributes:
        sr: sample rate, Hz.
        n_channels: number of channels.
        container: libsndfile's name ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", ...), "RAW", or the
            extension of a container that PyAV handles (".mp4").
        subtype: sample format, libsndfile's name ("PCM_16", "FLOAT", "VORBIS", ...), or a codec of PyAV ("AAC").
        endian: "FILE" (the container's own), "LITTLE" or "BIG".
        n_samples: length; None when unknown (a pipe).
        bitrate: bits per second of a lossy file, as measured or declared; None when it does not apply.
        channel_mask: WAVEX's speaker positions; None elsewhere.
        tags: title, artist, album, comment, date, ... as text.
    """

    sr: int
    n_channels: int
    container: str = "WAV"
    subtype: str = "PCM_16"
    endian: str = "FILE"
    n_samples: int | None = None
    bitrate: int | None = None
    channel_mask: int | None = None
    tags: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def has_full_scale(self) -> bool:
        """Whether samples above full scale would be clipped (integer formats and Opus)."""
        return self.subtype == "OPUS" or bits_of(self.subtype) is not None

    @property
    def duration(self) -> float | None:
        """Length in seconds; None when unknown."""
        return None if self.n_samples is None else self.n_samples / self.sr


def parse_raw(raw: str) -> AudioFormat:
    """Read a description of headerless samples: "encoding:rate" or "encoding:rate:channels".

    >>> parse_raw("s16le:16000:1").subtype
    'PCM_16'
    """
    parts = raw.split(":")
    if len(parts) in (2, 3) and parts[0] in RAW_ENCODINGS and all(p.isdecimal() and int(p) for p in parts[1:]):
        subtype, endian = RAW_ENCODINGS[parts[0]]
        n_channels = int(parts[2]) if len(parts) == 3 else 1
        return AudioFormat(check_rate(int(parts[1])), n_channels, "RAW", subtype, endian)
    names = ", ".join(RAW_ENCODINGS)
    raise InputError(
        f'raw must be "encoding:rate:channels", such as "s16le:16000:1", encoding one of {names}; got {raw!r}'
    )


def format_for(
    target: str | Path, source: AudioFormat, *, subtype: str | None = None, like: str | Path | None = None
) -> AudioFormat:
    """Find how to store `source` under the extension of `target`.

    The container follows the extension, and the sample format stays where the container can hold it; else it is the
    nearest the container has (FLOAT becomes PCM_24 in FLAC). A WAV that would exceed 4 GiB becomes RF64, which WAV
    readers know; where the length is unknown beforehand the writer stops at 4 GiB with an InputError.

    Args:
        target: path to be written.
        source: rate, channels, sample format, bit rate and tags to keep.
        subtype: sample format to store instead of the source's.
        like: the source's path. Where its extension is unknown, the target may have any, and keeps the container.

    Returns:
        The AudioFormat to write.

    Raises:
        InputError: unknown extension, or a rate, channel count or subtype that the container cannot hold.
    """
    extension = Path(target).suffix.lower()
    if extension in VIDEO_EXTENSIONS:
        return replace(source, container=extension)
    if extension not in EXTENSIONS and like is not None and Path(like).suffix.lower() not in EXTENSIONS:
        extension = next((name for name, held in EXTENSIONS.items() if source.container in held), extension)
    if extension not in EXTENSIONS:
        names = " ".join((*EXTENSIONS, *VIDEO_EXTENSIONS))
        raise InputError(f"{target}: unknown extension {extension!r} for an output: use one of {names}")
    containers = EXTENSIONS[extension]
    container = source.container if source.container in containers else containers[0]
    same = container == source.container and (extension != ".opus" or source.subtype == "OPUS")
    endian = source.endian if same else "FILE"
    default = DEFAULTS.get(extension, "PCM_16")
    wanted = (subtype,) if subtype else (source.subtype, *NEAREST.get(source.subtype, ()), default)
    if not subtype and not same and (default != "PCM_16" or source.subtype in LOSSY):
        wanted = (default,)
    held = [name for name in wanted if name not in UNSAFE and soundfile.check_format(container, name)]
    if not held:
        names = ", ".join(soundfile.available_subtypes(container))
        raise InputError(f"{target}: {container} does not support the subtype {subtype!r}: use one of {names}")
    if not soundfile.check_format(container, held[0], endian):
        endian = "FILE"
    result = replace(source, container=container, subtype=held[0], endian=endian)
    if (source.channel_mask or 0).bit_count() not in (0, source.n_channels):  # speakers of another count of channels
        result = replace(result, channel_mask=None)
    n_bytes = BYTES.get(held[0], 2) * source.n_channels * (source.n_samples or 0)
    if container in ("WAV", "WAVEX") and n_bytes > WAV_MAX:
        result = replace(result, container="RF64")
    return _check_holds(target, result)


WAV_MAX = 2**32 - 2**20  # bytes of samples; the rest of 4 GiB is for headers and tags


def _check_holds(target: str | Path, format: AudioFormat) -> AudioFormat:
    rates = {"MPEG_LAYER_III": MP3_RATES, "OPUS": OPUS_RATES}.get(format.subtype)
    if format.container == "FLAC":
        most, cure = 8, "write .wav"
    elif format.container == "MP3":
        most, cure = 2, "write .ogg or .flac"
    else:
        most, cure = 255 if format.container == "OGG" else 1024, "write fewer channels"
    if not 1 <= format.n_channels <= most:
        raise InputError(f"{target}: {format.container} supports 1 to {most} channels; got {format.n_channels}: {cure}")
    if rates and format.sr not in rates:
        names = ", ".join(map(str, rates))
        raise InputError(
            f"{target}: {format.subtype} supports sample rates of {names} Hz; got {format.sr}: "
            "write .flac or .ogg (Vorbis), or resample"
        )
    if format.container == "FLAC" and format.sr > 655_350:
        raise InputError(f"{target}: FLAC supports sample rates up to 655350 Hz; got {format.sr}: write .wav")
    return format


def compression(format: AudioFormat) -> dict[str, Any]:
    """soundfile's settings that come nearest to format.bitrate; none where it is unknown or nothing can be chosen.

    libsndfile takes one level of 0 ... 1 and maps it itself: MP3 linearly between the greatest and
    least rate of the MPEG version, Opus linearly from 256 to 6 kbit/s per channel, Vorbis to a quality whose nominal
    rate depends on sample rate and channels, so it is looked up among eleven.
    """
    if not format.bitrate:
        return {}
    if format.subtype == "MPEG_LAYER_III":
        least, most = (32, 320) if format.sr >= 32000 else (8, 160) if format.sr >= 16000 else (8, 64)
        level = (most - format.bitrate / 1000) / (most - least)
        mode = (
            "CONSTANT" if format.bitrate >= 96_000 else "AVERAGE"
        )  # small constant frames have no room for the length
        return {"compression_level": float(np.clip(level, 0, 0.99)), "bitrate_mode": mode}
    if format.subtype == "OPUS":
        level = (256_000 - format.bitrate / format.n_channels) / 250_000
        return {"compression_level": float(np.clip(level, 0, 1))}
    if format.subtype == "VORBIS":
        levels = [i / 10 for i in range(11)]
        rates = [_vorbis_rate(format, level) for level in levels]
        return {"compression_level": levels[int(np.abs(np.log(np.array(rates) / format.bitrate)).argmin())]}
    return {}


def _vorbis_rate(format: AudioFormat, level: float) -> int:
    file = io.BytesIO()
    settings = {"format": "OGG", "subtype": "VORBIS", "compression_level": level}
    with soundfile.SoundFile(file, "w", format.sr, format.n_channels, **settings) as f:
        f.write(np.zeros((1, format.n_channels), np.float32))
    return max(vorbis_nominal(file.getvalue()) or 1, 1)


def vorbis_nominal(head: bytes) -> int | None:
    """Nominal bit rate in the first header of a Vorbis stream (Vorbis I specification, 4.2.2)."""
    at = head.find(b"\x01vorbis")
    rate = int.from_bytes(head[at + 20 : at + 24], "little", signed=True) if at >= 0 else 0
    return rate if rate > 0 else None
