import csv
import json
import re
import shlex
import shutil
import sys

import pytest

from undin import corpora, mixing


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNDIN_DATA", raising=False)
    monkeypatch.setattr("undin.evaluation.report.page.can_draw", lambda: False)  # pictures take most of the time
    mixing.write_manifest("m.csv", mixing.make_manifest(corpora.mini(), n=3, seed=1, snr_db=[0.0, 5.0]))
    return tmp_path / "m.csv"


QUICK = ("--metrics", "si_sdr_db", "--examples", "1")


def test_scores_summary_and_report(undin, manifest):
    code, out, err = undin("evaluate", "m.csv", "-m", "log-mmse", "-m", "gate=spectral-gate", "-o", "s", *QUICK)
    assert (code, err) == (0, "")
    files = {"scores.csv", "per_noise.csv", "summary.json", "report.html"}
    assert {path.name for path in (manifest.parent / "s").iterdir()} == files
    names = [line.split()[0] for line in out.splitlines()[2:7]]  # below a header of two lines
    assert [name for name in names if not name.startswith("(+")] == ["input", "log-mmse", "gate"]
    assert "means with 95 % intervals over 3 mixtures" in out and "s/report.html" in out
    scores = (manifest.parent / "s/scores.csv").read_text().splitlines()
    assert len(scores) == 10 and scores[0].startswith("id,method,kind,snr_db,speaker,seen,si_sdr_db,duration_s,")


def test_rerunning_keeps_existing_scores(undin, manifest):
    assert undin("evaluate", "m.csv", "-m", "log-mmse", "-o", "s", *QUICK).code == 0
    before = (manifest.parent / "s/scores.csv").read_text()
    code, out, _ = undin("evaluate", "m.csv", "-m", "log-mmse", "-o", "s", *QUICK)
    assert code == 0 and "6 existing scores were reused" in out
    assert (manifest.parent / "s/scores.csv").read_text() == before


def test_a_page_of_someone_else_stays(undin, manifest):
    diary = manifest.parent / "s/report.html"
    diary.parent.mkdir()
    diary.write_text("precious")
    code, _, err = undin("evaluate", "m.csv", "-m", "log-mmse", "-o", "s", *QUICK)
    assert code == 2 and "s/report.html already exists and was not written by undin" in err
    assert diary.read_text() == "precious" and not (manifest.parent / "s/scores.csv").exists()


def test_json_is_the_summary(undin, manifest):
    code, out, err = undin("evaluate", "m.csv", "-m", "log-mmse", "-o", "s", "--json", *QUICK)
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((manifest.parent / "s/summary.json").read_text("utf-8"))


def test_failures_are_named_and_the_rest_is_done(undin, manifest):
    text = manifest.read_text()
    manifest.write_text(
        text + text.splitlines()[1] + "\n" + text.splitlines()[2].replace("test-00001", "x") + "\nbroken\n"
    )
    crash = f"crash={sys.executable} -c 'raise SystemExit(\"no weights\")' {{in}} {{out}}"
    code, out, err = undin("evaluate", "m.csv", "-m", "log-mmse", "--cmd", crash, "-o", "s", *QUICK)
    assert code == 1
    assert "undin: row 2 (test-00000, crash): exited with 1: no weights" in err
    assert "undin: row 5 (test-00000): row 2 has the same id: give every row a unique id" in err
    assert "and 1 more failures: see report.html" in err
    report = (manifest.parent / "s/report.html").read_text("utf-8")
    assert "must have 24 cells like the header; got 1" in report
    assert out.splitlines()[3].split()[0] == "log-mmse" and "nan" not in out


def test_the_wrong_corpus_is_said_at_once(undin, manifest):
    folder = manifest.parent / "other"
    folder.mkdir()
    code, _, err = undin("evaluate", "m.csv", "-m", "log-mmse", "--data", folder, "-o", "s", *QUICK)
    assert code == 2 and "m.csv begins with speech/" in err and "use --data DIR, the corpus it was mixed from" in err
    assert not (manifest.parent / "s").exists()


def test_scores_of_another_stay(undin, manifest):
    (manifest.parent / "s").mkdir()
    (manifest.parent / "s/scores.csv").write_text("name,points\nann,3\n")
    code, _, err = undin("evaluate", "m.csv", "-m", "log-mmse", "-o", "s", *QUICK)
    assert code == 2 and "scores.csv exists and was not written by undin evaluate: move it away, or choose" in err
    assert (manifest.parent / "s/scores.csv").read_text() == "name,points\nann,3\n"


def test_seen_comes_from_the_training_manifest(undin, manifest):
    rows = list(mixing.read_manifest("m.csv"))
    mixing.write_manifest("train.csv", rows[:1])
    assert undin("evaluate", "m.csv", "-m", "log-mmse", "--trained-on", "train.csv", "-o", "s", *QUICK).code == 0
    report = (manifest.parent / "s/report.html").read_text("utf-8")
    assert "Seen and unseen noise" in report


def test_the_folder_of_a_mix_has_its_manifest(undin, manifest):
    (manifest.parent / "mixed").mkdir()
    manifest.rename(manifest.parent / "mixed/manifest.csv")
    assert undin("evaluate", "mixed/", "-m", "spectral-gate", "-o", "s", *QUICK).code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("m.csv",), "nothing to evaluate: use at least one method"),
        (("m.csv", "-m", "log-mse"), "unknown method 'log-mse': did you mean log-mmse?"),
        (("m.csv", "-m", "log-mmse", "--metrics", "si_sdr"), "unknown metric 'si_sdr': did you mean si_sdr_db?"),
        (("no.csv", "-m", "log-mmse"), "no.csv: no such file or folder: check"),
        (("m.csv", "--cmd", "sox a b"), "--cmd must be 'name=program {in} {out}'"),
        (("empty.csv", "-m", "log-mmse"), "empty.csv, row 1: column id is missing"),
    ],
)
def test_bad_input_is_one_line(undin, manifest, args, message):
    (manifest.parent / "empty.csv").write_text("")
    code, out, err = undin("evaluate", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_methods_that_separate_are_scored_in_the_best_order(undin, manifest):
    rows = mixing.make_manifest(corpora.mini(), n=2, seed=1, talkers=2)
    mixing.write_manifest("two.csv", rows)
    code, out, err = undin("evaluate", "two.csv", "-m", "mine=blstm-mask", "-o", "s")
    assert (code, err) == (0, "")
    assert (
        re.search(r"^input +−?0\.\d ± .*\n^mine +\d+\.\d ± .*\n +\(\+\d+\.\d ± ", out, re.M)
        and "\nideal phase-sensitive mask " in out
    )
    page = (manifest.parent / "s/report.html").read_text("utf-8")
    assert "s/report.html" in out and "talker 2, mine" in page
    assert page.count("p is the probability of a difference") == 1
    code, out, _ = undin("evaluate", "two.csv", "-m", "mine=blstm-mask", "-o", "s", "--json")
    gains = {r["metric"]: r["gain"]["mean"] for r in json.loads(out)["results"] if r["method"] == "mine"}
    assert code == 0 and gains["si_sdr_db"] > 3 and set(gains) == {"si_sdr_db", "sdr_db", "accuracy"}
    assert undin("evaluate", "two.csv", "-m", "blstm-mask", "-o", "s", "--metrics", "snr_db", "-q").code == 0
    assert (manifest.parent / "s/per_gender.csv").read_text().startswith("method,gender,n,snr_db_mean")
    code, _, err = undin("evaluate", "m.csv", "-m", "blstm-mask", "-o", "s")
    assert code == 2 and "has one talker: mix with talkers = 2" in err
    code, _, err = undin("evaluate", "two.csv", "-m", "blstm-mask", "-m", "log-mmse", "-o", "s")
    assert code == 2 and "blstm-mask separates 2 talkers, others enhance" in err


def test_programs_are_aligned_unless_that_is_turned_off(undin, manifest):
    code = "import sys,soundfile as f,numpy as n;x,sr=f.read(sys.argv[1]);y=n.r_[n.zeros(400),x[:-400]];"
    code += "f.write(sys.argv[2],y,sr)"
    late = f"late={shlex.join([sys.executable, '-c', code])} {{in}} {{out}}"
    args = ("evaluate", "m.csv", "--cmd", late, "-o", "s", "--metrics", "si_sdr_db", "--examples", "0")
    page = manifest.parent / "s/report.html"
    found = {}
    for more in ((), ("--no-align",)):
        code, out, err = undin(*args, *more)
        assert (code, err) == (0, "")
        assert ("late is 25.0 ms late; it is aligned before it is scored" in out) == (not more)
        assert ("it is aligned before it is scored" in page.read_text()) == (not more)
        summary = json.loads((manifest.parent / "s/summary.json").read_text())
        overall = next(r for r in summary["results"] if (r["method"], r["kind"], r["snr"]) == ("late", "all", "all"))
        found[more] = overall["gain"]["mean"]
    assert abs(found[()]) < 0.01 and found["--no-align",] < -10


def test_a_folder_of_noisy_files_and_their_clean_twins_needs_no_manifest(undin, manifest):
    assert undin("mix", "m.csv", "--data", str(corpora.mini().root), "-o", "mixed").code == 0
    for name in ("noisy", "clean"):
        shutil.copytree(manifest.parent / "mixed" / name, manifest.parent / "pairs" / name)
    next((manifest.parent / "pairs/clean").iterdir()).unlink()
    code, out, err = undin("evaluate", "pairs", "-m", "log-mmse", "-o", "s", *QUICK)
    assert code == 1 and "has no clean counterpart in pairs/clean" in err
    assert "over 2 mixtures" in out and "+" in out
    again = undin("evaluate", "s/pairs.csv", "--data", "pairs", "-m", "log-mmse", "-o", "s", *QUICK)
    assert again.code == 0 and "4 existing scores were reused" in again.out


def test_the_folder_of_a_mix_knows_its_corpus(undin, manifest):
    shutil.copytree(corpora.mini().root, manifest.parent / "mine")
    assert undin("mix", "mine", "-o", "mixed", "--n", "2", "--snr", "5").code == 0
    shutil.move(manifest.parent / "mixed", manifest.parent / "moved")
    code, _, err = undin("evaluate", "moved", "-m", "log-mmse", "-o", "s", *QUICK)
    assert (code, err) == (0, "")
    assert str(manifest.parent / "mine") in (manifest.parent / "s/summary.json").read_text()


LISTENER = """import sys,wave; f=wave.open(sys.argv[1]); x=memoryview(f.readframes(f.getnframes())).cast('h')
if max(x) > 99: print('Rate,', f.getframerate(), *['talk'] * f.getnchannels())"""
FAINT = "import sys,soundfile as f; x,sr=f.read(sys.argv[1]); f.write(sys.argv[2],x/1e4,sr,'FLOAT')"
LISTEN = shlex.join([sys.executable, "-c", LISTENER, "{in}"])


def test_word_error_rate_with_the_words_in_the_manifest(undin, manifest):
    header, *lines = manifest.read_text().splitlines()
    texts = ["rate 16000 talk", "rate 8000 talk and more words", ""]
    manifest.write_text("\n".join([f"{header},text", *(f"{a},{b}" for a, b in zip(lines, texts, strict=True))]))
    faint = f"faint={shlex.join([sys.executable, '-c', FAINT])} {{in}} {{out}}"  # no word of it is heard
    args = ("evaluate", "m.csv", "-m", "log-mmse", "--cmd", faint, "-o", "s", "--wer-cmd", LISTEN, *QUICK)
    code, out, err = undin(*args)
    assert (code, err) == (0, "") and "WER" in "".join(out.splitlines()[:2])
    scores = _scores(manifest)
    assert {name: [row[3] for row in rows] for name, rows in scores.items()} == {
        "input": ["0.0", "0.6666666666666666", ""],
        "log-mmse": ["0.0", "0.6666666666666666", ""],
        "faint": ["1.0", "1.0", ""],
    }
    summary = json.loads((manifest.parent / "s/summary.json").read_text())
    overall = [r for r in summary["results"] if (r["metric"], r["kind"], r["snr"]) == ("wer", "all", "all")]
    pooled = pytest.approx(4 / 9)  # 4 errors in 9 words, not the mean of 0/3 and 4/6
    assert [r["score"]["mean"] for r in overall] == [pooled, pooled, 1]
    assert [r["gain"]["mean"] for r in overall if "gain" in r] == [0, pytest.approx(5 / 9)]
    with (manifest.parent / "s/per_noise.csv").open(newline="") as file:
        means = [row["wer_mean"] for row in csv.DictReader(file) if row["noise"] == "all"]
    assert means == ["0.4444", "0.4444", "1.0000"]
    page = (manifest.parent / "s/report.html").read_text("utf-8")
    assert len(re.findall(r"(?<!\()\+0\.556 ±", page)) == 2  # faint minus input, and minus log-mmse
    assert "WER is pooled" in summary["wer"] and "WER is pooled" in out
    assert "no transcript of test-00002" in page
    manifest.write_text(manifest.read_text().replace("rate 8000 talk and more words", "rate 16000 talk"))
    code, out, _ = undin(*args)  # other words are other settings
    assert code == 0 and "6 existing scores were reused" in out and _scores(manifest)["input"][1][3] == "0.0"


def test_word_error_rate_of_separated_talkers_is_by_their_utterances(undin, manifest):
    mixing.write_manifest("two.csv", mixing.make_manifest(corpora.mini(), n=1, seed=1, talkers=2))
    row = next(iter(mixing.read_manifest("two.csv")))
    lines = [f"{source.stem} {text}\n" for source, text in zip(row.speech, ("rate", "rate 1"), strict=True)]
    (manifest.parent / "words.txt").write_text("".join(lines))
    args = ("evaluate", "two.csv", "-m", "lstm-mask", "-o", "s", "--wer-cmd", LISTEN, "--transcripts", "words.txt")
    code, _, err = undin(*args, *QUICK, "--examples", "0")
    assert (code, err) == (0, "")
    assert _scores(manifest)["lstm-mask"][0][3] == str(4 / 3)  # 2 errors in 1 word, 2 in 2


def test_the_words_are_needed(undin, manifest):
    code, _, err = undin("evaluate", "m.csv", "-m", "log-mmse", "-o", "s", "--transcripts", "m.csv", *QUICK)
    assert code == 2 and "--transcripts is for the word error rate: add --wer-cmd" in err
    code, _, err = undin("evaluate", "m.csv", "-m", "log-mmse", "-o", "s", "--wer-cmd", LISTEN, *QUICK)
    assert code == 2 and "m.csv has no transcripts; expected CSV columns id and text" in err and "--transcripts" in err


def _scores(manifest):
    """method -> rows of id, si_sdr_db, ... : id, method, metric, wer"""
    rows = list(csv.DictReader((manifest.parent / "s/scores.csv").read_text().splitlines()))
    return {
        method: [(row["id"], method, row["si_sdr_db"], row["wer"]) for row in rows if row["method"] == method]
        for method in dict.fromkeys(row["method"] for row in rows)
    }
