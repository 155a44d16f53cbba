import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_files import write

from undin import corpora

MINI = corpora.mini().root


@pytest.fixture
def voices(tmp_path, monkeypatch):
    """Two talkers and a noise, a fault in one file and a copy of another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for i, name in enumerate(("speech/anna/1.wav", "speech/anna/2.wav", "speech/ben/1.wav", "noise/rain/1.wav")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write(name, seed=i)
    x, sr = soundfile.read("speech/ben/1.wav")
    soundfile.write("speech/ben/2.wav", np.clip(x, -0.2, 0.2), sr)
    return tmp_path


def test_it_reports_the_contents(undin, voices):
    code, out, err = undin("corpus", ".")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == ".: plain"
    assert "speech clips length talkers languages" in lines and "noise clips length kinds" in lines
    assert sum(int(line.split()[1]) for line in lines if line.split()[:1] in (["train"], ["dev"], ["test"])) == 5
    assert "rates 16000 Hz (5 files)" in lines
    assert any(line.startswith("levels speech: RMS -10.") for line in lines)
    assert lines[-2] == "suspicious 1" and lines[-1].startswith("speech/ben/2.wav clipped: ")


def test_json(undin, voices):
    facts = json.loads(undin("corpus", "speech", "noise", "--json").out)
    assert facts["root"] == str(voices)
    assert facts["folders"] == [{"root": "speech", "layout": "plain"}, {"root": "noise", "layout": "plain"}]
    assert sum(part["n"] for part in facts["speech"].values()) == 4
    assert [list(part["kinds"]) for part in facts["noise"].values()] == [["rain"]]
    assert facts["rates"] == {"16000": 5} and facts["unreadable"] == []
    assert [fault["path"] for fault in facts["suspicious"]] == ["speech/ben/2.wav"]


def test_quick_reads_headers_only(undin, voices):
    facts = json.loads(undin("corpus", ".", "--quick", "--json").out)
    assert facts["levels_db"] == {} and facts["suspicious"] == []
    assert facts["rates"] == {"16000": 5}
    assert "levels" not in undin("corpus", ".", "--quick").out


def test_a_table_opens_as_a_corpus(undin, voices):
    code, out, _ = undin("corpus", "speech", "noise", "--table", "data")
    assert code == 0 and "data/speech.csv data/noise.csv" in out
    corpus = corpora.open("data")
    assert (len(corpus.speech), len(corpus.noise)) == (4, 1)
    assert {clip.speaker for clip in corpus.speech} == {"anna", "ben"}
    assert all(-12 < clip.active_level_db < -9 for clip in corpus.noise)
    assert corpus.load(corpus.speech[0]).shape == (8000,)
    again = undin("corpus", "data", "--json")
    assert json.loads(again.out)["folders"][0]["layout"] == "tables" and again.code == 0


def test_a_table_is_not_replaced_by_itself(undin, voices):
    assert undin("corpus", ".", "--table", "data").code == 0
    before = Path("data/speech.csv").read_bytes()
    code, out, err = undin("corpus", "speech", "--table", "data")
    assert (code, out) == (2, "")
    assert err == "undin: data/speech.csv already exists; use --overwrite or another --table\n"
    assert Path("data/speech.csv").read_bytes() == before
    assert undin("corpus", ".", "--table", "data", "--overwrite", "--layout", "plain").code == 0
    assert undin("corpus", ".", "--table", "speech.csv").err.startswith("undin: --table must be a folder")


def test_unreadable_files_are_named_with_code_1(undin, voices):
    Path("speech/anna/3.wav").write_bytes(b"")
    for args in ([], ["--quick"]):
        code, out, err = undin("corpus", "speech", "noise", "--table", "data", "--overwrite", *args)
        assert (code, err) == (1, "")
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert lines[-3:-1] == ["unreadable 1", "speech/anna/3.wav is empty (0 bytes)"]
        assert lines[-1] == "written data/speech.csv data/noise.csv, without the 1 unreadable"
    assert len(corpora.open("data").speech) == 4
    facts = json.loads(undin("corpus", ".", "--json").out)
    assert [fault["path"] for fault in facts["unreadable"]] == ["speech/anna/3.wav"]


def test_differing_rates_and_channels_are_reported(undin, voices):
    write("speech/ben/3.wav", sr=8000, n_channels=2, seed=9)
    out = undin("corpus", "speech", "--quick").out
    assert "8000 Hz (1 file), 16000 Hz (4 files)" in out and "sr=..." in out
    assert "2 channels (1 file): open the corpus with mono=True" in out


def test_a_role(undin, voices):
    facts = json.loads(undin("corpus", "speech/anna", "--role", "noise", "--json").out)
    assert facts["speech"] == {}


def test_a_plain_folder_without_a_split_is_reported(undin, voices):
    line = "splits    speech has no dev and no test: sort it into folders train, dev, test"
    assert line in undin("corpus", "speech", "--quick").out.splitlines()
    for split in ("train", "dev", "test"):
        Path(f"sorted/{split}").mkdir(parents=True)
        write(f"sorted/{split}/1.wav")
    assert "splits" not in undin("corpus", "sorted", "--quick").out


def test_many_faults_are_cut_short(undin, voices):
    Path("silent").mkdir()
    for i in range(25):
        soundfile.write(f"silent/{i}.wav", np.zeros(1600), 16000)
    out = undin("corpus", "silent").out
    assert "suspicious  25" in out and "and 5 more: --json lists them all" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["far"], "undin: far: no such folder: check the spelling\n"),
        (["."], "undin: . contains no audio: looked for files that end in .aif"),
        ([MINI, "--layout", "timit"], "contains no audio in the layout timit"),
        ([MINI, "--layout", "timid"], "undin: layout must be one of tables, timit,"),
    ],
)
def test_bad_input(undin, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = undin("corpus", *args)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1
