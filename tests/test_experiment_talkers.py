"""Recipes with several talkers: what their stages leave, with masks and with embeddings, and what they refuse."""

import csv
import json

import numpy as np
import pytest

import undin
from undin.errors import InputError
from undin.experiment import Run, read_recipe

pytest.importorskip("lightning")
pytest.importorskip("matplotlib")

TINY = [
    "train.settings.n_hidden=8",
    "train.settings.n_layers=1",
    "train.options={steps=2, batch=2, valid_every=2, n_valid=2, n_calibrate=1, workers=0, threads=1}",
    "train.options.tensorboard=false",
    "train.mixing.duration_s=0.5",
    "mix.n=2",
    "enhance.audio=1",
    "enhance.pictures=1",
    "evaluate.methods=[]",
]


@pytest.fixture(autouse=True)
def embedded_corpus(monkeypatch):
    monkeypatch.delenv("UNDIN_DATA", raising=False)


@pytest.mark.parametrize(("recipe", "method"), [("talkers-upit", "blstm-mask"), ("talkers-dpcl", "deep-clustering")])
def test_a_run_leaves_models_talkers_pictures_and_scores(tmp_path, recipe, method):
    run = Run(read_recipe(recipe, TINY, preset="mini"), tmp_path)
    assert run.corpus.sr == 8000
    assert set(dict(run.run()).values()) == {"done"}
    model = undin.load(tmp_path / f"train/{method}.onnx")
    assert model.id == method and model.config.sr == 8000
    assert "h of speech" in model.card.data and "noise" not in model.card.data  # which nobody mixed in
    ids = [row.id for row in run.rows]
    assert {path.name for path in (tmp_path / "mix/talkers").iterdir()} == {f"{i}.{k}.wav" for i in ids for k in (1, 2)}
    separated = sorted((tmp_path / "enhance/separated_audio" / method).iterdir())
    assert [path.name for path in separated] == [f"{ids[0]}.1.wav", f"{ids[0]}.2.wav"]
    mixture, _ = undin.read(tmp_path / "mix/mixtures" / f"{ids[0]}.wav")
    if method == "deep-clustering":  # whose masks sum to one; ReLU's need not
        np.testing.assert_allclose(sum(undin.read(path)[0] for path in separated), mixture, atol=2e-4)
    drawn = {path.name.removeprefix(f"{ids[0]}.") for path in (tmp_path / "enhance/plot" / method).iterdir()}
    assert drawn == {"waves.png", "spectra.png", "masks.png"} | ({"points.png"} if method != "blstm-mask" else set())
    with (tmp_path / "evaluate/scores.csv").open(newline="") as file:
        assert {row["method"] for row in csv.DictReader(file)} > {method}
    assert json.loads((tmp_path / "evaluate/summary.json").read_text())[0]["method"] == method
    if method == "blstm-mask":
        with (tmp_path / f"train/{method}/log.csv").open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        assert 0 <= float(last["valid_accuracy"]) <= 1 and last["si_sdr_db"]


def test_the_trap_trains_its_variants_with_their_own_methods(tmp_path):
    recipe = read_recipe("talkers-trap", TINY, preset="mini")
    assert list(Run(recipe, tmp_path).run(["train"])) == [("train", "done")]
    assert {path.stem for path in (tmp_path / "train").glob("*.onnx")} == {"lstm-fixed", "lstm-upit"}
    assert undin.load(tmp_path / "train/lstm-fixed.onnx").config.objective == "fixed"
    full = read_recipe("talkers-trap").sections["train"]
    assert [full.method_of(name) for name in full.files][:3] == ["ff-mask", "lstm-mask", "blstm-mask"]
    with pytest.raises(InputError, match="is no network"):
        read_recipe("talkers-trap", ['train.variants={a={method="log-mmse"}}'])


def test_one_speaker_or_three_talkers_are_refused_in_words(tmp_path):
    corpus = undin.corpora.mini()
    clips = [clip for clip in corpus.speech if clip.speaker == corpus.speech[0].speaker]
    (tmp_path / "data/speech/anna").mkdir(parents=True)
    for i, clip in enumerate(clips[:3]):
        undin.write(tmp_path / f"data/speech/anna/{i}.wav", corpus.load(clip), corpus.sr)
    run = Run(read_recipe("talkers-upit", TINY, preset="mini"), tmp_path / "run", data=tmp_path / "data")
    with pytest.raises(InputError, match=r"must have 2 (voices|speakers|talkers)"):
        list(run.run(["train"]))
    three = Run(read_recipe("talkers-upit", [*TINY, "train.mixing.talkers=3"], preset="mini"), tmp_path / "three")
    with pytest.raises(InputError, match=r"mixtures have 3: set|must have 3 voices"):
        list(three.run(["train"]))
