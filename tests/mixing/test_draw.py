"""Drawing: any row on its own, even use, talkers that differ, levels as asked for."""

import itertools
import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from undin import mixing
from undin.audio import active_level_db, rms_db
from undin.corpora import Clip, Corpus
from undin.errors import InputError
from undin.mixing import Drawing, Seen, Settings, draw
from undin.mixing.draw import Turns
from undin.mixing.render import load


def test_any_row_on_its_own(shared):
    settings = Settings(talkers=2, noises=(0, 3), snr_db=[0, 5, 10])
    rows = [Drawing(shared, settings, seed=3).row(i) for i in range(30)]
    alone = Drawing(shared, settings, seed=3)
    assert [alone.row(i) for i in (29, 3, 17)] == [rows[29], rows[3], rows[17]]
    assert pickle.loads(pickle.dumps(alone)).row(8) == rows[8]
    assert list(draw(shared, 30, seed=3, start=20, talkers=2, noises=(0, 3), snr_db=[0, 5, 10])) == rows[20:]
    assert rows[0] != Drawing(shared, settings, seed=4).row(0)


def test_a_far_row_costs_no_more_than_a_near_one(shared):
    """It would not end if it drew those before."""
    assert Drawing(shared).row(10**15).id == "mix-1000000000000000"


def test_draw_streams(shared):
    rows = draw(shared, 10**12)
    assert [row.id for row in itertools.islice(rows, 2)] == ["mix-00000", "mix-00001"]


def test_a_mixture_is_its_row_rendered(shared):
    drawing = Drawing(shared, Settings(talkers=3, noises=(1, 3), level_db=(-30, -20), lengths="max"), seed=1)
    for i in range(6):
        made = drawing.mixture(i)
        again = mixing.render(made.row, shared)
        assert made.row == again.row == drawing.row(i)
        for name in ("noisy", "speech", "noise", "sources"):
            np.testing.assert_array_equal(getattr(made, name), getattr(again, name))


def test_turns_use_all_equally_often_and_differ():
    turns = Turns("abcde", 7)
    rounds = ["".join(turns[5 * r + k] for k in range(5)) for r in range(40)]
    assert {"".join(sorted(r)) for r in rounds} == {"abcde"} and len(set(rounds)) > 20
    assert turns.first(7, lambda item: item == "c") == "c"


def test_talkers_differ_and_lie_under_the_first(shared):
    rows = list(draw(shared, 40, talkers=3, talker_db=(2.0, 4.0), lengths="max"))
    assert all(len({source.label for source in row.speech}) == 3 for row in rows)
    assert all(row.snr_db == np.inf and not row.noise and row.kind == "" for row in rows)
    assert max(Counter(source.path for row in rows for source in row.speech).values()) <= 20
    for row in rows[:8]:
        m = mixing.render(row, shared)
        lengths = [round(source.duration_s * shared.sr) for source in row.speech]
        assert len(m.noisy) == max(lengths)
        levels = [rms_db(x) for x in m.sources]
        assert all(2 - 1e-4 <= levels[0] - level <= 4 + 1e-4 for level in levels[1:])
        assert all(not x[n:].any() and x[:n].any() for x, n in zip(m.sources, lengths, strict=True))
        np.testing.assert_array_equal(m.noisy, m.sources.sum(0, dtype=np.float32))


def test_lengths_min_crops_the_longer(shared):
    rows = list(draw(shared, 20, talkers=2))
    for row in rows:
        assert row.n_samples == min(round(source.duration_s * shared.sr) for source in row.speech)
    assert any(source.onset for row in rows for source in row.speech)


def test_several_noises(shared):
    rows = list(draw(shared, 60, noises=(1, 3), noise_db=(6.0, 6.0)))
    assert set(Counter(len(row.noise) for row in rows)) == {1, 2, 3}
    row = next(row for row in rows if len(row.noise) == 3)
    assert row.kind.count("+") == 2
    m = mixing.render(row, shared)
    assert rms_db(m.speech) - rms_db(m.noise) == pytest.approx(row.snr_db, abs=1e-4)
    pairs = zip(row.noise, _snrs(row, shared), strict=True)
    single = [mixing.render(replace(row, noise=(n,), snr_db=snr_db), shared) for n, snr_db in pairs]
    levels = [rms_db(one.noise) for one in single]
    assert np.subtract(levels[0], levels[1:]) == pytest.approx([6, 6], abs=1e-4)
    np.testing.assert_allclose(sum(one.noise for one in single), m.noise, atol=1e-6)


def _snrs(row, corpus):
    """SNR of each noise by itself."""
    parts = load(row, corpus)
    return [rms_db(parts.talkers[0]) - rms_db(x) - n.gain_db for x, n in zip(parts.noises, row.noise, strict=True)]


def test_snr_over_active_speech(tmp_path):
    """Speech that is silent for half of the time is up to 3 dB louder while it speaks, and so is its noise."""
    rng = np.random.default_rng(0)
    x = 0.05 * rng.standard_normal(32000) * (np.arange(32000) < 16000)
    soundfile.write(tmp_path / "s.wav", x, 8000)
    soundfile.write(tmp_path / "n.wav", 0.05 * rng.standard_normal(40000), 8000)
    clips = [Clip("s.wav", 0, 4, "test", speaker="a"), Clip("n.wav", 0, 5, "test", kind="white")]
    corpus = Corpus(tmp_path, clips)
    m = Drawing(corpus, Settings(snr_db=6.0, snr_over="active")).mixture(0)
    assert active_level_db(m.speech, 8000) - rms_db(m.noise) == pytest.approx(6, abs=1e-4)
    assert 3.2 < rms_db(m.speech) - rms_db(m.noise) < 4.5
    assert mixing.render(m.row, corpus).row.snr_over == "active"


def test_a_length_for_all(shared):
    for row in draw(shared, 12, duration_s=0.5):
        m = mixing.render(row, shared)
        assert len(m.noisy) == 4000
    short = [row for row in draw(shared, 12, duration_s=0.5) if row.speech[0].duration_s < 0.5]
    assert short and not mixing.render(short[0], shared).speech[3000:].any()
    assert all(row.speech[0].duration_s >= 0.5 for row in draw(shared, 12, duration_s=0.5, short="drop"))
    with pytest.raises(InputError, match=r"no utterance of .* lasts 9 s: ask for a shorter duration_s"):
        next(draw(shared, 1, duration_s=9, short="drop"))


def test_every_noise(shared):
    drawing = Drawing(shared, Settings(every_noise=True, snr_db=0.0))
    assert drawing.n_pairs == 72
    pairs = {(row.speech[0].path, row.noise[0].path) for row, _ in map(drawing.sketch, range(72))}
    assert len(pairs) == 72


def test_seen_flags(shared):
    train = [row for row in draw(shared, 40, kinds=["hum"]) if row.speaker in "ab"]
    seen = Seen.of(train)
    assert (seen.speakers, seen.kinds) == ({"a", "b"}, {"hum"})
    rows = list(draw(shared, 40, seen=seen, talkers=2, noises=1))
    for row in rows:
        known = sum(source.label in "ab" for source in row.speech)
        assert row.speaker_seen == ("no", "partly", "yes")[known]
        assert row.seen == row.noise_seen == ("yes" if row.kind == "hum" else "no")
    assert {row.speaker_seen for row in rows} == {"no", "partly", "yes"}
    assert {row.speaker_seen for row in draw(shared, 2, seen=Seen.of(shared))} == {"yes"}


def test_a_silent_noise_is_named_and_the_rest_drawn(corpus_at):
    soundfile.write(corpus_at.root / "noise/0.flac", np.zeros(12000), 8000)
    with pytest.raises(InputError, match=r"mixture mix-0000\d: noise/0.flac is silent over the .* remove it"):
        list(draw(corpus_at, 12))
    errors = []
    rows = list(draw(corpus_at, 12, errors=errors.append))
    assert len(errors) == 2 and len(rows) == 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"talkers": 5}, "talkers must be a whole number, 1 to 4; got 5"),
        ({"noises": (2, 1)}, "noises must be 0 to 3, or a range"),
        ({"noises": 4}, "noises must be 0 to 3"),
        ({"talker_db": (5, 0)}, r"talker_db must be two numbers \(low, high\), low <= high; got \(5, 0\)"),
        ({"level_db": (0, float("inf"))}, "level_db must be two numbers"),
        ({"snr_over": "voice"}, "snr_over must be one of clip, active; got 'voice'"),
        ({"duration_s": 0}, "duration_s must be a finite number, above 0"),
        ({"rooms": 2}, "rooms must be a finite number, 0 to 1"),
        ({"rt60_s": (0.0, 0.5)}, "rt60_s must be two numbers .*, 0.1 or more"),
        ({"every_noise": True, "talkers": 2}, "every_noise is for one talker and one noise"),
        ({"split": "train"}, "split must be one of test; got train"),
        ({"speech_from": ["z"]}, "corpus must be one of"),
    ],
)
def test_bad_settings(shared, settings, message):
    with pytest.raises(InputError, match=message):
        next(draw(shared, 1, **settings))


def test_one_speaker_is_too_few_for_two_talkers(shared):
    alone = Corpus(shared.root, [clip for clip in shared.rows if clip.speaker in ("a", "")])
    with pytest.raises(
        InputError,
        match=r"2 talkers need recordings of 2 speakers, each with a label; .* has a \(speakers: 1 in test\): add",
    ):
        next(draw(alone, 1, talkers=2))
    nameless = Corpus(shared.root, [replace(clip, speaker="") for clip in shared.speech])
    with pytest.raises(InputError, match=r"has none \(speakers: none\)"):
        next(draw(nameless, 1, talkers=2))


def test_speech_from_some_collections(shared):
    paths = {row.speech[0].path for row in draw(shared, 30, speech_from=["x"])}
    assert paths == {clip.path for clip in shared.speech if clip.corpus == "x"}
