"""Several runs on one output folder: each file is done once; what a crashed run held is free."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from undin import claims
from undin.atomic import this_machine
from undin.claims import claim
from undin.jobs import NOTES, FileSettings, bulk, plan, run
from undin.methods import LogMMSE, load
from undin.store import Folder, Store

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


UNREADABLE = [b"", b'{"token": "t", "unt', b"{}", b"[]", b'{"token": "t", "until": null}', b"\xff"]


@pytest.fixture(params=["local", "file", "memory"])
def place(request, here):
    if request.param == "local":
        return Folder("out")
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    return Store(f"file://{here}/out" if request.param == "file" else f"memory://{here.name}/out")


@pytest.mark.parametrize("data", UNREADABLE)
def test_a_claim_that_cannot_be_parsed_is_held_until_it_is_old(place, data, monkeypatch):
    Path("out").mkdir()
    place.write("x.1.claim", data)
    with claim(place, "x") as is_ours:
        assert not is_ours
    place.write("x.1.claim", data)
    monkeypatch.setattr(claims, "LEASE_S", 0.3)
    monkeypatch.setattr(claims, "POLL_S", 0.05)
    with claim(place, "x", time.time() + 60) as is_ours:
        assert is_ours
    assert not place.names()


def test_files_of_the_user_with_the_names_of_claims_are_left(inputs):
    Path("out").mkdir()
    theirs = {f"{name}{i}.1.claim": data for i, data in enumerate(UNREADABLE) for name in ("x", ".undin-")}
    for name, data in theirs.items():
        Path("out", name).write_bytes(data)
    assert {result.status for result in run(plan(["in"], "out/"), make)} == {"done"}
    assert {path.name: path.read_bytes() for path in Path("out").glob("*.claim")} == theirs


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_to_nowhere_in_the_place_of_a_claim_is_named(here, monkeypatch):
    monkeypatch.setattr(claims, "POLL_S", 0.01)
    Path("out").mkdir()
    Path("out/x.1.claim").symlink_to("nowhere")
    with (
        pytest.raises(OSError, match=r"exists but cannot be read: remove it: 'out/x\.1\.claim'"),
        claim(Folder("out"), "x"),
    ):
        pass


def test_three_after_a_crash_never_hold_one_claim_together(here, monkeypatch):
    """A, after the crashed one, ends while B is about to follow the crashed one too; then C begins."""
    out, is_created, held = Folder("out"), claims._is_created, ExitStack()
    void = json.dumps({"token": "z", "until": 0}).encode()
    out.create("x.1.claim", void)

    def slow(place, name, token):
        if name == "x.2.claim":
            monkeypatch.setattr(claims, "_is_created", is_created)
            with claim(out, "x") as is_ours:  # A
                assert is_ours
            assert held.enter_context(claim(out, "x"))  # C
        return is_created(place, name, token)

    monkeypatch.setattr(claims, "_is_created", slow)
    monkeypatch.setattr(claims, "POLL_S", 0.01)
    with held, claim(out, "x") as is_ours:  # B
        assert not is_ours
    assert not list(Path("out").iterdir())


def test_a_file_system_without_links_has_claims_too(tmp_path, monkeypatch):
    def none(*_):
        raise OSError("no links")

    monkeypatch.setattr(os, "link", none)
    folder = Folder(tmp_path)
    assert folder.create("a/x", b"1") and not folder.create("a/x", b"2")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", none)  # as of a full disk
        with pytest.raises(OSError, match="no links"):
            folder.create("a/y", b"1")
    assert folder.read("a/x") == b"1" and [entry.name for entry in folder.files()] == ["a/x"]
