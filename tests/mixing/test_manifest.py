"""Manifests: the same file gives the same samples, draws are even, and faults are named."""

import dataclasses
import hashlib
import math
from collections import Counter

import numpy as np
import pytest

from undin import corpora, mixing
from undin.audio import rms
from undin.corpora import Clip
from undin.errors import InputError
from undin.mixing.draw import join_short


@pytest.fixture(scope="module")
def corpus():
    return corpora.mini()


@pytest.fixture(scope="module")
def rows(corpus):
    return mixing.make_manifest(corpus, n=40, seed=7)


def pcm_hash(mixtures):
    """SHA-256 of the samples as 16-bit PCM: float64 gains, one rounding to float32, then to the nearest of 2^16."""
    digest = hashlib.sha256()
    for m in mixtures:
        for x in (m.noisy, m.speech, m.noise):
            digest.update(np.round(x.astype(np.float64) * 2**15).astype("<i2").tobytes())
    return digest.hexdigest()


def test_the_same_manifest_gives_the_same_samples(corpus, rows, tmp_path):
    """Written, read, rendered in another order by a corpus that has decoded nothing yet."""
    mixing.write_manifest(tmp_path / "m.csv", rows)
    read = list(mixing.read_manifest(tmp_path / "m.csv"))
    assert read == rows
    fresh = corpora.mini()
    backwards = [mixing.render(row, fresh) for row in reversed(read)]
    assert pcm_hash(mixing.render(row, corpus) for row in rows) == pcm_hash(reversed(backwards))


def test_samples_are_those_of_the_day_it_was_written(corpus):
    """A hash would hold for one build of libopus only, as its decoder computes in floats; these values leave room."""
    row = mixing.make_manifest(corpus, n=1, seed=2024, snr_db=5.0)[0]
    m = mixing.render(row, corpus)
    assert (row.speaker, row.kind, len(m.noisy)) == EXPECTED[:3]
    np.testing.assert_allclose(m.noisy[8000:40000:4000], EXPECTED[3], atol=1e-4)


EXPECTED = ("lucia", "engine", 51360, [0.00213, 0.02196, 0.03641, 0.00725, 0.0732, -0.03156, -0.01244, 0.00915])


def test_render_is_what_mix_gives(corpus, rows):
    for row in rows[:5]:
        m = mixing.render(row, corpus)
        s, n = (corpus.read(x.path, x.offset_s, x.duration_s) for x in (*row.speech, *row.noise))
        expected = mixing.mix(s, n, snr_db=row.snr_db, onset=row.noise[0].onset)
        np.testing.assert_array_equal(m.noisy, expected.noisy)
        assert (m.noise_gain_db, m.scale_db) == (expected.noise_gain_db, expected.scale_db)
        assert 20 * np.log10(rms(m.speech) / rms(m.noise)) == pytest.approx(row.snr_db, abs=1e-4)


def test_draws_are_even_seeded_and_do_not_depend_on_n(corpus, rows):
    assert rows == mixing.make_manifest(corpus, n=40, seed=7)
    assert rows[:13] == mixing.make_manifest(corpus, n=13, seed=7)
    assert rows != mixing.make_manifest(corpus, n=40, seed=8)
    kinds, sentences = (
        Counter(row.kind for row in rows),
        Counter((r.speech[0].path, r.speech[0].offset_s) for r in rows),
    )
    assert set(kinds.values()) == {4} and max(sentences.values()) - min(sentences.values()) <= 1
    assert len({row.id for row in rows}) == 40
    assert {row.split for row in rows} == {"test"} and all(
        "/test/" in x.path for row in rows for x in (*row.speech, *row.noise)
    )
    assert all(-5 <= row.snr_db <= 15 for row in rows) and np.std([row.snr_db for row in rows]) > 4


def test_settings(corpus):
    rows = mixing.make_manifest(corpus, n=12, seed=0, snr_db=[-5, 0, 5], kinds=["hum", "rain"], split="train")
    assert Counter(row.snr_db for row in rows) == {-5: 4, 0: 4, 5: 4}
    assert Counter(row.kind for row in rows) == {"hum": 6, "rain": 6}
    assert {row.split for row in rows} == {"train"}
    assert {row.snr_db for row in mixing.make_manifest(corpus, n=3, seed=0, snr_db=2.5)} == {2.5}
    assert mixing.make_manifest(corpus, n=0, seed=0) == []
    for row in mixing.make_manifest(corpus, n=4, seed=0, level_db=(-40, -30)):
        assert -40 <= 20 * np.log10(rms(mixing.render(row, corpus).noisy)) <= -30


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": -1}, "n and seed must be 0 or more"),
        ({"seed": -1}, "n and seed must be 0 or more"),
        ({"split": "valid"}, "split must be one of dev, test, train; got valid"),
        ({"kinds": ["hum", "owl"]}, "kind must be one of .*; got owl"),
        ({"kinds": []}, "must have speech and noise"),
        ({"snr_db": (5, -5)}, "snr_db must be"),
        ({"snr_db": []}, "at least one value"),
        ({"snr_db": [float("nan")]}, "snr_db must be a finite number, .* got .nan."),
        ({"snr_db": "loud"}, "snr_db must be a finite number, .* got 'loud'"),
        ({"snr_db": (0, "5")}, "snr_db must be a finite number, or two numbers"),
    ],
)
def test_bad_settings(corpus, settings, message):
    with pytest.raises(InputError, match=message):
        mixing.make_manifest(corpus, **{"n": 1, "seed": 0, **settings})


def test_another_corpus_is_noticed(corpus, rows):
    (noise,), (talker,) = rows[0].noise, rows[0].speech
    louder = dataclasses.replace(rows[0], noise=(dataclasses.replace(noise, gain_db=noise.gain_db + 1),))
    with pytest.raises(InputError, match=r"test-00000 has an SNR of .* is not the corpus of the manifest"):
        mixing.render(louder, corpus)
    with pytest.raises(InputError, match=r"nothing\.wav is missing"):
        mixing.render(dataclasses.replace(rows[0], speech=(dataclasses.replace(talker, path="nothing.wav"),)), corpus)
    for onset in (10**6, 95999):
        with pytest.raises(InputError, match="mixture test-00000: onset must be in"):
            mixing.render(dataclasses.replace(rows[0], noise=(dataclasses.replace(noise, onset=onset),)), corpus)
    with pytest.raises(InputError, match=r"mixture test-00000: speech_onset must be in 0 to 0"):
        mixing.render(dataclasses.replace(rows[0], speech=(dataclasses.replace(talker, onset=1),)), corpus)
    with pytest.raises(InputError, match=r"mixture test-00000: the row has 8000 Hz and .* 16000 Hz"):
        mixing.render(dataclasses.replace(rows[0], sr=8000), corpus)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("snr_db", "loud", "row 3: snr_db must be a number; got 'loud'"),
        ("snr_db", "inf", "row 3: snr_db must be inf if, and only if,"),
        ("scale_db", "nan", "row 3: scale_db must be finite; got 'nan'"),
        ("n_samples", "0", "row 3: sr and n_samples must be 1 or more"),
        ("noise_onset", "1.5", "row 3: noise_onset must be a whole number; got '1.5'"),
        ("noise_onset", "-1", "row 3: noise_onset must be a whole number, 0 to 4294967296; got -1"),
        ("kind", "rain;hum", "row 3: kind must hold 1 values like noise_path; got 2"),
        ("snr_over", "all", "row 3: snr_over must be one of clip, active; got 'all'"),
        ("id", "", "row 3: id must not be empty"),
        ("split", "a,b", "row 3: must have 24 cells like the header; got 25"),
        ("noise_duration_s", "0", "row 3: noise_duration_s must be a finite number, above 0 and 1e7 or less; got 0.0"),
        ("speech_path", "", "row 3: speech_path must not be empty"),
    ],
)
def test_a_broken_row_is_named(rows, tmp_path, column, cell, message):
    """Rows before it are read: the file is a stream."""
    path = tmp_path / "m.csv"
    mixing.write_manifest(path, rows[:3])
    lines = path.read_text().splitlines()
    cells = lines[2].split(",")
    cells[lines[0].split(",").index(column)] = cell
    lines[2] = ",".join(cells)
    path.write_text("\n".join(lines))
    stream = mixing.read_manifest(path)
    assert next(stream) == rows[0]
    with pytest.raises(InputError, match=message):
        next(stream)
    errors = []
    assert list(mixing.read_manifest(path, errors.append)) == [rows[0], rows[2]]
    assert len(errors) == 1


def test_a_manifest_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r": no such file or folder: check the spelling"):
        next(mixing.read_manifest(tmp_path / "m.csv"))
    (tmp_path / "m.csv").write_text("id,speech_path\n")
    with pytest.raises(InputError, match="row 1: column sr is missing; the header has id, speech_path"):
        next(mixing.read_manifest(tmp_path / "m.csv"))


def test_a_manifest_is_written_whole_or_not_at_all(rows, tmp_path):
    mixing.write_manifest(tmp_path / "m.csv", rows[:1])

    def breaking():
        yield rows[1]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        mixing.write_manifest(tmp_path / "m.csv", breaking())
    assert list(mixing.read_manifest(tmp_path / "m.csv")) == rows[:1]
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


def test_short_utterances_are_joined_within_a_file():
    def clip(path, offset_s, duration_s, speaker="ann"):
        return Clip(path, offset_s, duration_s, "train", speaker=speaker, text=f"{offset_s}")

    words = [clip("a", 0, 1.2), clip("a", 1.3, 1.0), clip("a", 2.4, 0.8), clip("a", 3.3, 0.9)]
    first, second = join_short(words, 2.5)
    assert (first.offset_s, first.duration_s, first.text) == (0, 3.2, "0 1.3 2.4")
    assert (second.offset_s, second.duration_s) == (3.3, 0.9)
    apart = [clip("a", 0, 1), clip("b", 1.1, 1), clip("b", 2.2, 1, "bob"), clip("b", 9, 1, "bob")]
    assert join_short(apart, 2.5) == apart
    assert join_short(words, 0.5) == words
    assert join_short(words[::-1], 2.5) == words[::-1]


def test_values_with_the_separator_come_back(rows, tmp_path):
    odd = dataclasses.replace(rows[0].speech[0], path="a;b%3B/100%.wav", label="x;y")
    row = dataclasses.replace(rows[0], id="1;2%", speech=(odd, odd), snr_db=math.inf, noise=(), room="1 2")
    mixing.write_manifest(tmp_path / "m.csv", [row])
    assert list(mixing.read_manifest(tmp_path / "m.csv")) == [row]
    assert row.speaker == "x;y+x;y" and row.kind == ""


def test_a_byte_order_mark_is_read_over(rows, tmp_path):
    """Spreadsheets put one at the start of a CSV."""
    path = tmp_path / "m.csv"
    mixing.write_manifest(path, rows)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert tuple(mixing.read_manifest(path)) == tuple(rows)


def test_files_that_are_not_text_are_rejected(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"RIFF\xff\xfe\x00\x00WAVE")
    with pytest.raises(InputError, match=r"m\.csv must be a manifest as written by `undin mix`"):
        list(mixing.read_manifest(path))
