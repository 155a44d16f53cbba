"""Lossy codecs, there and back in memory: the effect of calls and files on audio, aligned to the sample.

Encoders delay and pad, and whether the decoder takes that back depends on the codec, the rate and the bit rate. So the
delay of each combination is measured once, on a noise, and removed. The rest is less than a sample, except for Opus
above 24 kHz, whose delay at its lowest bit rates changes by one sample with the sound.
"""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import soundfile

from undin.audio import resample
from undin.mixing.augment.effects import band_limit, fast_length
from undin.mixing.mix import Samples


@dataclass(frozen=True)
class Codec:
    """A codec as libsndfile names it.

    Attributes:
        format: of the file.
        subtype: of its samples.
        rates: sample rates it takes, Hz; sound of another is resampled to the next higher. Empty for all.
        has_rates: whether it has bit rates to choose from.
    """

    format: str
    subtype: str
    rates: tuple[int, ...] = ()
    has_rates: bool = False


MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
CODECS = {
    "mu-law": Codec("WAV", "ULAW"),
    "adpcm": Codec("WAV", "IMA_ADPCM"),
    "gsm": Codec("WAV", "GSM610", (8000,)),
    "vorbis": Codec("OGG", "VORBIS", (), True),
    "mp3": Codec("MP3", "MPEG_LAYER_III", MP3_RATES, True),
    "opus": Codec("OGG", "OPUS", (8000, 12000, 16000, 24000, 48000), True),
}


def codec(x: Samples, sr: int, name: str, strength: float = 0.8) -> Samples:
    """Encode and decode x.

    Args:
        x: (n_samples,) float32 within full scale.
        sr: its rate in Hz.
        name: of `CODECS`. "gsm" runs at 8 kHz, so nothing above 4 kHz is left.
        strength: 0 for the highest bit rate that the codec has at this sample rate, near 1 for the lowest; at 16 kHz,
            MP3 has 160 ... 16 kbit/s at 0 ... 0.95. For vorbis, mp3 and opus; the others have but one.

    Returns:
        (n_samples,) float32, lined up with x.
    """
    kind = CODECS[name]
    rate = min((rate for rate in kind.rates if rate >= sr), default=max(kind.rates, default=sr)) if kind.rates else sr
    strength = round(strength, 2) if kind.has_rates else 0.0
    y = _there_and_back(cast(Samples, resample(x, sr, rate)), rate, name, strength)
    delay = _delay(name, rate, strength)
    y = cast(Samples, resample(np.pad(y, (max(-delay, 0), 0))[max(delay, 0) :], rate, sr))[: len(x)]
    return np.pad(y, (0, len(x) - len(y)))


def _there_and_back(x: Samples, sr: int, name: str, strength: float) -> Samples:
    kind, data = CODECS[name], io.BytesIO()
    settings: dict[str, Any] = {"compression_level": strength} if kind.has_rates else {}
    if name == "mp3":
        settings["bitrate_mode"] = "CONSTANT"
    soundfile.write(data, x, sr, format=kind.format, subtype=kind.subtype, **settings)
    data.seek(0)
    y, _ = soundfile.read(data, dtype="float32")
    return cast(Samples, y)


@lru_cache(maxsize=1024)
def _delay(name: str, sr: int, strength: float) -> int:
    """Samples by which the codec delays, found where its output is most like its input."""
    x = 0.1 * np.random.default_rng(0).standard_normal(sr, np.float32)
    x = band_limit(x, sr, 300, 2500, 2)
    y = _there_and_back(x, sr, name, strength)
    n = fast_length(len(x) + len(y))
    alike = np.fft.irfft(np.conj(np.fft.rfft(x, n)) * np.fft.rfft(y, n), n)
    lag = int(np.argmax(alike))
    return lag if lag < n // 2 else lag - n
