"""One player that switches between signals, as a part of a page; each signal is a data URI."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from undin.audio import resample
from undin.checks import check
from undin.errors import InputError

File = str | PathLike[str]
Sound = tuple[NDArray[np.floating], int] | File
Codec = Literal["flac", "opus"]

AUDIO_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
}
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)

PLAYER = """\
<div class="player">
<div class="controls" role="group" aria-label="Player: {name}" hidden>
<button type="button" class="play" aria-label="Play"></button>
<fieldset><legend>Signal</legend>{choices}</fieldset>
<input type="range" class="seek" min="0" max="1" step="0.01" value="0" aria-label="Position">
<output class="clock">0:00</output>
{strength}<p class="keys"><kbd>1</kbd> &hellip; <kbd>{n}</kbd> choose, <kbd>space</kbd> plays and pauses{hint}</p>
</div>
<div class="plain">{audios}</div>
{note}</div>"""

STRENGTH = """\
<label class="strength">Strength <input type="range" min="0" max="100" value="100" data-dry="{dry}" data-wet="{wet}">
<output>100 %</output></label>
"""


def player(
    name: str,
    sounds: Mapping[str, Sound],
    *,
    panels: bool = False,
    dry: str = "",
    wet: Sequence[str] = (),
    codec: Codec = "flac",
) -> str:
    """One player that switches between signals, as in `write_page`.

    Args:
        name: of its section.
        sounds: (x, sr) by label.
        panels: whether a picture of them follows.
        dry: label of the unprocessed signal.
        wet: labels of the enhanced ones, in step with it: a slider blends them with it.
        codec: of arrays: "flac" (16 bits, lossless) or "opus" (about 40 kbit/s per channel at 16 kHz, lossy).
    """
    if not sounds:
        raise InputError(f"players[{name!r}] must contain at least one signal; got none")
    check("codec", codec, Codec)
    arrays = {label: _checked(name, label, sound) for label, sound in sounds.items() if isinstance(sound, tuple)}
    peak = max((float(np.abs(x).max(initial=0)) for x, _ in arrays.values()), default=0.0)
    gain = 1 / peak if peak > 1 else 1.0
    uris = [
        _encoded(gain * arrays[label][0], arrays[label][1], codec)
        if isinstance(sound, tuple)
        else data_uri(type_of(sound, AUDIO_TYPES), Path(sound).read_bytes())
        for label, sound in sounds.items()
    ]
    places = {label: i for i, label in enumerate(sounds)}
    blends = [places[label] for label in wet if label in places] if dry in places else []
    labels, group = [escape(label) for label in sounds], f"signal-{escape(name)}"
    quieter = f'<p class="note">Attenuated by {-20 * math.log10(gain):.1f} dB, all equally, to prevent clipping.</p>\n'
    return PLAYER.format(
        name=escape(name),
        n=min(len(labels), 9),
        choices="".join(
            f'<label><input type="radio" name="{group}" value="{i}"{" checked" * (i == 0)}>'
            f'<span><kbd aria-hidden="true">{i + 1}</kbd>{label}</span></label>'
            for i, label in enumerate(labels)
        ),
        audios="".join(
            f'<figure><figcaption>{label}</figcaption><audio controls preload="metadata" aria-label="{label}" '
            f'src="{uri}"></audio></figure>\n'
            for label, uri in zip(labels, uris, strict=True)
        ),
        strength=STRENGTH.format(dry=places[dry], wet=" ".join(map(str, blends))) if blends else "",
        note=quieter if gain < 1 else "",
        hint=", click a picture to play from there" if panels else "",
    )


def _checked(name: str, label: str, sound: tuple[NDArray[np.floating], int]) -> tuple[NDArray[np.floating], int]:
    x, sr = np.asarray(sound[0]), sound[1]
    what = f"players[{name!r}][{label!r}]"
    if not np.issubdtype(x.dtype, np.floating) or x.ndim not in (1, 2):
        raise InputError(
            f"{what} must be floating point of shape (n_samples,) or (n_channels, n_samples); got {x.dtype} of shape "
            f"{x.shape}: use undin.read(path), or divide integers by their full scale"
        )
    if not np.isfinite(x).all():
        raise InputError(f"{what} must be finite; it contains NaN or infinity: repair it first")
    if not isinstance(sr, int | np.integer) or sr <= 0:
        raise InputError(f"the sample rate of {what} must be a positive whole number of Hz; got {sr!r}")
    return x, int(sr)


def _encoded(x: NDArray[np.floating], sr: int, codec: Codec) -> str:
    """(n_samples,) or (n_channels, n_samples) as a URI; Opus resamples to the next rate it has, at most 48 kHz.

    Without samples, or with more channels than the codec has, it is WAV, which browsers tell from its first bytes.
    """
    if codec == "opus" and x.size and (x.ndim == 1 or len(x) <= 2):
        rate = next((rate for rate in OPUS_RATES if rate >= sr), OPUS_RATES[-1])
        file = io.BytesIO()
        y = np.clip(resample(x.astype(np.float32), sr, rate), -1, 1)
        soundfile.write(file, y.T, rate, format="OGG", subtype="OPUS")
        return data_uri("audio/ogg", file.getvalue())
    return data_uri("audio/flac", _flac(x, sr))


def _flac(x: NDArray[np.floating], sr: int) -> bytes:
    """16-bit FLAC, or WAV: sample i is i / 32768, as readers take it."""
    samples = np.clip(np.rint(x * 32768.0), -32768, 32767).astype(np.int16).T
    fits = samples.size and (x.ndim == 1 or len(x) <= 8) and sr <= 655_350
    file = io.BytesIO()
    soundfile.write(file, samples, sr, format="FLAC" if fits else "WAV", subtype="PCM_16")
    return file.getvalue()


def data_uri(media_type: str, content: bytes) -> str:
    """The content as a URI.

    Args:
        media_type: such as "audio/flac".
        content: of the file.
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def type_of(path: File, types: Mapping[str, str]) -> str:
    """The media type of a file, by its suffix.

    Args:
        path: the file.
        types: suffix -> media type.

    Raises:
        InputError: another suffix.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in types:
        raise InputError(f"browsers show {', '.join(types)}; got {str(path)!r}: convert it, or pass the samples")
    return types[suffix]
