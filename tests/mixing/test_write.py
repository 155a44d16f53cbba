"""To disk: the same bytes by any way there, nothing twice, nothing half, what fails is named."""

import csv
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import soundfile

from undin import mixing
from undin.cli import main
from undin.corpora import Corpus
from undin.errors import InputError
from undin.mixing import Drawing, Settings
from undin.mixing.layout import parse_layout
from undin.mixing.write import MixtureWriter


def tree(out, pattern="*"):
    files = sorted(path for path in out.rglob(pattern) if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def job(corpus, out, n=10, settings=None, seed=1, **more):
    return MixtureWriter(corpus, out, drawing=Drawing(corpus, settings, seed=seed), n=n, **more)


def statuses(job, workers=1):
    return [made.status for made in job.run(workers)]


def test_files_hold_what_the_rows_say(shared, tmp_path):
    assert statuses(job(shared, tmp_path)) == ["done"] * 10
    rows = list(mixing.read_manifest(tmp_path / "manifest.csv"))
    assert rows == list(mixing.draw(shared, 10, seed=1))
    for row in rows:
        m = mixing.render(row, shared)
        for name, x in (("noisy", m.noisy), ("clean", m.speech), ("noise", m.noise)):
            q, sr = soundfile.read(tmp_path / name / f"{row.id}.flac", dtype="int16")
            assert sr == 8000 and soundfile.info(tmp_path / name / f"{row.id}.flac").subtype == "PCM_16"
            np.testing.assert_array_equal(q, np.round(x.astype(float) * 2**15))
    assert len(tree(tmp_path)) == 30 + 2


def test_workers_and_shards_and_the_manifest_give_the_same_bytes(shared, tmp_path):
    settings = Settings(talkers=2, noises=(0, 2))
    layout = parse_layout("folders", "wav", talkers=2)
    statuses(job(shared, tmp_path / "one", 30, settings, layout=layout))
    statuses(job(shared, tmp_path / "two", 30, settings, layout=layout), workers=2)
    for i in (3, 1, 2):
        statuses(job(shared, tmp_path / "shards", 30, settings, layout=layout, shard=(i, 3)))
    one = tree(tmp_path / "one")
    assert {"s1/mix-00007.wav", "s2/mix-00007.wav", "noisy/mix-00007.wav"} <= one.keys()
    assert tree(tmp_path / "two") == one
    shards = tree(tmp_path / "shards")
    assert shards.pop("manifest.2-of-3.csv") and shards.pop("manifest.1-of-3.csv") and shards.pop("manifest.3-of-3.csv")
    assert shards == one
    again = MixtureWriter(shared, tmp_path / "again", layout=layout, manifest=tmp_path / "one/manifest.csv")
    assert len(again) == 30 and statuses(again) == ["done"] * 30
    one.pop(".undin-mix.manifest.json")
    made = tree(tmp_path / "again")
    made.pop(".undin-mix.manifest.json")
    assert made == one


def test_finished_mixtures_are_skipped_and_more_are_added(shared, tmp_path):
    statuses(job(shared, tmp_path, 6))
    before = tree(tmp_path)
    assert statuses(job(shared, tmp_path, 6)) == ["skipped"] * 6
    assert tree(tmp_path) == before
    (tmp_path / "clean/mix-00002.flac").unlink()
    assert statuses(job(shared, tmp_path, 8)) == ["skipped"] * 2 + ["done"] + ["skipped"] * 3 + ["done"] * 2
    assert before.items() - tree(tmp_path).items() == {("manifest.csv", before["manifest.csv"])}
    assert list(mixing.read_manifest(tmp_path / "manifest.csv")) == list(mixing.draw(shared, 8, seed=1))


def test_an_interrupted_run_resumes(shared, tmp_path):
    """Twice, so that what both have noted must be put together; the second time a line is torn."""
    for n in (4, 3):
        run = job(shared, tmp_path, 12).run()
        for _ in range(n):
            next(run)
        run.close()
        assert not (tmp_path / "manifest.csv").exists()
    journal = tmp_path / ".manifest.csv.journal"
    journal.write_bytes(journal.read_bytes()[:-9])
    assert statuses(job(shared, tmp_path, 12)) == ["skipped"] * 4 + ["done"] * 8
    assert list(mixing.read_manifest(tmp_path / "manifest.csv")) == list(mixing.draw(shared, 12, seed=1))
    assert len(tree(tmp_path)) == 36 + 2


@pytest.mark.skipif(os.name != "posix", reason="kills a process by a signal")
def test_two_runs_do_not_write_one_folder_at_once(shared, tmp_path, monkeypatch):
    monkeypatch.setattr("undin.mixing.write.WAIT_S", 0.0)
    with closing(job(shared, tmp_path).run()) as results:
        next(results)
        with pytest.raises(InputError, match=r"another run is writing .*manifest\.csv; wait until it ends, or use"):
            statuses(job(shared, tmp_path))
    assert statuses(job(shared, tmp_path)) == ["skipped"] + ["done"] * 9


def test_a_run_that_waits_for_another_says_so_once(shared, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("undin.mixing.write.WAIT_S", 2.0)
    said, folder = [], tmp_path / "out"
    with closing(job(shared, folder).run()) as results:
        next(results)
        with pytest.raises(InputError, match="another run is writing"):
            list(job(shared, folder).run(say=said.append))
        assert said == [f"waiting up to 2 s for process {os.getpid()}, which is writing {folder / 'manifest.csv'}"]
        claim = folder / ".undin-mix.manifest.csv.1.claim"
        held = json.loads(claim.read_text())
        there = json.dumps(held | {"machine": "x"})
        for text, holder in ((there, f"process {held['process']} on another machine"), ("", "another process")):
            claim.write_text(text)
            with pytest.raises(SystemExit) as end:
                main(["mix", "--n", "1", "-o", str(folder)])
            out, err = capsys.readouterr()
            assert (end.value.code, out) == (2, "")
            assert err.count(f"undin: waiting up to 2 s for {holder}, which is writing ") == 1
        claim.write_text(json.dumps(held))
    assert list(job(shared, folder).run(say=said.append)) and len(said) == 1


@pytest.mark.parametrize("is_listed", [False, True])
def test_shards_of_a_set_that_was_overwritten_are_remade(shared, tmp_path, is_listed):
    """Also those that do not overwrite by themselves; what they have made since is kept."""

    def shard(i, seed, **more):
        if not is_listed:
            return job(shared, tmp_path / "out", 6, seed=seed, shard=(i, 2), **more)
        mixing.write_manifest(tmp_path / f"{seed}.csv", mixing.draw(shared, 6, seed=seed))
        return MixtureWriter(shared, tmp_path / "out", manifest=tmp_path / f"{seed}.csv", shard=(i, 2), **more)

    for i in (1, 2):
        assert statuses(shard(i, seed=2)) == ["done"] * 3
    expected = tree(tmp_path / "out", "[!.]*")
    for i in (1, 2):
        statuses(shard(i, seed=1, overwrite=True))
    assert statuses(shard(1, seed=2, overwrite=True)) == ["done"] * 3
    rows = list(mixing.read_manifest(tmp_path / "out/manifest.csv"))
    assert rows == list(mixing.draw(shared, 6, seed=1))  # until all shards are of the other set
    run = shard(2, seed=2).run()
    assert next(run).status == "done"
    run.close()
    assert statuses(shard(2, seed=2)) == ["done" if is_listed else "skipped", "done", "done"]
    assert tree(tmp_path / "out", "[!.]*") == expected
    assert statuses(shard(1, seed=2)) + statuses(shard(2, seed=2)) == ["skipped"] * 6


def test_a_killed_run_leaves_nothing_half_written(shared, tmp_path):
    rows = [dataclasses.replace(clip, path=str(shared.root / clip.path)) for clip in shared.rows]
    from undin.corpora import write_tables

    write_tables(tmp_path / "corpus", Corpus(shared.root, rows))
    command = [sys.executable, "-m", "undin", "mix", str(tmp_path / "corpus"), "-o", str(tmp_path / "out"), "-q"]
    process = subprocess.Popen([*command, "--n", "100000", "--workers", "2"])
    journal = tmp_path / "out/.manifest.csv.journal"
    for _ in range(600):
        if journal.exists() and journal.read_bytes().count(b"\n") > 20:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    known = journal.read_bytes().count(b"\n") - 1
    assert known >= 20
    for path in (tmp_path / "out").rglob("[!.]*.flac"):
        assert soundfile.read(path)[0].size
    subprocess.run([*command, "--n", str(known + 5)], check=True)
    assert len(list(mixing.read_manifest(tmp_path / "out/manifest.csv"))) == known + 5


class Fatal(Drawing):
    def mixture(self, i):
        return os._exit(7) if i == 3 else super().mixture(i)

    def __reduce__(self):
        return Fatal, (self.corpus, self.settings)


def test_a_process_that_dies_fails_its_mixture_alone(shared, tmp_path):
    made = list(MixtureWriter(shared, tmp_path, drawing=Fatal(shared), n=6).run(workers=2))
    assert [(each.n, each.status) for each in made] == [(i, "failed" if i == 4 else "done") for i in range(1, 7)]
    assert made[3].error.startswith("mixture 4: its process ended with 7 (out of memory, or a crash in a library)")
    assert statuses(job(shared, tmp_path, 6, seed=0)) == ["skipped"] * 3 + ["done"] + ["skipped"] * 2
    assert list(mixing.read_manifest(tmp_path / "manifest.csv")) == list(mixing.draw(shared, 6))


def test_other_settings_are_refused(shared, tmp_path):
    statuses(job(shared, tmp_path, 3))
    for other in (job(shared, tmp_path, 3, seed=2), job(shared, tmp_path, 3, Settings(snr_db=0.0))):
        with pytest.raises(InputError, match="holds mixtures made with different settings"):
            next(other.run())
    assert statuses(job(shared, tmp_path, 3, seed=2, overwrite=True)) == ["done"] * 3
    assert list(mixing.read_manifest(tmp_path / "manifest.csv")) == list(mixing.draw(shared, 3, seed=2))


def test_files_of_others_are_left(shared, tmp_path):
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy/song.flac").write_text("mine")
    with pytest.raises(InputError, match="noisy holds files that undin mix did not write"):
        next(job(shared, tmp_path).run())
    (tmp_path / "b").mkdir()
    (tmp_path / "b/manifest.csv").write_text("mine")
    with pytest.raises(InputError, match=r"manifest.csv already exists and was not written by undin mix"):
        next(job(shared, tmp_path / "b").run())
    (tmp_path / "c").mkdir()
    (tmp_path / "c/mix-00001.flac").write_text("mine")
    layout = parse_layout("noisy={id},clean=c/{id},noise=n/{id}")
    made = list(job(shared, tmp_path / "c", 3, layout=layout).run())
    assert [each.status for each in made] == ["done", "failed", "done"]
    assert "mix-00001.flac already exists and was not written by undin mix; use --overwrite" in made[1].error
    assert (tmp_path / "c/mix-00001.flac").read_text() == "mine"


def test_the_manifest_alone(shared, tmp_path):
    assert statuses(job(shared, tmp_path, files=False)) == ["done"] * 10
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["manifest.csv"]
    assert statuses(job(shared, tmp_path, files=False)) == ["skipped"] * 10
    assert statuses(job(shared, tmp_path)) == ["done"] * 10


def test_failures_are_named_and_the_rest_is_written(corpus_at, tmp_path):
    soundfile.write(corpus_at.root / "noise/0.flac", np.zeros(12000), 8000)
    (corpus_at.root / "noise/1.flac").unlink()
    soundfile.write(corpus_at.root / "noise/2.flac", np.ones(2000), 16000)
    soundfile.write(corpus_at.root / "noise/3.flac", np.ones(1000), 8000)
    made = list(job(corpus_at, tmp_path / "out", 18).run())
    errors = [each.error for each in made if each.status == "failed"]
    for message in (
        "noise/0.flac is silent",
        "noise/1.flac is missing",
        "2.flac has 16000 Hz, not",
        "3.flac ends before",
    ):
        assert sum(message in error for error in errors) == 3
    assert all(error.startswith("mixture mix-000") for error in errors)
    assert len(list(mixing.read_manifest(tmp_path / "out/manifest.csv"))) == 6
    assert len(list((tmp_path / "out/noisy").iterdir())) == 6


def test_a_manifest_with_faults(shared, tmp_path):
    rows = list(mixing.draw(shared, 6))
    rows[1] = dataclasses.replace(rows[1], id=rows[0].id)
    (talker,) = rows[2].speech
    rows[2] = dataclasses.replace(rows[2], speech=(dataclasses.replace(talker, path="no.wav"),))
    rows[3] = dataclasses.replace(rows[3], sr=16000)
    (talker,) = rows[5].speech
    rows[5] = dataclasses.replace(rows[5], speech=(dataclasses.replace(talker, duration_s=9.0),), n_samples=72000)
    path = tmp_path / "m.csv"
    mixing.write_manifest(path, rows)
    lines = path.read_text().splitlines(keepends=True)
    lines[5] = lines[5].replace("clip", "loud")
    path.write_text("".join(lines))
    before = path.read_text()
    made = list(MixtureWriter(shared, tmp_path / "out", manifest=path).run())
    assert [each.status for each in made] == ["done"] + ["failed"] * 5
    for each, message in zip(
        made[1:],
        (
            "m.csv, row 3: row 2 has the same id mix-00000: give every row a unique id",
            "no.wav is missing",
            "mixture mix-00003: the row has 16000 Hz and",
            "m.csv, row 6: snr_over must be one of clip, active; got 'loud'",
            "ends before 9.0000 s",
        ),
        strict=True,
    ):
        assert message in each.error
    assert path.read_text() == before
    assert list(mixing.read_manifest(tmp_path / "out/manifest.csv")) == rows[:1]


BAD = {  # column -> cell, message
    "speech_offset_s": ("1e308", "speech_offset_s must be a finite number, 0 to 1e7; got 1e+308"),
    "speech_duration_s": (
        "1e9",
        "speech_duration_s must be a finite number, above 0 and 1e7 or less; got 1000000",
    ),
    "speech_gain_db": ("1e9", "speech_gain_db must be a finite number, -300 to 300; got 1000000000.0"),
    "scale_db": ("1e5", "scale_db must be a finite number, -300 to 300; got 100000.0"),
    "id": ("a\0b", r"id must not be empty or contain control characters; got 'a\x00b'"),
    "noise_path": ("a\0b", r"noise_path and label must not contain control characters; got 'a\x00b'"),
    "n_samples": ("99999999999", "n_samples must be a whole number, 4294967296 or less; got 99999999999"),
    "split": ("../../x", "split must be a name; got '../../x'"),
}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hostile_row_fails_alone(shared, tmp_path, workers):
    path = tmp_path / "m.csv"
    mixing.write_manifest(path, mixing.draw(shared, len(BAD) + 4))
    header, *table = csv.reader(path.read_text().splitlines())
    for cells, (column, (cell, _)) in zip(table, BAD.items(), strict=False):
        cells[header.index(column)] = cell
    table[-4][0] = "x" * 300  # the first for which folders would be made
    table[-2][header.index("speech_path")] = "y" * 300
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *table])
    for status in ("done", "skipped"):
        made = list(MixtureWriter(shared, tmp_path / "out", manifest=path).run(workers))
        assert [each.status for each in made] == ["failed"] * len(BAD) + ["failed", status, "failed", status]
    for k, (each, (_, message)) in enumerate(zip(made, BAD.values(), strict=False), 2):
        assert f"m.csv, row {k}: " in each.error and message in each.error
    assert "name too long" in made[-4].error and "mixture xxx" in made[-4].error and "name too long" in made[-2].error
    assert len(list(mixing.read_manifest(tmp_path / "out/manifest.csv"))) == 2


def test_names_that_clash_with_folders_fail_alone(shared, tmp_path):
    rows = [dataclasses.replace(row, id=id) for row, id in zip(mixing.draw(shared, 3), ("..", "ok", "b"), strict=True)]
    mixing.write_manifest(tmp_path / "m.csv", rows)
    layout = parse_layout("noisy=n/{speech}/{split}/{id},clean=c/{speech}/{split}/{id}x,noise=z/{n}")
    (tmp_path / "out/n").mkdir(parents=True)
    (tmp_path / "out/n" / rows[2].speech[0].path.rpartition("/")[2].partition(".")[0]).touch()
    made = list(MixtureWriter(shared, tmp_path / "out", layout, manifest=tmp_path / "m.csv", overwrite=True).run())
    assert [each.status for each in made] == ["failed", "done", "failed"]
    assert "must be inside the output folder" in made[0].error and "mixture b: " in made[2].error


@pytest.mark.parametrize("way", ["../far/{}", "in/../../far/{}", "{far}/{}", "..\\far\\{}"])
def test_a_manifest_reads_below_its_corpus_only_unless_allowed(shared, tmp_path, way):
    rows = list(mixing.draw(shared, 2))
    far = tmp_path / "far"
    far.symlink_to(shared.root)
    (tmp_path / "near").mkdir()
    near = Corpus(tmp_path / "near", shared.rows)
    for name in ("speech", "noise"):
        (tmp_path / "near" / name).symlink_to(shared.root / name)
    source = dataclasses.replace(rows[0].speech[0], path=way.format(rows[0].speech[0].path, far=far))
    mixing.write_manifest(tmp_path / "m.csv", [dataclasses.replace(rows[0], speech=(source,)), rows[1]])
    made = list(MixtureWriter(near, tmp_path / "out", manifest=tmp_path / "m.csv").run())
    assert [each.status for each in made] == ["failed", "done"]
    assert f"row 2: {source.path} may lead out of the corpus" in made[0].error and "--allow-outside" in made[0].error
    if "\\" not in way and "in/" not in way:
        allowed = MixtureWriter(near, tmp_path / "two", manifest=tmp_path / "m.csv", allow_outside=True)
        assert statuses(allowed) == ["done", "done"]


def test_a_manifest_in_its_own_folder_is_left(shared, tmp_path):
    rows = list(mixing.draw(shared, 4))
    rows[1] = dataclasses.replace(rows[1], sr=9)
    path = tmp_path / "manifest.csv"
    mixing.write_manifest(path, rows)
    before = path.read_bytes()
    assert statuses(MixtureWriter(shared, tmp_path, manifest=path)) == ["done", "failed", "done", "done"]
    assert statuses(MixtureWriter(shared, tmp_path, manifest=path)) == ["skipped", "failed", "skipped", "skipped"]
    assert path.read_bytes() == before


def test_two_mixtures_never_share_a_file(shared, tmp_path):
    layout = parse_layout("pairs")
    made = list(job(shared, tmp_path / "a", 90, Settings(snr_db=0.0), layout=layout).run())
    clashes = [each for each in made if each.status == "failed"]
    assert clashes and all("is also the file name of another mixture: add {id}" in each.error for each in clashes)
    with pytest.raises(InputError, match=r"shards cannot detect .*: add {id} or {n}"):
        job(shared, tmp_path / "b", layout=layout, shard=(1, 2))
    drawing = Drawing(shared, Settings(every_noise=True, snr_db=0.0))
    every = MixtureWriter(shared, tmp_path / "c", layout=layout, drawing=drawing, n=drawing.n_pairs)
    assert statuses(every) == ["done"] * 72
    with (tmp_path / "c/mixture_csvs/test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 72 and list(rows[0]) == ["speech_name", "noise_name", "noise_onset", "noise_offset"]
    first = soundfile.info(tmp_path / f"c/mixed_audios/test/0db/{rows[0]['speech_name'][:-4]}.{rows[0]['noise_name']}")
    assert int(rows[0]["noise_offset"]) - int(rows[0]["noise_onset"]) == first.frames


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shard": (0, 2)}, "shard must be I/N"),
        ({"shard": (3, 2)}, "shard must be I/N"),
        ({"n": -1}, "n must be 0 or more"),
    ],
)
def test_bad_jobs(shared, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        job(shared, tmp_path, **settings)
    with pytest.raises(InputError, match="workers must be at least 1"):
        next(job(shared, tmp_path).run(0))


def test_shards_cover_all_once(shared, tmp_path):
    for m in (1, 3, 7, 12):
        parts = [job(shared, tmp_path, 10, shard=(i, m)) for i in range(1, m + 1)]
        assert [i for part in parts for i in part._range] == list(range(10))
