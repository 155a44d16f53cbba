from fractions import Fraction

import numpy as np
import pytest

from undin.audio import AudioFormat, info, open_reader, open_writer, read, write
from undin.errors import InputError, MissingExtraError
from undin.jobs import plan, process_file
from undin.methods import load

av = pytest.importorskip("av", reason="the extra video is not installed: pip install undin[video]")

CASES = [
    (".mp4", "aac", 48000, 2),
    (".mp4", "aac", 44100, 1),
    (".mov", "aac", 16000, 1),
    (".mov", "pcm_s16le", 48000, 2),
    (".mp4", "libmp3lame", 48000, 1),
    (".mp4", "aac", 48000, 6),
    (".mkv", "aac", 48000, 1),
    (".mkv", "libopus", 48000, 2),
    (".mkv", "flac", 44100, 2),
    (".mkv", "vorbis", 44100, 2),
    (".webm", "libopus", 48000, 1),
]


def speech_like(n_channels, n, sr):
    rng = np.random.default_rng(0)
    x = 0.02 * rng.standard_normal((n_channels, n))
    for start in range(0, n, sr // 4):
        x[:, start : start + 400] += 0.4 * rng.standard_normal((n_channels, 400))[:, : n - start]
    spectrum = np.fft.rfft(x)
    spectrum[:, n * 3000 // sr :] = 0  # what every codec keeps
    return np.fft.irfft(spectrum, n).clip(-1, 1).astype(np.float32)


def encode(container, stream, frames):
    for frame in (*frames, None):
        for packet in stream.encode(frame):
            container.mux(packet)


def make(path, codec, sr, x, start=0):
    """A tiny film: gray frames that change, the sound from `start` samples on, a second language, tags."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(x)]
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libvpx" if path.suffix == ".webm" else "mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        options = {"strict": "-2"} if codec == "vorbis" else {}
        sounds = [container.add_stream(codec, rate=sr, options=options) for _ in range(2)]
        for sound in sounds:
            sound.layout, sound.bit_rate = layout, 96000
        container.metadata["title"] = "Tiny film"
        frames = [av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * i, np.uint8), format="rgb24") for i in range(25)]
        for i, frame in enumerate(frames):
            frame.pts = i
        encode(container, picture, frames)
        for sound, y in zip(sounds, (x, x[:, ::-1]), strict=True):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(y), format="fltp", layout=layout)
            frame.sample_rate, frame.time_base, frame.pts = sr, Fraction(1, sr), start
            encode(container, sound, [frame])


def packets(path, kind, index=0):
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[index]
        return [
            (bytes(p), float(p.pts * p.time_base), p.is_keyframe) for p in container.demux(stream) if p.dts is not None
        ]


def lag(x, y):
    n = 2 * max(x.shape[-1], y.shape[-1])
    c = np.fft.irfft(np.fft.rfft(y[0], n) * np.conj(np.fft.rfft(x[0], n)), n)
    return (int(c.argmax()) + n // 2) % n - n // 2


def copy(source, target, gain=1.0):
    with open_reader(source) as reader, open_writer(target, reader.format, like=source) as writer:
        for x in reader.blocks(3000):
            writer.write(gain * x)


@pytest.mark.parametrize(("suffix", "codec", "sr", "n_channels"), CASES)
def test_picture_is_untouched_and_sound_stays_aligned(tmp_path, suffix, codec, sr, n_channels):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    x = speech_like(n_channels, sr + 123, sr)
    make(first, codec, sr, x)
    copy(first, second)
    before, after = read(first)[0].reshape(n_channels, -1), read(second)[0].reshape(n_channels, -1)
    # MP4 says nothing of padding at MP3's end in ffmpeg before version 9 (PyAV 19)
    n_padded = 1152 if (suffix, codec) == (".mp4", "libmp3lame") and av.library_versions["libavcodec"] < (63,) else 0
    assert after.shape[-1] == before.shape[-1] + n_padded and 0 <= before.shape[-1] - x.shape[-1] < 1152
    if codec != "vorbis":  # ffmpeg's own encoder of it is young
        assert lag(x, before) == 0 and np.corrcoef(before[0], after[0, : before.shape[-1]])[0, 1] > 0.94
    assert abs(lag(before, after)) <= 1
    for kind, index in (("video", 0), ("audio", 1)):
        old, new = packets(first, kind, index), packets(second, kind, index)
        assert [p[0] for p in new] == [p[0] for p in old] and [p[2] for p in new] == [p[2] for p in old]
        np.testing.assert_allclose([p[1] for p in new], [p[1] for p in old], atol=0.0011)
    old, new = info(first), info(second)
    assert (new.sr, new.n_channels, new.subtype, new.container) == (old.sr, old.n_channels, old.subtype, suffix)
    assert new.tags["title"] == "Tiny film"
    if not old.has_full_scale and codec != "vorbis":
        assert new.bitrate == pytest.approx(old.bitrate, rel=0.3)


@pytest.mark.parametrize(("suffix", "codec"), [(".mov", "pcm_s16le"), (".mkv", "flac"), (".mkv", "pcm_s24le")])
def test_lossless_sound_changes_no_bit(tmp_path, suffix, codec):
    make(tmp_path / f"a{suffix}", codec, 48000, speech_like(2, 48000, 48000))
    copy(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(read(tmp_path / f"b{suffix}")[0], read(tmp_path / f"a{suffix}")[0])
    assert info(tmp_path / f"a{suffix}").has_full_scale
    with (
        open_reader(tmp_path / f"a{suffix}") as reader,
        open_writer(tmp_path / f"c{suffix}", reader.format, like=tmp_path / f"a{suffix}") as writer,
    ):
        for x in reader.blocks(1000):
            writer.write(10 * x)
    assert writer.limited_db > 6


def test_sound_that_starts_late_still_does(tmp_path):
    first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
    make(first, "aac", 48000, speech_like(1, 40000, 48000), start=24000)
    copy(first, second)
    with av.open(str(first)) as old, av.open(str(second)) as new:
        starts = [c.streams.audio[0].start_time / 48000 for c in (old, new)]
    assert starts[0] == pytest.approx(0.5, abs=0.03)
    # here MP4 cannot hide the encoder's delay: the track starts 1024 samples earlier, with silence
    a, b = np.atleast_2d(read(first)[0]), np.atleast_2d(read(second)[0])
    assert b.shape[-1] == a.shape[-1] + 1024
    assert starts[1] + lag(a, b) / 48000 == pytest.approx(starts[0], abs=1.1e-3)


def test_a_pause_in_the_track_becomes_silence(tmp_path):
    """Two pieces of sound with 0.5 s nothing between them: the second is still in its place."""
    x = speech_like(1, 24000, 48000)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        frames = []
        for start in (0, 48000):
            frame = av.AudioFrame.from_ndarray(x, format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), start
            frames.append(frame)
        for frame in frames:
            encode_one = sound.encode(frame)
            for packet in encode_one:
                container.mux(packet)
        for packet in sound.encode(None):
            container.mux(packet)
    y, _ = read(tmp_path / "a.mkv")
    assert abs(len(y) - 72000) < 100
    assert not y[24100:47900].any() and abs(lag(x, y[None, 48000:])) <= 48


def test_m4a_from_samples_and_back(tmp_path):
    x = speech_like(2, 44100, 44100)
    write(tmp_path / "a.m4a", x, 44100)
    y, sr = read(tmp_path / "a.m4a")
    assert sr == 44100 and y.shape == (2, 44100) and lag(x, y) == 0 and np.corrcoef(x[0], y[0])[0, 1] > 0.98
    format = info(tmp_path / "a.m4a")
    assert (format.container, format.subtype, format.has_full_scale) == (".m4a", "AAC", False)
    write(tmp_path / "b.wav", y, sr, like=tmp_path / "a.m4a")
    assert info(tmp_path / "b.wav").subtype == "PCM_16"
    with (tmp_path / "a.m4a").open("rb") as file:
        np.testing.assert_array_equal(read(file)[0], y)


def test_cover_and_chapters_are_kept(tmp_path):
    first, second = tmp_path / "a.m4a", tmp_path / "b.m4a"
    with av.open(str(first), "w", format="mp4") as container:
        sound, cover = container.add_stream("aac", rate=48000, layout="mono"), container.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        container.set_chapters(
            [{"id": 0, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
        )
        picture = av.VideoFrame(64, 48, "yuvj420p")
        picture.pts = 0
        encode(container, cover, [picture])
        frame = av.AudioFrame.from_ndarray(speech_like(1, 48000, 48000), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        encode(container, sound, [frame])

    def others(path):
        with av.open(str(path)) as container:
            cover = container.streams.video[0]
            found = [bytes(p) for p in container.demux(cover) if p.size]
            return found, cover.disposition.value, container.chapters()[0]["metadata"]

    copy(first, second)
    assert others(second) == others(first) and len(others(first)[0]) == 1
    assert read(second)[0].shape == read(first)[0].shape == (48000,)


def test_sound_alone_from_a_film(tmp_path):
    make(tmp_path / "a.mp4", "aac", 48000, speech_like(1, 48000, 48000))
    copy(tmp_path / "a.mp4", tmp_path / "b.m4a")
    with av.open(str(tmp_path / "b.m4a")) as container:
        assert [stream.type for stream in container.streams] == ["audio", "audio"]
    copy(tmp_path / "a.mp4", tmp_path / "c.wav")
    np.testing.assert_allclose(read(tmp_path / "c.wav")[0], read(tmp_path / "a.mp4")[0], atol=1 / 65535)


@pytest.mark.parametrize("suffix", [".mkv", ".mka", ".mov"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
def test_plain_samples_stay_plain(tmp_path, suffix, subtype):
    write(tmp_path / "a.wav", speech_like(2, 5000, 16000), 16000, subtype=subtype)
    copy(tmp_path / "a.wav", tmp_path / f"a{suffix}")
    copy(tmp_path / f"a{suffix}", tmp_path / "b.wav")
    np.testing.assert_array_equal(read(tmp_path / f"a{suffix}")[0], read(tmp_path / "a.wav")[0])


def test_also_read(tmp_path):
    x = speech_like(1, 44100, 44100)
    with av.open(str(tmp_path / "a.aac"), "w") as container:
        sound = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(x, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        encode(container, sound, [frame])
    y, sr = read(tmp_path / "a.aac")
    assert sr == 44100 and 0 <= len(y) - 44100 <= 2048
    with pytest.raises(InputError, match=r"unknown extension '\.aac'"):
        write(tmp_path / "b.aac", x, 44100)


@pytest.mark.parametrize(("name", "codec"), [("a.aac", "aac"), ("a.wma", "wmav2")])
def test_sound_alone_becomes_m4a(tmp_path, name, codec):
    x = speech_like(1, 44100, 44100)
    with av.open(str(tmp_path / name), "w", format="asf" if name == "a.wma" else "adts") as container:
        sound = container.add_stream(codec, rate=44100, layout="mono")
        sound.bit_rate = 96000
        frames = [
            av.AudioFrame.from_ndarray(x[:, n : n + 1024], format="fltp", layout="mono") for n in range(0, 44032, 1024)
        ]
        for k, frame in enumerate(frames):
            frame.sample_rate, frame.pts = 44100, 1024 * k
        encode(container, sound, frames)
    (task,) = plan([str(tmp_path)])
    assert task.targets == (str(tmp_path / "a.enhanced.m4a"),)
    report = process_file(load("spectral-gate"), task.source, task.targets[0], limit_db=0)
    y, sr = read(task.targets[0])
    assert sr == 44100 and report.subtype == "AAC" and abs(len(y) - 44032) < 4096
    assert np.corrcoef(y[2000:40000], read(tmp_path / name)[0][2000:40000])[0, 1] > 0.9


def test_errors(tmp_path, monkeypatch):
    (tmp_path / "text.mp4").write_text("once upon a time" * 100)
    with pytest.raises(InputError, match="cannot be opened as a video"):
        info(tmp_path / "text.mp4")
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        encode(container, picture, [av.VideoFrame(64, 48, "yuv420p")])
    with pytest.raises(InputError, match="has no audio track"):
        info(tmp_path / "mute.mp4")
    with pytest.raises(InputError, match=r"aac in .m4a cannot hold 1 channels at 192000 Hz"):
        write(tmp_path / "a.m4a", np.zeros(100), 192000)
    with pytest.raises(InputError, match=r"supports 1 to 8 channels"):
        write(tmp_path / "a.m4a", np.zeros((9, 100)), 48000)
    with (
        pytest.raises(InputError, match="cannot store 0 samples"),
        open_writer(tmp_path / "a.m4a", AudioFormat(48000, 1)),
    ):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mute.mp4", "text.mp4"]
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install \"undin\[video\]\""):
        info(tmp_path / "mute.mp4")


def test_that_one_of_two_sound_tracks_is_worked_on_is_said(tmp_path):
    make(tmp_path / "a.mkv", "flac", 16000, speech_like(1, 16000, 16000))
    with pytest.warns(UserWarning, match="a.mkv has 2 audio tracks: the first one is processed"):
        process_file(load("spectral-gate"), str(tmp_path / "a.mkv"), str(tmp_path / "a.wav"))
