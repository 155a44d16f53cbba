"""`undin run`, and a recipe given to mix, train and evaluate: one stage each."""

import html
import io
import json
import re
import shlex
import time
from types import SimpleNamespace

import pytest

from undin.cli import main, show
from undin.cli.run import StageLines
from undin.corpora import MINI
from undin.errors import InputError
from undin.experiment import Run, read_recipe
from undin.jobs import FileTask


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.delenv("UNDIN_DATA", raising=False)
    monkeypatch.setattr("undin.evaluation.report.page.can_draw", lambda: False)  # pictures take most of the time
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


def test_the_line_that_repeats_a_run_resolves_to_the_same_recipe(recipe, tmp_path, monkeypatch):
    """The line in the report and in summary.json is parsed as a shell and the command line would."""
    with (tmp_path / recipe).open("a") as file:
        file.write('[presets.smaller]\n"mix.n" = 1\n"train.settings.n_iter" = 1\n')
    given = [
        "--preset",
        "smaller",
        "--set",
        "mix.snr_db=[0.0, 5.0]",
        "--set",
        'evaluate.metrics=["si_sdr_db", "snr_db"]',
    ]
    assert call("run", recipe, *given, "--data", str(MINI), "-o", "out", "--quiet") == 0
    words = json.loads((tmp_path / "out/evaluate/summary.json").read_text())["run"]["command"]
    line = shlex.join(words)
    assert line in html.unescape((tmp_path / "out/evaluate/report.html").read_text())
    begun = []

    def begin(recipe, folder, *, data):
        begun.extend((recipe, data))
        raise InputError("enough is known")

    monkeypatch.setattr("undin.experiment.Run", begin)
    assert shlex.split(line)[0] == "undin" and call(*shlex.split(line)[1:]) == 2
    again, data = begun
    done = json.loads((tmp_path / "out/stages.json").read_text())
    assert json.loads(json.dumps(again.text())) == done["settings"] and again.mix.n == 1
    assert Run(again, tmp_path / "out", data=data).status("evaluate") == "finished"


def test_the_corpus_of_the_environment_is_part_of_the_line(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("UNDIN_DATA", str(MINI))
    assert Run(read_recipe(recipe), tmp_path / "out").command == ["undin", "run", recipe, "--data", str(MINI)]


def test_redirected_progress_is_a_line_a_minute(recipe, capsys, monkeypatch):
    assert show.LINE_EVERY_S == 60
    monkeypatch.setattr(show, "LINE_EVERY_S", 1000)
    assert call("run", recipe, "-o", "out") == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(show, "LINE_EVERY_S", 0)
    assert call("run", recipe, "-o", "out2") == 0
    out, err = capsys.readouterr()
    assert "mix: 2 of 2\n" in err and "evaluate: 2 of 2\n" in err and len(out.splitlines()) == 6
    assert call("run", recipe, "-o", "out3", "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_long_training_says_its_steps_at_once_and_then_the_time_left(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    lines = StageLines()
    for clock[0], done, facts in ((5, 1, "lull"), (30, 4, "lull"), (65, 7, "lull loss 0.5"), (70, 8, "lull loss 0.5")):
        lines("train", done, 40000, facts)
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith("train: 40,000 steps; an estimate of the time left follows")
    assert err[1:] == ["train: 7 of 40,000   about 5 days left   lull loss 0.5"]


def test_a_minute_passes_between_two_lines(capsys, monkeypatch):
    now = 0
    monkeypatch.setattr("undin.cli.show.time", SimpleNamespace(monotonic=lambda: now))
    with show.bar("mix") as move:
        for now in range(40, 240, 40):
            move(now, None)
    assert capsys.readouterr().err == "mix: 80\nmix: 160\n"


def test_so_is_that_of_mix_evaluate_pack_and_enhance(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(show, "LINE_EVERY_S", 0)
    monkeypatch.setattr("undin.evaluation.report.page.can_draw", lambda: False)  # pictures take most of the time
    for args, line in (
        (("mix", "-o", "two", "--n", "2"), "mixtures: 2 of 2\n"),
        (("evaluate", "two", "-m", "log-mmse", "--metrics", "si_sdr_db", "--examples", "0"), "scoring: 2 of 2\n"),
        (("pack", "two/clean", "-o", "two.pack"), " s of audio\n"),
        (("enhance", "two/noisy", "-m", "log-mmse", "-o", "out"), " s of audio\n"),
    ):
        assert call(*args) == 0
        assert line in capsys.readouterr().err
        assert call(*args, "--quiet") == 0
        assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_of_a_folder_never_exceeds_its_total(monkeypatch):
    monkeypatch.setattr("undin.cli.show.duration", lambda task: 1.0)
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with show.progress_bar([FileTask(name, (name,)) for name in "ab"], wanted=True) as advance:
        for _ in range(5):
            advance(1.0)
            time.sleep(0.15)  # the bar is drawn ten times a second
    shown = [tuple(map(int, pair)) for pair in re.findall(r"(\d+) of (\d+) s of audio", terminal.getvalue())]
    assert shown and all(done <= total for done, total in shown) and shown[-1] == (5, 5)
