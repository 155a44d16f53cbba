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
    "evaluate.examples=0",
]


@pytest.fixture(autouse=True)
def embedded_corpus(monkeypatch):
    monkeypatch.delenv("UNDIN_DATA", raising=False)


@pytest.mark.parametrize(("recipe", "method"), [("talkers-upit", "blstm-mask"), ("talkers-dpcl", "deep-clustering")])
def test_a_run_leaves_models_talkers_pictures_and_scores(tmp_path, recipe, method):
    kept = [] if recipe == "talkers-upit" else ["train.kept_spectra=true"]
    run = Run(read_recipe(recipe, [*TINY, "train.kept=3", "evaluate.examples=1", *kept], preset="mini"), tmp_path)
    assert run.corpus.sr == 8000
    assert set(dict(run.run()).values()) == {"done"}
    model = undin.load(tmp_path / f"train/{method}.onnx")
    assert model.id == method and model.config.sr == 8000
    assert not list((tmp_path / f"train/{method}").glob("kept*"))  # a finished training needs them no more
    assert "h of speech" in model.card.data and "noise" not in model.card.data  # which nobody mixed in
    ids = [row.id for row in run.mixtures.rows]
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
    results = json.loads((tmp_path / "evaluate/summary.json").read_text())["results"]
    assert {"input", method, "ideal ratio mask"} <= {result["method"] for result in results}
    page = (tmp_path / "evaluate/report.html").read_text("utf-8")
    assert f"talker 1, {method}" in page and f"undin run {recipe}" in page
    if method == "blstm-mask":
        with (tmp_path / f"train/{method}/log.csv").open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        assert 0 <= float(last["valid_accuracy"]) <= 1 and last["si_sdr_db"]


def test_the_trap_trains_its_variants_with_their_own_methods(tmp_path):
    recipe = read_recipe("talkers-trap", TINY, preset="mini")
    assert list(Run(recipe, tmp_path).run(["train"])) == [("train", "done")]
    assert {path.stem for path in (tmp_path / "train").glob("*.onnx")} == {"lstm-fixed", "lstm-upit"}
    assert undin.load(tmp_path / "train/lstm-fixed.onnx").config.objective == "fixed"
    full = read_recipe("talkers-trap").train
    assert [full.variant(name).method for name in full.files][:3] == ["ff-mask", "lstm-mask", "blstm-mask"]
    with pytest.raises(InputError, match="unknown network 'log-mmse'"):
        read_recipe("talkers-trap", ['train.variants={a={method="log-mmse"}}'])


def voices(home, *names):
    """Folders of talkers, each with two files of a second."""
    rng = np.random.default_rng(0)
    for name in names:
        for i in range(2):
            (home / name).mkdir(parents=True, exist_ok=True)
            undin.write(home / name / f"{i}.wav", (0.1 * rng.standard_normal(8000)).astype(np.float32), 8000)
    return home


def test_too_few_speakers_are_refused_before_anything_is_done(tmp_path):
    recipe = read_recipe("talkers-upit", TINY, preset="mini")
    one = Run(recipe, tmp_path / "run", data=voices(tmp_path / "one", "speech/anna"))
    message = r"2 talkers need 4 speakers with names in the train split of .*one, 2 for training and as many for "
    for only in ([], ["train"]):
        with pytest.raises(InputError, match=rf"{message}validation; it has anna \(speakers: 1 in train\): add others"):
            list(one.run(only))
    with pytest.raises(InputError, match=r"split must be one of train; got test: folders named train, dev and test"):
        list(one.run(["mix"]))
    names = [*(f"train/{k}" for k in range(5)), "test/anna"]
    uneven = Run(recipe, tmp_path / "run", data=voices(tmp_path / "uneven", *names))
    message = r"2 talkers need recordings of 2 speakers, each with a label; the test split of .*uneven has anna "
    with pytest.raises(
        InputError, match=rf"{message}\(speakers: 1 in test, 5 in train\): add others, .* or change the "
    ):
        list(uneven.run())
    assert not (tmp_path / "run").exists()


def test_six_folders_of_talkers_are_enough(tmp_path):
    names = [f"talker {k}" for k in range(6)]
    data = voices(tmp_path / "data", *names)
    run = Run(read_recipe("talkers-upit", TINY, preset="mini"), tmp_path / "run", data=data)
    assert run.corpus.voices == "2 in test, 4 in train"
    assert list(run.run(["mix", "train"])) == [("mix", "done"), ("train", "done")]


def test_one_number_of_talkers_is_mixed_and_separated(tmp_path):
    message = (
        r"number of mixed talkers must be the number that blstm-mask separates; got mix.talkers = 3, "
        r"train.mixing.talkers = 2, train.settings.talkers = 2: use --set mix.talkers=3 "
        r"--set train.mixing.talkers=3 --set train."
    )
    with pytest.raises(InputError, match=message):
        read_recipe("talkers-upit", [*TINY, "mix.talkers=3"], preset="mini")
    three = ["mix.talkers=3", "train.mixing.talkers=3", "train.settings.talkers=3"]
    for k in range(3):
        with pytest.raises(
            InputError, match="the number of mixed talkers must be the number that deep-clustering separates"
        ):
            read_recipe("talkers-dpcl", [*TINY, *three[:k], *three[k + 1 :]], preset="mini")
    with pytest.raises(InputError, match=r"separates; got .*, train\.valid\.talkers = 2"):
        read_recipe("talkers-upit", [*TINY, *three, "train.valid.talkers=2"], preset="mini")
    with pytest.raises(InputError, match="number that b separates; got"):
        read_recipe("talkers-upit", [*TINY, 'train.variants={a={}, b={"settings.talkers"=3}}'], preset="mini")
    enhances = Run(read_recipe("nmf-kwon2016", ["mix.talkers=2"]), tmp_path / "run")
    with pytest.raises(InputError, match=r"mix\.talkers must be 1 for the enhancement method nmf; got 2"):
        list(enhances.run())
    assert not (tmp_path / "run").exists()


def test_three_talkers(tmp_path):
    three = [*TINY, "mix.talkers=3", "train.mixing.talkers=3", "train.settings.talkers=3"]
    names = [*(f"train/{k}" for k in range(6)), *(f"test/{k}" for k in "abc")]
    data = voices(tmp_path / "data", *names)
    run = Run(read_recipe("talkers-upit", three, preset="mini"), tmp_path / "run", data=data)
    assert set(dict(run.run()).values()) == {"done"}
    assert len(list((tmp_path / "run/enhance/separated_audio/blstm-mask").iterdir())) == 3
