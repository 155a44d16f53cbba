"""Several runs on one output folder: each file is done once; what a crashed run held is free."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from undin import claims
from undin.atomic import this_machine
from undin.claims import claim
from undin.jobs import NOTES, FileSettings, bulk, plan, run
from undin.methods import LogMMSE, load
from undin.store import Folder

make = partial(load, "log-mmse")
N = 8


class Slow(LogMMSE):
    def step(self, X, state):
        time.sleep(0.05)
        return super().step(X, state)


@pytest.fixture
def inputs(make_wav, here):
    for i in range(N):
        make_wav(f"in/{i}.wav", seed=i, seconds=0.5)


def at_once(*runs):
    """The statuses of runs that begin together."""
    found = [[] for _ in runs]
    threads = [
        threading.Thread(target=lambda mine=mine, each=each: mine.extend(each))
        for mine, each in zip(found, runs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [Counter(result.status for result in mine) for mine in found]


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_runs_at_once_do_each_file_once(inputs, overwrite):
    def one():
        return run(plan(["in"], "out/"), Slow, overwrite=overwrite)

    first, second = at_once(one(), one())
    assert first + second == {"done": N, "skipped": N}
    notes = [json.loads(line) for line in Path("out", NOTES).read_text().splitlines() if line]
    assert sorted(note["output"] for note in notes) == [f"{i}.wav" for i in range(N)]
    assert sorted(path.name for path in Path("out").iterdir()) == sorted([NOTES, *(f"{i}.wav" for i in range(N))])


def test_two_runs_with_other_settings_do_not_write_one_file_at_once(inputs, monkeypatch):
    at_work, most, perform = Counter(), [], bulk.perform

    def watched(task, *rest):
        at_work[task.targets] += 1
        most.append(at_work[task.targets])
        try:
            return perform(task, *rest)
        finally:
            at_work[task.targets] -= 1

    monkeypatch.setattr(bulk, "perform", watched)
    changes = (FileSettings(), FileSettings(limit_db=6))
    at_once(*(run(plan(["in"], "out/"), Slow, settings) for settings in changes))
    assert set(most) == {1} and len(most) > N


CRASHES = """
import os, sys
from undin.claims import claim
from undin.store import Folder
with claim(Folder("out"), ".undin-x"):
    os._exit(1)
"""


def test_the_claim_of_a_process_that_has_died_is_free_at_once(here):
    subprocess.run([sys.executable, "-c", CRASHES], check=False)
    assert [path.name for path in Path("out").iterdir()] == [".undin-x.1.claim"]
    with claim(Folder("out"), ".undin-x") as is_ours:
        assert is_ours and Path("out/.undin-x.2.claim").exists()
    assert not list(Path("out").iterdir())


def test_the_claim_of_another_machine_is_waited_for(here):
    held = {"token": "t", "until": time.time() + 3, "machine": "elsewhere", "process": 1}
    assert Folder("out").create("x.1.claim", json.dumps(held).encode())
    with claim(Folder("out"), "x") as is_ours:
        assert not is_ours
    with claim(Folder("out"), "x", time.time() + 60) as is_ours:
        assert is_ours
    assert not list(Path("out").iterdir())


def test_a_file_that_another_run_keeps_is_left_to_it(inputs, monkeypatch):
    monkeypatch.setattr(claims, "LEASE_S", 0.5)
    monkeypatch.setattr(claims, "_is_void", lambda held: False)  # on a busy machine it is not renewed in time
    (job,) = [bulk._job(task, {}, FileSettings(), bulk.Notebook(), True) for task in plan(["in/0.wav"], "out/")]
    with bulk._claimed(job, 0.0) as is_ours:
        assert is_ours
        held = json.loads(next(Path("out").glob(".undin-*.1.claim")).read_bytes())
        assert (held["machine"], held["process"]) == (this_machine(), os.getpid())
        found = {result.task.source: result for result in run(plan(["in"], "out/"), make)}
    assert found["in/0.wav"].status == "skipped" and found["in/0.wav"].error == bulk.BUSY
    assert Counter(result.status for result in found.values()) == {"done": N - 1, "skipped": 1}


def test_a_file_system_without_links_has_claims_too(tmp_path, monkeypatch):
    def none(*_):
        raise OSError("no links")

    monkeypatch.setattr(os, "link", none)
    folder = Folder(tmp_path)
    assert folder.create("a/x", b"1") and not folder.create("a/x", b"2")
    assert folder.read("a/x") == b"1" and [entry.name for entry in folder.files()] == ["a/x"]
