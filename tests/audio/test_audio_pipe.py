import contextlib
import io
import os
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from undin.audio import AudioFormat, info, open_reader, open_writer, parse_raw, read
from undin.audio.format import RAW_ENCODINGS
from undin.errors import InputError


class Pipe(io.RawIOBase):
    """Bytes that arrive in the pieces given; no seeking, as standard input."""

    def __init__(self, data, size=7):
        self.data, self.size, self.taken = data, size, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        n = min(self.size, len(buffer), len(self.data) - self.taken)
        buffer[:n] = self.data[self.taken : self.taken + n]
        self.taken += n
        return n


def q16(n_channels=2, n=400):
    return np.random.default_rng(0).integers(-32768, 32768, (n_channels, n)).astype(np.int16)


def wav(q, sr=16000, size=None, riff=None, extra=b"", tail=b"", tag=1):
    data = q.T.astype("<i2").tobytes()
    size = len(data) if size is None else size
    fmt = struct.pack("<HHIIHH", tag, len(q), sr, 2 * len(q) * sr, 2 * len(q), 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + extra + b"data" + struct.pack("<I", size) + data + tail
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def load(source, **settings):
    with open_reader(source, **settings) as reader:
        x = np.concatenate([np.zeros((reader.format.n_channels, 0), np.float32), *reader.blocks(64)], -1)
        return x, reader.format


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 0x7FFFF000])  # known; left open; ffmpeg; sox
@pytest.mark.parametrize("extra", [b"", b"LIST\x03\0\0\0abc\0", b"bext" + struct.pack("<I", 602) + bytes(602)])
def test_wav_headers_of_pipes(size, extra, tmp_path):
    q = q16()
    data = wav(q, size=size, riff=None if size is None else size, extra=extra)
    x, format = load(Pipe(data))
    np.testing.assert_array_equal(x, q / np.float32(32768))
    assert (format.sr, format.n_channels, format.container, format.subtype) == (16000, 2, "WAV", "PCM_16")
    assert format.n_samples == (400 if size is None else None)
    (tmp_path / "a.wav").write_bytes(data)  # the same stream saved to a file
    np.testing.assert_array_equal(read(tmp_path / "a.wav")[0], x)
    assert info(tmp_path / "a.wav").n_samples == 400


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_pipe_equals_file(container, subtype, tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (300, 3))
    soundfile.write(tmp_path / "a.wav", x, 22050, subtype, format=container)
    data = (tmp_path / "a.wav").read_bytes()
    y, format = load(Pipe(data))
    z, sr = read(tmp_path / "a.wav")
    np.testing.assert_array_equal(y, z)
    on_disk = info(tmp_path / "a.wav")
    assert (format.sr, format.subtype, format.n_samples) == (sr, subtype, 300)
    assert format.channel_mask == on_disk.channel_mask or container == "RF64"
    np.testing.assert_array_equal(load(io.BytesIO(data))[0], z)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "aiff"])
def test_other_formats_are_spooled(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, (3000, 2)), 16000)
    y, format = load(Pipe(path.read_bytes(), 1000))
    np.testing.assert_allclose(y, read(path)[0], atol=1e-6)
    assert format == info(path)


def test_chunks_after_the_audio_are_read_and_ignored():
    q = q16()
    pipe = Pipe(wav(q, tail=b"LIST\x04\0\0\0abcd"))
    x, _ = load(pipe)
    assert x.shape == (2, 400) and pipe.taken == len(pipe.data)
    assert load(Pipe(wav(q[:, :0], tail=b"LIST\x04\0\0\0abcd")))[0].shape == (2, 0)
    assert load(Pipe(wav(q[:, :0])))[0].shape == (2, 0)


def test_what_has_arrived_is_given_at_once():
    """A header and 10 samples are in the pipe, and its writer waits: they come out without more."""
    q = q16(1, 10)
    out, into = os.pipe()
    os.write(into, wav(q, size=0xFFFFFFFF, riff=0xFFFFFFFF))
    with os.fdopen(out, "rb") as file, open_reader(file) as reader:
        x = reader.read(48000)
        np.testing.assert_array_equal(x, q / np.float32(32768))
        os.write(into, b"\1")  # half a sample is not one
        threading.Timer(0.05, lambda: (os.write(into, b"\0\2\0"), os.close(into))).start()
        parts = list(reader.blocks(48000))
        np.testing.assert_array_equal(np.concatenate(parts, -1), np.array([[1, 2]]) / 32768)


def test_files_give_all_that_is_asked_for(tmp_path):
    q = q16(2, 30000)
    (tmp_path / "a.wav").write_bytes(wav(q, size=0, riff=0))
    with open_reader(tmp_path / "a.wav") as reader:
        assert [x.shape[-1] for x in reader.blocks(8000)] == [8000, 8000, 8000, 6000]
        assert reader.read(8000).shape == (2, 0)
        with pytest.raises(InputError, match="a whole number of samples, at least 1; got 0"):
            reader.read(0)
    x, _ = read(tmp_path / "a.wav", start=123, stop=20000)
    np.testing.assert_array_equal(x, q[:, 123:20000] / np.float32(32768))


def test_truncated_pipes():
    data = wav(q16())
    with pytest.raises(InputError, match="ends 1 byte too early, after 399 complete samples of 400"):
        load(Pipe(data[:-1]))
    with pytest.raises(InputError, match="ends 802 bytes too early, after 199 complete samples of 400"):
        load(Pipe(data[:-802]))
    with pytest.raises(InputError, match="ends 3 bytes too early, after 399 complete samples"):
        load(Pipe(wav(q16(), size=0xFFFFFFFF)[:-3]))
    assert load(Pipe(data[:-802]), truncated="keep")[0].shape == (2, 199)
    with pytest.raises(InputError, match="is empty"):
        load(Pipe(b""))
    with pytest.raises(InputError, match="the file object is not a readable audio file"):
        load(Pipe(b"once upon a time\n" * 100))
    with pytest.raises(InputError, match="the fmt or the data chunk is missing"):
        load(Pipe(data[:40]))


@pytest.mark.parametrize("encoding", RAW_ENCODINGS)
def test_raw_there_and_back(encoding):
    x = (np.random.default_rng(0).integers(-128, 128, (2, 500)) / 128).astype(np.float32)
    format, file = parse_raw(f"{encoding}:8000:2"), io.BytesIO()
    with open_writer(file, format) as writer:
        writer.write(x)
    width = 1 if "8" in encoding else int(encoding[1:3]) // 8
    assert len(file.getvalue()) == 500 * 2 * width
    y, found = load(Pipe(file.getvalue()), raw=f"{encoding}:8000:2")
    np.testing.assert_array_equal(y, x)
    assert found == format


def test_raw_files_and_errors(tmp_path):
    (tmp_path / "a.pcm").write_bytes(bytes(201))
    with open_reader(tmp_path / "a.pcm", raw="s16le:16000") as reader:
        assert reader.format.n_samples == 100
        with pytest.raises(InputError, match="ends 1 byte too early, after 100 complete samples"):
            list(reader.blocks(30))
    assert load(tmp_path / "a.pcm", raw="s16le:16000", truncated="keep")[0].shape == (1, 100)
    assert load(Pipe(b""), raw="s16le:16000")[0].shape == (1, 0)
    for bad in ("s16le", "s16:8000:1", "s16le:fast:1", "s16le:8000:0", "s16le:8000:1:2"):
        with pytest.raises(InputError, match="raw must be"):
            parse_raw(bad)


@pytest.mark.parametrize("n_samples", [None, 401])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_streamed_wav_is_read_by_others(n_samples, container, subtype):
    x = (np.random.default_rng(0).integers(-128, 128, (3, 401)) / 128).astype(np.float32)
    file = io.BytesIO()
    mask = 7 if container == "WAVEX" else None
    format = AudioFormat(44100, 3, container, subtype, n_samples=n_samples, channel_mask=mask)
    with open_writer(file, format) as writer:
        for n in range(0, 401, 100):
            writer.write(x[:, n : n + 100])
    data = file.getvalue()
    y, sr = soundfile.read(io.BytesIO(data), dtype="float32")
    np.testing.assert_array_equal(y[:401].T, x)
    assert sr == 44100 and len(y) == 401
    z, found = load(Pipe(data))
    np.testing.assert_array_equal(z, x)
    assert found == format


def test_stream_of_formats_wav_does_not_have():
    for source, stored in (("PCM_S8", "PCM_U8"), ("VORBIS", "PCM_16"), ("ULAW", "PCM_16"), ("PCM_24", "PCM_24")):
        with open_writer(io.BytesIO(), AudioFormat(8000, 1, "AIFF", source)) as writer:
            assert writer.format.subtype == stored


def test_a_promised_length_is_kept():
    with (
        pytest.raises(InputError, match="5 samples announced in the header, 4 written"),
        open_writer(io.BytesIO(), AudioFormat(8000, 1, n_samples=5)) as writer,
    ):
        writer.write(np.zeros((1, 4), np.float32))


COPY = """
import sys
from undin.audio import open_reader, open_writer
try:
    with open_reader("-", raw={raw!r}) as reader, open_writer("-", reader.format) as writer:
        for x in reader.blocks(1000):
            writer.write(x)
except BrokenPipeError:
    sys.exit(3)
"""


def test_standard_input_to_standard_output():
    data = wav(q16(2, 3000))
    done = subprocess.run([sys.executable, "-c", COPY.format(raw=None)], input=data, capture_output=True, check=True)
    assert done.stdout == data and done.stderr == b""
    raw = data[44:]
    code = COPY.format(raw="s16le:16000:2")
    assert subprocess.run([sys.executable, "-c", code], input=raw, capture_output=True, check=True).stdout == raw


def test_a_closed_pipe_makes_no_noise():
    data = wav(q16(2, 200_000))
    child = subprocess.Popen(
        [sys.executable, "-c", COPY.format(raw=None)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(data)
    with contextlib.suppress(BrokenPipeError):
        child.stdin.close()
    assert child.stderr.read() == b"" and child.wait() == 3
    child.stderr.close()
