import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from undin.audio import AudioFormat, blocks, format_for, info, open_reader, open_writer, read, write
from undin.audio.samples import decode, encode
from undin.errors import InputError

RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000)
BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "ALAC_16": 16}
CONTAINERS = {
    ".wav": "WAV",
    "x.wav": "WAVEX",
    ".rf64": "RF64",
    ".w64": "W64",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
    ".aiff": "AIFF",
    ".caf": "CAF",
    ".au": "AU",
}
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_III")
SUBTYPES = (*BITS, "FLOAT", "DOUBLE", "ULAW", "ALAW", *LOSSY)
HELD = [
    (suffix, container, subtype)
    for suffix, container in CONTAINERS.items()
    for subtype in SUBTYPES
    if soundfile.check_format(container, subtype)
    and (subtype == "OPUS") == (suffix == ".opus")
    and (container == "MP3") == (subtype == "MPEG_LAYER_III")
]


def noise(n_channels, n, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n_channels, n)).astype(np.float32)


def store(path, x, format):
    with open_writer(path, format) as writer:
        for n in range(0, x.shape[-1], 700):
            writer.write(x[:, n : n + 700])
    return writer


def load(path, dtype=np.float32):
    with open_reader(path, dtype=dtype) as reader:
        return np.concatenate([np.zeros((reader.format.n_channels, 0)), *reader.blocks(999)], -1), reader.format


@pytest.mark.parametrize(("suffix", "container", "subtype"), HELD)
def test_rate_channels_length_and_format_come_back(tmp_path, suffix, container, subtype):
    refused = 0
    for i, sr in enumerate(RATES):
        for n_channels in (1 + i % 2, 1 + i % 8, 8):  # every rate, every count
            x, path = noise(n_channels, 1234), tmp_path / f"a{suffix}"
            format = AudioFormat(sr, n_channels, container, subtype, n_samples=1234)
            try:
                format_for(path, format)
            except InputError:
                refused += 1
                continue
            store(path, x, format)
            y, found = load(path)
            assert y.shape == x.shape
            assert (found.sr, found.n_channels, found.container, found.subtype) == (sr, n_channels, container, subtype)
            assert found.n_samples == 1234
    may_refuse = {"OPUS": 6 * 3, "MPEG_LAYER_III": 2 * 3 + 5 + 7}.get(subtype, 0)
    assert refused == may_refuse


@pytest.mark.parametrize(("suffix", "container", "subtype"), [h for h in HELD if h[2] not in LOSSY])
def test_read_then_write_changes_no_bit(tmp_path, suffix, container, subtype):
    n = 3000
    if subtype in BITS:
        b = BITS[subtype]
        q = np.random.default_rng(1).integers(-(2 ** (b - 1)), 2 ** (b - 1), (2, n))
        q[:, :2] = -(2 ** (b - 1)), 2 ** (b - 1) - 1
        x = q / 2.0 ** (b - 1)
    else:
        x = noise(2, n).astype(np.float64)
        x = x.astype(np.float32).astype(np.float64) * 3 if subtype == "FLOAT" else x * (3 if subtype == "DOUBLE" else 1)
    first, second = tmp_path / f"1{suffix}", tmp_path / f"2{suffix}"
    format = AudioFormat(16000, 2, container, subtype, n_samples=n)
    store(first, x, format)
    wide = np.float64 if subtype in ("PCM_32", "DOUBLE") else np.float32
    y, found = load(first, wide)
    if subtype not in ("ULAW", "ALAW"):
        np.testing.assert_array_equal(y, x.astype(wide))
    assert store(second, y, found).limited_db == 0.0
    z, again = load(second, wide)
    np.testing.assert_array_equal(z, y)
    assert again == found


def test_pcm_16_agrees_with_integers_of_soundfile(tmp_path):
    q = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", q, 8000, "PCM_16")
    x, sr = read(tmp_path / "a.wav")
    np.testing.assert_array_equal(x, q / np.float32(32768))
    write(tmp_path / "b.wav", x, sr)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "b.wav", dtype="int16")[0], q)
    write(tmp_path / "c.wav", x[:-1] + np.float32(0.4 / 32768), sr)  # rounded, not cut off
    np.testing.assert_array_equal(soundfile.read(tmp_path / "c.wav", dtype="int16")[0], q[:-1])


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
def test_bytes_there_and_back(subtype, endian):
    b = BITS.get(subtype, 24)
    x = np.random.default_rng(0).integers(-(2 ** (b - 1)), 2 ** (b - 1), 500) / 2.0 ** (b - 1)
    np.testing.assert_array_equal(decode(encode(x, subtype, endian), subtype, endian, dtype=np.float64), x)
    if subtype not in ("PCM_S8", "PCM_U8"):
        file = io.BytesIO(encode(x, subtype, endian))
        y, _ = soundfile.read(file, format="RAW", samplerate=8000, channels=1, subtype=subtype, endian=endian)
        np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".caf", ".au", ".w64", ".rf64"])
@pytest.mark.parametrize("n", [0, 1, 2, 575, 1153])
def test_short_files_keep_their_length(tmp_path, suffix, n):
    path = tmp_path / f"a{suffix}"
    if n == 0 and suffix in (".flac", ".opus", ".mp3"):
        with pytest.raises(InputError, match="cannot store 0 samples"):
            write(path, noise(2, n), 48000)
        assert list(tmp_path.iterdir()) == []
        return
    write(path, noise(2, n), 48000)
    x, sr = read(path)
    assert x.shape == (2, n) and sr == 48000 and info(path).n_samples == n


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".mp3"])
@pytest.mark.parametrize("sr", [8000, 16000, 48000])
def test_lossy_sound_stays_in_place(tmp_path, suffix, sr):
    t = np.arange(2 * sr) / sr
    x = 0.4 * np.sin(2 * np.pi * (200 * t + 300 * t**2)).astype(np.float32)
    write(tmp_path / f"a{suffix}", x, sr)
    y, _ = read(tmp_path / f"a{suffix}")
    c = np.fft.irfft(np.fft.rfft(y, 4 * sr) * np.conj(np.fft.rfft(x, 4 * sr)))
    assert abs((int(c.argmax()) + 2 * sr) % (4 * sr) - 2 * sr) <= 1
    assert np.corrcoef(x, y)[0, 1] > 0.98


def test_clipped_and_quiet_input_is_not_rescaled(tmp_path):
    x = np.clip(3 * noise(2, 5000), -1, 32767 / 32768)
    x = np.round(x * 32768) / 32768
    write(tmp_path / "a.wav", x, 16000)
    np.testing.assert_array_equal(read(tmp_path / "a.wav")[0], x)
    write(tmp_path / "b.wav", x / 1024, 16000, subtype="PCM_32")
    np.testing.assert_array_equal(read(tmp_path / "b.wav")[0], x.astype(np.float32) / 1024)


def test_integer_formats_are_limited_and_it_is_said(tmp_path):
    x = 0.5 * noise(2, 48000)
    x[:, 20000] = 2, 0.5
    with pytest.warns(UserWarning, match=r"a.wav: peaks above full scale were limited by up to 6.0 dB, as PCM_16"):
        write(tmp_path / "a.wav", x, 48000)
    y, _ = read(tmp_path / "a.wav")
    assert y.shape == x.shape
    np.testing.assert_allclose(y[:, :19000], x[:, :19000], atol=1 / 32768)
    np.testing.assert_allclose(y[:, 20000], [1, 0.25], atol=1e-4)
    write(tmp_path / "b.wav", x, 48000, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "b.wav")[0], x)


def test_parts_and_blocks(tmp_path):
    for suffix in (".wav", ".flac", ".ogg", ".mp3"):
        path = tmp_path / f"a{suffix}"
        write(path, noise(2, 30000), 16000)
        x, _ = read(path)
        lossy = 1e-6 if suffix in (".ogg", ".mp3") else 0  # their decoders' rounding depends on where they start
        np.testing.assert_allclose(read(path, start=12345, stop=20000)[0], x[:, 12345:20000], rtol=0, atol=lossy)
        np.testing.assert_allclose(read(path, start=29999, stop=99999)[0], x[:, 29999:], rtol=0, atol=lossy)
        assert read(path, start=40000)[0].shape == (2, 0)
        sizes = [b.shape[-1] for b in blocks(path, 8000)]
        assert sizes == [8000, 8000, 8000, 6000]
        np.testing.assert_allclose(np.concatenate(list(blocks(path, 8000)), -1), x, rtol=0, atol=lossy)
    with pytest.raises(InputError, match="0 <= start <= stop"):
        read(path, start=-1)
    write(tmp_path / "m.wav", x[0] / 4, 16000)
    assert read(tmp_path / "m.wav")[0].shape == (30000,)
    assert read(tmp_path / "m.wav", dtype=np.float64)[0].dtype == np.float64


def test_other_extension_keeps_the_sample_format_or_the_nearest(tmp_path):
    def stored(suffix, container, subtype):
        found = format_for(f"a{suffix}", AudioFormat(48000, 2, container, subtype))
        return found.container, found.subtype

    assert stored(".flac", "WAV", "PCM_24") == ("FLAC", "PCM_24")
    assert stored(".flac", "WAV", "FLOAT") == ("FLAC", "PCM_24")
    assert stored(".flac", "WAV", "PCM_U8") == ("FLAC", "PCM_S8")
    assert stored(".wav", "FLAC", "PCM_S8") == ("WAV", "PCM_U8")
    assert stored(".caf", "CAF", "ALAC_24") == ("CAF", "PCM_24")
    assert stored(".wav", "MP3", "MPEG_LAYER_III") == ("WAV", "PCM_16")
    assert stored(".wav", "WAVEX", "PCM_24") == ("WAVEX", "PCM_24")
    assert stored(".wav", "OGG", "OPUS") == ("WAV", "PCM_16")
    assert stored(".ogg", "OGG", "OPUS") == ("OGG", "OPUS")
    assert stored(".ogg", "WAV", "FLOAT") == ("OGG", "VORBIS")
    assert stored(".opus", "OGG", "VORBIS") == ("OGG", "OPUS")
    assert stored(".mp3", "WAV", "PCM_16") == ("MP3", "MPEG_LAYER_III")
    assert stored(".WAV", "NIST", "PCM_16") == ("WAV", "PCM_16")


def test_wav_beyond_4_gib_becomes_rf64():
    format = AudioFormat(48000, 2, "WAV", "PCM_16", n_samples=2**30 - 2**17)
    assert format_for("a.wav", format).container == "RF64"
    assert format_for("a.wav", replace(format, n_samples=2**30 - 2**18)).container == "WAV"
    assert format_for("a.w64", format).container == "W64"


def test_channel_mask_is_kept(tmp_path):
    path = tmp_path / "a.wav"
    store(path, noise(3, 100), AudioFormat(48000, 3, "WAVEX", "PCM_16", channel_mask=0x103))
    found = info(path)
    assert found.channel_mask == 0x103
    store(tmp_path / "b.wav", read(path)[0], found)
    assert info(tmp_path / "b.wav") == found
    assert (tmp_path / "b.wav").read_bytes() == path.read_bytes()


def test_big_endian_is_kept(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 8000, "PCM_16", "BIG")
    format = info(tmp_path / "a.wav")
    store(tmp_path / "b.wav", read(tmp_path / "a.wav")[0][None], format)
    assert (tmp_path / "b.wav").read_bytes()[:4] == b"RIFX"


@pytest.mark.parametrize("extension", ["aiff", "au", "caf"])
def test_float64_of_big_endian_files_is_kept(tmp_path, extension):
    x = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    a, b = tmp_path / f"a.{extension}", tmp_path / f"b.{extension}"
    soundfile.write(a, x, 8000, "DOUBLE")  # big-endian is what these have by default
    store(b, read(a, dtype=np.float64)[0], info(a))
    assert info(b) == info(a) and info(b).subtype == "DOUBLE"
    assert x.astype(">f8").tobytes() in a.read_bytes() and x.astype(">f8").tobytes() in b.read_bytes()


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.opus", "x.mp3"])
def test_a_slice_is_the_slice_of_the_whole(tmp_path, name):
    x = np.random.default_rng(0).standard_normal(3 * 16000).astype(np.float32) * 0.1
    write(tmp_path / name, x, 16000)
    whole, _ = read(tmp_path / name)
    part, _ = read(tmp_path / name, start=20001, stop=30000)
    np.testing.assert_allclose(part, whole[20001:30000], atol=1e-6)
