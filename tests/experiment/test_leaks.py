"""What is learned from is not tested on: keys that follow from the corpus's rows, and leaks that are refused."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import undin
from undin.corpora import Clip, Corpus
from undin.errors import InputError
from undin.experiment import Run, leaks, read_recipe
from undin.experiment.leaks import Taken


@pytest.fixture(autouse=True)
def embedded_corpus(monkeypatch):
    monkeypatch.delenv("UNDIN_DATA", raising=False)


def test_fewer_voices_kept_aside_change_what_is_tested_on(tmp_path):
    """One run folder, train.seen 2 -> 1: the mixtures of before hold a recording that is now learned from."""

    def run(seen):
        mix = ['mix.split=["test", "seen"]', "mix.n=12"]
        return Run(read_recipe("dnn-xu2015", [f"train.seen={seen}", *mix]), tmp_path)

    assert list(run(2).run(["mix"])) == [("mix", "done")]
    fewer = run(1)
    assert list(fewer.run(["mix"])) == [("mix", "done")]
    learned = {(clip.path, clip.offset_s) for clip in fewer.corpus.select(split="train").speech}
    assert not learned & {(source.path, source.offset_s) for row in fewer.mixtures.rows for source in row.speech}


def test_new_audio_changes_every_key_regardless_of_other_files(tmp_path):
    def keys():
        return Run(read_recipe("nmf-kwon2016"), tmp_path / "run", data=tmp_path / "data").keys

    x = np.random.default_rng(0).uniform(-0.1, 0.1, 16000).astype(np.float32)
    for name in ("speech/train/anna/0.wav", "noise/train/hum.wav"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        undin.write(tmp_path / "data" / name, x, 16000)
    (tmp_path / "data" / "notes.csv").write_text("who,when\nanna,monday\n")
    before = keys()
    assert keys() == before
    undin.write(tmp_path / "data/speech/train/anna/1.wav", x, 16000)
    assert not set(keys().values()) & set(before.values())


@pytest.mark.parametrize("only", [[], ["train"], ["evaluate"]])
def test_a_leak_is_refused_before_anything_is_done(tmp_path, only):
    run = Run(read_recipe("nmf-kwon2016", ["mix.split=train"]), tmp_path / "run")
    message = (
        r"the recording speech/\S+ is both learned from \(split train\) and tested on \(split train\): no voice or "
    )
    with pytest.raises(InputError, match=message + "recording may be used for both: set mix.split and train.split to"):
        list(run.run(only))
    assert not (tmp_path / "run").exists()


def test_one_cannot_validate_on_what_is_learned_from(tmp_path):
    run = Run(read_recipe("dnn-xu2015", ['train.mixing.split=["train", "valid"]']), tmp_path)
    with pytest.raises(InputError, match=r"is both learned from .* and validated on .*: leave out train.mixing.split"):
        list(run.run(["train"]))


def clip(path, split, **fields):
    return Clip(path, 0.0, 1.0, split, **fields)


@pytest.mark.parametrize(
    ("learned", "tested", "message"),
    [
        (clip("a/0.wav", "train", speaker="a"), clip("a/1.wav", "test", speaker="a"), "the voice 'a' is both"),
        (clip("rain.wav", "train", kind="rain"), clip("rain.wav", "test", kind="rain"), "the recording rain.wav is"),
        (
            clip("1.wav", "train", kind="rain", source="s", original="take 3"),
            clip("2.wav", "test", kind="storm", source="s", original="take 3"),
            "the recording 2.wav is both",
        ),
        (clip("a/0.wav", "train", speaker="a"), clip("b/0.wav", "test", speaker="b"), None),
        (clip("0.wav", "train"), clip("1.wav", "test"), None),  # nobody is named
        (clip("0.wav", "train", kind="a"), clip("1.wav", "test", speaker="a"), None),
        (clip("a/0.wav", "train", speaker="a"), clip("a/1.wav", "seen", speaker="a"), None),
        (clip("a/0.wav", "train", speaker="a"), clip("a/0.wav", "seen", speaker="a"), "the recording a/0.wav is both"),
    ],
)
def test_voices_and_recordings_that_are_shared(learned, tested, message):
    other = clip("z.wav", "train", speaker="z")
    for taken, use in ((Taken([learned]), "learned from"), (Taken([other], [learned]), "validated on")):
        if message is None:
            leaks.check([taken], [tested], known="seen")
            continue
        with pytest.raises(InputError, match=rf"{re.escape(message)}.* {use} .*tested on"):
            leaks.check([taken], [tested], known="seen")


def test_the_one_voice_of_a_corpus_is_validated_on_other_recordings():
    one, two = clip("a/0.wav", "train", speaker="a"), clip("a/1.wav", "valid", speaker="a")
    leaks.check([Taken([one], [two])], [])
    with pytest.raises(InputError, match=r"the voice 'a' is both learned from .* and validated on"):
        leaks.check([Taken([one, clip("b/0.wav", "train", speaker="b")], [two])], [])


# A property: whatever the corpus and the recipe, a run is refused, or what it reads for its test mixtures it does not
# read in training. What is read is logged, file by file, so this knows nothing of how the check is done.

SPLITS = st.sampled_from(["train"] * 5 + ["test"] * 3 + ["dev"])
TINY = [
    "experiment.sr=8000", "mix.n=6", "mix.min_duration_s=0", "mix.snr_db=[5.0]",
    "train.settings={sr=8000, n_fft=256, hop_length=128, n_speech=2, n_noise=2, fit_iter=1, n_iter=1}",
    "train.speech_s=2", "train.noise_s=2", 'train.variants=["nmf"]', 'evaluate.metrics=["si_sdr_db"]',
]  # fmt: skip
NET = [
    "experiment.sr=8000", "mix.n=6", "mix.min_duration_s=0", "mix.snr_db=[5.0]", "train.mixing.duration_s=0.5",
    "train.options.workers=0", 'evaluate.metrics=["si_sdr_db"]',
]  # fmt: skip


@st.composite
def drawn_corpora(draw):
    """Voices and recordings that mostly have one split, and now and then another."""
    clips = []
    stray = st.integers(0, 60).map(lambda k: k == 60)
    for v in range(draw(st.integers(4, 8))):
        home = ["test", "train", "train", "dev", draw(SPLITS)][min(v, 4)]
        speaker = draw(st.sampled_from([f"v{v}"] * 18 + [f"v{v - 1}", ""]))
        for k in range(draw(st.integers(5, 6)) if v < 3 else draw(st.integers(1, 6))):
            original = draw(st.sampled_from([""] * 40 + ["shared"]))
            split = draw(SPLITS) if draw(stray) else home
            place = (f"v{v}.wav", float(k)) if v == 1 else (f"v{v}/{k}.wav", 0.0)
            collection = draw(st.sampled_from(["x", "y"]))
            clips.append(Clip(*place, 1.0, split, speaker=speaker, corpus=collection, original=original))
    for n in range(draw(st.integers(5, 9))):
        path = f"n{draw(st.sampled_from([0, n])) if draw(stray) else n}.wav"
        clips.append(Clip(path, 0.0, 1.0, ["train", "train", "test", "dev"][n % 4], kind=f"k{n % 2}"))
    return clips


@st.composite
def drawn_recipes(draw):
    nmf = draw(st.booleans())
    mix = draw(st.sampled_from(['"test"'] * 6 + ['"train"', '["dev", "test"]'] + ['["test", "seen"]'] * (not nmf)))
    changes = [f"mix.split={mix}"]
    changes += draw(st.sampled_from([[], [], ['mix.speech_from=["x"]']]))
    if nmf:
        split = draw(st.sampled_from(["train"] * 5 + ["dev"]))
        return read_recipe("nmf-kwon2016", [*TINY, *changes, f"train.split={split}"])
    changes += [f"train.seen={2 if 'seen' in mix else draw(st.sampled_from([0, 0, 1]))}"]
    changes += [f"train.speakers={draw(st.integers(1, 3))}", f"train.voices={draw(st.sampled_from([0, 0, 0, 2]))}"]
    odd = ['train.mixing.speech_from=["y"]', 'train.mixing.split=["train", "valid"]', "train.valid.split=train"]
    changes += draw(st.sampled_from([[]] * 6 + [[change] for change in odd]))
    return read_recipe("dnn-xu2015", [*NET, *changes], preset="mini")


class Stop(Exception):
    """The training has read enough."""


class Reads:
    """What is read, by what it is for."""

    def __init__(self, clips, patch):
        self.files, self.use = {}, "tested"
        self.of = {"tested": set(), "learned": set(), "validated": set()}
        for clip in clips:
            self.files.setdefault(clip.path, []).append(clip)
        patch.setattr(Corpus, "read", lambda corpus, *slice: self.read(*slice))
        patch.setattr("undin.corpora.is_packed", lambda corpus: True)

    def read(self, path, offset_s, duration_s):
        overlapping = [c for c in self.files[path] if c.offset_s < offset_s + duration_s and offset_s < c.offset_s + 1]
        self.of[self.use].update(overlapping)
        n = round(duration_s * 8000)
        return np.random.default_rng(n).uniform(-0.1, 0.1, n).astype(np.float32)

    def fit(self, method, config, options, train, valid, *others, **more):
        for self.use, examples in (("learned", train), ("validated", valid)):
            for i in range(30):
                examples[i]
        raise Stop


def voices(clips):
    return {clip.speaker for clip in clips if clip.speaker and not clip.kind}


def recordings(clips):
    return {clip.original or clip.path for clip in clips}


OUTCOMES = Counter()


@settings(derandomize=True, max_examples=60, deadline=None)
@given(drawn_corpora(), drawn_recipes())
def check_one(folder, clips, recipe):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("undin.corpora.open", lambda *given, **more: Corpus(Path("nowhere"), clips, sr=8000))
        reads = Reads(clips, patch)
        patch.setattr("undin.training.fit.fit", reads.fit)
        try:
            run = Run(recipe, folder / f"{sum(OUTCOMES.values())}")
            stages = run.run()
            next(stages)
            reads.use = "learned"
            next(stages)
        except InputError as error:
            OUTCOMES["leak" if "is both" in str(error) else "refused"] += 1
            return
        except Stop:
            pass
    OUTCOMES["ran " + recipe.train.method] += 1
    tested, learned, validated = (reads.of[name] for name in ("tested", "learned", "validated"))
    assert tested and learned
    aside = {clip.path for clip in run.corpus.rows if clip.split == "seen"}
    strangers = [clip for clip in tested if clip.path not in aside]
    assert not recordings(learned | validated) & recordings(tested)
    assert not voices(learned | validated) & voices(strangers)
    assert not recordings(learned) & recordings(validated)


def test_no_recipe_and_corpus_leak(tmp_path):
    pytest.importorskip("lightning")
    OUTCOMES.clear()
    check_one(tmp_path)
    assert min(OUTCOMES[name] for name in ("leak", "ran nmf", "ran dnn")) >= 8, OUTCOMES
