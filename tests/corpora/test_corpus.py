"""Corpora: slices are exact, selections narrow, and faults are named."""

import dataclasses
import pickle

import numpy as np
import pytest
import soundfile

from undin import corpora
from undin.corpora import Clip, Corpus
from undin.corpora.readers import SliceReader
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


def test_a_byte_order_mark_is_read_over(root):
    rows, table = corpora.open(root).rows, root / "speech.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert corpora.open(root).rows == rows


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
        ({"noise_type": "fan"}, "noise_type is not a field of a clip"),
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
    with pytest.raises(InputError, match=r"is not a corpus: expected speech\.csv, noise\.csv or both"):
        corpora.open_tables(tmp_path)


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
    with pytest.raises(InputError, match=r"a\.wav has 2 channels: open the corpus with mono=True"):
        corpora.open(root).load(corpus.speech[0])
    soundfile.write(root / "d.wav", np.zeros(8000), 8000)
    with pytest.raises(InputError, match=r"d\.wav has 8000 Hz, not 16000: .* sr=16000 to resample"):
        Corpus(root, corpus.noise).read("d.wav", 0, 0.5)


def test_a_row_may_end_half_a_rounding_late(root):
    """Seconds with 4 decimals: 0.0001 s is 1.6 samples."""
    corpus = corpora.open(root)
    assert len(corpus.read("b.flac", 0.5, 0.50005)) == 8000


def test_an_empty_corpus_has_no_rate(tmp_path):
    (tmp_path / "speech.csv").write_text(SPEECH)
    with pytest.raises(InputError, match="is empty and has no sample rate"):
        corpora.open_tables(tmp_path).sr  # noqa: B018


def tone(sr, seconds=1.0, hz=440):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * sr)) / sr)


@pytest.mark.parametrize("sr", [8000, 16000, 44100, 48000])
def test_other_rates_are_resampled_on_request(tmp_path, sr):
    for each in (8000, 16000, 44100):
        soundfile.write(tmp_path / f"{each}.wav", tone(each), each, subtype="FLOAT")
    rows = [Clip(f"{each}.wav", 0.25, 0.5001, "test") for each in (8000, 16000, 44100)]
    corpus = Corpus(tmp_path, rows, sr=sr)
    assert corpus.sr == corpus.select(split="test").sr == sr
    n = round(0.5001 * sr)
    for clip in rows:
        x = corpus.load(clip)
        assert x.shape == (n,) and x.dtype == np.float32
        start = round(clip.offset_s * sr)
        middle = slice(n // 4, 3 * n // 4)  # the ends of a slice meet silence
        np.testing.assert_allclose(x[middle], tone(sr)[start : start + n][middle], atol=2e-3)
    with pytest.raises(InputError, match="sr must be an int"):
        Corpus(tmp_path, rows, sr=16000.5)


def test_channels_are_averaged_on_request(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(16000), -0.5 * tone(16000)], 1), 16000, subtype="FLOAT")
    clip = Clip("a.wav", 0.5, 0.25, "test")
    corpus = Corpus(tmp_path, [clip], mono=True)
    np.testing.assert_allclose(corpus.load(clip), 0.25 * tone(16000)[8000:12000], atol=1e-6)
    assert pickle.loads(pickle.dumps(corpus)).load(clip).shape == (4000,)
    assert corpus.select(split="test").load(clip).shape == (4000,)


def test_two_corpora_are_one(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    soundfile.write(other / "n.wav", tone(8000), 8000)
    soundfile.write(other / "m.wav", tone(8000), 8000)
    noise = Corpus(other, [Clip("n.wav", 0, 1, "test", kind="tone", noisy_path="m.wav")])
    both = corpora.open(root) + Corpus(other, noise.rows, sr=16000)
    assert len(both) == 5 and both.sr == 16000
    np.testing.assert_array_equal(both.load(both.speech[1]), corpora.open(root).load(corpora.open(root).speech[1]))
    assert both.load(both.noise[-1]).shape == both.read(both.noise[-1].noisy_path, 0, 1).shape == (16000,)
    with pytest.raises(InputError, match=r"n\.wav has 8000 Hz, not 16000"):
        (corpora.open(root) + noise).load(both.noise[-1])


def test_tables_come_back_as_they_were_written(root, tmp_path_factory):
    corpus = corpora.open(root)
    rows = [
        dataclasses.replace(corpus.speech[0], active_level_db=-25.125, noisy_path="b.flac", text='say "a, b"'),
        *corpus.rows[1:],
    ]
    far, near = tmp_path_factory.mktemp("far") / "tables", root / "inner"
    for folder in (far, near, root):
        written = corpora.write_tables(folder, Corpus(root, rows))
        assert written == [folder / "speech.csv", folder / "noise.csv"]
        back = corpora.open_tables(folder)
        assert [vars(clip) | {"path": "", "noisy_path": ""} for clip in back.rows] == [
            vars(clip) | {"path": "", "noisy_path": ""} for clip in rows
        ]
        for clip, old in zip(back.rows, rows, strict=True):
            np.testing.assert_array_equal(back.load(clip), corpus.load(old))
        assert back.read(back.rows[0].noisy_path, 0, 0.5).shape == (8000,)
    heads = [table.read_text().split("\n")[0].split(",") for table in written]
    assert ["speaker" in head for head in heads] == [True, False]
    assert ["noise_type" in head for head in heads] == [False, True]
    assert back.rows == tuple(rows)  # next to the audio: relative
    assert sorted(path.name for path in root.iterdir()) == sorted(
        ["a.wav", "b.flac", "c.ogg", "inner", "noise.csv", "speech.csv"]
    )


def test_a_table_of_one_role_writes_no_other(root, tmp_path):
    corpus = corpora.open(root).select(kind=["fan", "hum"])
    assert corpora.write_tables(tmp_path / "x", corpus) == [tmp_path / "x" / "noise.csv"]


def test_a_level_in_a_table_is_a_number(tmp_path):
    (tmp_path / "speech.csv").write_text(
        "path,offset_s,duration_s,split,active_level_db\na.wav,0,1,test,-20.5\nb.wav,0,1,test,\nc.wav,0,1,test,loud\n"
    )
    with pytest.raises(InputError, match=r"speech\.csv, row 4: active_level_db must be a number; got 'loud'"):
        corpora.open_tables(tmp_path)
