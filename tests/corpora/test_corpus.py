"""Corpora: slices are exact, selections narrow, and what is broken is named."""

import pickle

import numpy as np
import pytest
import soundfile

from undin import corpora
from undin.corpora import Clip, Corpus
from undin.corpora.corpus import SliceReader
from undin.errors import InputError

SPEECH = "path,offset_s,duration_s,split,corpus,speaker\n"
NOISE = "path,offset_s,duration_s,split,corpus,noise_type\n"


@pytest.fixture
def root(tmp_path):
    """A corpus with a WAV, a FLAC and an Opus file of noise-like sound."""
    rng = np.random.default_rng(0)
    for name in ("a.wav", "b.flac"):
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(16000), 16000, subtype="PCM_16")
    soundfile.write(tmp_path / "c.ogg", 0.1 * rng.standard_normal(32000), 16000, format="OGG", subtype="OPUS")
    (tmp_path / "speech.csv").write_text(SPEECH + "a.wav,0.25,0.5,train,x,ann\nb.flac,0,1,test,x,bob\n")
    (tmp_path / "noise.csv").write_text(NOISE + "c.ogg,0.5,1.0,train,x,fan\nc.ogg,0,2,test,x,hum\n")
    return tmp_path


def test_open_reads_both_tables(root):
    corpus = corpora.open(root)
    assert (len(corpus), len(corpus.speech), len(corpus.noise)) == (4, 2, 2)
    assert corpus.speech[0] == Clip("a.wav", 0.25, 0.5, "train", "x", "ann")
    assert corpus.noise[1].kind == "hum"
    assert "2 utterances" in repr(corpus)


def test_a_slice_is_the_slice_of_the_whole_file(root):
    corpus = corpora.open(root)
    for clip in corpus.rows:
        whole = soundfile.read(root / clip.path, dtype="float32")[0]
        start = round(clip.offset_s * 16000)
        x = corpus.load(clip)
        np.testing.assert_array_equal(x, whole[start : start + round(clip.duration_s * 16000)])
        assert x.dtype == np.float32


def test_slices_of_speech_in_opus_are_exact_at_any_place():
    """Where libsndfile's own seek is not: see SliceReader."""
    corpus, rng = corpora.mini(), np.random.default_rng(1)
    path = corpus.speech[-1].path
    whole = soundfile.read(corpus.root / path, dtype="float32")[0]
    for start in rng.integers(0, len(whole) - 16000, 5):
        np.testing.assert_array_equal(corpus.read(path, start / 16000, 1.0), whole[start : start + 16000])


def test_loaded_samples_are_the_caller_s_own(root):
    corpus = corpora.open(root)
    before = corpus.load(corpus.noise[0]).copy()
    corpus.load(corpus.noise[0])[:] = 0
    np.testing.assert_array_equal(corpus.load(corpus.noise[0]), before)


def test_the_reader_keeps_no_more_than_it_may(root):
    soundfile.write(root / "d.ogg", np.zeros(32000), 16000, format="OGG", subtype="OPUS")
    reader = SliceReader(root, keep_samples=40000)
    for path in ("c.ogg", "d.ogg", "c.ogg"):
        reader.read(path, 0, 1)
    assert list(reader._kept) == ["c.ogg"]
    assert not pickle.loads(pickle.dumps(reader))._kept


def test_select_narrows(root):
    corpus = corpora.open(root)
    train = corpus.select(split="train")
    assert (len(train.speech), len(train.noise)) == (1, 1)
    assert not corpus.select(speaker="ann").noise and not corpus.select(kind="fan").speech
    assert len(corpus.select(split=["train", "test"])) == 4
    assert len(corpus.select(split="train", speaker="bob")) == 0
    assert train.load(train.noise[0]).shape == (16000,)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"split": "tset"}, "split must be one of test, train; got tset"),
        ({"kind": ["fan", "owl"]}, "kind must be one of fan, hum; got owl"),
        ({"noise_type": "fan"}, "noise_type is no field to select by"),
    ],
)
def test_select_names_what_is_not_there(root, wanted, message):
    with pytest.raises(InputError, match=message):
        corpora.open(root).select(**wanted)


def test_open_without_a_root(root, monkeypatch):
    monkeypatch.delenv("UNDIN_DATA", raising=False)
    assert corpora.open().root == corpora.mini().root
    monkeypatch.setenv("UNDIN_DATA", str(root))
    assert corpora.open().root == root
    assert corpora.open(corpora.mini().root).root == corpora.mini().root


def test_one_table_is_enough(root):
    (root / "noise.csv").unlink()
    assert len(corpora.open(root)) == 2


def test_a_folder_without_tables(tmp_path):
    with pytest.raises(InputError, match=r"is no corpus: it must hold speech\.csv, noise\.csv or both"):
        corpora.open(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.wav,zero,1,train,x,ann", r"speech\.csv, row 3: offset_s must be a number; got 'zero'"),
        ("a.wav,nan,1,train,x,ann", r"row 3: offset_s must be finite"),
        ("a.wav,0,0,train,x,ann", r"row 3: duration_s must be more than 0; got 0\.0"),
        ("a.wav,-1,1,train,x,ann", r"row 3: offset_s must be 0 or more"),
        (",0,1,train,x,ann", r"row 3: path must not be empty"),
        ("a.wav,0,1,train", r"row 3: must have 6 cells like the header; got 4"),
        ('a.wav,0,1,train,x,"an"n', r"row 3: .*expected after"),
    ],
)
def test_a_broken_row_is_named(tmp_path, row, message):
    (tmp_path / "speech.csv").write_text(SPEECH + "a.wav,0,1,train,x,ann\n" + row + "\n")
    with pytest.raises(InputError, match=message):
        corpora.open(tmp_path)


def test_a_broken_table_is_named(tmp_path):
    (tmp_path / "speech.csv").write_text("path,offset_s,split\n")
    with pytest.raises(InputError, match=r"speech\.csv, row 1: column duration_s is missing; the header has path"):
        corpora.open(tmp_path)
    (tmp_path / "speech.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"speech\.csv, row 1: .*utf-8"):
        corpora.open(tmp_path)
    (tmp_path / "speech.csv").unlink()
    (tmp_path / "noise.csv").write_text(NOISE + "c.ogg,0,1,train,x,\n")
    with pytest.raises(InputError, match=r"noise\.csv, row 2: noise_type must not be empty"):
        corpora.open(tmp_path)


def test_audio_that_cannot_be_used_is_named(root):
    corpus = corpora.open(root)
    with pytest.raises(InputError, match=r"a\.wav ends before 1\.5000 s"):
        corpus.read("a.wav", 1.0, 0.5)
    (root / "a.wav").unlink()
    with pytest.raises(InputError, match=r"audio file .*a\.wav is missing"):
        corpora.open(root).load(corpus.speech[0])
    (root / "a.wav").write_text("no sound")
    with pytest.raises(InputError, match=r"a\.wav"):
        corpora.open(root).load(corpus.speech[0])
    soundfile.write(root / "a.wav", np.zeros((16000, 2)), 16000)
    with pytest.raises(InputError, match=r"a\.wav has 2 channels"):
        corpora.open(root).load(corpus.speech[0])
    soundfile.write(root / "d.wav", np.zeros(8000), 8000)
    with pytest.raises(InputError, match=r"d\.wav has 8000 Hz, not 16000"):
        Corpus(root, corpus.noise).read("d.wav", 0, 0.5)


def test_a_row_may_end_half_a_rounding_late(root):
    """Seconds with 4 decimals: 0.0001 s is 1.6 samples."""
    corpus = corpora.open(root)
    assert len(corpus.read("b.flac", 0.5, 0.50005)) == 8000


def test_an_empty_corpus_has_no_rate(tmp_path):
    (tmp_path / "speech.csv").write_text(SPEECH)
    with pytest.raises(InputError, match="has no rows"):
        corpora.open(tmp_path).sr  # noqa: B018
