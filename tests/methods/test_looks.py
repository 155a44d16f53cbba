"""What methods compute inside, as arrays to draw; and generic code that asks the method instead of knowing it."""

import re
from pathlib import Path

import numpy as np
import pytest

import undin
from undin.methods import LEARNED, METHODS

SRC = Path(undin.__file__).parent
LOOKS = {
    "dnn": ["mask"],
    "cmask": ["mask"],
    "lull": ["mask"],
    "hush": ["mask"],
    "mann": ["mask", "attention"],
    "deep-clustering": ["points"],
}


@pytest.fixture(scope="module")
def talk():
    """Two talkers at 8 kHz, (2, n_samples)."""
    corpus = undin.corpora.open(sr=8000).select(split="test")
    clips = {clip.speaker: clip for clip in corpus.speech}
    one, two = (corpus.load(clip) for clip in list(clips.values())[:2])
    n = min(len(one), len(two))
    return np.stack([one[:n], two[:n]])


@pytest.mark.parametrize("id", METHODS)
def test_a_method_says_what_there_is_to_see(id, talk):
    model, x = undin.load(id), talk.sum(0)
    looks = model.looks(x, 8000, ref=talk)
    assert [look.name for look in looks] == LOOKS.get(id, [])
    for look in looks:
        assert look.planes and all(np.isfinite(plane).all() and plane.ndim > 0 for plane in look.planes.values())
        if look.kind == "points":
            assert {plane.shape for plane in look.planes.values()} == {(len(look.points),)}
        else:
            n_frames = 1 + len(x) * model.config.sr // (8000 * model.config.hop_length)
            assert all(abs(plane.shape[1] - n_frames) <= 2 for plane in look.planes.values())


def test_embeddings_know_the_talkers_only_from_a_reference(talk):
    model = undin.load("deep-clustering")
    (blind,), (look,) = model.looks(talk.sum(0), 8000), model.looks(talk.sum(0), 8000, ref=talk)
    assert set(look.planes) - set(blind.planes) == {"loudest talker"}
    right = np.mean(look.planes["clusters"] == look.planes["loudest talker"])
    assert max(right, 1 - right) > 0.8


def test_settings_that_can_be_changed_are_asked_for():
    assert [id for id in METHODS if undin.load(id).adjusts("talkers")] == ["deep-clustering"]
    assert undin.load("log-mmse").adjusts("gain_floor_db") and not undin.load("log-mmse").adjusts("sharpness")


def test_generic_code_names_no_learned_method():
    names = re.compile(r"\b(" + "|".join(kind.__name__ for kind in LEARNED.values()) + r")\b")
    rooms = ("cli", "evaluation", "experiment", "jobs", "mixing", "corpora", "metrics", "audio")
    files = [path for room in rooms for path in (SRC / room).rglob("*.py")] + [SRC / "stream.py", SRC / "runner.py"]
    assert len(files) > 100
    assert not [path.name for path in files if names.search(path.read_text(encoding="utf-8"))]
    body = (SRC / "methods/__init__.py").read_text(encoding="utf-8").partition("def load(")[2]
    assert body and not names.search(body)
