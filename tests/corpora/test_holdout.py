"""What is held out: drawn by seed, by speaker and by recording, never on both sides."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from undin import corpora
from undin.corpora import Clip, Corpus, few_voices, hold_out, keep_aside
from undin.corpora.holdout import recording
from undin.errors import InputError


def speech(name, k=0, seconds=3.0, **fields):
    return Clip(f"{name}/{k}.wav", 0.0, seconds, "train", speaker=name, **fields)


def noise(kind, k, **fields):
    return Clip(f"noise/{kind}/{k}.wav", 0.0, 5.0, "train", kind=kind, **fields)


def corpus_of(*clips):
    return Corpus(Path("nowhere"), clips)


@pytest.fixture
def many():
    """80 voices with 3 sentences, 10 kinds with 1 to 19 recordings; and some of dev."""
    clips = [speech(f"v{v:02d}", k) for v in range(80) for k in range(3)]
    clips += [noise(f"n{n}", k) for n in range(10) for k in range(2 * n + 1)]
    clips += [replace(speech("dev"), split="dev"), replace(noise("n1", 99), split="dev")]
    return corpus_of(*clips)


def valid(corpus, **settings):
    held = hold_out(corpus, **{"seed": 0, **settings})
    assert [replace(clip, split="") for clip in held.rows] == [replace(clip, split="") for clip in corpus.rows]
    return [clip for clip in held.rows if clip.split == "valid"]


def voices(clips):
    return {clip.speaker for clip in clips if not clip.kind}


def test_so_many_speakers_and_recordings(many):
    held = valid(many, speakers=15)
    assert len(voices(held)) == 15 and len([clip for clip in held if not clip.kind]) == 45
    assert len([clip for clip in held if clip.kind]) == 10
    assert len(voices(valid(many))) == 20  # a quarter of 80
    assert "dev" not in voices(held) and "n0" not in {clip.kind for clip in held}
    left = Counter(clip.kind for clip in many.noise if clip.split == "train" and clip not in held)
    assert set(left) == {f"n{n}" for n in range(10)}
    assert not valid(many, speakers=0, noise=0)


def test_it_follows_from_the_seed_not_from_the_order(many):
    assert valid(many) == valid(many) != valid(many, seed=1)
    rows = list(many.rows)
    random.Random(3).shuffle(rows)
    assert set(valid(corpus_of(*rows))) == set(valid(many))


def test_every_voice_and_recording_may_be_drawn(many):
    drawn = [clip for seed in range(60) for clip in valid(many, seed=seed)]
    assert len(voices(drawn)) == 80
    assert len({clip.path for clip in drawn if clip.kind}) > 85


def test_a_recording_stays_on_one_side():
    """Clips of one original, of one file, of one number at Freesound; speakers who share a file."""
    esc = [replace(noise("dog", k), original=f"dog/2-{100 + k // 2}-{'AB'[k % 2]}-5.wav") for k in range(20)]
    cut = [Clip("rain.wav", 2.0 * k, 2.0, "train", kind="rain", source="s", original=f"o{k // 3}") for k in range(30)]
    file = [Clip(f"wind{k // 4}.wav", k, 1.0, "train", kind="wind") for k in range(40)]
    talk = [Clip(f"talk{k // 2}.wav", 0.0, 3.0, "train", speaker=f"v{k}") for k in range(16)]
    corpus = corpus_of(*esc, *cut, *file, *talk)
    for seed in range(20):
        held = hold_out(corpus, seed=seed, noise=0.25)
        sides = Counter((recording(clip), clip.split) for clip in held.rows)
        assert len({key for key, _ in sides}) == len(sides)
        assert len(voices(held.select(split="valid").rows)) == 4  # 2 of 8 pairs
    assert recording(esc[0]) == recording(esc[1]) != recording(esc[2])


def test_a_crowd_or_main_voice_and_speech_without_names_stay():
    clips = [speech(f"v{v}", k) for v in range(20) for k in range(2)]
    clips += [speech("crowd", k, 10.0) for k in range(200)] + [speech("", k) for k in range(50)]
    for seed in range(20):
        assert not voices(valid(corpus_of(*clips), seed=seed)) & {"crowd", ""}


def test_without_names_recordings_go():
    clips = [speech("", k) for k in range(30)]
    assert len(valid(corpus_of(*clips))) == 3
    assert len(valid(corpus_of(*(speech("me", k) for k in range(5))))) == 1


def test_the_mini_corpus():
    held = hold_out(corpora.mini(), seed=0)
    part = held.select(split="valid")
    assert len(voices(part.rows)) == 1 and len(part.speech) == 6 and len(part.noise) == 1
    assert len(voices(held.select(split="train").rows)) == 3 and len(held.select(split="test")) > 0
    assert held.load(part.speech[0]).any()


def test_without_speech_or_without_noise(many):
    assert voices(valid(corpus_of(*many.noise))) == set()
    assert not [clip for clip in valid(corpus_of(*many.speech)) if clip.kind]


@pytest.mark.parametrize(
    ("clips", "settings", "message"),
    [
        ([], {}, "must have clips of the split train and none of valid; it has none"),
        ([replace(speech("a"), split="valid"), speech("b")], {}, "it has train, valid"),
        ([speech("a"), speech("b")], {"split": "dev"}, "of the split dev"),
        ([speech("a")], {}, "at least 2 recordings of speech are needed.* got 1, a/0.wav: add some"),
        ([noise("hum", 0)], {}, "at least 2 recordings of noise are needed"),
        ([speech("a")], {"noise": 0.5}, "noise a share from 0 to 0.25; got 30, 0, 0.5"),
        ([speech("a")], {"speakers": -1}, "speakers and seed must be 0 or more"),
    ],
)
def test_bad_input(clips, settings, message):
    with pytest.raises(InputError, match=message):
        hold_out(corpus_of(*clips), **{"seed": 0, **settings})


def test_a_fifth_of_what_some_speakers_say_is_kept_aside(many):
    clips = [speech(f"v{v:02d}", k) for v in range(40) for k in range(10)]
    corpus = corpus_of(*clips, *many.noise)
    kept = keep_aside(corpus, seed=1, speakers=6)
    aside = [clip for clip in kept.rows if clip.split == "seen"]
    assert Counter(Counter(clip.speaker for clip in aside).values()) == {2: 6}
    assert [replace(clip, split="") for clip in kept.rows] == [replace(clip, split="") for clip in corpus.rows]
    assert keep_aside(corpus_of(*reversed(corpus.rows)), seed=1, speakers=6).rows[::-1] == kept.rows
    with pytest.raises(InputError, match="must have 3 speakers with at least 5 recordings"):
        keep_aside(many, seed=0, speakers=3)


def test_speakers_that_are_kept_are_not_held_out(many):
    names = {f"v{v:02d}" for v in range(79)}
    assert {clip.speaker for clip in valid(many, but=names) if clip.speaker} == {"v79"}


def test_a_collection_that_is_asked_for_keeps_a_voice():
    names = ["big"] * 20 + ["pair"] * 2 + ["one"]
    clips = [speech(f"v{v:02d}", k, corpus=name) for v, name in enumerate(names) for k in range(3)]
    free, bound = Counter(), Counter()
    for seed in range(40):
        for learned, found in (((), free), (("one", "pair"), bound)):
            held = valid(corpus_of(*clips), seed=seed, speakers=5, learned=learned)
            assert len(voices(held)) == 5
            found.update({clip.corpus for clip in held})
            if learned:
                assert {clip.speaker for clip in held if clip.corpus == "pair"} != {"v20", "v21"}
    with pytest.raises(InputError, match="1 for validation cannot be held out, since each of big, one must keep"):
        valid(corpus_of(clips[0], clips[-1]), seed=0, learned=("big", "one"))
    assert free["one"] > 3 and not bound["one"] and bound["pair"] > 10


def test_few_voices_begin_with_those_named_and_grow(many):
    def left(n, seed=0):
        kept = few_voices(many, n, seed=seed, first={"v03", "v70"})
        assert kept.noise == many.noise and [c for c in kept.speech if c.split == "dev"]
        return {clip.speaker for clip in kept.speech if clip.split == "train"}

    assert left(2) == {"v03", "v70"} < left(6) < left(20) and len(left(20)) == 20
    assert left(20) != left(20, seed=1)
    for n in (1, 81):
        with pytest.raises(InputError, match="there must be 2 to 80 training speakers"):
            left(n)
