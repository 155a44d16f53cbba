"""`python -m benchmarks` lists every module, and names skipped and failed ones."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))
from benchmarks import launch

ROOT = Path(__file__).parents[2]


def benchmarks(*words, **environment):
    command = [sys.executable, "-m", *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **environment}
    )


def test_every_module_is_listed_with_one_line():
    done = benchmarks("benchmarks", "--list")
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    files = {
        f"{path.parent.name}.{path.stem}"
        for name in launch.FOLDERS
        for path in (ROOT / "benchmarks" / name).glob("*.py")
    }
    assert {name for name, _ in lines} == {name for name in files if "__" not in name}
    assert all(len(summary) > 10 for _, summary in lines)
    speed = benchmarks("benchmarks.speed", "--list").stdout.splitlines()
    assert speed and all(line.startswith("speed.") for line in speed)


def test_names_choose_a_folder_a_module_or_a_name_that_both_have():
    every = list(launch.found())
    assert launch.chosen([]) == every and launch.chosen(["speed", "quality"]) == every
    assert launch.chosen(["speed.nmf"]) == ["speed.nmf"] and launch.chosen(["nmf"]) == ["speed.nmf", "quality.nmf"]
    assert launch.chosen(["nmf"], "quality") == ["quality.nmf"]
    with pytest.raises(SystemExit, match="unknown benchmark 'nmff'; python -m benchmarks --list"):
        launch.chosen(["nmff"])


def test_what_lacks_its_data_is_skipped_and_what_fails_is_named(monkeypatch, capsys):
    done = benchmarks("benchmarks", "quality.classical", "quality.talkers_trap")
    assert (
        done.returncode == 0
        and "0 of 2 benchmarks run; skipped: quality.classical, quality.talkers_trap" in done.stdout
    )
    assert "set UNDIN_DATA" in done.stderr and "give RUN" in done.stderr
    ends = {"speed.nmf": 0, "quality.nmf": 1, "quality.dnn": launch.SKIPPED}
    monkeypatch.setattr(launch, "_run", lambda name, _: ends[name])
    monkeypatch.setattr(sys, "argv", ["benchmarks", *ends])
    with pytest.raises(SystemExit) as ended:
        launch.main()
    assert ended.value.code == 1
    assert "1 of 3 benchmarks run; skipped: quality.dnn; failed: quality.nmf" in capsys.readouterr().out


def test_tables_are_printed_from_results_without_measuring(monkeypatch):
    done = benchmarks("benchmarks", "lull_ablation", "lull_curve", "--table")
    assert done.returncode == 0 and "| stage | idea |" in done.stdout and "1 of 1 benchmarks run" in done.stdout
