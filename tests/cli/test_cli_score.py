import json
import shlex
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import undin as undin_
from undin.errors import InputError
from undin.evaluation.files import Reference, choose_for_files
from undin.evaluation.recognizer import read_transcripts

SR = 16000
QUICK = ("--metrics", "si_sdr_db,lsd_db")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """clean.wav, noisy.wav, which is 25 ms late, and better.wav."""
    monkeypatch.chdir(tmp_path)
    corpus = undin_.corpora.mini()
    x = corpus.load(corpus.speech[0])[: 2 * SR]
    n = 0.3 * x.std() * np.random.default_rng(0).standard_normal(len(x)).astype(np.float32)
    for name, y in (("clean", x), ("noisy", np.r_[np.zeros(400, np.float32), (x + n)[:-400]]), ("better", x + n / 10)):
        undin_.write(f"{name}.wav", y, SR)
    return tmp_path


def test_files_are_aligned_and_scored_against_a_reference(undin, files):
    code, out, err = undin("score", "--ref", "clean.wav", "noisy.wav", "better.wav", *QUICK)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:4]}
    noisy, better = (float(rows[name][0]) for name in ("noisy.wav", "better.wav"))
    assert noisy == pytest.approx(10.5, abs=0.5) and better == pytest.approx(30.5, abs=0.5)
    assert "mean" not in rows  # nothing says that the two belong together
    assert "noisy.wav is 25.0 ms late; it is aligned" in out and "Lower is better for LSD" in out


def test_alignment_can_be_turned_off(undin, files):
    args = ("score", "--ref", "clean.wav", "noisy.wav", "--json", *QUICK)
    aligned, late = (json.loads(undin(*args, *more).out) for more in ((), ("--no-align",)))
    assert (aligned["lag_ms"], late["lag_ms"]) == (25.0, 0.0)
    assert aligned["scores"]["si_sdr_db"] > 10 and late["scores"]["si_sdr_db"] < 0
    assert aligned["duration_s"] == pytest.approx(2 - 0.025)


def test_what_cannot_be_scored_is_named_and_the_rest_is_done(undin, files):
    x = undin_.read("clean.wav")[0]
    undin_.write("short.wav", x[: SR // 2], SR)
    undin_.write("rate.wav", x, 8000)
    undin_.write("stereo.wav", np.stack([x, x]), SR)
    undin_.write("silent.wav", 0 * x, SR)
    code, out, err = undin("score", "--ref", "clean.wav", *sorted(files.glob("*.wav")), "none.wav", "--json", *QUICK)
    scored = {json.loads(line)["file"].split("/")[-1]: json.loads(line) for line in out.splitlines()}
    assert code == 1 and set(scored) == {"better.wav", "clean.wav", "noisy.wav", "silent.wav"}
    assert "est is silent" in scored["silent.wav"]["undefined"]["lsd_db"] and not scored["silent.wav"]["scores"]
    for text in ("lasts 0.50 s", "has 8000 Hz", "has 2 channels", "none.wav"):
        assert text in err
    assert undin("score", "--ref", "clean.wav", "short.wav", *QUICK).code == 2


def test_metrics_that_need_a_reference_ask_for_one(undin, files):
    code, _, err = undin("score", "noisy.wav", "--metrics", "stoi")
    assert code == 2 and "stoi needs a reference: use --ref FILE" in err
    code, _, err = undin("score", "noisy.wav", "--metrics", "dnsmos")
    assert code == 2 and "unknown metric 'dnsmos'" in err


def test_without_a_reference_dnsmos_is_the_default(undin, files):
    if not find_spec("speechmos"):
        pytest.skip('speechmos is not installed: pip install "undin[mos]"')
    assert [metric.name for metric in choose_for_files(None, None)[0]] == ["dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl"]
    code, out, err = undin("score", "clean.wav", "--json")
    assert (code, err) == (0, "")
    scores = json.loads(out)["scores"]
    assert set(scores) == {"dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl"} and all(1 < s < 5 for s in scores.values())


def test_the_extra_is_named_where_it_is_missing(undin, files, monkeypatch):
    sys.modules["undin.metrics.dnsmos"]._networks.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = undin("score", "clean.wav")
    assert code == 2 and 'install "undin[mos]"' in err


def test_metrics_of_a_reference_are_those_of_its_rate(files):
    undin_.write("low.wav", undin_.read("clean.wav")[0], 8000)
    assert "pesq_wb" not in [metric.name for metric in choose_for_files(None, Reference.read("low.wav"))[0]]
    with pytest.raises(InputError, match="pesq_wb needs 16000 Hz"):
        choose_for_files(["pesq_wb"], Reference.read("low.wav"))


LISTENER = """
import sys, wave
with wave.open(sys.argv[1]) as f:
    print(f.getframerate(), 8 * f.getsampwidth(), f.getnchannels(), "words")
"""
LISTEN = shlex.join([sys.executable, "-c", LISTENER, "{in}"])


def test_word_error_rate_by_any_recognizer(undin, files):
    x = undin_.read("clean.wav")[0]
    undin_.write("stereo.wav", np.stack([x, x]), SR)
    undin_.write("phone.enhanced.wav", x[::2], SR // 2)
    said = "16000 16 1 birds"  # the recognizer hears "words"
    args = ("--wer-cmd", LISTEN, "--text", said, "--metrics", "wer", "--json")
    code, out, err = undin("score", "stereo.wav", "phone.enhanced.wav", *args)
    assert (code, err) == (0, "")
    assert [json.loads(line)["scores"] for line in out.splitlines()] == [{"wer": 0.25}, {"wer": 0.25}]


def test_transcripts_are_found_by_the_name_of_the_file(undin, files):
    (files / "words.txt").write_text("clean 16000 16 1 words\nnoisy wrong\nempty\n")
    args = ("score", "--wer-cmd", LISTEN, "--transcripts", "words.txt", "--metrics", "wer", "--json")
    undin_.write("clean.enhanced.wav", undin_.read("clean.wav")[0], SR)
    code, out, _ = undin(*args, "clean.wav", "clean.enhanced.wav", "noisy.wav", "better.wav")
    scored = {json.loads(line)["file"]: json.loads(line) for line in out.splitlines()}
    assert code == 0
    assert [scored[f"{name}.wav"]["scores"]["wer"] for name in ("clean", "clean.enhanced", "noisy")] == [0, 0, 4]
    assert scored["better.wav"]["undefined"]["wer"] == "WER is undefined: no transcript of better"


def test_transcripts_of_librispeech_in_a_folder(tmp_path):
    (tmp_path / "84").mkdir()
    (tmp_path / "84/84-1.trans.txt").write_text("84-1-0000 HELLO WORLD\n84-1-0001 BYE\n")
    (tmp_path / "other.txt").write_text("one text\nof a name")
    found = read_transcripts(tmp_path)
    assert found == {"84-1-0000": "HELLO WORLD", "84-1-0001": "BYE", "other": "one text\nof a name"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--metrics", "wer"], "wer needs a recognizer: use --wer-cmd 'COMMAND {in}'"),
        (["--wer-cmd", "hear {in}"], "--wer-cmd needs reference text: use --text or --transcripts"),
        (["--text", "x"], "--text and --transcripts are for the word error rate: add --wer-cmd"),
        (["--wer-cmd", "hear this", "--text", "x"], "--wer-cmd must be 'program {in}', a command that prints text"),
        (["--wer-cmd", "hear 'this {in}", "--text", "x"], "No closing quotation: check its quotes"),
        (["--wer-cmd", "no-such-recognizer {in}", "--text", "x"], "no-such-recognizer is not installed, or not on the"),
        (["--wer-cmd", LISTEN, "--transcripts", "clean.wav"], "cannot read the transcripts clean.wav"),
        (["--wer-cmd", LISTEN, "--transcripts", "empty.txt"], "empty.txt has no transcripts; expected CSV columns id"),
    ],
)
def test_a_recognizer_that_cannot_work_is_refused_before_any_work(undin, files, args, message):
    (files / "empty.txt").touch()
    code, _, err = undin("score", "noisy.wav", *args)
    assert code == 2 and message in err
