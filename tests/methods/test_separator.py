"""Talkers, the rest and a wanted voice, with a small graph that has all three."""

import errno
import io
import json

import numpy as np
import pytest
import soundfile
from graph_files import HIGH, LOW, REST, Hand, write_talkers

import undin
from undin.audio.loudness import LoudnessMeter
from undin.audio.part import PartFile
from undin.errors import InputError
from undin.methods import LEARNED

SR = 16000


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(LEARNED, "hand", Hand)


@pytest.fixture
def model(tmp_path):
    return undin.load(write_talkers(tmp_path / "talkers.onnx"))


def band(bins: slice, seconds: float = 6.0, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Noise within a few bins of the graph, loud and soft in turn."""
    n = round(seconds * SR)
    X = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    f = np.fft.rfftfreq(n, 1 / SR) / (SR / 512)
    x = np.fft.irfft(X * ((f > bins.start + 3) & (f < bins.stop - 3)), n)
    x *= level * (0.6 + 0.4 * np.sin(np.arange(n) * 2 * np.pi * 4 / SR))
    return x.astype(np.float32)


def error_db(est: np.ndarray, ref: np.ndarray) -> float:
    return 10 * np.log10(np.square(est - ref).sum() / np.square(ref).sum())


@pytest.fixture
def scene() -> np.ndarray:
    """(3, n_samples): low for 4 s, high from 2 s on, noise throughout."""
    low, high, noise = band(LOW), band(HIGH, seed=1), band(REST, seed=2, level=0.02)
    low[4 * SR :], high[: 2 * SR] = 0, 0
    return np.stack([low, high, noise])


def test_the_rest_is_left_out_or_returned_and_all_sum_to_the_input(model, scene):
    x = scene.sum(0)
    s = undin.separate(x, SR, method=model)
    np.testing.assert_allclose(s.sum(0), x, atol=1e-6)
    three = undin.separate(x, SR, method=model, residual=True)
    np.testing.assert_allclose(three.sum(0), x, atol=1e-6)
    assert max(error_db(each, ref) for each, ref in zip(three, scene, strict=True)) < -15
    np.testing.assert_array_equal(undin.separate(x, SR, method=model, denoise=True), three[:2])
    np.testing.assert_array_equal(undin.separate(x, SR, method=model, denoise=True, residual=True), three)


def test_a_lone_talker_has_the_entire_signal(model, scene):
    x = scene[1] + scene[2]
    s = undin.separate(x[2 * SR :], SR, method=model)
    np.testing.assert_allclose(s[0], x[2 * SR :], atol=1e-6)
    assert not s[1].any()


@pytest.mark.parametrize("wanted", [0, 1])
@pytest.mark.parametrize("seconds", [6, 50])
def test_the_talker_who_sounds_like_the_sample_is_returned(model, wanted, seconds):
    refs = np.stack([band(LOW, seconds), band(HIGH, seconds, seed=1)])
    x, sample = refs.sum(0), band((LOW, HIGH)[wanted], 3, seed=5)
    y = undin.separate(x, SR, method=model, voice=sample)
    assert y.shape == x.shape and error_db(y, refs[wanted]) < -15
    two = undin.separate(np.stack([x, x]), SR, method=model, voice=sample, residual=True)
    assert two.shape == (2, 2, len(x))
    np.testing.assert_allclose(two[0, 0], y, atol=1e-6)
    np.testing.assert_allclose(two.sum(0), [x, x], atol=1e-6)


def test_a_voice_that_is_not_there_or_cannot_be_recognized_is_named(model, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    undin.write("anna.wav", band(LOW), SR)
    undin.write("silence.wav", np.zeros(SR, np.float32), SR)
    for x in (scene[1], 0 * scene[1]):
        with pytest.raises(InputError, match=r"nobody sounds like anna\.wav: use another sample"):
            undin.separate(x, SR, method=model, voice="anna.wav")
    with pytest.raises(InputError, match=r"silence\.wav has no voice: use a recording of a few seconds"):
        undin.separate(scene[1], SR, method=model, voice="silence.wav")
    plain = undin.load(write_talkers(tmp_path / "plain.onnx", rest=False, voice=None))
    with pytest.raises(InputError, match="hand does not recognize voices: use a separator that does"):
        undin.separate(scene[1], SR, method=plain, voice="anna.wav")


def test_a_method_that_cannot_keep_noise_apart_gets_what_enhancement_leaves(tmp_path):
    plain = undin.load(write_talkers(tmp_path / "plain.onnx", rest=False, voice=None))
    x = 0.02 * np.random.default_rng(0).standard_normal((2, 3 * SR)).astype(np.float32)
    s = undin.separate(x, SR, method=plain, residual=True)
    assert s.shape == (3, 2, 3 * SR)
    np.testing.assert_allclose(s.sum(0), x, atol=1e-6)
    assert np.square(s[:2]).sum() < 0.1 * np.square(s[2]).sum()
    np.testing.assert_array_equal(undin.separate(x, SR, method=plain, denoise=True), s[:2])


def test_noise_has_no_sample_that_was_repaired(tmp_path):
    plain = undin.load(write_talkers(tmp_path / "plain.onnx", rest=False, voice=None))
    x = 0.02 * np.random.default_rng(0).standard_normal(SR).astype(np.float32)
    x[8000] = 1e20
    s = undin.separate(x, SR, method=plain, residual=True, nan="zero")
    np.testing.assert_allclose(s.sum(0), np.where(x > 1, 0, x), atol=1e-6)


@pytest.mark.parametrize("name", ["denoise", "residual"])
def test_a_file_name_for_a_flag_is_an_error(model, name):
    with pytest.raises(InputError, match=rf"{name} must be true or false; got 'noise\.wav'"):
        undin.separate(np.zeros(SR, np.float32), SR, method=model, **{name: "noise.wav"})


@pytest.mark.parametrize("talkers", [None, True, "2", 2.0])
def test_a_number_of_talkers_is_a_number(model, talkers):
    with pytest.raises(InputError, match="talkers must be a whole number or auto; got"):
        undin.separate(np.zeros(SR, np.float32), SR, method=model, talkers=talkers)


def test_files_get_the_same(model, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    undin.write("a b.wav", scene.sum(0), SR, subtype="FLOAT")
    undin.write("anna.wav", band(HIGH, 3, seed=5), SR)
    report = undin.separate_file("a b.wav", ["1.wav", "2.wav"], residual="r.wav", rttm="a.rttm", method=model)
    assert report.talkers == 2 and report.near_silence == ()
    three = undin.separate(scene.sum(0), SR, method=model, residual=True)
    np.testing.assert_allclose([undin.read(f"{name}.wav")[0] for name in "12r"], three, atol=1e-6)
    rows = [line.split() for line in (tmp_path / "a.rttm").read_text().splitlines()]
    assert [(row[:3], row[5:]) for row in rows] == [
        (["SPEAKER", "a_b", "1"], ["<NA>", "<NA>", f"talker{k}", "<NA>", "<NA>"]) for k in (1, 2)
    ]
    np.testing.assert_allclose([[float(x) for x in row[3:5]] for row in rows], [[0, 4], [2, 4]], atol=0.2)
    report = undin.separate_file("a b.wav", ["v.wav"], voice="anna.wav", residual="r.wav", rttm="v.rttm", method=model)
    assert report.talkers == 2 and len((tmp_path / "v.rttm").read_text().splitlines()) == 1
    two = undin.separate(scene.sum(0), SR, method=model, voice="anna.wav", residual=True)
    np.testing.assert_allclose([undin.read(f"{name}.wav")[0] for name in "vr"], two, atol=1e-6)


def test_a_residual_does_not_change_the_loudness_of_talkers(model, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    undin.write("a.wav", scene[0] + scene[1] + 3 * scene[2], SR, subtype="FLOAT")
    undin.separate_file("a.wav", ["1.wav", "2.wav"], denoise=True, loudness=-30, method=model)
    undin.separate_file("a.wav", ["3.wav", "4.wav"], residual="r.wav", loudness=-30, method=model)
    one, two, three, four = (undin.read(f"{k}.wav")[0] for k in range(1, 5))
    np.testing.assert_allclose([three, four], [one, two], atol=1e-6)
    meter = LoudnessMeter(SR)
    meter.process((one + two)[None])
    assert abs(meter.lufs + 30) < 0.1


def test_no_times_are_left_where_the_talkers_cannot_be_written(model, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    undin.write("a.wav", scene.sum(0), SR)

    def full(part: PartFile) -> None:
        part.abort()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PartFile, "finish", full)
    with pytest.raises(OSError, match="No space left"):
        undin.separate_file("a.wav", ["1.wav", "2.wav"], rttm="a.rttm", method=model)
    assert [path.name for path in tmp_path.glob("a.*")] == ["a.wav"]


def test_the_command_does_the_same(scene, tmp_path, monkeypatch, capsys):
    from undin.cli import main

    def run(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit:
            main(["separate", "talk.wav", "-m", "talkers.onnx", *args])
        return exit.value.code, *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    write_talkers(tmp_path / "talkers.onnx")
    undin.write("talk.wav", scene.sum(0), SR)
    undin.write("anna.wav", band(HIGH, 3, seed=5), SR)
    code, out, _ = run("--residual", "--rttm")
    assert code == 0 and out.startswith("talk.wav -> talk.1.wav talk.2.wav talk.residual.wav talk.rttm   6.0 s")
    assert out.endswith("2 talkers found\n")
    assert "skipped: up to date" in run("--residual", "--rttm")[1]
    assert "skipped" not in run()[1]  # with the noise
    both = undin.read("talk.1.wav")[0] + undin.read("talk.2.wav")[0]
    np.testing.assert_allclose(both, undin.read("talk.wav")[0], atol=1e-4)
    row = json.loads(run("--voice", "anna.wav", "--json")[1])
    assert (row["outputs"], row["rttm"], row["talkers"]) == (["talk.voice.wav"], None, 2)
    assert "skipped: up to date" in run("--voice", "anna.wav")[1]
    undin.write("anna.wav", band(LOW, 3, seed=5), SR)
    assert "skipped" not in run("--voice", "anna.wav")[1]
    assert error_db(undin.read("talk.voice.wav")[0], scene[0] + scene[2]) < -10
    undin.write("talk.wav", scene[2] * 0, SR)
    assert run("-o", "silence.wav")[1].endswith("nobody talks\n")
    code, out, err = run("--talkers", "one")
    assert (code, out) == (2, "") and "--talkers must be auto or a number, 2 or more; got 'one'" in err


def test_a_wanted_voice_goes_to_a_pipe(scene, tmp_path, monkeypatch, capfdbinary):
    from undin.cli import main

    monkeypatch.chdir(tmp_path)
    write_talkers(tmp_path / "talkers.onnx")
    undin.write("talk.wav", scene.sum(0), SR)
    undin.write("anna.wav", band(HIGH, 3, seed=5), SR)
    with pytest.raises(SystemExit) as exit:
        main(["separate", "talk.wav", "-m", "talkers.onnx", "--voice", "anna.wav", "-o", "-"])
    out, err = capfdbinary.readouterr()
    assert exit.value.code == 0 and err.endswith(b"2 talkers found\n")
    y, sr = soundfile.read(io.BytesIO(out))
    assert sr == SR and error_db(y, scene[1]) < -10 and len(out) < 2 * len(y) + 100  # nothing but audio


def test_known_talkers_stay_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = undin.NMF(n_speech=4).fit_talkers([band(LOW), band(HIGH, seed=1)], SR)
    x = band(HIGH, seed=7)
    undin.write("a.wav", x, SR, subtype="FLOAT")
    s = undin.separate(x, SR, method=model)
    assert error_db(s[1], x) < -20
    report = undin.separate_file("a.wav", ["1.wav", "2.wav"], rttm="a.rttm", method=model)
    assert report.near_silence == ("1.wav",) and error_db(undin.read("2.wav")[0], x) < -20
    assert {line.split()[7] for line in (tmp_path / "a.rttm").read_text().splitlines()} == {"talker2"}
