"""`undin run`, and a recipe given to mix, train and evaluate: one stage each."""

import json

import pytest

from undin.cli import main


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.delenv("UNDIN_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(
        "[mix]\nn = 2\nsplit = 'test'\n[train]\nspeech_s = 4\nnoise_s = 1\nvariants = ['nmf']\n"
        "settings = { n_speech = 4, n_noise = 4, fit_iter = 2, n_iter = 2 }\n"
        "[evaluate]\nmethods = []\nmetrics = ['si_sdr_db']\nexamples = 0\n"
    )
    return "mine.toml"


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def test_stages_one_by_one_and_then_the_rest(recipe, capsys, tmp_path):
    assert call("evaluate", recipe, "-o", "out") == 2
    assert "stage evaluate needs mix and train" in capsys.readouterr().err
    for command in ("mix", "train", "evaluate"):
        assert call(command, recipe, "-o", "out", "--json") == 0
        assert json.loads(capsys.readouterr().out)["stage"] == command
    assert call("run", recipe, "-o", "out", "--json") == 0
    stages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(s["stage"], s["status"]) for s in stages] == [
        ("mix", "skipped"),
        ("train", "skipped"),
        ("enhance", "done"),
        ("evaluate", "skipped"),
    ]
    assert (tmp_path / "out/evaluate/report.html").exists()


def test_recipes_are_listed(capsys):
    assert call("run") == 0
    assert "undin run nmf-kwon2016" in capsys.readouterr().out


def test_an_unknown_recipe_is_named(capsys):
    assert call("run", "nmf-kwom2016") == 2
    assert "did you mean nmf-kwon2016?" in capsys.readouterr().err
