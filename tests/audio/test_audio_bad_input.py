import io
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import undin
from undin.audio import AudioFormat, info, open_reader, open_writer, read, write
from undin.audio.mp3 import frame_length
from undin.audio.tags import make_id3
from undin.errors import InputError


@pytest.fixture
def x():
    return np.random.default_rng(0).uniform(-0.5, 0.5, 40000).astype(np.float32)


def test_time_comes_last_in_what_is_written(tmp_path):
    with pytest.raises(InputError, match=r"got \(1000, 2\): time comes last, so pass x.T"):
        write(tmp_path / "a.wav", np.zeros((1000, 2)), 16000)
    assert not any(tmp_path.iterdir())


def test_a_file_with_a_header_is_not_headerless(tmp_path):
    write(tmp_path / "a.wav", np.zeros(100), 16000)
    with pytest.raises(InputError, match=r"a.wav starts with an audio file header: leave out raw="):
        open_reader(tmp_path / "a.wav", raw="s16le:16000:1")


def test_a_damaged_mp3_is_there_all_the_same(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(b"\xff\xf3\x48\xc4" + bytes(3000))
    with pytest.raises(InputError, match=r"a.mp3 is not a readable audio file \(its frames are damaged\)"):
        read(path)


def test_a_rate_that_nothing_here_has_is_the_files(tmp_path):
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 500)
    with pytest.raises(InputError, match=r"slow.wav: its header says 500 Hz; undin reads 1000 to 768000 Hz"):
        read(tmp_path / "slow.wav")


def test_blocks_are_of_whole_samples(tmp_path):
    write(tmp_path / "a.wav", np.zeros(100), 16000)
    with pytest.raises(InputError, match=r"a block must be a whole number of samples, at least 1; got 1000.0"):
        next(undin.blocks(tmp_path / "a.wav", 1e3))


def test_missing_folder_empty_and_text(tmp_path):
    with pytest.raises(InputError, match=r"no.wav: no such file"):
        read(tmp_path / "no.wav")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)
    (tmp_path / "empty.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty.wav is empty \(0 bytes\)"):
        read(tmp_path / "empty.wav")
    (tmp_path / "text.wav").write_text("once upon a time\n" * 100)
    with pytest.raises(InputError, match=r"text.wav is not a readable audio file \(Format not recognised"):
        read(tmp_path / "text.wav")
    (tmp_path / "cut.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    with pytest.raises(InputError, match="is not a WAV file"):
        read(tmp_path / "cut.wav")


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".au", ".w64", ".rf64"])
def test_truncated_plain_files(tmp_path, x, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, x, 16000)
    path.write_bytes(path.read_bytes()[:-20001])
    with pytest.raises(InputError, match=r"is truncated: \d+ of (40000|40001) samples are present"):
        info(path)
    y, _ = read(path, truncated="keep")
    assert 29000 < len(y) < 31000
    np.testing.assert_allclose(y, x[: len(y)], atol=1 / 65536)
    with pytest.raises(InputError, match="truncated must be"):
        open_reader(path, truncated="yes")


def test_truncated_caf_is_refused_by_libsndfile(tmp_path, x):
    write(tmp_path / "a.caf", x, 16000)
    (tmp_path / "a.caf").write_bytes((tmp_path / "a.caf").read_bytes()[:-20001])
    with pytest.raises(InputError, match=r"a.caf is not a readable audio file \(.* malformed"):
        info(tmp_path / "a.caf")


def test_truncated_flac(tmp_path, x):
    path = tmp_path / "a.flac"
    write(path, x, 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"is truncated: \d+ of 40000 samples are present"):
        info(path)
    y, _ = read(path, truncated="keep")
    assert 15000 < len(y) < 21000
    np.testing.assert_allclose(y, x[: len(y)], atol=1 / 65536)


def test_truncated_mp3_tells_at_its_end(tmp_path, x):
    path = tmp_path / "a.mp3"
    write(path, x, 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"is truncated: \d+ of 40000 samples are present"):
        read(path)
    assert 15000 < len(read(path, truncated="keep")[0]) < 21000


@pytest.mark.parametrize("sr", [8000, 16000, 44100])
@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_mp3_without_a_count_of_frames_is_read_to_its_end(tmp_path, sr, n_channels, mode):
    """libsndfile guesses its length from the first frame, and stops there: here nothing is lost."""
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * sr, n_channels))
    x[: sr // 2] *= 0.001  # small frames first: the guess is far too short or too long
    soundfile.write(tmp_path / "a.mp3", x, sr, compression_level=0.1, bitrate_mode=mode)
    data = (tmp_path / "a.mp3").read_bytes()
    whole, _ = read(tmp_path / "a.mp3")
    n = frame_length(data)
    assert 0 < n < 1500 and frame_length(data[n : n + 4])
    (tmp_path / "b.mp3").write_bytes(make_id3({"title": "T"}) + data[n:])  # the first frame only counts
    y, _ = read(tmp_path / "b.mp3")
    format = info(tmp_path / "b.mp3")
    assert format.n_samples == y.shape[-1] and (y.shape[-1] + 529) % 576 == 0 and format.tags["title"] == "T"
    assert 2 * sr <= y.shape[-1] < 2 * sr + 3 * 1152
    delay = 576  # of the encoder, which the first frame would have stated; the decoder's 529 are taken off
    np.testing.assert_allclose(y[..., delay : delay + 2 * sr], whole, atol=1e-4)
    assert format.bitrate == pytest.approx(info(tmp_path / "a.mp3").bitrate, rel=0.1)


def test_nan_in_a_file_is_named_by_its_place(tmp_path, x):
    x[33333] = np.nan
    soundfile.write(tmp_path / "a.wav", x, 16000, "FLOAT")
    with (
        pytest.raises(InputError, match=r"got nan at sample 33333 \(2.083 s\)"),
        open_reader(tmp_path / "a.wav") as reader,
    ):
        assert sum(b.shape[-1] for b in (reader.read(1000) for _ in range(33))) == 33000  # hours 1-8 are safe
        reader.read(1000)
    y, _ = read(tmp_path / "a.wav", nan="zero")
    assert y[33333] == 0 and np.isnan(x).sum() == 1
    with pytest.raises(InputError, match="sample 33333"):
        write(tmp_path / "b.wav", x, 16000)
    assert not (tmp_path / "b.wav").exists()


def test_what_cannot_be_written(tmp_path, x):
    def message(path, sr=16000, x=x, **settings):
        with pytest.raises(InputError) as caught:
            write(path, x, sr, **settings)
        return str(caught.value)

    assert "unknown extension '.xyz'" in message(tmp_path / "a.xyz")
    assert "unknown extension ''" in message(tmp_path / "a")
    assert "no such folder" in message(tmp_path / "no" / "a.wav")
    (tmp_path / "d.wav").mkdir()
    assert "is a folder" in message(tmp_path / "d.wav")
    assert "MPEG_LAYER_III supports sample rates of 8000, 11025" in message(tmp_path / "a.mp3", 96000)
    assert "OPUS supports sample rates of 8000" in message(tmp_path / "a.opus", 44100)
    assert "MP3 supports 1 to 2 channels; got 3" in message(tmp_path / "a.mp3", x=np.zeros((3, 10)))
    assert "FLAC supports 1 to 8 channels; got 9" in message(tmp_path / "a.flac", x=np.zeros((9, 10)))
    assert "FLAC does not support the subtype 'FLOAT': use one of" in message(tmp_path / "a.flac", subtype="FLOAT")
    assert "got (1, 1, 10)" in message(tmp_path / "a.wav", x=np.zeros((1, 1, 10)))
    assert "got int16" in message(tmp_path / "a.wav", x=np.zeros(10, np.int16))
    with (
        pytest.raises(InputError, match=r"with 2 channels; got \(1, 5\)"),
        open_writer(tmp_path / "a.wav", AudioFormat(8000, 2)) as writer,
    ):
        writer.write(np.zeros(5))
    assert [p.name for p in tmp_path.iterdir()] == ["d.wav"]


def test_unwritable_folder(tmp_path, x, monkeypatch):
    """Root may write everywhere, so the refusal is played."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match=r"a.wav cannot be written: Permission denied: choose another folder"):
        write(tmp_path / "a.wav", x, 16000)


def test_an_exception_leaves_the_old_file(tmp_path, x):
    path = tmp_path / "a.wav"
    write(path, x, 16000)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), open_writer(path, info(path)) as writer:
        writer.write(x[None] / 2)
        assert len(list(tmp_path.glob(".undin-*.part"))) == 1 and path.read_bytes() == before
        raise KeyboardInterrupt
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".wav", ".m4a"])
def test_a_planted_link_is_not_followed_and_long_names_are_written(tmp_path, x, suffix):
    if suffix == ".m4a":
        pytest.importorskip("av", reason="the extra video is not installed")
    path, victim = tmp_path / f"{'a' * 240}{suffix}", tmp_path / "victim"
    victim.write_text("precious")
    for name in ("a", "a" * 230):
        (tmp_path / f".{name}{suffix}.{os.getpid()}.part").symlink_to(victim)
        write(tmp_path / f"{name}{suffix}", x, 16000)
    write(path, x, 16000)
    assert victim.read_text() == "precious" and read(path)[0].shape[-1] >= x.shape[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a thing of POSIX")
def test_a_kill_leaves_the_old_file(tmp_path, x):
    path = tmp_path / "a.wav"
    write(path, x, 16000)
    before = path.read_bytes()
    code = (
        "import os, sys, numpy as np; from undin.audio import *\n"
        "with open_writer(sys.argv[1], info(sys.argv[1])) as writer:\n"
        "    writer.write(np.ones((1, 9999)) / 2); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert path.read_bytes() == before


def test_wav_of_unknown_length_stops_at_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("undin.audio.writer.WAV_MAX", 10_000)
    with (
        pytest.raises(InputError, match="WAV is limited to 4 GiB"),
        open_writer(tmp_path / "a.wav", AudioFormat(8000, 1)) as writer,
    ):
        for _ in range(10):
            writer.write(np.zeros((1, 1000), np.float32))
    assert writer.position == 6000 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
def test_a_file_may_be_read_while_it_is_replaced(tmp_path, x, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, x, 16000)
    y, _ = read(path)
    with open_reader(path) as reader, open_writer(path, reader.format, like=path) as writer:
        for block in reader.blocks(1000):
            writer.write(block)
    z, _ = read(path)
    assert z.shape == y.shape and np.corrcoef(y, z)[0, 1] > (0.999 if suffix in (".wav", ".flac") else 0.8)


FULL = """
import resource, signal, sys
import numpy as np
from undin.audio import write
from undin.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write(sys.argv[1], np.random.default_rng(0).uniform(-1, 1, 100_000), 16000)
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a thing of POSIX")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".caf", ".m4a"])
def test_full_disk(tmp_path, suffix):
    """A limit on the file size stands for the full disk: write() fails halfway in the same way.

    Python's bytecode files of imported modules would be cut off under the limit as well, and fail later: hence -B.
    """
    if suffix == ".m4a":
        pytest.importorskip("av", reason="the extra video is not installed")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-B", "-c", FULL, str(path)], capture_output=True, text=True)
    assert done.stderr == "" and "cannot be written: " in done.stdout and "File too large" in done.stdout
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_symbolic_links_stay(tmp_path, x):
    (tmp_path / "real.wav").write_bytes(b"old")
    (tmp_path / "link.wav").symlink_to("real.wav")
    write(tmp_path / "link.wav", x, 16000)
    assert (tmp_path / "link.wav").is_symlink() and info(tmp_path / "real.wav").n_samples == 40000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": "int16"}, r"dtype must be float32 or float64; got 'int16'"),
        ({"dtype": np.float16}, "dtype must be float32 or float64"),
        ({"start": 1.5}, "must be integers with 0 <= start <= stop; got 1.5 and None"),
        ({"stop": "9"}, "must be integers"),
    ],
)
def test_settings_of_read(tmp_path, x, settings, message):
    write(tmp_path / "a.wav", x, 16000)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.wav", **settings)


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64"), float])
def test_names_of_float64(tmp_path, x, dtype):
    write(tmp_path / "a.wav", x, 16000)
    assert read(tmp_path / "a.wav", dtype=dtype, start=np.int64(5))[0].dtype == np.float64


def test_no_path_at_all():
    with pytest.raises(InputError, match="path must be a str, a Path or a binary file object; got None"):
        read(None)


def test_opus_is_limited_not_clipped(tmp_path):
    """Its decoders clip what exceeds full scale."""
    x = (1.5 * np.sin(np.arange(48000) / 50)).astype(np.float32)
    with pytest.warns(UserWarning, match="peaks above full scale were limited by up to 3.5 dB, as OPUS"):
        write(tmp_path / "a.opus", x, 48000)
    y = read(tmp_path / "a.opus")[0]
    spectrum = np.abs(np.fft.rfft(y[9600:38400] * np.hanning(28800)))
    harmonics = np.sort(spectrum)[::-1]
    peak = int(spectrum.argmax())
    spectrum[: peak + 20] = 0
    assert spectrum.max() < 0.01 * harmonics[0]


def test_doubles_beyond_float32_are_refused_without_a_warning(tmp_path):
    x = np.array([0.0, 1e300, 0.0])
    for extension in ("wav", "w64"):
        path = tmp_path / f"x.{extension}"
        soundfile.write(path, x, 8000, subtype="DOUBLE")
        for source in (path, io.BytesIO(path.read_bytes())):
            with pytest.raises(InputError, match="must be finite; got inf at sample 1"):
                read(source)
        np.testing.assert_array_equal(read(path, dtype=np.float64)[0], x)


def test_signaling_nan_is_refused_without_a_warning(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.array([0.0, 1.25, 0.0]), 8000, subtype="DOUBLE")
    content = path.read_bytes().replace(np.float64(1.25).tobytes(), np.uint64(0x7FF0000000000001).tobytes())
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(InputError, match="must be finite; got nan at sample 1"):
            read(source)
