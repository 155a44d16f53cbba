"""Recipes: reading, finished stages that are skipped, stages that run again, and the files of a killed run."""

import csv
import errno
import json
import shutil
import subprocess
import sys
from unittest.mock import Mock

import pytest

from undin import experiment
from undin.errors import InputError, MissingExtraError
from undin.experiment import Run, read_recipe, recipes

SMALL = [
    "mix.n=3",
    "train.speech_s=6",
    "train.noise_s=1",
    "train.settings={n_fft=512, hop_length=256, n_speech=8, n_noise=4, fit_iter=3, n_iter=5}",
    'train.variants=["nmf-exp"]',
    "enhance.audio=2",
    "enhance.pictures=0",
    "evaluate.methods=[]",
    'evaluate.metrics=["si_sdr_db"]',
    "evaluate.examples=0",
]


@pytest.fixture(autouse=True)
def embedded_corpus(monkeypatch):
    monkeypatch.delenv("UNDIN_DATA", raising=False)


def small(*changes: str) -> experiment.Recipe:
    return read_recipe("nmf-kwon2016", [*SMALL, *changes])


def scores(folder):
    with (folder / "evaluate" / "scores.csv").open(newline="") as file:
        return [(row["id"], row["method"], row["si_sdr_db"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UNDIN_DATA", raising=False)
        assert list(Run(small(), folder).run()) == [(stage, "done") for stage in experiment.NEEDS]
    return folder


def test_every_recipe_starts_with_the_command_that_runs_it():
    for name, path in recipes().items():
        assert path.read_text().splitlines()[0] == f"# undin run {name}"
        read_recipe(name)


def test_a_run_leaves_the_outputs_of_the_founding_project(finished):
    for name in ("speech", "noise"):
        assert (finished / f"train/merged_audio/merged_train_{name}_audio.wav").exists()
    assert len(list((finished / "mix/test_noisy_audio").glob("*.wav"))) == 3
    assert len(list((finished / "enhance/enhanced_audio/nmf-exp").glob("enhanced_*.wav"))) == 2
    assert (finished / "evaluate/report.html").exists()
    assert {method for _, method, _ in scores(finished)} == {"input", "nmf-exp"}
    assert "whole" not in (finished / "stages.json").read_text()


def test_finished_stages_are_skipped_also_in_a_copy(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    assert {status for _, status in Run(small(), tmp_path / "copy").run()} == {"skipped"}


def test_a_change_runs_again_what_depends_on_it_and_nothing_else(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    other = Run(small("evaluate.examples=1"), folder)
    assert dict(other.run()) == {"mix": "skipped", "train": "skipped", "enhance": "skipped", "evaluate": "done"}
    other = Run(small("train.settings.n_speech=6"), folder)
    assert dict(other.run()) == {"mix": "skipped", "train": "done", "enhance": "done", "evaluate": "done"}


@pytest.mark.parametrize("stage", ["mix", "train", "enhance", "evaluate"])
def test_a_run_that_was_cut_off_ends_with_the_same_scores(finished, tmp_path, stage):
    class Cut(Exception):
        pass

    def cut(at, done, of, facts):
        if at == stage:
            raise Cut

    with pytest.raises(Cut):
        list(Run(small(), tmp_path / "run").run(progress=cut))
    note = json.loads((tmp_path / "run/stages.json").read_text())["stages"][stage]
    assert note["status"] == "begun"
    (tmp_path / "run" / stage / ".x.wav.123.part").touch()
    assert dict(Run(small(), tmp_path / "run").run())[stage] == "done"
    assert scores(tmp_path / "run") == scores(finished)
    assert not list((tmp_path / "run").rglob("*.part"))


def test_a_folder_is_of_one_process_at_a_time(tmp_path):
    code = "from pathlib import Path; from undin.experiment.lock import locked; import time\n"
    code += f"with locked(Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(InputError, match="is in use by another undin: wait for it, or use another folder"):
            list(Run(small(), tmp_path).run(["mix"]))
        other.kill()
    assert list(Run(small(), tmp_path).run(["mix"])) == [("mix", "done")]


def test_where_the_file_system_knows_no_locks_nothing_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", Mock(side_effect=OSError(errno.ENOTSUP, "Operation not supported")))
    assert list(Run(small(), tmp_path).run(["mix"])) == [("mix", "done")]


def test_only_one_stage(finished, tmp_path):
    with pytest.raises(InputError, match="stage evaluate needs mix and train"):
        list(Run(small(), tmp_path / "run").run(["evaluate"]))
    assert list(Run(small(), tmp_path / "run").run(["mix"])) == [("mix", "done")]
    with pytest.raises(InputError, match="did you mean evaluate"):
        list(Run(small(), tmp_path / "run").run(["evalute"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("mix.snr=3", "unknown setting 'snr' in .mix.: did you mean snr_db"),
        ("mxi.n=3", "did you mean mix"),
        ("mix.n", "section.name=value"),
        ("mix.n=-1", "n must be a whole number, 0 or more; got -1"),
        ("experiment.seed=0.5", "experiment.seed must be a whole number, 0 or more; got 0.5"),
        ("enhance.audio=all", "enhance.audio must be a whole number, 0 or more; got 'all'"),
        ("evaluate.metrics=3", "evaluate.metrics must be a list, each a text; got 3"),
        ("mix.snr_db=loud", "snr_db"),
        ("train.settings.n_speach=3", "did you mean n_speech"),
        ("train.variants=['nmf-x']", "train.variants must be of"),
        ("train.speech_s=0", "train.speech_s must be a finite number, above 0; got 0"),
        ("train.method=gan", "unknown trainable method 'gan': known: nmf, dnn"),
    ],
)
def test_bad_settings_are_named_before_anything_is_done(change, message):
    with pytest.raises(InputError, match=message):
        small(change)


def test_a_preset_changes_what_the_one_it_extends_left(tmp_path):
    path, first = tmp_path / "r.toml", '[mix]\nn = 2\n[presets.first]\n"mix.n" = 3\n"mix.split" = "dev"\n'
    path.write_text(f'{first}[presets.then]\nextends = "first"\n"mix.n" = 4\n')
    mix = read_recipe(str(path), preset="then").mix
    assert (mix.n, mix.split) == (4, "dev")
    path.write_text(f'{first}extends = "first"\n')
    with pytest.raises(InputError, match="preset first extends itself"):
        read_recipe(str(path), preset="first")
    path.write_text(f'{first}extends = "frist"\n')
    with pytest.raises(InputError, match="did you mean first"):
        read_recipe(str(path), preset="first")


def test_bad_recipes_are_named(tmp_path):
    with pytest.raises(InputError, match="did you mean nmf-kwon2016"):
        read_recipe("nmf-kwon")
    broken = tmp_path / "x.toml"
    broken.write_text("[mix\n")
    with pytest.raises(InputError, match="is not valid TOML"):
        read_recipe(str(broken))
    broken.write_text("mix = 3\n")
    with pytest.raises(InputError, match="must be a section"):
        read_recipe(str(broken))


@pytest.mark.parametrize(
    ("changes", "package", "stages"),
    [
        (["enhance.pictures=1"], "matplotlib", ["mix", "enhance"]),
        (['evaluate.metrics=["stoi"]'], "pystoi", ["mix", "evaluate"]),
    ],
)
def test_missing_packages_are_named_before_the_first_stage(finished, tmp_path, monkeypatch, changes, package, stages):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else Mock())
    with pytest.raises(MissingExtraError, match=f"{package} is required but not installed"):
        list(Run(small(*changes), tmp_path / "new").run())
    assert not (tmp_path / "new").exists()
    assert next(Run(small(*changes), tmp_path / "new").run(["mix"])) == ("mix", "done")  # which needs it not


def test_torch_is_asked_for_before_mixing(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else Mock())
    with pytest.raises(MissingExtraError, match=r"torch is required .* install \"undin\[train\]\""):
        list(Run(read_recipe("dnn-xu2015", preset="mini"), tmp_path / "new").run())
    assert not (tmp_path / "new").exists()
