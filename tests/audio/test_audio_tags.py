import struct

import numpy as np
import pytest
import soundfile

from undin.audio import AudioFormat, info, open_reader, open_writer, write
from undin.audio.tags import id3_length, make_id3

TAGS = {
    "title": "Größe",
    "artist": "Ωmega",
    "album": "Album",
    "date": "2024",
    "comment": "well, well",
    "genre": "Speech",
}
BITRATES = [  # made with libsndfile's own levels, then measured, kept, measured again
    (".mp3", 48000, 2, 128),
    (".mp3", 44100, 1, 64),
    (".mp3", 16000, 1, 32),
    (".mp3", 8000, 1, 24),
    (".opus", 48000, 1, 32),
    (".opus", 48000, 2, 128),
    (".opus", 16000, 1, 24),
    (".ogg", 48000, 2, 112),
    (".ogg", 16000, 1, 48),
    (".ogg", 44100, 1, 80),
]


def noise(n_channels, n):
    """Pink as speech is: white noise would drive every variable rate to its end."""
    x = np.random.default_rng(0).standard_normal((n_channels, n))
    x = np.fft.irfft(np.fft.rfft(x) / np.sqrt(np.arange(n // 2 + 1) + 50), n)
    return (x / np.abs(x).max() * 0.7).astype(np.float32)


def copy(source, target):
    with open_reader(source) as reader, open_writer(target, reader.format, like=source) as writer:
        for x in reader.blocks(4096):
            writer.write(x)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".caf", ".rf64"])
def test_tags_are_kept(tmp_path, suffix):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    container = {".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".caf": "CAF", ".rf64": "RF64"}.get(suffix, "OGG")
    with open_writer(first, AudioFormat(48000, 1, container, tags=TAGS)) as writer:
        writer.write(noise(1, 4800))
    copy(first, second)
    tags = info(second).tags
    assert {name: tags.get(name) for name in TAGS} == TAGS
    assert tags == info(first).tags and info(second).n_samples == 4800


def test_tags_cross_from_flac_to_mp3_and_back(tmp_path):
    with open_writer(tmp_path / "a.flac", AudioFormat(48000, 1, "FLAC", tags=TAGS)) as writer:
        writer.write(noise(1, 48000))
    copy(tmp_path / "a.flac", tmp_path / "b.mp3")
    copy(tmp_path / "b.mp3", tmp_path / "c.flac")
    tags = info(tmp_path / "c.flac").tags
    assert {name: tags.get(name) for name in TAGS} == TAGS


def test_a_container_without_tags_drops_them_in_peace(tmp_path):
    with open_writer(tmp_path / "a.au", AudioFormat(48000, 1, "AU", tags=TAGS)) as writer:
        writer.write(noise(1, 480))
    assert info(tmp_path / "a.au").tags == {}


def test_mp3_keeps_its_whole_tag(tmp_path):
    write(tmp_path / "a.mp3", noise(1, 20000), 16000)
    picture = b"APIC" + struct.pack(">I", 100) + b"\0\0" + b"\0image/png\0\3\0" + bytes(87)
    tag = make_id3({"title": "T"})
    tag = tag[:6] + bytes([0, 0, (len(tag) + 100) >> 7, (len(tag) + 100) & 127]) + tag[10:] + picture
    (tmp_path / "b.mp3").write_bytes(tag + (tmp_path / "a.mp3").read_bytes())
    assert id3_length(tag) == len(tag)
    copy(tmp_path / "b.mp3", tmp_path / "c.mp3")
    assert (tmp_path / "c.mp3").read_bytes().startswith(tag + b"\xff")
    assert info(tmp_path / "c.mp3").n_samples == 20000
    assert info(tmp_path / "b.mp3").bitrate == info(tmp_path / "a.mp3").bitrate  # pictures are no sound


@pytest.mark.parametrize(("suffix", "sr", "n_channels", "kbps"), BITRATES)
def test_bit_rates_are_kept(tmp_path, suffix, sr, n_channels, kbps):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    container = "MP3" if suffix == ".mp3" else "OGG"
    with open_writer(first, AudioFormat(sr, n_channels, container, bitrate=1000 * kbps)) as writer:
        writer.write(noise(n_channels, 4 * sr))
    copy(first, second)
    found = info(first).bitrate
    assert found == pytest.approx(1000 * kbps, rel=0.12)
    assert info(second).bitrate == pytest.approx(found, rel=0.12)
    assert second.stat().st_size == pytest.approx(first.stat().st_size, rel=0.15)


def test_variable_mp3_is_kept_at_its_mean(tmp_path):
    x = noise(1, 4 * 44100)
    soundfile.write(tmp_path / "a.mp3", x[0], 44100, compression_level=0.3, bitrate_mode="VARIABLE")
    copy(tmp_path / "a.mp3", tmp_path / "b.mp3")
    assert info(tmp_path / "b.mp3").bitrate == pytest.approx(info(tmp_path / "a.mp3").bitrate, rel=0.2)


def test_write_like_keeps_the_sample_format(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 8000, "PCM_24")
    write(tmp_path / "b.wav", np.zeros((2, 20)), 16000, like=tmp_path / "a.wav")
    format = info(tmp_path / "b.wav")
    assert (format.sr, format.n_channels, format.subtype, format.n_samples) == (16000, 2, "PCM_24", 20)
