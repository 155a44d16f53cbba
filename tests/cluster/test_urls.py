"""Inputs and outputs in a bucket of S3, served by moto over real sockets, which may fail, cut off or be slow."""

import gc
import hashlib
import json
import os
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from undin import audio, claims
from undin.errors import InputError
from undin.jobs import FileSettings, plan, plan_urls, run, run_urls, urls
from undin.methods import LogMMSE, load
from undin.store import Store

pytest.importorskip("moto.server", reason="moto[server] is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
make = partial(load, "spectral-gate")
N = 5


@pytest.fixture
def bucket(server, tmp_path, monkeypatch):
    """A bucket with recordings below in/, which also lie in the folder in/ with what undin makes of them in serial/."""
    import s3fs

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("undin.store.FIRST_WAIT_S", 0.01)
    Path("in/deep").mkdir(parents=True)
    for i in range(N):
        x = np.random.default_rng(i).uniform(-0.3, 0.3, 8000).astype(np.float32)
        audio.write(Path("in", "deep" if i % 2 else "", f"{i}.wav"), x, 16000)
    Path("in/readme.txt").write_text("not sound")
    list(run(plan(["in"], "serial/"), make))
    url = f"s3://b{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]}"
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(url)
    for path in Path("in").rglob("*.*"):
        Store(url).put(path.as_posix(), path)
    server.plan.clear()
    server.seen.clear()
    server.puts.clear()
    return url


def statuses(results):
    return Counter(result.status for result in results)


def check_outputs(url, folder="out"):
    """All outputs are there, to the bit those of one process on the disk; of claims nothing is left."""
    store = Store(f"{url}/{folder}/")
    found = {entry.name for entry in store.files()}
    wanted = {path.relative_to("serial").as_posix() for path in Path("serial").rglob("*.wav")}
    assert found == wanted | {f".undin/{name}.json" for name in wanted} and len(wanted) == N
    for name in wanted:
        assert store.read(name) == Path("serial", name).read_bytes()


def test_from_bucket_to_bucket_and_a_rerun_does_nothing(bucket, server):
    def again(**changes):
        return statuses(run_urls(plan_urls([f"{bucket}/in/"], f"{bucket}/out/"), make, **changes))

    results = list(run_urls(plan_urls([f"{bucket}/in/"], f"{bucket}/out/"), make))
    assert statuses(results) == {"done": N}
    assert {result.report.source for result in results} >= {f"{bucket}/in/0.wav", f"{bucket}/in/deep/1.wav"}
    asked = Counter(verb for verb, path in server.seen.elements() if "2.wav" in path)
    assert asked == {"HEAD": 1, "GET": 3, "PUT": 4, "DELETE": 1}
    check_outputs(bucket)
    server.puts.clear()
    server.seen.clear()
    assert again() == {"skipped": N} and not server.puts
    assert Counter(verb for verb, path in server.seen.elements() if "2.wav" in path) == {"GET": 1, "HEAD": 1}
    assert again(settings=FileSettings(limit_db=6)) == {"done": N}
    (*_, last) = run_urls(plan_urls([f"{bucket}/in/"], f"{bucket}/out/"), partial(load, "log-mmse"))
    assert last.status == "failed" and "already exists and was made by spectral-gate; use --overwrite" in last.error


def test_notes_and_messages_hold_no_credentials(bucket):
    store = Store(f"{bucket}/out/")
    results = list(run_urls(plan_urls([f"{bucket}/in/"], store.url), make))
    texts = [store.read(entry.name).decode() for entry in store.files() if entry.name.endswith(".json")]
    assert len(texts) == N and not any("of-the-test" in text for text in (*texts, *map(repr, results)))
    for url in ("ftp://me:secret@host/in/", "https://host/a.wav?X-Amz-Signature=secret"):
        with pytest.raises(InputError, match="must not contain a password or signature") as caught:
            Store(url)
        assert "secret" not in str(caught.value)


def test_from_the_disk_and_one_file_by_name(bucket):
    assert statuses(run_urls(plan_urls(["in"], f"{bucket}/there/"), make)) == {"done": N}
    check_outputs(bucket, "there")
    (result,) = run_urls(plan_urls([f"{bucket}/in/0.wav"], f"{bucket}/one/voice.flac"), make)
    assert result.status == "done" and result.task.targets == (f"{bucket}/one/voice.flac",)
    assert Store(f"{bucket}/one/").find("voice.flac")


def test_an_empty_file_is_read(bucket, tmp_path):
    store = Store(bucket)
    store.write("empty", b"")
    assert store.read("empty") == b"" and store.read("none") is None
    store.fetch("empty", tmp_path / "here", 0)
    assert (tmp_path / "here").read_bytes() == b""


def test_several_processes(bucket):
    jobs = plan_urls([f"{bucket}/in/"], f"{bucket}/out/")
    assert statuses(run_urls(jobs, make, workers=2)) == {"done": N}
    check_outputs(bucket)


@pytest.mark.parametrize("fault", ["500", "cut", "slow"])
def test_faults_are_outlasted_and_leave_nothing_half_written(bucket, server, fault):
    server.plan = {("GET", ".wav"): fault, ("PUT", "out/"): "500" if fault == "500" else "slow"}
    assert statuses(run_urls(plan_urls([f"{bucket}/in/"], f"{bucket}/out/"), make)) == {"done": N}
    server.plan.clear()
    check_outputs(bucket)


def test_a_file_that_cannot_be_written_is_named_and_the_others_are_done(bucket, server, monkeypatch):
    monkeypatch.setattr("undin.store.TRIES", 2)
    server.plan = {("PUT", "out/0.wav"): "always 500"}
    results = list(run_urls(plan_urls([f"{bucket}/in/"], f"{bucket}/out/"), make))
    assert statuses(results) == {"done": N - 1, "failed": 1}
    (failed,) = (result for result in results if result.status == "failed")
    assert failed.kind == "system" and f"{bucket}/out/0.wav: " in failed.error and "(2 times)" in failed.error
    server.plan.clear()
    assert statuses(run_urls(plan_urls([f"{bucket}/in/"], f"{bucket}/out/"), make)) == {"done": 1, "skipped": N - 1}
    check_outputs(bucket)


def test_a_request_is_not_repeated_for_ever(monkeypatch):
    store, calls = Store("memory://slow/"), []

    def cat(path, **_):
        calls.append(path)
        raise TimeoutError("no answer")

    monkeypatch.setattr(store._fs, "cat_file", cat)
    monkeypatch.setattr("undin.store.FIRST_WAIT_S", 0.01)
    for longest_s, n in ((300.0, 5), (0.0, 1)):
        monkeypatch.setattr("undin.store.LONGEST_S", longest_s)
        calls.clear()
        with pytest.raises(OSError, match=rf"no answer \({n} times\)") as caught:
            store.read("a.wav")
        assert caught.value.filename == "memory://slow/a.wav" and len(calls) == n


def test_two_clients_at_once_do_each_file_once(bucket, server, monkeypatch):
    monkeypatch.setattr(claims, "LEASE_S", 3.0)
    found = []

    def client():
        found.extend(run_urls(plan_urls([f"{bucket}/in/"], f"{bucket}/out/"), make))

    threads = [threading.Thread(target=client) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses(found) == {"done": N, "skipped": N}
    check_outputs(bucket)
    assert {path: n for path, n in server.puts.items() if path.endswith(".wav") and n > 1} == {}


def test_a_claim_of_a_run_that_died_is_followed_by_another(bucket, monkeypatch):
    monkeypatch.setattr(claims, "LEASE_S", 0.5)
    store = Store(f"{bucket}/out/")
    held = {"token": "gone", "until": time.time() + 0.4}
    assert store.create(".undin/0.wav.1.claim", json.dumps(held).encode())
    assert not store.create(".undin/0.wav.1.claim", b"another")
    assert statuses(run_urls(plan_urls([f"{bucket}/in/"], store.url), make)) == {"done": N}
    check_outputs(bucket)


def test_a_claim_is_renewed_while_the_work_lasts(bucket, monkeypatch):
    class Slow(LogMMSE):
        def step(self, X, state):
            time.sleep(5.0)
            return super().step(X, state)

    monkeypatch.setattr(claims, "LEASE_S", 3.0)
    found = {}

    def client(name, method):
        found[name] = list(run_urls(plan_urls([f"{bucket}/in/0.wav"], f"{bucket}/out/"), method))

    first = threading.Thread(target=client, args=("first", Slow))
    first.start()
    while Store(f"{bucket}/out/").find(".undin/0.wav.1.claim") is None:
        time.sleep(0.02)
    client("second", LogMMSE)
    first.join()
    assert [found[name][0].status for name in ("first", "second")] == ["done", "skipped"]


def test_50000_names_are_listed_in_flat_memory(bucket, monkeypatch):
    n = 50_000
    store, calls = Store(f"{bucket}/many/"), []

    def page(verb, *, Prefix, ContinuationToken="0", **_):
        assert verb == "list_objects_v2"
        start = int(ContinuationToken)
        calls.append(start)
        names = ({"Key": f"{Prefix}{i:08}.wav", "Size": 1, "ETag": f'"{i}"'} for i in range(start, start + 1000))
        return {"Contents": list(names), "IsTruncated": start + 1000 < n, "NextContinuationToken": str(start + 1000)}

    monkeypatch.setattr(type(store._fs), "call_s3", lambda self, *args, **options: page(*args, **options))

    def count():
        return sum(type(each) is urls.UrlJob for each in gc.get_objects())

    jobs, before = plan_urls([store.url], f"{bucket}/out/"), count()
    seen, megabytes = 0, []
    for seen, job in enumerate(jobs, 1):
        assert job.entry.size == 1
        if seen % 10_000 == 0:
            gc.collect()
            megabytes.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
    assert seen == n and len(calls) == 50
    assert megabytes[-1] - megabytes[0] < 15  # 40,000 jobs take 60
    assert count() <= before + 2


def test_names_that_a_server_lists_are_not_kept(bucket, server):
    from moto.s3.models import s3_backends

    backend = s3_backends["123456789012"]["aws"]
    for i in range(3500):
        backend.put_object(bucket.removeprefix("s3://"), f"many/{i % 7}/{i:05}.wav", b"x")
    server.seen.clear()
    jobs, most = plan_urls([f"{bucket}/many/"], f"{bucket}/out/"), 0
    for seen, job in enumerate(jobs, 1):
        assert job.entry.size == 1
        if seen % 500 == 0:
            gc.collect()
            most = max(most, sum(type(each) is urls.UrlJob for each in gc.get_objects()))
    assert seen == 3500 and most <= 2
    assert sum(n for (verb, path), n in server.seen.items() if verb == "GET" and not path.endswith(".wav")) == 4


def test_any_store_of_fsspec_lists_folder_by_folder_and_writes_residuals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("memory://sounds/in/")
    for i, name in enumerate(("b/0.wav", "1.wav", ".hidden/2.wav", "b/notes.txt")):
        audio.write(Path("x.wav"), np.random.default_rng(i).uniform(-0.3, 0.3, 8000), 16000)
        store.put(name, Path("x.wav"))
    assert {entry.name for entry in store.files()} == {"b/0.wav", "1.wav", ".hidden/2.wav", "b/notes.txt"}
    for wanted in ({"done": 2}, {"skipped": 2}):
        jobs = plan_urls([store.url], "memory://sounds/out/", residual=True)
        assert statuses(run_urls(jobs, make)) == wanted
    out = Store("memory://sounds/out/")
    names = {f"{name}{tag}.wav" for name in ("b/0", "1") for tag in ("", ".residual")}
    assert {entry.name for entry in out.files()} == names | {".undin/b/0.wav.json", ".undin/1.wav.json"}
    out.write("1.wav", b"another's")
    *_, last = sorted(
        run_urls(plan_urls([store.url], out.url, residual=True), make), key=lambda r: r.status == "failed"
    )
    assert last.status == "failed" and "1.wav already exists and was not written by undin" in last.error
    results = run_urls(plan_urls([store.url], out.url), make, overwrite=True)
    (again,) = (result for result in results if result.task.source.endswith("1.wav"))
    assert again.status == "done" and out.find("1.wav").size > 100
    with pytest.raises(InputError, match="has no audio files"):
        list(plan_urls(["memory://sounds/none/"], out.url))
    with pytest.raises(InputError, match="Protocol not known"):
        Store("nowhere://a/")
