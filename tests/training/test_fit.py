"""The engine on a tiny network: what it leaves behind, and that nothing can make it lose or change what it did."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tone
import torch

from undin.errors import InputError, UndinError, WeightsError
from undin.metrics import si_sdr, snr
from undin.training import snapshot
from undin.training.checkpoint import load_weights
from undin.training.data import Loader
from undin.training.fit import fit
from undin.training.logs import read_log
from undin.training.options import Options

CHANGING = ("audio_s_per_s", "minutes")  # columns of log.csv that no two runs share


@pytest.fixture(autouse=True, scope="module")
def registered():
    with pytest.MonkeyPatch.context() as patch:
        tone.register(patch.setitem)
        yield


def run(folder, *, train=None, config=None, net="tone", max_minutes=None, start_from=None, progress=None, **settings):
    options = Options(**{**tone.SMALL, **settings})
    train, config = train or tone.Tones(0), config or tone.ToneConfig()
    more = {"max_minutes": max_minutes, "start_from": start_from, "progress": progress}
    return fit(net, config, options, train, tone.Tones(1), folder, **more)


def curve(folder):
    with (folder / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in CHANGING} for row in csv.DictReader(file)]


def step_of(folder):
    return snapshot.read(folder / "last.ckpt")["state"].step


def weights_of(path):
    return torch.load(path, weights_only=True)["weights"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, run(folder, ema=0.9)


def test_files_of_a_finished_run(unbroken):
    folder, fitted = unbroken
    assert (fitted.finished, fitted.step) == (True, 12)
    assert fitted.hours == pytest.approx(12 * 4 * 0.2 / 3600)
    rows = read_log(folder / "log.csv")
    assert [row["step"] for row in rows] == [2, 4, 5, 6, 8, 10, 12]
    assert [row["step"] for row in rows if row["valid_loss"] == row["valid_loss"]] == [5, 10, 12]
    assert list(rows[0]) == [
        "step", "hours", "train_loss", "train_si_sdr", "valid_loss", "valid_si_sdr", "si_sdr_db", "si_sdr_in_db", "lr",
        "audio_s_per_s", "minutes",
    ]  # fmt: skip
    assert fitted.score == pytest.approx(min(row["valid_loss"] for row in rows if row["valid_loss"] > 0), rel=1e-6)
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    about = json.loads((folder / "run.json").read_text())
    assert about["config"]["hidden"] == 8 and about["options"]["ema"] == 0.9 and about["train"]["seed"] == 0
    assert {"undin", "torch", "lightning", "numpy"} <= set(about["versions"]) and "commit" in about
    best = load_weights(fitted.best)
    assert best.net.finished == 2 and (best.net.mean > 0).all()  # finish and calibrate have seen their batches
    assert not list(folder.glob("*.part"))


def test_validation_measures_what_the_best_weights_do(unbroken):
    folder, fitted = unbroken
    net, examples = load_weights(fitted.best).net, [tone.Tones(1)[i] for i in range(6)]
    ref, noisy = (np.stack([getattr(x, name) for x in examples]) for name in ("speech", "noisy"))
    with torch.no_grad():
        est = net.enhance(torch.tensor(noisy)).numpy()
    last = read_log(folder / "log.csv")[-1]
    assert last["si_sdr_db"] == pytest.approx(si_sdr(ref=ref, est=est).mean(), abs=1e-3)
    assert last["si_sdr_in_db"] == pytest.approx(si_sdr(ref=ref, est=noisy).mean(), abs=1e-3)


def test_a_finished_run_is_unchanged(unbroken):
    folder, fitted = unbroken
    before = {path: path.read_bytes() for path in (fitted.best, fitted.last, folder / "log.csv")}
    assert run(folder, ema=0.9) == fitted
    assert before == {path: path.read_bytes() for path in before}


def test_kill_and_resume_gives_the_same_curve(unbroken, tmp_path):
    options = {"ema": 0.9, "slow": 0.02, "save_every_min": 1e-4, "workers": 1}
    command = [sys.executable, "-W", "error", tone.__file__, str(tmp_path), json.dumps(options)]
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        log = tmp_path / "log.csv"
        while process.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 4):
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert 0 < step_of(tmp_path) < 12
    run(tmp_path, ema=0.9)
    assert curve(tmp_path) == curve(unbroken[0])
    ours, theirs = weights_of(tmp_path / "best.pt"), weights_of(unbroken[1].best)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_slices_of_time_give_the_same_curve(unbroken, tmp_path):
    steps = []
    for _ in range(20):
        fitted = run(tmp_path, ema=0.9, max_minutes=1e-9)  # a step each
        steps.append(fitted.step)
        if fitted.finished:
            break
    assert steps == [*range(1, 13), 12]  # what the network does at the end was left for the last
    assert curve(tmp_path) == curve(unbroken[0])


def test_an_interruption_waits_for_the_checkpoint(unbroken, tmp_path):
    class Interrupting(tone.Tones):
        def __getitem__(self, i):
            if i == 26:  # of step 7, read while step 6 is computed or before
                signal.raise_signal(signal.SIGTERM)
            return super().__getitem__(i)

    caught = []
    before = signal.signal(signal.SIGTERM, lambda *_: caught.append(step_of(tmp_path)))
    try:
        run(tmp_path, ema=0.9, train=Interrupting(0))
    finally:
        assert signal.signal(signal.SIGTERM, before)
    assert caught and caught[0] in (6, 7)
    run(tmp_path, ema=0.9)
    assert curve(tmp_path) == curve(unbroken[0])


def test_nan_loss_is_one_error_and_the_checkpoint_is_kept(tmp_path):
    with pytest.raises(UndinError, match=r"loss became nan at step 7: try a lower lr.*last.ckpt holds step 5"):
        run(tmp_path, train=tone.Tones(0, nan_from=24))
    content = snapshot.read(tmp_path / "last.ckpt")
    assert content["state"].step == 5 and all(x.isfinite().all() for x in content["weights"].values())


def test_a_full_disk_is_one_error_and_the_checkpoint_is_kept(tmp_path, monkeypatch):
    def full(_):
        if (tmp_path / "last.ckpt").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(snapshot.os, "fsync", full)
    with pytest.raises(UndinError, match=r"No space left on device: free some space and rerun; the last checkpoint"):
        run(tmp_path)
    assert step_of(tmp_path) == 5 and not list(tmp_path.glob("*.part"))


def test_a_damaged_checkpoint_is_named(unbroken, tmp_path):
    (tmp_path / "last.ckpt").write_bytes(unbroken[1].last.read_bytes()[:-3000])
    with pytest.raises(WeightsError, match=r"last.ckpt is damaged: restore a copy, or move it away"):
        run(tmp_path)


def test_a_folder_of_another_run_is_refused(unbroken):
    folder, _ = unbroken
    with pytest.raises(InputError, match=r"last.ckpt has hidden = 8, not 9"):
        run(folder, config=tone.ToneConfig(hidden=9))
    with pytest.raises(InputError, match=r"other settings \(options.batch, options.lr, train\): choose another folder"):
        run(folder, ema=0.9, lr=2e-2, batch=5, train=tone.Tones(7))
    with pytest.raises(InputError, match=r"net must be one of .*got 'tune'"):
        run(folder, net="tune")
    with pytest.raises(InputError, match="train has 4000 Hz and tone takes 8000 Hz"):
        run(folder, config=tone.ToneConfig(sr=8000))


def test_damaged_notes_are_named(tmp_path):
    run(tmp_path, steps=1)
    note = tmp_path / "run.json"
    note.write_text(note.read_text()[:-40])
    with pytest.raises(WeightsError, match=r"run.json is damaged: remove it, and the run will resume"):
        run(tmp_path, steps=2)
    note.unlink()
    assert run(tmp_path, steps=2).finished


def test_more_steps_go_on(tmp_path):
    run(tmp_path, steps=6, schedule="constant", valid_every=3, optimizer="sgd", clip_by="value")
    assert run(tmp_path, steps=9, schedule="constant", valid_every=3, optimizer="sgd", clip_by="value").finished
    whole = tmp_path / "whole"
    run(whole, steps=9, schedule="constant", valid_every=3, optimizer="sgd", clip_by="value")
    assert curve(tmp_path) == curve(whole)


def test_patience_plateau_and_monitor(tmp_path):
    settings = {"steps": 90, "valid_every": 2, "lr": 1e-12, "schedule": "plateau", "lr_patience": 1, "patience": 4}
    fitted = run(tmp_path, **settings, monitor="snr_db", valid_metrics=["snr_db", "lsd_db"], n_metrics=3, n_valid=4)
    rows = read_log(tmp_path / "log.csv")
    assert fitted.finished and fitted.step == rows[-1]["step"] < 90
    assert fitted.score == pytest.approx(max(row["snr_db"] for row in rows), rel=1e-6)
    assert rows[-1]["lr"] == pytest.approx(0.25e-12, rel=1e-3)
    assert rows[0]["lsd_db"] > 0
    ref, noisy = (np.stack([getattr(tone.Tones(1)[i], name) for i in range(3)]) for name in ("speech", "noisy"))
    assert rows[0]["snr_in_db"] == rows[-1]["snr_in_db"] == pytest.approx(snr(ref=ref, est=noisy).mean(), abs=1e-3)


def test_fine_tuning_starts_from_weights(unbroken, tmp_path):
    _, fitted = unbroken
    settings = {"steps": 1, "lr": 1e-12, "start_from": fitted.best, "train": tone.Tones(5)}
    tuned = run(tmp_path / "a", config=tone.ToneConfig(dropout=0.0), **settings)
    ours, theirs = weights_of(tuned.best), weights_of(fitted.best)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-9) for name in theirs)
    with pytest.raises(InputError, match=r"another size: .*hidden = 8 there and 4 here"):
        run(tmp_path / "b", config=tone.ToneConfig(hidden=4), **settings)
    with pytest.raises(InputError, match="frames and look-ahead must be the same"):
        run(tmp_path / "c", config=tone.ToneConfig(hop_length=16), **settings)
    with pytest.raises(InputError, match="an exported graph cannot be trained"):
        run(tmp_path / "d", start_from=Path("x.onnx"))


def test_training_only_parameters_may_be_added_or_missing(unbroken, tmp_path):
    _, fitted = unbroken
    settings = {"steps": 1, "lr": 1e-12, "train": tone.Tones(5)}
    more = run(tmp_path / "a", config=tone.ToneConfig(helper=3), start_from=fitted.best, **settings)
    assert "helper.weight" in weights_of(more.best)
    less = run(tmp_path / "b", start_from=more.best, **settings)
    ours, theirs = weights_of(less.best), weights_of(fitted.best)
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-9) for name in theirs)


def test_half_precision_and_events(tmp_path):
    seen = []
    run(tmp_path, steps=4, precision="bf16-mixed", tensorboard=True, progress=lambda *reports: seen.append(reports[:2]))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert np.isfinite([row["train_loss"] for row in read_log(tmp_path / "log.csv")]).all()
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_two_processes_equal_one_with_the_double_batch(tmp_path):
    config, reports = tone.ToneConfig(dropout=0.0), []
    settings = {"config": config, "valid_every": 3, "optimizer": "sgd", "lr": 0.1}
    settings["train"] = tone.Tones(0, nan_from=60)  # an error of another process is reports like our own
    ways = {"one": {"batch": 8}, "two": {"batch": 4, "devices": 2, "progress": lambda *now: reports.append(now)}}
    for name, way in ways.items():
        with pytest.raises(UndinError, match="loss became nan at step 8"):
            run(tmp_path / name, **settings, **way)
    one, two = (read_log(tmp_path / name / "log.csv") for name in ("one", "two"))
    assert [row["step"] for row in one] == [row["step"] for row in two] == [2, 3, 4, 6]
    for ours, theirs in zip(two, one, strict=True):
        for name in set(ours) - set(CHANGING):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4, nan_ok=True), name
    ours, theirs = (weights_of(tmp_path / name / "last.ckpt") for name in ("two", "one"))
    assert all(torch.allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-6) for name in theirs)
    assert reports[-1][:2] == (6, 12)


def test_processes_share_the_examples_of_one():
    numbered = tone.Tones(0)
    one = [pair["noisy"] for pair in Loader(numbered, batch=4, start=2, stop=5)]
    two = [[pair["noisy"] for pair in Loader(numbered, batch=2, start=2, stop=5, rank=r, world=2)] for r in (0, 1)]
    assert all(torch.equal(torch.cat(pair), whole) for *pair, whole in zip(*two, one, strict=True))
    assert torch.equal(one[0][0], torch.tensor(numbered[8].noisy))


class Missing(tone.Tones):
    def __getitem__(self, i):
        if i == 5:
            raise InputError("example 5: its file is gone")
        return super().__getitem__(i)


def test_workers_give_the_same_and_their_errors_are_ours():
    loader = Loader(Missing(0), batch=2, start=0, stop=4, workers=1)
    found = []
    with pytest.raises(InputError, match=r"^example 5: its file is gone$"):
        for pair in loader:
            found.append(pair["noisy"])
    assert all(torch.equal(x, torch.tensor(tone.Tones(0)[2 * i].noisy)) for i, (x, _) in enumerate(found))
    assert len(found) == 2
