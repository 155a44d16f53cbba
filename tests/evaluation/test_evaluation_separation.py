"""Talkers in any order get the same scores; ideal masks reach what they should; groups tell genders apart."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from evaluation_files import Share, kill_when_scored, scores_of, words

import undin
from undin import corpora, evaluation
from undin.cli import main
from undin.errors import InputError
from undin.evaluation import Separation, choose, evaluate
from undin.evaluation.report import page as page_module
from undin.evaluation.scores import OLDER
from undin.evaluation.separation import DIFFERENT, IDEAL, SAME, UNKNOWN, bins_right, ideal_mask
from undin.evaluation.statistics import differences, interval, mean_of
from undin.metrics import si_sdr
from undin.mixing import make_manifest, render, write_manifest

SR = 8000
QUICK = ["si_sdr_db", "accuracy"]  # SDR takes long


def talkers(n: int = 2 * SR) -> np.ndarray:
    """A low and a high voice that take turns and overlap, (2, n)."""
    t = np.arange(n) / SR
    rng = np.random.default_rng(0)
    low, high = (sum(np.cos(2 * np.pi * k * f * t) / k for k in range(1, 8)) for f in (110, 317))
    low, high = low * (np.sin(7 * t) > -0.3), high * (np.sin(9 * t + 1) > -0.3)
    return 0.05 * np.stack([low, high]) + 1e-4 * rng.standard_normal((2, n))


@pytest.fixture(scope="module")
def rows():
    return make_manifest(corpora.mini(), n=6, seed=3, talkers=2, split="test")


def scored(rows, folder, *systems, metrics=None, **settings):
    corpus = corpora.mini()
    task = Separation.of(corpus)
    return evaluate(rows, corpus, systems, choose(metrics, corpus.sr, task)[0], folder, task=task, **settings)


def test_the_order_of_estimates_does_not_matter():
    ref, task = talkers(), Separation()
    est = ref + 0.05 * ref[::-1]
    np.testing.assert_array_equal(task.matched(ref, est[::-1]), est)
    np.testing.assert_array_equal(task.matched(ref, est), est)
    silent = np.zeros_like(est)
    assert task.matched(ref, silent) is silent


def test_bins_of_the_truth_are_right_and_giving_all_to_one_is_chance():
    ref = talkers()
    mixture = SimpleNamespace(noisy=ref.sum(0), sources=ref)
    assert bins_right(ref=ref, est=ref[::-1], sr=SR) == pytest.approx(1)
    chance = bins_right(ref=ref, est=Separation().unprocessed(mixture, SR), sr=SR)
    assert 0.5 <= chance < 0.9
    energy = np.square(np.abs(undin.spectrum.stft(ref, 256, 128)))
    louder = np.square(np.abs(undin.spectrum.stft(ref.sum(0), 256, 128)))
    share = louder[energy[0] > energy[1]].sum() / louder.sum()
    assert chance == pytest.approx(max(share, 1 - share))
    all_to_one = np.stack([ref.sum(0), 1e-3 * ref.sum(0)])
    assert bins_right(ref=ref, est=all_to_one, sr=SR) == pytest.approx(chance)
    with pytest.raises(InputError, match=r"must both be \(n_src, n_samples\)"):
        bins_right(ref=ref[0], est=ref[0], sr=SR)


def test_ideal_masks_and_the_phase_sensitive_one_is_best():
    ref = talkers()
    mixture = SimpleNamespace(noisy=ref.sum(0), sources=ref)
    gains = {name: si_sdr(ref=ref, est=ideal_mask(name, mixture, SR)).mean() for name in IDEAL}
    best = gains.pop("ideal phase-sensitive mask")
    assert best > max(gains.values()) and min(gains.values()) > 8


def test_scores_are_means_over_talkers_with_input_and_ideal_masks(rows, tmp_path):
    result = scored(rows, tmp_path, Share("good", 0.8), metrics=QUICK)
    assert result.methods == ["input", "good", *IDEAL] and not result.failures
    assert [s.method for s in result.scores[:5]] == result.methods
    for score in result.scores:
        mixture = render(result.rows[score.id], corpora.mini())
        if score.method == "good":
            est = 0.8 * mixture.sources + 0.1 * mixture.noisy
            expected = si_sdr(ref=mixture.sources, est=est).mean()
            assert score.values["si_sdr_db"] == pytest.approx(expected, abs=1e-3)
            assert score.speaker.count("+") == 1 and score.seconds > 0
        if score.method == "input":
            unprocessed = np.stack([mixture.noisy] * 2)
            assert score.values["si_sdr_db"] == si_sdr(ref=mixture.sources, est=unprocessed).mean()
            assert score.seconds == 0
    by_method = {m: mean_of(s.values["accuracy"] for s in result.scores if s.method == m).mean for m in result.methods}
    assert by_method["input"] < 0.8 < by_method["good"] <= 1 + 1e-9 and by_method["ideal binary mask"] > 0.98


def test_groups_are_named_by_gender(rows):
    task = Separation.of(corpora.mini())
    assert [task.group(row) for row in rows].count(SAME) == 3
    assert [task.group(row) for row in rows].count(DIFFERENT) == 3
    names = [source.label for source in rows[0].speech]
    assert Separation(dict(zip(names, "FM", strict=True))).group(rows[0]) == DIFFERENT
    assert Separation(dict.fromkeys(names, "M")).group(rows[0]) == SAME
    assert Separation({names[0]: "F"}).group(rows[0]) == UNKNOWN


def test_any_metric_is_scored_and_a_new_one_rescores(rows, tmp_path):
    one = scored(rows[:2], tmp_path, Share("good", 0.8), metrics=["snr_db"])
    assert set(one.scores[0].values) == {"snr_db"}
    assert scored(rows[:2], tmp_path, Share("good", 0.8), metrics=["snr_db"]).n_kept == 2 * 5
    assert scored(rows[:2], tmp_path, Share("good", 0.8), metrics=["si_sdr_db"]).n_kept == 0
    with pytest.raises(InputError, match="unknown metric 'accuracy'"):
        choose(["accuracy"], 16000)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crashing_mixture_is_named_and_the_rest_is_scored(rows, tmp_path, workers):
    bad, picky = rows[2].id, Share("picky", 0.8, fails_on=rows[2].id)
    result = scored(rows, tmp_path, picky, metrics=["si_sdr_db"], workers=workers)
    assert [(f.row, f.id, f.method, f.reason) for f in result.failures] == [
        (4, bad, "picky", "ValueError: not <this> one")
    ]
    for score in result.scores:
        assert bool(score.error) == ((score.id, score.method) == (bad, "picky"))
        assert bool(score.values) == (not score.error)
    assert scored(rows, tmp_path, picky, metrics=["si_sdr_db"]).n_kept == len(result.scores) - 1


def test_the_wrong_number_of_talkers_is_a_failure(tmp_path):
    three = make_manifest(corpora.mini(), n=1, seed=1, talkers=3, split="test")
    result = scored(three, tmp_path, evaluation.MethodSystem("mine", "blstm-mask", 2), metrics=QUICK)
    reason = "returned 2 signals; expected 3, one per reference"
    assert [(f.id, f.method, f.reason) for f in result.failures] == [(three[0].id, "mine", reason)]


def test_one_talker_is_refused(rows, tmp_path):
    one = make_manifest(corpora.mini(), n=1, seed=1, split="test")
    with pytest.raises(InputError, match="nothing to evaluate: row 2: it has one talker: mix with talkers = 2"):
        scored(one, tmp_path, Share("good", 0.8))
    one = [replace(row, id="alone") for row in one]
    result = scored([rows[0], *one], tmp_path, Share("good", 0.8), metrics=["si_sdr_db"])
    assert [(f.row, f.id) for f in result.failures] == [(3, "alone")]


def test_talkers_scores_of_an_older_version_are_refused_with_the_cure(rows, tmp_path):
    old = f"id,method,{','.join(sorted(OLDER))},error\na,b,same,1.0,\n"
    (tmp_path / "scores.csv").write_text(old)
    with pytest.raises(
        InputError, match=r"scores.csv exists and is from an older version, .*: move it away, or choose"
    ):
        scored(rows[:1], tmp_path, Share("good", 0.8))
    assert (tmp_path / "scores.csv").read_text() == old


KILLED = ["-m", "lstm-mask", "--metrics", "si_sdr_db", "--examples", "0", "-q", "-o"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A manifest, and the scores of a run that was not killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_manifest(folder / "two.csv", make_manifest(corpora.mini(), n=6, seed=1, talkers=2))
    with pytest.raises(SystemExit, match="0"):
        main(["evaluate", str(folder / "two.csv"), *KILLED, str(folder)])
    return folder / "two.csv", scores_of(folder / "scores.csv")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_and_rerun_gives_the_same_scores(undisturbed, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(page_module, "can_draw", lambda: False)
    manifest, whole = undisturbed
    command = ["evaluate", str(manifest), "--workers", workers, *KILLED, str(tmp_path)]
    assert 0 < kill_when_scored(command, tmp_path / "scores.csv", n=2) < len(whole) == 6 * 5
    with pytest.raises(SystemExit, match="0"):
        main(command)
    assert scores_of(tmp_path / "scores.csv") == whole


def test_a_page_of_talkers_to_read_and_to_listen_to(rows, tmp_path, monkeypatch):
    write_manifest(tmp_path / "two.csv", rows)
    systems = Share("good", 0.8), Share("poor", 0.1), Share("picky", 0.5, fails_on=rows[2].id)
    result = scored(rows, tmp_path, *systems, metrics=["si_sdr_db"])
    examples = evaluation.make_examples(result, corpora.mini(), n=2, seed=0)
    for example in examples:
        labels = [f"talker {k}{name}" for k in (1, 2) for name in ("", ", good", ", poor", ", picky")]
        assert [x for x in labels if x in example.sounds or "picky" not in x] == list(example.sounds)[1:]
        for k in (1, 2):  # an estimate is played next to its talker
            ref, est = (example.sounds[f"talker {k}{name}"] for name in ("", ", good"))
            assert si_sdr(ref=ref, est=est) > 10
    about = evaluation.about_run(result, manifest=tmp_path / "two.csv", data=corpora.mini().root)
    summary = evaluation.write_summary(tmp_path / "summary.json", result, about)
    page = evaluation.write_report(tmp_path / "report.html", result, about, examples=examples[1:])
    text = words(page)
    for word in (
        "good against poor and 1 more",
        "not &lt;this&gt;",
        "talker 2, poor",
        "ideal ratio mask",
        SAME,
        DIFFERENT,
    ):
        assert word in text
    assert "2 talkers at once" in text and "Higher is better throughout." in text
    good = next(r for r in summary["results"] if (r["method"], r["kind"], r["snr"]) == ("good", "all", "all"))
    assert good["metric"] == "si_sdr_db" and good["gain"]["n"] == len(rows)
    values = {m: {s.id: s.values["si_sdr_db"] for s in result.scores if s.method == m} for m in ("input", "good")}
    gain = mean_of(differences(values["good"], values["input"]).values())
    assert good["gain"]["mean"] == pytest.approx(gain.mean) and f"({interval(gain, 1, sign=True)})" in text
    with evaluation.write_per_kind(tmp_path, result).open(newline="") as file:
        table = {(row["method"], row["gender"]) for row in csv.DictReader(file)}
    assert {("good", "all"), ("input", SAME), ("ideal ratio mask", "all")} <= table
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["failed"]

    monkeypatch.setattr(page_module, "can_draw", lambda: False)
    page = evaluation.write_report(tmp_path / "bare.html", result, about).read_text("utf-8")
    assert "Pictures are left out" in page and "<img" not in page
