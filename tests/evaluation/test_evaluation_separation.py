"""Talkers in any order get the same scores; ideal masks reach what they should; the table tells same gender apart."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

import undin
from undin.errors import InputError
from undin.evaluation import make_talker_examples, write_talkers_report
from undin.evaluation.separation import (
    COLUMNS,
    IDEAL,
    evaluate_talkers,
    ideal_masks,
    markdown,
    mask_accuracy,
    score_talkers,
    summarise,
)
from undin.evaluation.statistics import Mean
from undin.evaluation.summary import facts_of_run
from undin.evaluation.tables import interval
from undin.metrics import si_sdr
from undin.mixing import make_manifest

SR = 8000


def talkers(n: int = 2 * SR) -> np.ndarray:
    """A low and a high voice that take turns and overlap, (2, n)."""
    t = np.arange(n) / SR
    rng = np.random.default_rng(0)
    low, high = (sum(np.cos(2 * np.pi * k * f * t) / k for k in range(1, 8)) for f in (110, 317))
    low, high = low * (np.sin(7 * t) > -0.3), high * (np.sin(9 * t + 1) > -0.3)
    return 0.05 * np.stack([low, high]) + 1e-4 * rng.standard_normal((2, n))


def test_scores_do_not_depend_on_the_order_and_count_from_the_mixture():
    ref = talkers()
    est = ref + 0.05 * ref[::-1]
    scores = [score_talkers(ref=ref, est=e, noisy=ref.sum(0), sr=SR) for e in (est, est[::-1])]
    assert scores[0] == scores[1]
    assert scores[0]["si_sdr_gain_db"] == pytest.approx(26, abs=1)
    assert scores[0]["si_sdr_db"] - scores[0]["mixture_si_sdr_db"] == pytest.approx(scores[0]["si_sdr_gain_db"])
    nothing = score_talkers(ref=ref, est=np.stack([ref.sum(0)] * 2), noisy=ref.sum(0), sr=SR)
    assert nothing["si_sdr_gain_db"] == pytest.approx(0, abs=1e-6)
    assert nothing["sdr_gain_db"] == pytest.approx(0, abs=1e-6)


def test_accuracy_of_the_truth_is_one_and_of_giving_all_to_one_is_chance():
    ref = talkers()
    right, chance = mask_accuracy(ref=ref, est=ref[::-1], noisy=ref.sum(0), sr=SR)
    assert right == pytest.approx(1) and 0.5 <= chance < 0.9
    all_to_one = np.stack([ref.sum(0), 1e-3 * ref.sum(0)])
    assert mask_accuracy(ref=ref, est=all_to_one, noisy=ref.sum(0), sr=SR) == pytest.approx((chance, chance))


def test_ideal_masks_are_ordered_as_in_the_papers():
    ref = talkers()
    gains = {
        name: score_talkers(ref=ref, est=est, noisy=ref.sum(0), sr=SR)["si_sdr_gain_db"]
        for name, est in ideal_masks(ref, ref.sum(0), SR).items()
    }
    assert list(gains) == list(IDEAL)
    assert gains[IDEAL[2]] > max(gains[IDEAL[0]], gains[IDEAL[1]]) > 8


def test_a_table_of_methods_with_failures_and_genders(tmp_path):
    corpus = undin.corpora.mini()
    rows = make_manifest(corpus, n=4, seed=1, talkers=2, split="test")

    def half(x, sr):
        if len(x) == rows[1].n_samples:
            raise InputError("not this one")
        return np.stack([x / 2, x / 2])

    scores = evaluate_talkers(rows, corpus, {"half": half}, tmp_path)
    assert [s.method for s in scores[:4]] == ["half", *IDEAL]
    failed = [s for s in scores if s.error]
    assert failed and all(s.error == "not this one" and s.method == "half" for s in failed)
    with (tmp_path / "scores.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(scores)
    table = json.loads((tmp_path / "summary.json").read_text())
    whole = {row["method"]: row for row in table if row["talkers"] == "all"}
    assert whole["half"]["failed"] == len(failed)
    assert whole["half"]["si_sdr_gain_db"]["mean"] == pytest.approx(0, abs=1e-3)
    assert whole[IDEAL[0]]["si_sdr_gain_db"]["mean"] > 5
    known = {s.genders for s in scores}
    assert known <= {"same", "different", ""}
    assert {row["talkers"] for row in summarise([replace(s, genders="same") for s in scores])} == {"all", "same"}
    assert markdown(table).count("\n") == len(table) + 2
    assert (tmp_path / "summary.md").read_text() == markdown(table)


def test_one_talker_is_refused(tmp_path):
    corpus = undin.corpora.mini()
    rows = make_manifest(corpus, n=1, seed=1, split="test")
    with pytest.raises(InputError, match="has one talker: mix with talkers = 2"):
        evaluate_talkers(rows, corpus, {}, tmp_path)


def test_a_page_of_talkers_to_read_and_to_listen_to(tmp_path, monkeypatch):
    corpus = undin.corpora.mini()
    rows = make_manifest(corpus, n=4, seed=1, talkers=2, split="test")
    undin.mixing.write_manifest(tmp_path / "two.csv", rows)
    order = np.random.default_rng(0)

    def told(share):
        """What knows the talkers, and gives them in any order."""

        def separate(x, sr):
            row = next(row for row in rows if row.n_samples == len(x))
            s = undin.mixing.render(row, corpus).sources
            return (share * s + (1 - share) / 2 * x)[order.permutation(2)]

        return separate

    def failing(x, sr):
        raise InputError("not <today>")

    methods = {"good": told(0.8), "poor": told(0.1), "never": failing}
    scores = evaluate_talkers(rows, corpus, methods, tmp_path)
    examples = make_talker_examples(scores, rows, corpus, methods, n=2, seed=0)
    assert [list(e.sounds) for e in examples] == 2 * [
        ["mixture", "talker 1", "talker 1, good", "talker 1, poor", "talker 2", "talker 2, good", "talker 2, poor"]
    ]
    for example in examples:  # outputs stand with the talker they are of
        for k in (1, 2):
            ref, est = (example.sounds[f"talker {k}{name}"] for name in ("", ", good"))
            assert si_sdr(ref=ref, est=est) > 10
    gains = [next(s.si_sdr_gain_db for s in scores if s.id == e.row.id and s.method == "good") for e in examples]
    assert gains[0] <= gains[1]  # least gained first
    described = {name: {"method": name} for name in methods}
    about = facts_of_run(rows, described, ["si_sdr_db"], manifest=tmp_path / "two.csv", data=corpus.root)
    page = write_talkers_report(tmp_path / "report.html", scores, about, examples=examples[1:]).read_text("utf-8")
    for words in ("good against poor and 1 more", "n 4", "not &lt;today&gt;", "talker 2, poor", "<small>n 0</small>"):
        assert words in page
    assert page.count("data:audio/wav") == 7 and "4 failures are listed below" in page
    mean = next(row for row in summarise(scores) if row["method"] == "good" and row["talkers"] == "all")
    gain, mixture = (mean[name] for name in ("si_sdr_gain_db", "mixture_si_sdr_db"))
    assert f"+{gain['mean']:.2f} ± {gain['half']:.2f}" in page
    assert f"an SI-SDR of {interval(Mean(**mixture), 2)} dB" in page

    monkeypatch.setattr("undin.evaluation.report.can_draw", lambda: False)
    some = [replace(s, error="no", **dict.fromkeys(COLUMNS, math.nan)) if s.id == rows[0].id else s for s in scores]
    page = write_talkers_report(tmp_path / "some.html", some, about).read_text("utf-8")
    assert "<small>n 3</small>" in page and "Pictures are left out" in page and "<img" not in page
    nothing = [s for s in scores if s.method == "never"]
    page = write_talkers_report(tmp_path / "none.html", nothing, about).read_text("utf-8")
    assert "not &lt;today&gt;" in page and "<small>n 0</small>" in page
