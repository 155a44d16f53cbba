"""A recipe with its run folder in a bucket: the files of a run on the disk; killed, it resumes on another machine."""

import csv
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from undin.claims import claim
from undin.errors import InputError
from undin.experiment import NEEDS, Run, read_recipe
from undin.experiment.mirror import CLAIM
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
