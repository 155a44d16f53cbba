"""Benchmarks score by `undin.evaluation`: results are its scores, and an interrupted run resumes."""

import sys
from pathlib import Path

import pytest

import undin
from undin import corpora
from undin.mixing import make_manifest, render

sys.path.append(str(Path(__file__).parents[2]))
from benchmarks.quality import nmf

from benchmarks import scoring

CORPUS = corpora.mini()


@pytest.fixture(scope="module")
def rows():
    return make_manifest(CORPUS, n=2, seed=1, snr_db=0.0, split="test")


def test_results_are_the_scores_of_the_evaluator(rows, tmp_path):
    path = tmp_path / "results.csv"
    metrics = ["si_sdr_db", "snr_db"]
    scoring.run(rows, CORPUS, scoring.methods(["log-mmse"]), path, metrics=metrics)
    assert path.read_text().startswith("method,id,kind,snr_db,si_sdr_db,out_snr_db\n")
    results = scoring.read(path)
    assert [(r["method"], r["id"]) for r in results] == [(m, row.id) for row in rows for m in ("input", "log-mmse")]
    mixture = render(rows[1], CORPUS)
    y = undin.enhance(mixture.noisy, CORPUS.sr, method="log-mmse")
    assert results[3]["si_sdr_db"] == pytest.approx(undin.metrics.si_sdr(ref=mixture.speech, est=y), abs=1e-5)
    assert results[3]["out_snr_db"] == pytest.approx(undin.metrics.snr(ref=mixture.speech, est=y), abs=1e-5)
    assert results[3]["snr_db"] == 0
    gain = results[3]["si_sdr_db"] - results[2]["si_sdr_db"]
    assert scoring.gains(results, "log-mmse", "si_sdr_db")[1] == pytest.approx(gain)
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]


def test_failures_are_named_and_the_scores_of_the_rest_are_kept(rows, tmp_path, capsys):
    broken = undin.evaluation.Oracle("broken", lambda mixture, sr: mixture.noisy[1:])
    found = scoring.evaluated(rows, CORPUS, [broken], tmp_path / "r.csv", metrics=["si_sdr_db"], workers=1)
    assert len(found.failures) == 2 and f"  broken, {rows[0].id}: returned" in capsys.readouterr().out
    again = scoring.evaluated(rows, CORPUS, [], tmp_path / "r.csv", metrics=["si_sdr_db"], workers=1)
    assert again.n_kept == 2 and not (tmp_path / "r.part").exists()


def test_nmf_is_compared_in_the_forms_of_its_results(rows, tmp_path):
    systems = {system.name: system for system in nmf.compared(CORPUS)}
    assert {"input", *systems} == {row["method"] for row in scoring.read(nmf.PATH)}
    oracle = systems["nmf-exp, oracle"]
    found = scoring.evaluated(rows[:1], CORPUS, [oracle], tmp_path / "r.csv", metrics=["si_sdr_db"], workers=1)
    before, after = (score.values["si_sdr_db"] for score in found.scores)
    assert after > before + 3
