"""A recipe with its run folder in a bucket: the files of a run on the disk; killed, it resumes on another machine."""

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from undin.claims import claim
from undin.errors import InputError
from undin.experiment import NEEDS, Run, read_recipe
from undin.experiment.mirror import CLAIM, Mirror
from undin.store import Folder, Store

pytest.importorskip("moto.server", reason="moto[server] is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

SMALL = [
    "mix.n=6",
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
STAGES = list(NEEDS)
KILLED = """
import os, signal, sys, time
from tests.cluster.test_run_urls import finished, small
from undin import copies
from undin.experiment import Run
from undin.store import Store
copies.SAVE_S = 0.05

def kill(stage, done, total, facts):
    while done == 12 and not finished(Store(sys.argv[1])):
        time.sleep(0.05)
    if done == 12:
        os.kill(os.getpid(), signal.SIGKILL)

list(Run(small("mix.n=30"), sys.argv[1]).run(progress=kill))
"""


@pytest.fixture
def url(server, tmp_path, monkeypatch):
    """A bucket; this machine has its own cache."""
    import s3fs

    monkeypatch.setenv("UNDIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UNDIN_DATA", raising=False)
    monkeypatch.setattr("undin.evaluation.report.page.can_draw", lambda: False)
    made = f"s3://r{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]}"
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(made)
    server.plan.clear()
    server.puts.clear()
    return f"{made}/run"


def small(*changes):
    return read_recipe("nmf-kwon2016", [*SMALL, *changes])


def statuses(place, *changes, only=()):
    return [status for _, status in Run(small(*changes), place).run(only)]


def contents(place):
    return {entry.name: place.read(entry.name) for entry in place.files()}


def scores(text):
    return [(row["id"], row["method"], row["si_sdr_db"]) for row in csv.DictReader(text.decode().splitlines())]


def test_a_run_folder_in_a_bucket_has_the_files_of_one_on_the_disk(url, server, tmp_path, monkeypatch):
    here = Folder(tmp_path / "here")
    assert statuses(here.url) == statuses(url) == ["done"] * 4
    there, found = contents(Store(url)), contents(here)
    assert there.keys() == found.keys() - {".lock"} and len(there) > 20
    for name in there:
        if name.endswith((".wav", "manifest.csv", ".npz")):
            assert there[name] == found[name]
    assert scores(there["evaluate/scores.csv"]) == scores(found["evaluate/scores.csv"])

    server.puts.clear()
    server.seen.clear()
    monkeypatch.setenv("UNDIN_CACHE", str(tmp_path / "another machine"))
    assert statuses(url) == ["skipped"] * 4
    assert {path.rpartition("/")[2] for path in server.puts} == {f"{CLAIM}.1.claim"}
    assert not [path for verb, path in server.seen if verb == "GET" and path.endswith(".wav")]

    assert statuses(url, "mix.n=2") == ["done", "skipped", "done", "done"]  # from a machine that has nothing
    mixed = [name for name in contents(Store(url)) if name.startswith("mix/test_noisy_audio/")]
    assert len(mixed) == 2 and len(scores(Store(url).read("evaluate/scores.csv"))) == 4


def test_a_run_that_is_killed_resumes_on_another_machine(url, server, tmp_path, monkeypatch):
    store, root = Store(url), Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", KILLED, url], cwd=root, capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = finished(store)
    assert 0 < len(left) < 30
    stages = Run(small("mix.n=30"), url)
    assert [stages.status(stage) for stage in STAGES] == ["begun", "open", "open", "open"]

    monkeypatch.setenv("UNDIN_CACHE", str(tmp_path / "another machine"))
    server.puts.clear()
    assert statuses(url, "mix.n=30", only=["mix"]) == ["done"]
    assert statuses(str(tmp_path / "here"), "mix.n=30", only=["mix"]) == ["done"]
    ours, theirs = contents(store), contents(Folder(tmp_path / "here"))
    names = [name for name in theirs if name.endswith(("manifest.csv", ".wav"))]
    assert len(names) == 91 and all(ours[name] == theirs[name] for name in names)
    assert not left & {Path(path).name for path in server.puts}


def finished(store):
    """Noisy files of the mixtures that are noted in the journal there."""
    noted = [
        row["id"] for row in csv.DictReader((store.read("mix/.manifest.csv.journal") or b"").decode().splitlines())
    ]
    names = {Path(entry.name).name for entry in Store(store.at("mix/test_noisy_audio")).files()}
    return {name for name in names if name.startswith(tuple(noted))} if noted else set()


def test_a_run_folder_is_of_one_run_and_one_process(url, monkeypatch):
    with claim(Store(url), CLAIM), pytest.raises(InputError, match=f"{url} is in use by another undin"):
        statuses(url)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(InputError, match="several machines need a run folder that they share: use a path"):
        statuses(url)
    assert not contents(Store(url)) and os.environ["LOCAL_RANK"] == "1"
    monkeypatch.delenv("LOCAL_RANK")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="several machines need"):
        statuses(url)


def test_a_stage_begins_again_without_the_files_of_the_old_one(url, monkeypatch):
    """A run that is killed in it would take them for its own; errors name the bucket, not the cache."""
    assert statuses(url, only=["mix"]) == ["done"]
    left = []

    def stopped(*args, **kwargs):
        left.extend(entry.name for entry in Store(url).files() if entry.name.startswith("mix/"))
        raise InputError(f"{args[2]} is full")

    monkeypatch.setattr("undin.experiment.run.mix", stopped)
    with pytest.raises(InputError, match=f"^{url}/mix is full"):
        statuses(url, "mix.snr_db=[3.0]", only=["mix"])
    assert left == [] and Run(small("mix.snr_db=[3.0]"), url).status("mix") == "begun"


@pytest.fixture
def mirror(tmp_path):
    """A run folder on this machine, its mirror and what is there."""
    here, there = tmp_path / "here", Store(f"file://{tmp_path}/there")
    (here / "train/net").mkdir(parents=True)
    return here / "train/net", Mirror(there, here), there


def texts(store):
    return {entry.name: store.read(entry.name) for entry in store.files()}


@pytest.mark.parametrize("is_killed", [False, True])
def test_weights_there_are_never_older_than_the_checkpoint(mirror, monkeypatch, is_killed):
    net, copy, there = mirror
    put = there.put

    def train(text):
        for name in ("best.pt", "last.ckpt"):
            (net / "new.part").write_bytes(text)
            (net / "new.part").replace(net / name)

    def put_while_training_goes_on(name, file):
        train(b"333")
        if is_killed and name.endswith(".ckpt"):
            raise OSError("killed")
        put(name, file)

    train(b"1")
    copy.put("train")
    train(b"22")
    monkeypatch.setattr(there, "put", put_while_training_goes_on)
    with pytest.raises(OSError, match="killed") if is_killed else nullcontext():
        copy.put("train")
    assert texts(there) == {"train/net/best.pt": b"333", "train/net/last.ckpt": b"1" if is_killed else b"22"}
    monkeypatch.setattr(there, "put", put)
    copy.put("train")
    assert texts(there) == {"train/net/best.pt": b"333", "train/net/last.ckpt": b"333"}


def test_an_old_checkpoint_is_gone_before_a_new_key_is_there(mirror, monkeypatch):
    net, copy, there = mirror
    (net / "key.txt").write_text("A")
    (net / "last.ckpt").write_text("of A")
    copy.put("train")
    net.rename(net.with_name("net.old1"))
    net.mkdir()
    (net / "key.txt").write_text("B")
    seen = []
    for verb in ("put", "remove"):
        method = getattr(there, verb)
        monkeypatch.setattr(there, verb, lambda *args, method=method: (seen.append(texts(there)), method(*args)))
    copy.put("train")
    assert not [found for found in seen if found.get("train/net/key.txt") == b"B" and "train/net/last.ckpt" in found]
    assert texts(there)["train/net.old1/last.ckpt"] == b"of A" and texts(there)["train/net/key.txt"] == b"B"


def test_a_cache_that_is_cleared_does_not_clear_the_bucket(mirror):
    net, copy, there = mirror
    (net / "last.ckpt").write_text("1")
    copy.put("train")
    shutil.rmtree(net.parents[1])
    with pytest.raises(FileNotFoundError):
        copy.put("train")
    assert texts(there) == {"train/net/last.ckpt": b"1"}
