"""Packs hold the samples of their files, exact to an int16, complete or in parts; damage is named."""

import os
import pickle
import struct
import subprocess
import sys
import textwrap
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_trees import sound

from undin import corpora
from undin.atomic import this_machine
from undin.audio import active_level_db
from undin.corpora import Clip, Corpus, check_pack, open_pack, pack
from undin.corpora.packed import HEADER, SAMPLES_AT
from undin.errors import InputError
from undin.mixing import Drawing, Examples, Settings

STEP = 2**-15


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """(the shipped corpus, a pack of it); not to be written to."""
    path = tmp_path_factory.mktemp("pack") / "mini.pack"
    corpus = corpora.mini()
    pack(corpus, path)
    return corpus, path


def same(a, b, clip):
    x, y = a.load(clip), b.load(clip)
    np.testing.assert_allclose(x, y, rtol=0, atol=STEP / 2 + 1e-9)


def without_level(rows):
    return [replace(clip, active_level_db=None) for clip in rows]


def test_clips_and_samples_are_those_of_the_files(mini):
    corpus, path = mini
    packed = open_pack(path)
    assert packed.sr == 16000 and corpora.is_packed(packed) and not corpora.is_packed(corpus)
    assert without_level(packed.rows) == without_level(corpus.rows)
    for clip in packed.rows:
        x, y = corpus.load(clip), packed.load(clip)
        assert y.dtype == np.float32 and y.flags.writeable
        np.testing.assert_array_equal(y * 32768, np.rint(x * 32768))
        assert clip.active_level_db == pytest.approx(active_level_db(x, 16000), abs=1e-3)


def test_random_crops_and_joined_clips(mini):
    """Also over the gaps between clips, as `mixing` joins them."""
    corpus, path = mini
    packed, rng = corpora.open(path), np.random.default_rng(0)
    for clip in packed.speech[::3]:
        onset = int(rng.integers(16000))
        x, y = (each.read(clip.path, clip.offset_s + onset / 16000, 1.0) for each in (corpus, packed))
        np.testing.assert_allclose(x, y, rtol=0, atol=STEP / 2 + 1e-9)
    a, b = packed.speech[:2]
    whole = b.offset_s + b.duration_s - a.offset_s
    np.testing.assert_array_equal(packed.read(a.path, a.offset_s, a.duration_s), packed.load(a))
    assert len(packed.read(a.path, a.offset_s, whole)) == round(whole * 16000)
    settings = Settings(duration_s=6.0, split="train")
    m, n = (Drawing(each, settings, seed=2).mixture(5) for each in (corpus, packed))
    assert m.row.speech[0].path == n.row.speech[0].path
    np.testing.assert_allclose(m.noisy, n.noisy, rtol=0, atol=1e-3)
    with pytest.raises(InputError, match=r"mini.pack contains only 1 slices of .* open all parts"):
        packed.read(a.path, 1000.0, 1.0)
    with pytest.raises(InputError, match=r"does not contain far.wav"):
        packed.read("far.wav", 0.0, 1.0)


def test_parts_are_the_whole(mini, tmp_path):
    corpus, path = mini
    made = pack(corpus, tmp_path / "mini.pack", part_mb=1.5, workers=2)
    names = [each.path.name for each in made]
    assert len(made) > 3 and names == [f"mini.{i}-of-{len(made)}.pack" for i in range(1, len(made) + 1)]
    assert all(each.path.stat().st_size == each.n_bytes <= 1.5e6 for each in made)
    whole, parts, folder = open_pack(path), open_pack(*reversed([each.path for each in made])), corpora.open(tmp_path)
    assert whole.rows == parts.rows == folder.rows and folder.root == tmp_path / "mini.pack"
    for clip in whole.rows:
        np.testing.assert_array_equal(whole.load(clip), folder.load(clip))
    a, b = whole.speech[:2]
    span = b.offset_s + b.duration_s - a.offset_s
    np.testing.assert_array_equal(*(each.read(a.path, a.offset_s, span) for each in (whole, parts)))
    alone = open_pack(made[1].path)
    assert 0 < len(alone) < len(whole)
    for clip in alone.rows:
        np.testing.assert_array_equal(alone.load(clip), whole.load(clip))
    made[1].path.unlink()
    with pytest.warns(UserWarning, match=r"is opened without 1 parts: mini\.2-of-"):
        assert len(corpora.open(tmp_path)) == len(whole) - len(alone)


def test_it_is_opened_like_a_folder(mini, tmp_path, monkeypatch):
    corpus, path = mini
    monkeypatch.setenv("UNDIN_DATA", str(path))
    assert len(corpora.open()) == len(corpus)
    assert corpora.open(path, sr=8000).load(corpus.rows[0]).shape == (round(corpus.rows[0].duration_s * 8000),)
    with pytest.raises(InputError, match="layout and role apply to folders"):
        corpora.open(path, role="noise")
    sound(tmp_path / "own" / "noise" / "rain.wav", seconds=1)
    joined = corpora.open(path) + corpora.open(tmp_path / "own")
    (rain,) = (clip for clip in joined.noise if clip.path.endswith("rain.wav"))
    assert len(joined) == len(corpus) + 1 and joined.load(rain).shape == (16000,)
    kal = joined.select(speaker="kal").speech[0]
    np.testing.assert_array_equal(joined.load(kal), open_pack(path).load(corpus.select(speaker="kal").speech[0]))
    again = pickle.loads(pickle.dumps(joined))
    np.testing.assert_array_equal(again.load(kal), joined.load(kal))


def test_another_process_is_sent_the_path_only(mini):
    _, path = mini
    packed = open_pack(path)
    packed.load(packed.rows[0])
    assert len(pickle.dumps(packed)) < 400
    held = corpora.hold_out(packed, seed=1)
    data = pickle.dumps(held)
    assert len(data) < 2000
    again = pickle.loads(data)
    assert again.rows == held.rows
    np.testing.assert_array_equal(again.load(again.rows[3]), packed.load(packed.rows[3]))


def test_a_pack_that_was_replaced_is_not_taken_for_the_old_one(tmp_path):
    corpus = tiny(tmp_path)
    pack(corpus, tmp_path / "a.pack")
    data = pickle.dumps(open_pack(tmp_path / "a.pack"))
    pack(corpus.with_rows(corpus.rows[:1]), tmp_path / "a.pack", overwrite=True)
    with pytest.raises(InputError, match=r"a.pack was replaced while it was open: start again"):
        pickle.loads(data)


def tiny(folder, **settings):
    """Two files of 0.5 s, the first in two clips."""
    for name in ("a", "b"):
        sound(folder / f"{name}.wav", seconds=0.5, **settings)
    clips = [Clip("a.wav", 0.0, 0.2, "train", speaker="a", text='"Ä\n'), Clip("a.wav", 0.3, 0.2, "train", speaker="a")]
    return Corpus(folder, [*clips, Clip("b.wav", 0.0, 0.5, "train", kind="rain")])


def test_sixteen_bits_stay_and_full_scale_is_not_clipped(tmp_path):
    corpus = tiny(tmp_path, subtype="PCM_16")
    x = np.random.default_rng(0).uniform(-1.7, 1.7, 8000).astype(np.float32)
    soundfile.write(tmp_path / "b.wav", x, 16000, subtype="FLOAT")
    pack(corpus, tmp_path / "a.pack")
    packed = open_pack(tmp_path / "a.pack")
    for clip in corpus.speech:
        np.testing.assert_array_equal(packed.load(clip), corpus.load(clip))
    y = packed.load(packed.rows[2])
    assert np.abs(y).max() == pytest.approx(np.abs(x).max(), rel=1e-6)
    np.testing.assert_allclose(y, x, rtol=0, atol=1.7 * STEP / 2 * 1.01)


def test_clips_that_overlap_or_are_silent(tmp_path):
    corpus = tiny(tmp_path)
    soundfile.write(tmp_path / "s.wav", np.zeros(8000), 16000)
    spans = [(0.0, 0.4), (0.1, 0.1), (0.3, 0.2)]
    rows = [Clip("a.wav", start, length, "train", speaker="a") for start, length in spans]
    rows.append(Clip("s.wav", 0.0, 0.5, "train", kind="none", active_level_db=-3.0))
    corpus = corpus.with_rows(rows)
    (made,) = pack(corpus, tmp_path / "p.pack")
    packed = open_pack(made.path)
    assert made.n_bytes < SAMPLES_AT + 2 * (8000 + 8000) + 2000  # what they share is written once
    assert packed.rows[3].active_level_db is None
    for clip in packed.rows:
        same(corpus, packed, clip)
    with pytest.raises(InputError, match=r"a part must contain complete clips; a.wav from 0.0 s takes .* MB of 0.0"):
        pack(corpus, tmp_path / "q.pack", part_mb=0.009)


def test_other_rates_are_resampled(tmp_path):
    corpus = tiny(tmp_path, sr=44100)
    pack(Corpus(tmp_path, corpus.rows, sr=16000), tmp_path / "a.pack")
    packed = open_pack(tmp_path / "a.pack")
    x, y = Corpus(tmp_path, corpus.rows, sr=16000).load(corpus.rows[2]), packed.load(corpus.rows[2])
    assert packed.sr == 16000 and len(x) == len(y) == 8000
    np.testing.assert_allclose(x, y, rtol=0, atol=STEP)


def test_bandwidths_are_kept_and_those_of_lower_rates_noted(tmp_path):
    corpus = tiny(tmp_path, sr=16000)
    rows = [replace(corpus.rows[0], bandwidth_hz=3000.0), replace(corpus.rows[1], bandwidth_hz=9000.0), corpus.rows[2]]
    for sr, edges_hz in ((16000, [3000.0, None, None]), (48000, [3000.0, 8000.0, 8000.0])):
        pack(Corpus(tmp_path, rows, sr=sr), tmp_path / "a.pack", overwrite=True)
        assert [clip.bandwidth_hz for clip in open_pack(tmp_path / "a.pack").rows] == edges_hz


def test_the_same_is_skipped_and_another_not_replaced(tmp_path):
    corpus, path = tiny(tmp_path), tmp_path / "a.pack"
    seen = []
    (made,) = pack(corpus, path, tick=lambda done, total: seen.append((done, total)))
    assert made.status == "done" and made.n_clips == 3 and seen[-1] == pytest.approx((0.9, 0.9))
    before = path.stat().st_mtime_ns
    (again,) = pack(corpus, path)
    assert again == replace(made, status="skipped") and path.stat().st_mtime_ns == before
    fewer = corpus.with_rows(corpus.rows[:2])
    with pytest.raises(InputError, match=r"a.pack already exists with other content; use --overwrite"):
        pack(fewer, path)
    assert len(open_pack(path)) == 3
    assert pack(fewer, path, overwrite=True)[0].n_clips == 2
    sound(tmp_path / "b.wav", seconds=0.5, gain=0.2)
    os.utime(tmp_path / "b.wav", (1, 1))
    pack(corpus, path, overwrite=True)
    os.utime(tmp_path / "b.wav", (2, 2))
    with pytest.raises(InputError, match="already exists with other content"):
        pack(corpus, path)


def test_parts_that_are_there_are_not_made_again(tmp_path):
    corpus, path = tiny(tmp_path / "in"), tmp_path / "a.pack"
    made = pack(corpus, path, part_mb=0.026)
    assert len(made) == 2
    data = made[1].path.read_bytes()
    made[1].path.unlink()
    assert [each.status for each in pack(corpus, path, part_mb=0.026)] == ["skipped", "done"]
    assert made[1].path.read_bytes() == data
    with pytest.raises(InputError, match=r"a\.1-of-2\.pack belongs to another pack of that name"):
        pack(corpus, path, part_mb=1)
    (whole,) = pack(corpus, path, part_mb=1, overwrite=True)
    assert [each.name for each in tmp_path.glob("*.pack")] == [whole.path.name] == ["a.1-of-1.pack"]


def test_files_that_cannot_be_read(tmp_path):
    corpus, path = tiny(tmp_path), tmp_path / "p.pack"
    (tmp_path / "b.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"b.wav is empty"):
        pack(corpus, path)
    assert not list(tmp_path.glob("*p.pack*"))
    faults = []
    (made,) = pack(corpus, path, errors=faults.append)
    assert [fault.path for fault in faults] == ["b.wav"] and made.left_out == tuple(faults) and made.n_clips == 2
    assert pack(corpus, path)[0].left_out == tuple(faults)
    with pytest.raises(InputError, match=r"none of the files of .* can be read"):
        pack(Corpus(tmp_path, corpus.noise, sr=16000), tmp_path / "q.pack", errors=faults.append)


def _replaced(place, data):
    return lambda old: old[:place] + data + old[place + len(data) :]


def _newer(old):
    head = bytearray(old[: HEADER.size])
    head[8:12] = struct.pack("<I", 2)
    return bytes(head) + struct.pack("<I", zlib.crc32(head)) + old[HEADER.size + 4 :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda old: b"", "is not a pack: create one with undin pack CORPUS"),
        (lambda old: b"RIFF" + old[4:], "is not a pack"),
        (lambda old: old[:30], "is truncated: 30 bytes are too few for its header: copy it again"),
        (lambda old: old[:-1], r"is truncated: it has \d+ bytes, its header says \d+"),
        (lambda old: old[: SAMPLES_AT + 100], "is truncated"),
        (lambda old: old + b"x", "is damaged: it has"),
        (_replaced(14, b"\1"), "its header is damaged"),
        (lambda old: old[:-5] + b"?????", "its index is damaged"),
        (_newer, "has format 2, this undin reads up to 1: update undin"),
    ],
)
def test_what_is_wrong_is_one_clear_error(tmp_path, change, message):
    path = tmp_path / "p.pack"
    pack(tiny(tmp_path), path)
    path.write_bytes(change(path.read_bytes()))
    for opened in (open_pack, corpora.open, check_pack):
        with pytest.raises(InputError, match=f"p.pack:? {message}"):
            opened(path)
    with pytest.raises(InputError, match="already exists with other content"):
        pack(tiny(tmp_path), path)


def test_damaged_samples_are_found_where_that_is_asked(tmp_path):
    path = tmp_path / "p.pack"
    pack(tiny(tmp_path), path)
    check_pack(path)
    path.write_bytes(_replaced(SAMPLES_AT + 777, b"\x55\x55")(path.read_bytes()))
    assert len(open_pack(path)) == 3
    with pytest.raises(InputError, match=r"p.pack: its samples are damaged"):
        check_pack(path)


def test_packs_that_do_not_go_together(tmp_path):
    corpus = tiny(tmp_path / "in")
    paths = [tmp_path / "packs" / f"{name}.pack" for name in "ab"]
    paths[0].parent.mkdir()
    for path in paths:
        pack(corpus, path)
    with pytest.raises(InputError, match=r"a.pack and .*b.pack contain the same part of a.wav: open one of them"):
        corpora.open(tmp_path / "packs")
    pack(Corpus(corpus.root, corpus.rows, sr=8000), paths[1], overwrite=True)
    with pytest.raises(InputError, match=r"must have the same sample rate; got .*a.pack 16000 Hz, .*b.pack 8000 Hz"):
        open_pack(*paths)
    for n in (3, 4):
        (tmp_path / "packs" / f"c.1-of-{n}.pack").write_bytes(b"")
    with pytest.raises(InputError, match=r"contains parts of two packs, c\.\*-of-3.pack and c\.\*-of-4.pack"):
        corpora.open(tmp_path / "packs")
    with pytest.raises(InputError, match="no such pack"):
        open_pack(tmp_path / "far.pack")
    with pytest.raises(InputError, match="at least one path"):
        open_pack()


def test_a_pack_beside_sound_files_does_not_hide_them(tmp_path):
    corpus = tiny(tmp_path)
    pack(corpus, tmp_path / "p.pack")
    assert len(corpora.open(tmp_path)) == 2 and not corpora.is_packed(corpora.open(tmp_path))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("p.wav", {}, "must end in .pack"),
        ("p.1-of-2.pack", {}, "must end in .pack, without the number of a part"),
        ("far/p.pack", {}, "no such folder"),
        ("p.pack", {"part_mb": 0}, "part_mb must be more than 0; got 0"),
        ("p.pack", {"workers": 0}, "workers must be at least 1; got 0"),
    ],
)
def test_bad_settings(tmp_path, name, settings, message):
    with pytest.raises(InputError, match=message):
        pack(tiny(tmp_path), tmp_path / name, **settings)


def test_an_empty_corpus(tmp_path):
    with pytest.raises(InputError, match="has no clips to pack"):
        pack(Corpus(tmp_path, []), tmp_path / "p.pack")


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit on the size of files")
def test_a_full_disk_leaves_nothing(tmp_path):
    tiny(tmp_path)
    code = """
        import resource, signal, sys
        from pathlib import Path
        from undin import corpora
        from undin.errors import InputError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        root = Path(sys.argv[1])
        try:
            corpora.pack(corpora.open(root), root / "p.pack")
        except InputError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(code), tmp_path], capture_output=True, text=True, check=True
    )  # -B, as bytecode would be cut off too
    assert "p.pack cannot be written: File too large: nothing was changed" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav"]


def test_what_a_killed_run_left_goes(tmp_path):
    stray, living = (tmp_path / f".undin-{this_machine()}-{pid}-00.part" for pid in (2**22 + 1, os.getppid()))
    for path in (stray, living):
        path.write_bytes(b"x")
    pack(tiny(tmp_path), tmp_path / "p.pack")
    assert living.exists() and not stray.exists()
    assert Path(tmp_path / "p.pack").exists()


def test_examples_of_another_rate_stay_within_their_clips(tmp_path):
    """Clips lie side by side in one file; at half the rate their ends round to samples that a pack does not have."""
    rng = np.random.default_rng(0)
    lengths_s = [1.00003, 0.90009, 1.10007, 0.80005]
    rows, offset_s = [], 0.0
    for k, length_s in enumerate(lengths_s):
        rows.append(Clip("a.wav", offset_s, length_s, "train", speaker=f"s{k}"))
        offset_s += length_s + 0.3001
    soundfile.write(tmp_path / "a.wav", (0.1 * rng.standard_normal(5 * 16000)).astype(np.float32), 16000)
    pack(Corpus(tmp_path, rows), tmp_path / "a.pack")
    corpus = open_pack(tmp_path / "a.pack", sr=8000)
    examples = Examples(corpus, Settings(talkers=2, duration_s=0.6, split="train"), seed=0)
    long = Examples(corpus, Settings(talkers=2, duration_s=1.2, split="train"), seed=0)
    for i in range(40):
        assert examples[i].noisy.any() and long[i].noisy.any()
