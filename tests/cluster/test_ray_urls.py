"""The command, from bucket to bucket, on a cluster."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from undin import audio
from undin.cli import main
from undin.jobs import plan, run
from undin.methods import load
from undin.store import Store

pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
pytestmark = [
    pytest.mark.usefixtures("server", "cluster"),  # the workers inherit where the server is
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]
N = 6


def undin(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(words)
    return end.value.code, capsys.readouterr().out.splitlines()


def test_the_command_from_bucket_to_bucket_on_a_cluster(tmp_path, monkeypatch, capsys):
    import s3fs

    monkeypatch.chdir(tmp_path)
    s3fs.S3FileSystem(use_listings_cache=False).mkdir("s3://many")
    Path("in").mkdir()
    for i in range(N):
        audio.write(Path("in", f"{i}.wav"), np.random.default_rng(i).uniform(-0.3, 0.3, 8000), 16000)
        Store("s3://many/in/").put(f"{i}.wav", Path("in", f"{i}.wav"))
    list(run(plan(["in"], "serial/"), partial(load, "spectral-gate")))
    words = ("enhance", "s3://many/in/", "-o", "s3://many/out/", "-m", "spectral-gate", "--on", "ray", "--workers", "2")
    code, lines = undin(capsys, *words)
    assert code == 0 and len(lines) == N + 1 and lines[-1].startswith(f"{N} done; 3.0 s of audio in ")
    for path in Path("serial").glob("*.wav"):
        assert Store("s3://many/out/").read(path.name) == path.read_bytes()
    code, lines = undin(capsys, *words)
    assert code == 0 and lines[-1].startswith(f"{N} skipped")


def test_mixtures_go_to_a_bucket_from_a_cluster(tmp_path, monkeypatch, capsys):
    import s3fs

    monkeypatch.chdir(tmp_path)
    s3fs.S3FileSystem(use_listings_cache=False).mkdir("s3://mixed")
    about = ("--n", "4", "--duration", "1", "--split", "test", "-q")
    assert undin(capsys, "mix", "-o", "here", *about)[0] == 0
    words = ("mix", "-o", "s3://mixed/set/", *about[:-1], "--on", "ray", "--workers", "2")
    code, lines = undin(capsys, *words)
    assert code == 0 and lines[-1] == "4 done -> s3://mixed/set/manifest.csv"
    store = Store("s3://mixed/set/")
    here = {path.relative_to("here").as_posix() for path in Path("here").rglob("*") if path.is_file()}
    assert {entry.name for entry in store.files()} == here
    for name in here:
        assert store.read(name) == Path("here", name).read_bytes()
    code, lines = undin(capsys, *words)
    assert code == 0 and lines[-1].startswith("4 skipped -> ")
