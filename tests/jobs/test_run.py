import json
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from undin import atomic
from undin.audio import info
from undin.errors import InputError
from undin.jobs import NOTES, FileSettings, plan, run
from undin.methods import LogMMSE, SpectralGate, load

make = partial(load, "log-mmse")


class Cursed(SpectralGate):
    """Ends its process at the first loud sample."""

    def step(self, X, state):
        if np.abs(X).max() > 5:
            os._exit(7)
        return super().step(X, state)


class Slow(LogMMSE):
    def step(self, X, state):
        time.sleep(0.1)
        return super().step(X, state)


class Buggy(LogMMSE):
    def step(self, X, state):
        raise ZeroDivisionError("a bug")


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir() if path.name != NOTES)


def by_source(results):
    return sorted(results, key=lambda result: result.task.source)


def statuses(results):
    return [result.status for result in results]


def test_output_of_another_method_is_kept(make_wav, here):
    tasks = plan([make_wav("in/a.wav")], "out/")
    assert statuses(run(tasks, make)) == ["done"]
    before = Path("out/a.wav").read_bytes()
    (result,) = run(tasks, partial(load, "spectral-gate"))
    assert result.status == "failed" and result.kind == "input"
    assert "out/a.wav already exists and was made by log-mmse; use --overwrite or another -o" in result.error
    assert Path("out/a.wav").read_bytes() == before
    assert statuses(run(tasks, partial(load, "log-mmse", gain_floor_db=-9))) == ["done"]
    assert statuses(run(tasks, partial(load, "spectral-gate"), overwrite=True)) == ["done"]


def test_finished_tasks_are_skipped(make_wav, here):
    tasks = plan([make_wav("in/a.wav"), make_wav("in/b.wav", seed=1)], "out", residual=True)
    assert statuses(run(tasks, make)) == ["done", "done"]
    first = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.wav")}
    assert len(first) == 4
    assert statuses(run(tasks, make)) == ["skipped", "skipped"]
    assert {path: path.stat().st_mtime_ns for path in Path("out").glob("*.wav")} == first
    assert statuses(run(tasks, make, overwrite=True)) == ["done", "done"]


def test_other_settings_are_processed_again(make_wav, here):
    tasks = plan([make_wav()])
    for settings in (FileSettings(), FileSettings(limit_db=6)):
        assert statuses(run(tasks, make, settings)) == ["done"]
    assert statuses(run(tasks, partial(load, "spectral-gate"), FileSettings(limit_db=6), overwrite=True)) == ["done"]
    notes = [json.loads(line) for line in Path(NOTES).read_text().splitlines() if line]
    assert [note["method"] for note in notes] == ["log-mmse", "log-mmse", "spectral-gate"]


def test_a_missing_part_is_made_again(make_wav, here):
    tasks = plan([make_wav()], residual=True)
    list(run(tasks, make))
    Path("a.residual.wav").unlink()
    assert statuses(run(tasks, make)) == ["done"]
    assert Path("a.residual.wav").exists()


def test_files_of_other_programs_are_kept(make_wav, here):
    tasks = plan([make_wav()])
    Path("a.enhanced.wav").write_text("mine")
    (result,) = run(tasks, make)
    assert (result.status, result.kind) == ("failed", "input")
    message = "already exists and was not written by undin; use --overwrite or another -o"
    assert result.error == f"{tasks[0].targets[0]} {message}"
    assert Path("a.enhanced.wav").read_text() == "mine"
    assert statuses(run(tasks, make, overwrite=True)) == ["done"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_file_among_good_ones_is_named(make_wav, here, workers):
    make_wav("in/a.wav")
    make_wav("in/c.wav")
    Path("in/b.wav").write_text("this is not audio")
    reports = []
    results = by_source(run(plan(["in"], "out"), make, workers=workers, progress=reports.append))
    assert statuses(results) == ["done", "failed", "done"]
    assert "in/b.wav" in results[1].error and results[1].kind == "input"
    assert sum(reports) == pytest.approx(1.0)
    assert names("out") == ["a.wav", "c.wav"]


def test_workers_give_the_results_of_one_process(make_wav, here):
    sources = [make_wav(f"in/{i}.wav", seed=i) for i in range(3)]
    list(run(plan(sources, "one"), make))
    assert statuses(run(plan(sources, "two"), make, workers=2)) == ["done"] * 3
    for i in range(3):
        assert Path(f"one/{i}.wav").read_bytes() == Path(f"two/{i}.wav").read_bytes()
    assert statuses(run(plan(sources, "two"), make, workers=2)) == ["skipped"] * 3


def test_a_worker_that_dies_fails_its_file_alone(make_wav, here):
    for i in range(4):
        make_wav(f"in/{i}.wav", peak=1 if i == 1 else 0.01)

    results = by_source(run(plan(["in"], "out"), Cursed, workers=2))
    assert statuses(results) == ["done", "failed", "done", "done"]
    assert "in/1.wav: its process ended with 7" in results[1].error
    assert names("out") == ["0.wav", "2.wav", "3.wav"]


def test_a_bug_is_a_failed_file(make_wav, here):
    (result,) = run(plan([make_wav()]), Buggy)
    assert (result.status, result.kind) == ("failed", "bug")
    assert result.error.endswith("a.wav: ZeroDivisionError: a bug")
    assert "in step" in result.details
    assert names(".") == ["a.wav"]


def test_an_input_that_went_away_is_a_failed_file(make_wav, here):
    tasks = plan([make_wav()])
    Path("a.wav").unlink()
    (result,) = run(tasks, make)
    assert (result.status, result.kind) == ("failed", "input")
    assert "a.wav: No such file" in result.error


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interruption_leaves_nothing_half_written(make_wav, here, workers):
    make_wav("in/a.wav", seconds=200)
    make_wav("in/b.wav", seconds=200)

    def started():
        return [path for path in Path().glob("out/.*.part") if path.stat().st_size]

    def interrupt():
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and len(started()) < workers:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(run(plan(["in"], "out"), Slow, workers=workers))
    thread.join()
    assert names("out") == []


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_run_that_ends_right_after_a_file_has_its_name_is_rerun(make_wav, here, monkeypatch, n):
    source = make_wav("in/both.wav", seconds=3)
    settings = FileSettings(talkers="auto")
    tasks = plan([source], "out/", n_src=2, rttm=True)
    finish, named = atomic.give_name, []

    def last(part, path):
        finish(part, path)
        named.append(path)
        if len(named) == n:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("undin.audio.part.give_name", last)
        patch.setattr(atomic, "give_name", last)
        with pytest.raises(KeyboardInterrupt):
            list(run(tasks, partial(load, "blstm-mask"), settings))
    assert len(named) == n
    assert statuses(run(tasks, partial(load, "blstm-mask"), settings)) == ["skipped" if n == 3 else "done"]


def test_workers_must_be_one_or_more(make_wav):
    with pytest.raises(InputError, match="workers must be at least 1; got 0"):
        list(run(plan([make_wav()]), make, workers=0))


def test_one_library_thread_per_worker(make_wav, here, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    sources = [make_wav(f"{i}.wav") for i in range(2)]
    results = list(run(plan(sources), Threads, workers=2))
    assert [result.error.split(": ")[-1] for result in results] == ["1 1", "1 1"]
    assert os.environ["OMP_NUM_THREADS"] == "2" and "MKL_NUM_THREADS" not in os.environ


class Threads(LogMMSE):
    def step(self, X, state):
        raise InputError(f"threads: {os.environ['OMP_NUM_THREADS']} {os.environ['MKL_NUM_THREADS']}")


def test_a_chain_of_folders(make_wav, here):
    make_wav("in/a.wav")
    assert statuses(run(plan(["in"], "s1"), make)) == ["done"]
    assert statuses(run(plan(["s1"], "s2"), make)) == ["done"]


def test_a_missing_file_among_good_ones_is_named(make_wav, here):
    results = list(run(plan(["nope.wav", make_wav()], "out/"), make))
    assert statuses(results) == ["failed", "done"]
    assert results[0].kind == "input" and results[0].error.startswith("nope.wav: no such file")


@pytest.mark.filterwarnings("always")
def test_an_output_that_cannot_be_noted_stays(make_wav, here):
    Path(NOTES).mkdir()
    with pytest.warns(
        UserWarning, match=r"a.enhanced.wav was written, but could not be noted in .*\.undin.jsonl \(Is a directory\)"
    ):
        assert statuses(run(plan([make_wav()]), make)) == ["done"]
    assert Path("a.enhanced.wav").exists()


@pytest.mark.filterwarnings("always")
def test_warnings_of_workers_are_warnings_here(make_wav, here, capfd):
    make_wav("in/a.wav", subtype="IMA_ADPCM")
    make_wav("in/b.wav")
    with pytest.warns(UserWarning, match="IMA_ADPCM stores complete blocks"):
        assert statuses(run(plan(["in"], "out"), make, workers=2)) == ["done", "done"]
    assert capfd.readouterr().err == ""


def test_a_file_without_extension_keeps_its_format(make_wav, here):
    for name, suffix in (("bare", ".flac"), ("take.1", ".wav")):
        Path(make_wav(f"x{suffix}")).rename(name)
        assert statuses(run(plan([name]), make)) == ["done"]
    assert info("bare.enhanced").container == "FLAC"
    assert info("take.enhanced.1").container == "WAV"
