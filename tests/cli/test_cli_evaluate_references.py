"""Scores through the whole command line are those of the reference packages, called by hand."""

import csv

import numpy as np
import pytest

import undin
from undin.cli import main


def test_scores_are_those_of_the_reference_packages(tmp_path, monkeypatch):
    pesq, pystoi = pytest.importorskip("pesq"), pytest.importorskip("pystoi")
    monkeypatch.delenv("UNDIN_DATA", raising=False)
    corpus = undin.corpora.mini()
    rows = undin.mixing.make_manifest(corpus, n=20, seed=3, snr_db=(0.0, 10.0))
    manifest, out = tmp_path / "m.csv", tmp_path / "out"
    undin.mixing.write_manifest(manifest, rows)
    command = ["evaluate", str(manifest), "-m", "log-mmse", "--metrics", "pesq_wb,stoi,estoi", "--examples", "0"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "-o", str(out), "-q"])
    assert ended.value.code == 0
    with (out / "scores.csv").open(newline="") as file:
        table = {row["id"]: row for row in csv.DictReader(file) if row["method"] == "log-mmse"}
    for row in rows:
        mixture = undin.mixing.render(row, corpus)
        y = undin.enhance(mixture.noisy, 16000, method="log-mmse")
        found = [float(table[row.id][name]) for name in ("pesq_wb", "stoi", "estoi")]
        by_hand = [
            pesq.pesq(16000, mixture.speech, y, "wb"),
            pystoi.stoi(mixture.speech, y, 16000),
            pystoi.stoi(mixture.speech, y, 16000, extended=True),
        ]
        np.testing.assert_allclose(found, by_hand, rtol=0, atol=1e-6, err_msg=row.id)
