"""Damaged sound files: read, read by blocks and enhanced alike, or refused alike."""

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
from hypothesis import strategies as st
from tests.fuzz.damage import damaged

import undin
from undin.errors import UndinError
from undin.jobs import process_file

SR = 16000
SUBTYPES = {
    "wav": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "GSM610"),
    "rf64": ("PCM_16",),
    "w64": ("PCM_16", "FLOAT"),
    "caf": ("PCM_16", "ALAC_16"),
    "aiff": ("PCM_S8", "PCM_16", "ULAW", "FLOAT"),
    "au": ("PCM_16", "ALAW"),
    "flac": ("PCM_16", "PCM_24"),
    "ogg": ("VORBIS",),
    "opus": ("OPUS",),
    "mp3": ("MPEG_LAYER_III",),
}  # fmt: skip
CODECS = {"mp4": "aac", "m4a": "aac", "aac": "aac", "mkv": "libopus", "webm": "libopus", "mov": "pcm_s16le"}


@cache
def files() -> dict[str, bytes]:
    """Name -> content of 0.1 s in each container and sample format that can be written here."""
    x = 0.3 * np.sin(0.05 * np.arange(1600)) + 0.01 * np.random.default_rng(0).standard_normal(1600)
    found = {}
    with TemporaryDirectory() as folder:
        for extension, subtypes in SUBTYPES.items():
            for subtype in subtypes:
                path, n_channels = Path(folder, f"{subtype}.{extension}"), 1 if subtype == "GSM610" else 2
                form = {"opus": "OGG", "aiff": "AIFF"}.get(extension, extension.upper())
                soundfile.write(path, np.stack([x, x / 2], 1)[:, :n_channels], SR, subtype=subtype, format=form)
                found[path.name] = path.read_bytes()
        for extension, codec in CODECS.items():
            path = Path(folder, f"{codec}.{extension}")
            _film(path, codec, x.astype(np.float32))
            found[path.name] = path.read_bytes()
    return found


def _film(path: Path, codec: str, x: Any) -> None:
    import av

    with av.open(str(path), "w", format="adts" if path.suffix == ".aac" else None) as container:
        sound = container.add_stream(codec, rate=48000)
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.tile(x, 3)[None], format="fltp", layout="mono")
        frame.sample_rate = 48000
        for packet in [*sound.encode(frame), *sound.encode(None)]:
            container.mux(packet)


@st.composite
def _cases(draw: Any) -> tuple[str, bytes, str]:
    name = draw(st.sampled_from(sorted(files())))
    return name, draw(damaged(files()[name])), draw(st.sampled_from(["raise", "keep"]))


CASES = _cases()


def attempt(case: tuple[str, bytes, str], folder: Path) -> None:
    """Read the file in every way; the whole and the blocks agree, and its output is whole or not there."""
    name, content, truncated = case
    path = folder / name
    path.write_bytes(content)
    lengths = [_try(each) for each in (lambda: _whole(path), lambda: _blocks(path), lambda: _object(content))]
    assert lengths[0] == lengths[1], lengths
    _try(lambda: undin.info(path, truncated=truncated))
    kept = _try(lambda: _whole(path, truncated=truncated))
    target = folder / f"out{path.suffix if path.suffix != '.aac' else '.wav'}"
    done = _try(lambda: process_file(undin.load("spectral-gate"), str(path), str(target), truncated=truncated))
    assert target.exists() == (done is not None), "an output without success, or success without an output"
    if lengths[0] is kept is None:
        raise UndinError("rejected")
    if done is not None:
        assert kept is not None, "enhanced, but cannot be read"
        assert undin.read(target)[0].shape[-1] >= kept[-1] * (0.9 if path.suffix[1:] in CODECS else 1), (kept, done)


def _try(function: Any) -> Any:
    """What a function gives, None where undin refuses."""
    try:
        return function()
    except UndinError:
        return None


def _whole(path: Path, **options: Any) -> tuple[int, ...]:
    x, _ = undin.read(path, **options)
    assert np.isfinite(x).all()
    return np.atleast_2d(x).shape


def _blocks(path: Path) -> tuple[int, ...]:
    parts = list(undin.blocks(path, 333))
    return np.concatenate(parts, -1).shape if parts else (undin.info(path).n_channels, 0)


def _object(content: bytes) -> tuple[int, ...]:
    return np.atleast_2d(undin.read(io.BytesIO(content))[0]).shape
