"""`undin mix` and `undin pack` to a store: the bytes of a run on the disk, whole or not at all, resumed; in memory."""

import json
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from undin import corpora, mixing
from undin.cli import main
from undin.errors import InputError
from undin.mixing.write import MixtureWriter
from undin.store import Folder, Store

pytest.importorskip("fsspec", reason="fsspec is not installed")
N = 5


@pytest.fixture(scope="module")
def corpus():
    return corpora.mini().select(split="test")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDIN_CACHE", str(tmp_path / "cache"))
    return Store(f"memory://{tmp_path.name}/")


def job(corpus, url="", n=N, **changes):
    drawing = mixing.Drawing(corpus, mixing.Settings(duration_s=1.0), seed=changes.pop("seed", 1))
    out = Path() if url else Path("serial")
    return MixtureWriter(corpus, out, drawing=drawing, n=n, url=url, **changes)


def statuses(job):
    return [made.status for made in job.run()]


def contents(store):
    return {entry.name: store.read(entry.name) for entry in store.files()}


@pytest.mark.parametrize("save_s", [0.0, 30.0])
def test_mixtures_are_those_on_the_disk_and_a_rerun_adds_what_is_missing(corpus, store, monkeypatch, save_s):
    monkeypatch.setattr("undin.copies.SAVE_S", save_s)
    statuses(job(corpus))
    assert statuses(job(corpus, store.url, n=3)) == ["done"] * 3
    assert len(contents(store)) == 3 * 3 + 2  # no journal
    store.remove("clean/mix-00001.flac")
    assert sorted(statuses(job(corpus, store.url))) == ["done"] * 3 + ["skipped"] * 2
    assert contents(store) == contents(Folder("serial")) and len(contents(store)) == 3 * N + 2
    assert statuses(job(corpus, store.url)) == ["skipped"] * N
    with pytest.raises(InputError, match=f"{store.url}.* holds mixtures made with different settings"):
        statuses(job(corpus, store.url, seed=2))
    assert statuses(job(corpus, store.url, seed=2, overwrite=True)) == ["done"] * N
    assert statuses(job(corpus, store.url, seed=2)) == ["skipped"] * N


def killed(job, store, n, monkeypatch, save_s=0.0):
    """Run a job, and leave in the store what was there after n mixtures."""
    monkeypatch.setattr("undin.copies.SAVE_S", save_s)
    with closing(job.run()) as results:
        assert len(list(islice(results, n))) == n
        left = {name: data for name, data in contents(store).items() if not name.endswith(".claim")}
    for name in contents(store):
        store.remove(name)
    for name, data in left.items():
        store.write(name, data)
    return left


def test_an_interrupted_run_resumes(corpus, store, monkeypatch):
    monkeypatch.setattr("undin.mixing.write.WAIT_S", 0.0)
    statuses(job(corpus))
    with closing(job(corpus, store.url).run()) as results:
        assert len(list(islice(results, 3))) == 3
        held = json.loads(store.read(".undin-mix.manifest.csv.1.claim"))
        assert held["process"]
        with pytest.raises(InputError, match=r"another run is writing memory://.*manifest\.csv; wait until it ends"):
            statuses(job(corpus, store.url))
    assert store.find("manifest.csv") is None and store.find(".manifest.csv.journal")
    assert statuses(job(corpus, store.url)) == ["skipped"] * 3 + ["done"] * 2
    assert contents(store) == contents(Folder("serial"))


def test_a_killed_run_loses_only_what_it_had_not_saved(corpus, store, monkeypatch):
    statuses(job(corpus))
    left = killed(job(corpus, store.url), store, 3, monkeypatch)
    assert ".manifest.csv.journal" in left and "manifest.csv" not in left
    assert statuses(job(corpus, store.url)) == ["skipped"] * 3 + ["done"] * 2
    assert contents(store) == contents(Folder("serial"))


def test_a_run_that_is_killed_twice_keeps_what_both_have_done(corpus, store, monkeypatch):
    statuses(job(corpus))
    killed(job(corpus, store.url), store, 2, monkeypatch)
    killed(job(corpus, store.url), store, 3, monkeypatch)  # two skipped
    left = killed(job(corpus, store.url), store, 1, monkeypatch)
    assert ".manifest.csv.earlier" in left
    assert statuses(job(corpus, store.url)) == ["skipped"] * 3 + ["done"] * 2
    assert contents(store) == contents(Folder("serial"))


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_killed_run_that_overwrites_another_set_is_resumed_without_its_rows(corpus, store, monkeypatch, is_cut_off):
    statuses(job(corpus, seed=2))
    if is_cut_off:
        killed(job(corpus, store.url), store, 3, monkeypatch)
    else:
        statuses(job(corpus, store.url))
    killed(job(corpus, store.url, seed=2, overwrite=True), store, 1, monkeypatch, save_s=30.0)
    assert statuses(job(corpus, store.url, seed=2)) == ["done"] * N
    assert contents(store) == contents(Folder("serial"))


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_killed_run_that_overwrites_with_a_manifest_is_resumed_with_its_rows(corpus, store, monkeypatch, is_remote):
    place = store if is_remote else Folder("here")

    def listed(seed, **more):
        mixing.write_manifest(Path(f"{seed}.csv"), mixing.draw(corpus, 3, seed=seed, duration_s=1.0))
        return MixtureWriter(corpus, Path("here"), manifest=Path(f"{seed}.csv"), url=is_remote * place.url, **more)

    statuses(listed(2))
    expected = contents(place)
    statuses(listed(1, overwrite=True))
    assert statuses(listed(1)) == ["skipped"] * 3
    killed(listed(2, overwrite=True), place, 1, monkeypatch)
    assert statuses(listed(2)) == ["done"] * 3
    assert contents(place) == expected


def test_shards_that_begin_together_share_a_url(corpus, store, monkeypatch):
    names, begun = Store.names, []

    def slow(self):
        if not begun:
            begun.append(self)
            statuses(job(corpus, store.url, shard=(1, 2)))
        return names(self)

    statuses(job(corpus))
    monkeypatch.setattr(Store, "names", slow)
    assert statuses(job(corpus, store.url, shard=(2, 2))) == ["done"] * 3
    assert store.read("manifest.csv") == Path("serial/manifest.csv").read_bytes()


def test_a_claim_that_cannot_be_made_names_the_url(corpus, store, monkeypatch):
    def refuse(self, name, data):
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr(Store, "create", refuse)
    with pytest.raises(PermissionError) as caught:
        statuses(job(corpus, store.url))
    assert caught.value.filename == store.at("manifest.csv")


def test_the_claim_of_a_crashed_machine_is_waited_for(corpus, store):
    held = {"token": "t", "until": time.time() + 1, "machine": "elsewhere", "process": 1}
    store.write(".undin-mix.manifest.csv.1.claim", json.dumps(held).encode())
    assert statuses(job(corpus, store.url)) == ["done"] * N


def test_files_of_others_are_left(corpus, store):
    store.write("noisy/mine.flac", b"mine")
    with pytest.raises(InputError, match=r"memory://.*/noisy holds files that undin mix did not write"):
        statuses(job(corpus, store.url))
    assert set(contents(store)) == {"noisy/mine.flac"}


def test_shards_come_together_in_any_order(corpus, store):
    statuses(job(corpus))
    for i in (2, 1):
        assert store.find("manifest.csv") is None
        statuses(job(corpus, store.url, shard=(i, 2)))
    assert store.read("manifest.csv") == Path("serial/manifest.csv").read_bytes()


def undin(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(words)
    found = capsys.readouterr()
    return end.value.code, found.out + found.err


def test_the_commands(store, capsys):
    about = ("--n", "2", "--duration", "1", "--split", "test", "--seed", "3")
    assert undin(capsys, "mix", "-o", "here", *about)[0] == 0
    code, out = undin(capsys, "mix", "-o", store.at("mixed"), *about)
    assert code == 0 and out.startswith(f"2 done -> {store.at('mixed/manifest.csv')}\n")
    assert contents(Store(store.at("mixed"))) == contents(Folder("here"))
    mini = str(corpora.mini().root)
    for path in Path(mini).rglob("*.*"):
        store.put(f"data/{path.relative_to(mini).as_posix()}", path)
    words = (store.at("mixed/manifest.csv"), "--data", store.at("data"), "-o", store.at("again"))
    code, out = undin(capsys, "mix", *words)
    assert code == 0 and store.read("again/noisy/mix-00000.flac") == store.read("mixed/noisy/mix-00000.flac")
    code, out = undin(capsys, "mix", "nmf-kwon2016", "-o", store.at("run"))
    assert (code, out.split()) == (0, ["mix", "done", store.at("run/mix")]) and store.find("run/mix/manifest.csv")


def test_packs(corpus, store, monkeypatch):
    speech = corpus.select(split="test")
    (here,) = corpora.pack(speech, "here.pack")
    (there,) = corpora.pack(speech, store.at("there.pack"))
    assert (there.path, there.n_bytes) == (store.at("there.pack"), here.n_bytes)
    assert store.read("there.pack") == Path("here.pack").read_bytes()
    corpora.check_pack(store.at("there.pack"))
    assert len(corpora.open(store.at("there.pack"))) == len(speech)
    monkeypatch.setattr(Store, "put", None)
    assert [each.status for each in corpora.pack(speech, store.at("there.pack"))] == ["skipped"]


def test_packs_in_parts_and_packs_of_others(corpus, store):
    corpora.pack(corpus, "here.pack", part_mb=1.0)
    made = corpora.pack(corpus, store.at("p/here.pack"), part_mb=1.0)
    assert len(made) > 2 and set(Store(store.at("p/")).names()) == {Path(each.path).name for each in made}
    for each in made:
        assert store.read(f"p/{Path(each.path).name}") == Path(Path(each.path).name).read_bytes()
    store.remove(f"p/{Path(made[1].path).name}")
    again = corpora.pack(corpus, store.at("p/here.pack"), part_mb=1.0)
    assert [each.status for each in again] == ["skipped", "done", *["skipped"] * (len(made) - 2)]
    with pytest.raises(InputError, match="belongs to another pack of that name; use --overwrite"):
        corpora.pack(corpus, store.at("p/here.pack"))
    corpora.pack(corpus, store.at("a.pack"))
    with pytest.raises(InputError, match="already exists with other content"):
        corpora.pack(corpus.select(kind=[corpus.noise[0].kind]), store.at("a.pack"))
    with pytest.raises(InputError, match=r"must end in \.pack"):
        corpora.pack(corpus, store.at("p/here.zip"))


def test_damage_to_a_pack_at_a_url_is_found(corpus, store, capsys):
    corpora.pack(corpus, store.at("a.pack"))
    data = bytearray(store.read("a.pack"))
    data[5000] ^= 1
    store.write("a.pack", bytes(data))
    code, out = undin(capsys, "pack", "--check", store.at("a.pack"))
    assert code == 1 and f"{store.at('a.pack')}: its samples are damaged" in out
    code, out = undin(capsys, "pack", "--check", store.at("none.pack"))
    assert code == 1 and "no such pack" in out
