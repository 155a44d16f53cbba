"""What may go wrong between names, runs and outputs in a store; in memory."""

import json
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from undin import audio, claims
from undin.errors import InputError
from undin.jobs import plan_urls, run_urls, urls
from undin.methods import load
from undin.store import Store
from undin.workers import Intake

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
make = partial(load, "spectral-gate")


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    """A store with in/a.wav and in/b/c.wav."""
    monkeypatch.chdir(tmp_path)
    store = Store(f"memory://{tmp_path.name}/")
    audio.write(Path("x.wav"), np.random.default_rng(0).uniform(-0.3, 0.3, 8000), 16000)
    for name in ("in/a.wav", "in/b/c.wav"):
        store.put(name, Path("x.wav"))
    return store


def results(*inputs, out, **changes):
    found = list(run_urls(plan_urls(inputs, out), make, **changes))
    return [result.status for result in found], " ".join(result.error or "" for result in found)


@pytest.mark.parametrize("spelled", ["memory://{}/in/", "memory://{}/in", "memory:///{}/in/"])
def test_an_output_never_replaces_its_input(sounds, tmp_path, spelled):
    before = sounds.read("in/a.wav")
    with pytest.raises(InputError, match=r"a\.wav is an input and would be replaced by its output; use another -o"):
        results(sounds.at("in/"), out=spelled.format(tmp_path.name), overwrite=True)
    with pytest.raises(InputError, match="is an input and would be replaced"):
        results("x.wav", out=f"file://{Path.cwd()}/", overwrite=True)
    assert sounds.read("in/a.wav") == before


@pytest.mark.parametrize("folder", ["in/", "in"])
def test_a_folder_does_not_go_to_one_file(sounds, folder):
    with pytest.raises(InputError, match="for a folder, -o must be a folder too: end it in /"):
        results(sounds.at(folder), out=sounds.at("out/x.wav"))
    assert sounds.find("out/x.wav") is None


def test_outputs_of_a_folder_inside_the_input_are_no_inputs(sounds):
    assert results(sounds.at("in/"), out=sounds.at("in/out/"))[0] == ["done"] * 2
    assert results(sounds.at("in/"), out=sounds.at("in/out/"))[0] == ["skipped"] * 2
    assert results(sounds.at("in/out/b/"), out=sounds.at("in/out/more/"))[0] == ["done"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_of_two_inputs_of_one_name_one_is_done_and_the_other_named(sounds, overwrite):
    sounds.put("other/a.wav", Path("x.wav"))
    inputs = sounds.at("in/a.wav"), sounds.at("other/")
    statuses, error = results(*inputs, out=sounds.at("out/"), overwrite=overwrite)
    assert statuses == ["done", "failed"]
    assert "in/a.wav and memory://" in error and "would both write" in error and "out/.undin/a.wav.json" in error


def test_a_name_from_the_root_stays_below_the_output(sounds, tmp_path):
    victim = tmp_path / "victim.wav"
    victim.write_bytes(b"of the user")
    store = Store(f"file://{tmp_path}/")
    names = [f"/{victim}", "../../up.wav", "a.wav"]
    entries = [urls.Entry(name, Path("x.wav").stat().st_size, "1") for name in names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "files", lambda self: iter(entries))
        jobs = list(plan_urls([store.url], sounds.at("out/")))
    assert [job.task.targets for job in jobs] == [(str(victim)[1:],), ("a.wav",)]
    assert victim.read_bytes() == b"of the user"


def test_what_a_dead_worker_began_is_done_again_with_any_settings(sounds, monkeypatch):
    put = Store.put

    def dies(self, name, file):
        put(self, name, file)
        raise KeyboardInterrupt  # no Exception, which would be a result

    monkeypatch.setattr(Store, "put", dies)
    with pytest.raises(KeyboardInterrupt):
        results(sounds.at("in/a.wav"), out=sounds.at("out/"))
    monkeypatch.setattr(Store, "put", put)
    assert sounds.find("out/a.wav") and json.loads(sounds.read("out/.undin/a.wav.json"))["key"] is None
    again = list(run_urls(plan_urls([sounds.at("in/a.wav")], sounds.at("out/")), partial(load, "log-mmse")))
    assert [result.status for result in again] == ["done"]
    assert json.loads(sounds.read("out/.undin/a.wav.json"))["key"]


def test_a_folder_that_cannot_be_listed_is_named(sounds, monkeypatch):
    ls = type(sounds._fs).ls

    def refuse(self, path, **options):
        if path.endswith("in/b"):
            raise PermissionError(13, "Permission denied")
        return ls(self, path, **options)

    monkeypatch.setattr(type(sounds._fs), "ls", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: 'memory://.*in/b'"):
        results(sounds.at("in/"), out=sounds.at("out/"))


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:abc/secret@bucket/",
        "s3://secret@b/",
        "az://b/a.wav?sv=1&SIG=secret",
        "s3://b/?X-Amz-Signature=secret",
    ],
)
def test_a_url_with_a_secret_is_refused(url):
    with pytest.raises(InputError, match="must not contain a password or signature") as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_a_name_with_an_at_sign_is_no_secret():
    assert Store("memory://b/me@home/what?.wav").url


def test_a_renewal_that_fails_is_tried_again(monkeypatch):
    monkeypatch.setattr(claims, "LEASE_S", 0.03)
    store, ended, asked = Store("memory://claims/"), threading.Event(), []

    def write(name, data):
        asked.append(name)
        if len(asked) == 1:
            raise OSError("503")
        ended.set()

    monkeypatch.setattr(store, "write", write)
    thread = threading.Thread(target=claims._renew, args=(store, "a.1.claim", "t", ended), daemon=True)
    thread.start()
    thread.join(5)
    assert len(asked) == 2


def test_a_claim_that_another_took_over_is_left(sounds, monkeypatch):
    monkeypatch.setattr(claims, "LEASE_S", 0.0)  # one's own is void at once
    monkeypatch.setattr(claims, "_renew", lambda *_: None)
    (job,) = plan_urls([sounds.at("in/a.wav")], sounds.at("out/"))
    name, theirs = ".undin/a.wav.1.claim", json.dumps({"token": "theirs", "until": time.time() + 99}).encode()
    with claims.claim(job.out, ".undin/a.wav") as is_ours:
        assert is_ours
        job.out.write(name, theirs)
    assert job.out.read(name) == theirs
    job.out.write(name, json.dumps({"token": "theirs", "until": 0.0}).encode())
    with claims.claim(job.out, ".undin/a.wav") as is_ours:
        assert is_ours and job.out.find(".undin/a.wav.2.claim")
    assert [entry.name for entry in job.out.files()] == []


def test_what_others_hold_is_told_after_the_gate_has_closed(sounds):
    out = Store(sounds.at("out/"))
    assert out.create(".undin/a.wav.1.claim", json.dumps({"token": "t", "until": time.time() + 99}).encode())
    intake = Intake()

    def jobs():
        yield from plan_urls([sounds.at("in/a.wav")], out.url)
        intake.is_open = False

    assert not list(run_urls(jobs(), make, intake=intake))
    assert intake.has_left


def test_an_output_that_is_a_bucket_with_a_dot_is_a_folder(sounds):
    (job,) = plan_urls([sounds.at("in/a.wav")], "memory://my.bucket")
    assert job.shown.targets == ("memory://my.bucket/a.wav",)


@pytest.mark.parametrize("out", ["out/", "out"])
def test_a_bucket_goes_to_a_folder_of_this_machine(sounds, out):
    assert results(sounds.at("in/"), out=out)[0] == ["done"] * 2
    assert results(sounds.at("in/"), out=out)[0] == ["skipped"] * 2
    files = sorted(path.as_posix() for path in Path("out").rglob("*") if path.is_file())
    assert files == ["out/.undin/a.wav.json", "out/.undin/b/c.wav.json", "out/a.wav", "out/b/c.wav"]
    Path("out/a.wav").write_bytes(b"of the user")
    statuses, error = results(sounds.at("in/a.wav"), out=out)
    assert statuses == ["failed"] and "out/a.wav already exists and was not written by undin" in error
    assert results(sounds.at("in/a.wav"), out="one/voice.flac")[0] == ["done"]
    assert audio.info("one/voice.flac").sr == 16000
    assert results(sounds.at("in/b/c.wav"), out="c.flac")[0] == ["done"] and Path("c.flac").exists()
    with pytest.raises(InputError, match="inputs at URLs need -o"):
        results(sounds.at("in/"), out=None)


def test_a_folder_takes_the_longest_names_that_their_notes_leave(sounds):
    name = f"{'n' * 246}.wav"
    sounds.put(f"long/{name}", Path("x.wav"))
    assert results(sounds.at("long/"), out="out/") == (["done"], "")
    assert results(sounds.at("long/"), out="out/") == (["skipped"], "")
    files = sorted(path.as_posix() for path in Path("out").rglob("*") if path.is_file())
    assert files == [f"out/.undin/{name}.json", f"out/{name}"]


@pytest.mark.parametrize(("name", "out"), [("-", "memory://b/x.wav"), ("memory://b/x.wav", "-")])
def test_pipes_do_not_go_with_urls(name, out):
    with pytest.raises(InputError, match="a pipe cannot be combined with a URL"):
        results(name, out=out)


def test_inputs_that_are_not_there_are_told_before_the_first_job(sounds):
    for wrong in (sounds.at("in/none.wav"), "none.wav"):
        with pytest.raises(InputError, match=r"none\.wav"):
            next(plan_urls([sounds.at("in/a.wav"), wrong], sounds.at("out/")))


def test_missing_folders_of_a_file_url_are_made(sounds, tmp_path):
    out = tmp_path / "new" / "deep"
    assert results("x.wav", out=f"file://{out}/") == (["done"], "")
    assert audio.read(out / "x.wav")[0].size == 8000
    assert not Store(f"file://{tmp_path}/other/").names() and not (tmp_path / "other").exists()  # a look makes none
