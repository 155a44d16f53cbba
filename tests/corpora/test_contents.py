"""A survey counts files and names faults."""

import json
import math

import numpy as np
import pytest
import soundfile
from corpus_trees import sphere, tree

from undin import corpora
from undin.corpora import Clip, Corpus, survey
from undin.corpora.contents import summary


def write(path, x, sr=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, x, sr)


@pytest.fixture
def flawed(tmp_path):
    """A corpus in which every fault occurs once."""
    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal((6, 16000))
    write(tmp_path / "train/anna/good.wav", x[0])
    write(tmp_path / "train/anna/clipped.wav", np.clip(5 * x[1], -0.5, 0.5))
    write(tmp_path / "train/ben/silent.flac", np.zeros(16000))
    write(tmp_path / "train/ben/silent2.flac", np.zeros(16000))
    write(tmp_path / "train/ben/offset.wav", x[2] + 0.1)
    write(tmp_path / "test/carl/same.flac", soundfile.read(tmp_path / "train/anna/good.wav", dtype="int16")[0])
    write(tmp_path / "test/carl/stereo.wav", x[3:5].T)
    write(tmp_path / "test/noise/hum.wav", x[5], 8000)
    whole = (tmp_path / "train/anna/good.wav").read_bytes()
    (tmp_path / "train/anna/cut.wav").write_bytes(whole[:20000])
    (tmp_path / "train/anna/text.wav").write_text("no sound")
    write(tmp_path / "train/anna/empty.wav", np.zeros(0))
    return tmp_path


def test_every_fault_is_named(flawed):
    found = corpora.scan(flawed)
    assert [(path.split("/")[-1], reason.split(" (")[0].split(":")[0]) for path, reason in found.unreadable] == [
        ("cut.wav", "is truncated"),
        ("empty.wav", "has no samples"),
        ("text.wav", "is not a readable audio file"),
    ]
    seen = survey(Corpus(found.root, found.rows))
    assert [(path.split("/")[-1], reason.split(":")[0]) for path, reason in seen.suspicious] == [
        ("clipped.wav", "clipped"),
        ("good.wav", "duplicate"),
        ("offset.wav", "DC offset"),
        ("silent.flac", "silent"),
        ("silent2.flac", "silent"),
    ]
    duplicate = seen.suspicious[1].reason
    assert duplicate.endswith("the same samples as test/carl/same.flac: a leak from test into train")
    assert seen.unreadable == ()


def test_the_summary(flawed):
    found = corpora.scan(flawed)
    facts = summary(survey(Corpus(found.root, found.rows)))
    assert facts["speech"]["train"] == {
        "n": 5, "hours": round(5 / 3600, 4), "speakers": {"F": 0, "M": 0, "unknown": 2}, "without_speaker": 0,
        "languages": [],
    }  # fmt: skip
    assert list(facts["speech"]) == ["train", "test"]
    assert facts["noise"]["test"]["kinds"] == {"hum": 1} and facts["noise"]["test"]["hours"] == round(2 / 3600, 4)
    assert (facts["rates"], facts["channels"]) == ({16000: 7, 8000: 1}, {1: 7, 2: 1})
    assert facts["levels_db"]["noise"]["rms"] == pytest.approx([-20, -20, -20], abs=0.2)
    assert facts["levels_db"]["noise"]["active"] == pytest.approx([-20, -20, -20], abs=0.3)
    assert json.loads(json.dumps(facts))["suspicious"][0]["path"] == "train/anna/clipped.wav"


def test_a_quick_look_reads_headers_only(flawed):
    found = corpora.scan(flawed)
    seen = survey(Corpus(found.root, found.rows), quick=True)
    assert (seen.suspicious, seen.levels_db) == ((), ())
    assert seen.rows == found.rows
    assert summary(seen)["levels_db"] == {}


def test_rows_get_their_levels():
    corpus = corpora.mini().select(split="test")
    ticks = []
    seen = survey(corpus, tick=lambda done, total: ticks.append((done, total)))
    assert [(clip.path, clip.offset_s) for clip in seen.rows] == [(clip.path, clip.offset_s) for clip in corpus.rows]
    assert all(-27 < clip.active_level_db < -24.5 for clip in seen.rows if clip.speaker)
    assert ticks[-1] == (13, 13) and len(ticks) == 13
    facts = summary(seen)
    assert facts["speech"]["test"]["speakers"] == {"F": 2, "M": 1, "unknown": 0}
    assert facts["speech"]["test"]["languages"] == ["en", "es"]
    assert len(facts["noise"]["test"]["kinds"]) == 10 and not facts["suspicious"]


def test_silence_has_no_level(tmp_path):
    write(tmp_path / "a.wav", np.zeros(16000))
    seen = survey(Corpus(tmp_path, [Clip("a.wav", 0, 1, "test")]))
    assert seen.rows[0].active_level_db is None and seen.levels_db == (-math.inf,)
    assert summary(seen)["levels_db"]["speech"] == {"rms": None, "active": None}


def test_tables_that_promise_more_than_there_is(tmp_path):
    tree(tmp_path, "a.wav", "b.wav")
    sphere(tmp_path / "c.wav", n_promised=9999)
    rows = [Clip("a.wav", 0.05, 0.1, "test"), Clip("b.wav", 0.0, 0.1001, "test"), Clip("c.wav", 0, 0.1, "test")]
    rows.append(Clip("d.wav", 0, 0.1, "test"))
    seen = survey(Corpus(tmp_path, rows))
    assert [clip.path for clip in seen.rows] == ["b.wav"]
    assert [(path, reason.split(",")[0]) for path, reason in seen.unreadable] == [
        ("a.wav", "ends at 0.1000 s"),
        ("c.wav", "is truncated: 1600 of 9999 samples are present"),
        ("d.wav", "No such file or directory"),
    ]
