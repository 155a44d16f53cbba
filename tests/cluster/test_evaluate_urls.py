"""A manifest, its corpus and the results in a bucket; packs, which are fetched once for all processes."""

import csv
import json
import threading
from pathlib import Path

import pytest

from undin import audio, corpora, mixing
from undin.cli import main
from undin.copies import cached
from undin.mixing.write import MixtureWriter
from undin.store import Store

pytest.importorskip("moto.server", reason="moto[server] is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture
def bucket(server, tmp_path, monkeypatch):
    """A bucket with a corpus of single files, a manifest of 4 mixtures of it, and a pack."""
    import s3fs

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDIN_CACHE", str(tmp_path / "cache"))
    mini = corpora.mini().select(split="test")
    for kind, clips in (("speech", mini.speech[:2]), ("noise", mini.noise[:2])):
        for i, clip in enumerate(clips):
            place = Path("data", kind, f"{clip.speaker or clip.kind}", f"{i}.wav")
            place.parent.mkdir(parents=True, exist_ok=True)
            audio.write(place, mini.load(clip), mini.sr)
    corpus = corpora.open("data")
    drawing = mixing.Drawing(corpus, mixing.Settings(duration_s=1.0), seed=1)
    list(MixtureWriter(corpus, Path("mixed"), drawing=drawing, n=4, files=False).run())
    corpora.pack(corpus, "data.pack")
    url = f"s3://{tmp_path.name.replace('_', '-').lower()}"
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(url)
    for path in (*Path("data").rglob("*.wav"), Path("mixed/manifest.csv"), Path("data.pack")):
        Store(url).put(path.as_posix(), path)
    server.plan.clear()
    server.seen.clear()
    return url


def undin(*words):
    with pytest.raises(SystemExit) as end:
        main(words)
    return end.value.code


def scores(text):
    return [(row["id"], row["method"], row["si_sdr_db"]) for row in csv.DictReader(text.splitlines())]


def test_a_manifest_in_a_bucket_has_the_scores_of_one_on_the_disk(bucket, server):
    about = ("-m", "spectral-gate", "--metrics", "si_sdr_db", "-q", "--examples", "1")
    assert undin("evaluate", "mixed/manifest.csv", "--data", "data", "-o", "here", *about) == 0
    words = (f"{bucket}/mixed/manifest.csv", "--data", f"{bucket}/data", "-o", f"{bucket}/scores", *about)
    assert undin("evaluate", *words) == 0
    store = Store(f"{bucket}/scores/")
    assert scores(store.read("scores.csv").decode()) == scores(Path("here/scores.csv").read_text())
    run = json.loads(store.read("summary.json"))["run"]
    assert (run["manifest"], run["data"]) == (f"{bucket}/mixed/manifest.csv", f"{bucket}/data")
    assert b"<html" in store.read("report.html") and "of-the-test" not in store.read("report.html").decode()
    server.seen.clear()
    assert undin("evaluate", *words) == 0  # scores are known, files are here
    assert not [key for key in server.seen if key[0] == "GET" and key[1].endswith(".wav")]


def test_a_pack_is_fetched_once_for_all_and_again_when_it_changes(bucket, server):
    found = []
    threads = [threading.Thread(target=lambda: found.append(corpora.open(f"{bucket}/data.pack"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    here = corpora.open("data")
    assert len(found) == 4 and all(len(corpus) == len(here) == 4 for corpus in found)
    gets = [n for (verb, path), n in server.seen.items() if verb == "GET" and path.endswith("/data.pack")]
    assert gets == [1]
    Path("data.pack").unlink()
    corpora.pack(here.select(kind=[here.noise[0].kind]), "data.pack")
    Store(bucket).put("data.pack", Path("data.pack"))
    assert len(corpora.open(f"{bucket}/data.pack")) < 4
    assert not list(cached(Store(f"{bucket}/data.pack")).parent.glob("*.part"))


def test_what_is_no_pack_at_a_url_says_so(bucket):
    with pytest.raises(ValueError, match="a corpus at a URL must be a pack"):
        corpora.open(f"{bucket}/data/")
    with pytest.raises(ValueError, match="no such file"):
        corpora.open(f"{bucket}/other.pack")
