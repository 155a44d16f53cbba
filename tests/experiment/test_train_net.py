"""Recipes that train networks: presets, variants, slices, kept files, and fine-tuning on your own folders."""

import csv
import json

import numpy as np
import pytest

import undin
from undin.errors import InputError, WeightsError
from undin.experiment import Run, read_recipe, recipes

pytest.importorskip("lightning")

TINY = [
    "train.settings={n_hidden=8, n_layers=1, past=1, future=1}",
    "train.options={steps=3, batch=2, valid_every=2, n_valid=2, n_calibrate=2, workers=0, threads=1}",
    "train.options.tensorboard=false",
    "train.mixing={duration_s=0.5, snr_db={low=0, high=10}}",
    "mix.n=2",
    "enhance.audio=1",
    "enhance.pictures=1",
    'evaluate.metrics=["si_sdr_db"]',
    "evaluate.methods=[]",
    "evaluate.examples=0",
]


@pytest.fixture(autouse=True)
def embedded_corpus(monkeypatch):
    monkeypatch.delenv("UNDIN_DATA", raising=False)


def tiny(*changes):
    return read_recipe("dnn-xu2015", [*TINY, *changes])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UNDIN_DATA", raising=False)
        assert dict(Run(tiny(), folder).run()) == dict.fromkeys(("mix", "train", "enhance", "evaluate"), "done")
    return folder


def test_a_run_leaves_a_model_its_losses_and_its_scores(finished):
    model = undin.load(finished / "train/dnn.onnx")
    assert model.id == "dnn" and model.config.n_hidden == 8 and "dnn-xu2015" in model.card.data
    left = {path.name for path in (finished / "train/dnn").iterdir()}
    assert left >= {"log.csv", "curve.png", "best.pt", "last.ckpt"}
    with np.load(finished / "train/dnn/features.npz") as tables:
        x, noise, y = (tables[name] for name in ("x", "noise", "y"))
    assert x.shape == (len(y), 3, 257) and noise.shape == (len(y), 257) and y.shape == (len(y), 2, 257)
    assert np.array_equal(x[1:9, 0], x[:8, 1]) and np.array_equal(x[1:9, 1], x[:8, 2])  # frames slide through
    with np.load(finished / "train/dnn/scaler.npz") as scaler:
        assert {scaler[name].shape for name in scaler} == {(257,)} and (scaler["std"] > 0).all()
    with (finished / "evaluate/per_noise.csv").open(newline="") as file:
        assert {row["noise"] for row in csv.DictReader(file)} > {"all"}
    with (finished / "evaluate/scores.csv").open(newline="") as file:
        assert {row["method"] for row in csv.DictReader(file)} == {"input", "dnn"}
    pictures = [finished / "evaluate/gains.png", *(finished / "enhance/plot/dnn").iterdir()]
    assert len(pictures) == 3 and sum(path.stem.endswith("_mask") for path in pictures) == 1
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_what_the_heads_of_a_memory_look_at_is_drawn(tmp_path):
    small = "train.settings={n_hidden=8, n_lstm=8, n_cell=8, n_rows=4, n_width=4, n_write=2}"
    run = Run(read_recipe("mann-tsou2017", [*TINY, "train.options.steps=1", small]), tmp_path)
    assert dict(run.run(["mix", "train", "enhance"]))["enhance"] == "done"
    pictures = sorted((tmp_path / "enhance/plot/mann").iterdir())
    name = pictures[0].stem
    assert [path.stem for path in pictures] == [name, f"{name}_attention", f"{name}_mask"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_a_finished_training_is_skipped_and_more_steps_go_on_with_it(finished):
    assert dict(Run(tiny(), finished).run(["train"])) == {"train": "skipped"}
    more = Run(tiny("train.options.steps=4"), finished)
    assert dict(more.run(["train"])) == {"train": "done"}
    with (finished / "train/dnn/log.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)][-1] == "4"
    assert not list((finished / "train").glob("*.old*"))


def test_a_slice_pauses_and_the_next_call_resumes(tmp_path):
    run = Run(tiny(), tmp_path)
    with pytest.raises(InputError, match="max_minutes must be more than 0; got 0"):
        list(run.run(["train"], max_minutes=0))
    assert list(run.run(["train"], max_minutes=1e-6)) == [("train", "paused")]
    assert not (tmp_path / "train/dnn.onnx").exists()
    assert run.status("train") == "begun"
    with pytest.raises(InputError, match="stage enhance needs mix and train"):
        list(run.run(["enhance"]))
    assert list(run.run(["train"])) == [("train", "done")]


def test_other_settings_restart_and_keep_the_old_training(tmp_path):
    list(Run(tiny(), tmp_path).run(["train"]))
    list(Run(tiny("train.settings.n_hidden=6"), tmp_path).run(["train"]))
    assert undin.load(tmp_path / "train/dnn.onnx").config.n_hidden == 6
    kept = json.loads((tmp_path / "train/dnn.old1/run.json").read_text())
    assert kept["config"]["n_hidden"] == 8


def test_variants_are_networks_of_their_own(tmp_path):
    variants = 'train.variants={dnn={}, no-nat={"settings.nat"="first"}, one-snr={"mixing.snr_db"=[0.0]}}'
    recipe = tiny(variants)
    assert recipe.train.variant("one-snr").mixing.snr_db == [0.0]
    list(Run(recipe, tmp_path).run(["train"]))
    assert undin.load(tmp_path / "train/no-nat.onnx").config.nat == "first"
    assert {path.name for path in (tmp_path / "train").glob("*.onnx")} == {"dnn.onnx", "no-nat.onnx", "one-snr.onnx"}


def test_few_training_speakers_are_tested_along_with_unseen_ones(tmp_path):
    recipe = tiny(
        'train.variants={two={voices=2}, three={voices=3}, three-again={voices=3, "options.seed"=1}}',
        "train.seen=2",
        'mix.split=["test", "seen"]',
        "mix.n=12",
        "mix.snr_db=[0.0, 5.0]",
    )
    run = Run(recipe, tmp_path)
    list(run.run())
    aside = run.corpus.select(split="seen").speech
    assert len({clip.speaker for clip in aside}) == 2
    assert {clip.speaker for clip in aside} <= {clip.speaker for clip in run.corpus.select(split="train").speech}
    with (tmp_path / "evaluate/seen_speakers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["speakers"] for row in rows} == {"seen", "unseen"}
    assert {row["method"] for row in rows} == {"input", "two", "three", "three-again"}
    whole = [row for row in rows if (row["noise"], row["snr"], row["method"]) == ("all", "all", "two")]
    assert [int(row["n"]) for row in whole] == [6, 6] and all(row["si_sdr_db_mean"] for row in whole)
    assert (tmp_path / "evaluate/seen_speakers_si_sdr_db.png").stat().st_size > 10_000
    cards = {name: undin.load(tmp_path / f"train/{name}.onnx").card.data for name in ("two", "three", "three-again")}
    assert cards["two"] != cards["three"] == cards["three-again"]
    digests = {undin.load(tmp_path / f"train/{name}.onnx").digest for name in cards}
    assert len(digests) == 3  # another seed gives other weights
    with pytest.raises(InputError, match="there must be 2 to"):
        list(Run(tiny("train.voices=99", "train.seen=2"), tmp_path / "more").run(["train"]))


def test_fine_tuning_on_folders_begins_with_the_weights(finished, tmp_path):
    corpus = undin.corpora.mini().select(split="train")
    for name, clips in (("speech", corpus.speech[:4]), ("noise", corpus.noise[:4])):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i, clip in enumerate(clips):
            undin.write(tmp_path / "data" / name / f"{i}.wav", corpus.load(clip), corpus.sr)
    run = Run(tiny("train.options.steps=1"), tmp_path / "mine", data=tmp_path / "data")
    assert list(run.run(["train"], start_from=finished / "train/dnn/best.pt")) == [("train", "done")]
    assert undin.load(tmp_path / "mine/train/dnn.onnx").config.n_hidden == 8


def test_weights_that_a_run_cannot_begin_with_are_refused_and_nothing_moves(finished, tmp_path):
    best, before = finished / "train/dnn/best.pt", sorted(finished.rglob("*"))
    run = Run(tiny("train.options.lr=1e-4"), finished)
    with pytest.raises(InputError, match="is inside the run folder of this training; use another -o"):
        list(run.run(["train"], start_from=best))
    with pytest.raises(InputError, match="an exported graph cannot be trained"):
        list(run.run(["train"], start_from=finished / "train/dnn.onnx"))
    with pytest.raises(InputError, match="no such file; expected"):
        list(run.run(["train"], start_from=tmp_path / "best.pt"))
    assert sorted(finished.rglob("*")) == before


def test_a_finished_training_does_not_pretend_to_have_begun_with_weights(finished, tmp_path):
    run, best = Run(tiny("train.options.steps=1"), tmp_path / "mine"), finished / "train/dnn/best.pt"
    assert dict(run.run(["train"], start_from=best)) == {"train": "done"}
    assert dict(run.run(["train"], start_from=best)) == {"train": "skipped"}
    (other := tmp_path / "other.pt").write_bytes(best.read_bytes() + b" ")
    with pytest.raises(InputError, match="finished training that did not start from"):
        list(run.run(["train"], start_from=other))


def test_other_validation_restarts_and_stray_files_are_deleted(tmp_path):
    list(Run(tiny("train.options.steps=1"), tmp_path).run(["train"]))
    (tmp_path / "train/dnn.onnx.9.part").touch()
    list(Run(tiny("train.options.steps=1", "train.valid.noises=2"), tmp_path).run(["train"]))
    assert (tmp_path / "train/dnn.old1").exists() and not list(tmp_path.rglob("*.part"))


def test_weights_of_another_size_are_refused(finished, tmp_path):
    run = Run(tiny("train.settings.n_hidden=6"), tmp_path)
    with pytest.raises((InputError, WeightsError), match="n_hidden"):
        list(run.run(["train"], start_from=finished / "train/dnn/best.pt"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.method=dmn", "did you mean dnn"),
        ("train.settings.n_hiden=3", "did you mean n_hidden"),
        ("train.options.step=3", "did you mean steps"),
        ("train.options.lr=-1", "lr must be"),
        ("train.mixing.snr=3", "did you mean snr_db"),
        ("train.augment.tilt=3", "unknown setting 'tilt' in train.augment"),
        ("train.augment.eq=3", "eq must be"),
        (
            "train.kept_spectra=true",
            "needs kept mixtures: set their number, e.g. train.kept=5000",
        ),
        ("train.kept_spectra=yes", "train.kept_spectra must be true or false; got 'yes'"),
        ("train.weights=fp8", "train.weights must be one of fp32, fp16, int8, mixed; got 'fp8'"),
        ("train.settings.skip=maybe", "skip must be true or false"),
        ("train.options=3", "train.options must be a table; got 3"),
        ("train.options.steps.x=3", "steps is 3, which has no settings"),
        ('train.variants={a={"sett.x"=1}}', "a variant changes"),
        ('train.variants={a={"voices"=-1}}', "train.voices must be a whole number, 0 or more; got -1"),
    ],
)
def test_bad_settings_are_named_before_anything_is_done(change, message):
    with pytest.raises(InputError, match=message):
        tiny(change)


def test_presets_change_the_recipe_and_an_unknown_one_is_named():
    name = "dnn-xu2015"
    assert read_recipe(name).train.settings["n_hidden"] == 2048
    assert read_recipe(name, preset="mini").train.settings["n_hidden"] == 256
    with pytest.raises(InputError, match="did you mean small"):
        read_recipe(name, preset="smal")


def test_every_preset_of_every_recipe_can_be_read():
    import tomllib

    for name, path in recipes().items():
        for preset in tomllib.loads(path.read_text()).get("presets", {}):
            read_recipe(name, preset=preset)


def test_minutes_and_weights_are_for_networks(tmp_path):
    run = Run(read_recipe("nmf-kwon2016"), tmp_path)
    with pytest.raises(InputError, match="apply to networks"):
        list(run.run(["train"], max_minutes=1))
