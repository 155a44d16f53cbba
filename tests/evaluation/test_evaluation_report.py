"""The report shows what scores.csv says, next to the input, and hides nothing."""

import csv
import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from evaluation_files import CRASH, LATE, program, rows, words

from undin import corpora, evaluation, pictures
from undin.evaluation.enhancement import Enhancement
from undin.evaluation.per_kind import write_per_kind
from undin.evaluation.per_speaker import write_seen_speakers
from undin.evaluation.recognizer import WER
from undin.evaluation.report import plots, tables
from undin.evaluation.report.examples import choose_examples
from undin.evaluation.run import Evaluation, Failure
from undin.evaluation.scores import Score
from undin.evaluation.slices import Slices, snr_names
from undin.evaluation.statistics import Mean, number
from undin.evaluation.systems import MethodSystem
from undin.metrics import METRICS
from undin.page import Cell


def made(scores, metrics=("si_sdr_db",), methods=("a", "b"), failures=()):
    """An evaluation from {method: [(kind, snr_db, value), ...]}."""
    out = []
    for method, cells in scores.items():
        seconds = 0.0 if method == "input" else 0.5
        for i, (kind, snr_db, value) in enumerate(cells):
            values = {} if value is None else {metrics[0]: value}
            undefined = {metrics[0]: "est is silent"} if value is None else {}
            out.append(
                Score(
                    f"m{i}",
                    method,
                    kind,
                    snr_db,
                    values=values,
                    undefined=undefined,
                    duration_s=2.0,
                    seconds=seconds,
                )
            )
    systems, measures = [MethodSystem(m, m) for m in methods], [METRICS.get(m, WER) for m in metrics]
    return Evaluation(Enhancement(), out, list(failures), systems, measures, {})


PLACES = [("rain", 0.0), ("rain", 5.0), ("fan", 0.0), ("fan", 5.0)]


@pytest.fixture
def small():
    def scores(*values):
        return [(*place, value) for place, value in zip(PLACES, values, strict=True)]

    return made({"input": scores(0, 5, 0, 5), "a": scores(1, 7, 3, 9), "b": scores(4, 4, None, 4)})


def test_slices_means_and_gains_by_hand(small):
    table = Slices(small)
    cell = table.at("a", "si_sdr_db")
    assert (cell.score.n, cell.score.mean, cell.gain.mean) == (4, 5.0, 2.5)
    assert cell.score.half == pytest.approx(1.959964 * np.std([1, 7, 3, 9], ddof=1) / 2)
    assert table.at("a", "si_sdr_db", kind="fan").gain.mean == 3.5
    assert table.at("a", "si_sdr_db", kind="rain", snr="5 dB").score.mean == 7
    lame = table.at("b", "si_sdr_db")
    assert (lame.score.n, lame.score.mean, lame.gain.mean) == (3, 4.0, pytest.approx((4 - 1 - 1) / 3))
    assert table.real_time_factor("a") == 0.25 and table.real_time_factor("input") is None


def test_means_and_deviations_per_noise(small, tmp_path):
    assert write_per_kind(tmp_path, small) == tmp_path / "per_noise.csv"
    with (tmp_path / "per_noise.csv").open(newline="") as file:
        rows = {(row.pop("method"), row.pop("noise")): row for row in csv.DictReader(file)}
    assert list(rows) == [(m, k) for m in ("input", "a", "b") for k in ("fan", "rain", "all")]
    assert rows["a", "all"] == {
        "n": "4",
        "si_sdr_db_mean": "5.0000",
        "si_sdr_db_std": f"{np.std([1, 7, 3, 9], ddof=1):.4f}",
    }
    assert rows["b", "fan"] == {"n": "1", "si_sdr_db_mean": "4.0000", "si_sdr_db_std": ""}
    assert [path.name for path in tmp_path.iterdir()] == ["per_noise.csv"]


def test_word_error_rates_of_seen_speakers_are_pooled(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no picture
    rates = {"input": [0.0, 1.0, 0.5, 0.5], "a": [1.0, 1.0, 0.0, 1.0]}
    known = made({m: [("k", 0.0, rate) for rate in own] for m, own in rates.items()}, ("wer",), ("a",))
    mixtures = {f"m{i}": replace(rows()[i], speaker_seen=seen) for i, seen in enumerate(("yes", "yes", "no", "no"))}
    words_of = dict(zip(mixtures, (9, 1, 2, 6), strict=True))
    assert write_seen_speakers(tmp_path, replace(known, rows=mixtures, n_words=words_of))
    with (tmp_path / "seen_speakers.csv").open(newline="") as file:
        found = {(r["speakers"], r["method"]): r["wer_mean"] for r in csv.DictReader(file) if r["noise"] == r["snr"]}
    expected = {("seen", "input"): "0.1000", ("seen", "a"): "1.0000"}
    assert found == expected | {("unseen", "input"): "0.5000", ("unseen", "a"): "0.7500"}


def test_cells_of_the_tables(small):
    table, measure = Slices(small), small.measures[0]
    rows = tables.by_kind_and_snr(table, measure, ["all", "fan"])
    assert rows[0].cells == {"0 dB": "n 2", "5 dB": "n 2", "all SNRs": "n 4"}
    assert rows[2]["5 dB"] == Cell("8.0 ± 2.0", "", best=True)
    assert rows[3]["0 dB"] == Cell("4.0", "n 1", best=True)  # fewer than the others: said
    assert rows[5]["0 dB"] == Cell("0.0", "") and rows[7]["0 dB"] is None
    overall = tables.overall(table)
    assert overall[1]["SI-SDR (dB)"] == Cell("5.0 ± 3.6", "(+2.5 ± 1.3)\nn 4", best=True)


def test_where_lower_is_better_the_lowest_is_bold():
    table = Slices(made({"input": [("k", 0.0, 3.0)], "a": [("k", 0.0, 2.0)]}, ("lsd_db",), ("a",)))
    rows = tables.overall(table)
    assert [row["LSD (dB)"].best for row in rows] == [False, True]


def test_pairs_are_row_minus_column_each_once(small):
    matrix = tables.pair_matrix(Slices(small), small.measures[0])
    assert [row["row minus column"] for row in matrix] == ["a", "b"]
    assert matrix[0]["input"].text.startswith("+2.5 ± 1.3") and matrix[0]["a"] == ""
    assert matrix[1]["a"].note.endswith("n 3")
    tests = tables.pair_tests(Slices(small), small.measures[0])
    assert set(tests) == {("a", "input"), ("b", "input"), ("b", "a")}
    assert tests["b", "a"].difference.mean == pytest.approx(np.mean([3, -3, -5]))


def test_undefined_scores_are_counted_with_their_reason(small):
    assert tables.undefined(Slices(small)) == [
        {"metric": "SI-SDR", "method": "b", "files": 1, "reason": "est is silent", "first": "m2"}
    ]


def test_snrs_are_named_by_value_or_by_bin():
    assert [snr_names([-5, 0])(v) for v in (-5, 0)] == ["−5 dB", "0 dB"]
    assert [snr_names([-4.1, 0.2, 3.3])(v) for v in (-4.1, 0.2)] == ["−5 to 0 dB", "0 to 5 dB"]
    name = snr_names(np.linspace(-5, 15, 40))
    assert [name(v) for v in (-5, -0.1, 0, 14.9)] == ["−5 to 0 dB", "−5 to 0 dB", "0 to 5 dB", "10 to 15 dB"]


def test_gains_have_a_panel_per_method_and_metric():
    pytest.importorskip("matplotlib")
    figure = plots.histograms({"PESQ": {"a": [1.0, 2.0], "b": [0.5]}, "SI-SDR dB": {"b": [3.0, 4.0, -1.0]}})
    assert len(figure.axes) == 4
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "", "b", ""]
    assert figure.axes[0].get_xlim() == figure.axes[2].get_xlim() != figure.axes[1].get_xlim()


def test_costs_that_are_alike_have_ticks_too():
    pytest.importorskip("matplotlib")
    figure = plots.over_cost({"a": (0.011, Mean(3, 1.0, 0.1)), "b": (0.013, Mean(3, 2.0, 0.1))}, None, "PESQ")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    ticks = [*axes.xaxis.get_major_ticks(), *axes.xaxis.get_minor_ticks()]
    shown = [tick.label1.get_text() for tick in ticks if low <= tick.get_loc() <= high]
    assert len([text for text in shown if text]) >= 2


def test_hostile_names_leave_the_pictures_whole(recwarn):
    pytest.importorskip("matplotlib")
    name = "$x_{$ " + 80 * "<"
    for figure in (
        plots.per_kind({name: [Mean(3, 1.0, 0.1)]}, [name], "PESQ"),
        plots.histograms({"PESQ": {name: [1.0, 2.0]}}),
        pictures.spectrograms({name: np.zeros(800, np.float32)}, 8000, title=name),
    ):
        assert pictures.shot(figure, width=3.6).light
    assert not recwarn.list


def test_examples_cover_the_range_of_gains():
    gains = np.arange(20.0)
    evaluation = made({"input": [("k", 0.0, 0.0)] * 20, "a": [("k", 0.0, g) for g in gains]}, methods=("a",))
    for seed in range(5):
        ids = [int(id[1:]) for id in choose_examples(evaluation, 4, seed)]
        assert [i // 5 for i in ids] == [0, 1, 2, 3]
    assert choose_examples(evaluation, 4, 1) == choose_examples(evaluation, 4, 1)
    assert len(choose_examples(evaluation, 50, 0)) == 20
    assert choose_examples(evaluation, 0, 0) == []


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of real methods, one that crashes and one that is late."""
    folder = tmp_path_factory.mktemp("report")
    manifest = folder / "m.csv"
    manifest.write_text("as it was\n")
    systems = evaluation.make_systems(["log-mmse"], [CRASH, LATE])
    measures = evaluation.choose(["si_sdr_db"], 16000)[0]
    kinds = {rows()[0].kind}
    task = Enhancement(kinds)
    result = evaluation.evaluate(rows(), corpora.mini(), systems, measures, folder, task=task)
    about = evaluation.about_run(result, manifest=manifest, data=folder, command=["undin", "evaluate", "a b.csv"])
    examples = evaluation.make_examples(result, corpora.mini(), n=1, seed=0)
    evaluation.write_summary(folder / "summary.json", result, about)
    return result, about, examples, folder


def test_a_page_with_everything(report):
    pytest.importorskip("matplotlib")
    result, about, examples, folder = report
    page = evaluation.write_report(
        folder / "report.html", result, about, examples=examples, notes=["PESQ is left out."]
    )
    text, source = words(page), page.read_text("utf-8")
    assert "http" not in source and source.count("<audio") == 4  # input, log-mmse, late, clean
    assert "exited with 1: no such weights" in text and "PESQ is left out." in text
    assert "The output of late is 10.0 ms late (median)" in text
    assert "undin evaluate &#x27;a b.csv&#x27;" in text and about["manifest_sha256"][:16] in text
    assert "Seen and unseen noise" in text and "row minus column" in text
    assert re.search(r"3 methods on 6 mixtures \(0\.\d minutes\): \d kinds of noise, SNR 0 to 10 dB", text)
    mean = number(np.mean([s.values["si_sdr_db"] for s in result.scores if s.method == "log-mmse"]), 1)
    assert mean in text
    assert "Every mixture has the same weight" in text
    again = evaluation.write_report(
        folder / "two.html", result, about, examples=examples, notes=["PESQ is left out."], workers=2
    )
    assert again.read_text("utf-8") == source  # drawn by other processes


def test_without_matplotlib_and_scipy_there_are_tables_and_it_is_said(report, monkeypatch):
    result, about, examples, folder = report
    for module in ("matplotlib", "matplotlib.figure", "scipy", "scipy.stats"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    page = evaluation.write_report(folder / "bare.html", result, about, examples=examples)
    text = words(page)
    assert "Pictures are left out: matplotlib is not installed" in text and "<img" not in page.read_text("utf-8")
    assert "sign p" in text and "need scipy" in text and page.read_text("utf-8").count("<audio") == 4


def test_the_summary_says_all_that_a_program_needs(report):
    result, _, _, folder = report
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert summary["n_mixtures"] == 6 and summary["run"]["manifest_seeds"] == [1]
    cell = next(c for c in summary["results"] if (c["method"], c["kind"], c["snr"]) == ("log-mmse", "all", "all"))
    values = {m: {s.id: s.values["si_sdr_db"] for s in result.scores if s.method == m} for m in ("log-mmse", "input")}
    assert cell["score"]["mean"] == pytest.approx(np.mean(list(values["log-mmse"].values())))
    gains = [values["log-mmse"][id] - values["input"][id] for id in values["input"]]
    assert cell["gain"]["mean"] == pytest.approx(np.mean(gains)) and cell["gain"]["n"] == 6
    assert [f["method"] for f in summary["failed"]] == ["crash"] * 6
    assert set(summary["real_time_factor"]) == {"log-mmse", "crash", "late"}
    assert summary["run"]["packages"]["numpy"] and summary["run"]["machine"]["cores"]


def test_nothing_scored_gives_a_page_too(tmp_path):
    evaluation_ = made({}, failures=[Failure("x", 2, "", "<b>gone</b>")])
    about = {"machine": {"processor": "p", "cores": 1, "system": "s"}, "command": [], "undin": "0", "commit": None}
    about |= {"manifest": "m", "manifest_sha256": "0", "manifest_seeds": [], "data": "d", "packages": {}, "python": "3"}
    page = evaluation.write_report(tmp_path / "r.html", evaluation_, {**about, "time": "t", "methods": {}})
    assert "&lt;b&gt;gone&lt;/b&gt;" in page.read_text("utf-8")


def test_numbers():
    assert [number(v, 1) for v in (-0.04, 0.0, -1.25)] == ["0.0", "0.0", "−1.2"]
    assert number(0.51, 1, sign=True) == "+0.5"
    assert tables.probability(1e-9) == "p < 0.001"
    assert replace(METRICS["si_sdr_db"], unit="").title == "SI-SDR"
    assert program("a", "b").startswith("a=")


def test_the_label_of_bars_is_inside_the_picture():
    pytest.importorskip("matplotlib")
    names = ["input", *(f"{layer}-{n}" for layer in ("mann", "mann-lstm", "mann-dnn") for n in (6, 20, 77)), "log-mmse"]
    groups = {f"seen, {k} dB": {name: Mean(9, mean, 0.03) for name in names} for k, mean in enumerate((0.68, 0.88))}
    figure = plots.bars(groups, "STOI")
    figure.draw_without_rendering()
    assert figure.axes[0].yaxis.label.get_window_extent().x0 >= 0


def test_the_metrics_below_the_gains_do_not_overlap_on_a_phone():
    pytest.importorskip("matplotlib")
    titles = [METRICS[name].title for name in ("pesq_wb", "estoi", "si_sdr_db", "sdr_db")]
    figure = plots.histograms({title: {"lull": [0.1, 0.2, 0.4], "dnn": [0.0, 0.1, 0.2]} for title in titles})
    figure.set_figwidth(3.6)
    figure.draw_without_rendering()
    boxes = [axes.xaxis.label.get_window_extent() for axes in figure.axes if axes.get_xlabel()]
    assert len(boxes) == 4 and boxes[0].x0 >= 0
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))
