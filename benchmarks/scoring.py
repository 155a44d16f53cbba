"""Mixtures -> scores of `undin.evaluation` -> CSV -> a table of means with 95 % intervals, the input's scores first."""

import csv
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import undin
from benchmarks.launch import ROOT, SKIPPED
from undin.corpora import Corpus
from undin.evaluation import Evaluation, MethodSystem, System, Task, choose, evaluate
from undin.mixing import MixtureRow

RESULTS, PICTURES = ROOT / "benchmarks/results", ROOT / "docs/pictures"
METRICS = {"pesq_wb": "PESQ-WB", "stoi": "STOI", "estoi": "ESTOI", "si_sdr_db": "SI-SDR (dB)"}
LABELS = {**METRICS, "sdr_db": "SDR (dB)", "out_snr_db": "SNR (dB)"}  # those of `METRICS` are in every table
COLUMNS = {"snr_db": "out_snr_db"}  # of metrics that are called like a column of the mixture
Scores = dict[str, Any]
# Metrics that a method's loss contains, or that follow from such: tables mark them.
TOWARD = {
    "hush": (
        *("pesq_wb", "pesq_nb", "estoi", "stoi", "si_sdr_db", "segsnr_db", "csig", "cbak", "covl"),
        *("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl"),
    ),
    "lull": ("pesq_wb", "pesq_nb", "estoi", "stoi", "si_sdr_db", "segsnr_db", "csig", "cbak", "covl"),
    "lull version 1": ("estoi", "stoi", "si_sdr_db", "segsnr_db"),
}
MARK = "†"
MARKED = f"{MARK}: the method was trained toward this metric, or toward a part of it."


def skip(why: str) -> None:
    """End a benchmark that cannot be run here."""
    print(why, file=sys.stderr)
    sys.exit(SKIPPED)


def real_data() -> Corpus:
    """The corpus that UNDIN_DATA names; these figures are for real recordings only."""
    root = os.environ.get("UNDIN_DATA")
    if not root:
        skip("set UNDIN_DATA to a folder with speech.csv and noise.csv: this benchmark needs real recordings")
    return undin.corpora.open(root)


def methods(sources: Iterable[str] | dict[str, str]) -> list[System]:
    """Methods by id, or by name -> id or weights."""
    named = sources if isinstance(sources, dict) else {source: source for source in sources}
    return [MethodSystem(name, source, undin.load(source).n_src) for name, source in named.items()]


def evaluated(
    rows: Sequence[MixtureRow],
    corpus: Corpus,
    systems: Sequence[System],
    path: Path,
    *,
    metrics: Iterable[str] | None = tuple(METRICS),
    task: Task | None = None,
    workers: int = 2,
) -> Evaluation:
    """Evaluate systems; the folder next to `path` keeps the scores of a run that is interrupted.

    Args:
        rows: the mixtures.
        corpus: the one they are of.
        systems: the evaluated systems.
        path: of the results.
        metrics: names; None for the task's default.
        task: `Enhancement()` when None.
        workers: processes.
    """
    folder = path.with_suffix(".part")
    measures = choose(metrics, corpus.sr, task)[0]
    found = evaluate(rows, corpus, systems, measures, folder, task=task, workers=workers, progress=_show)
    for failure in found.failures:
        print(f"  {failure.method or 'mixture'}, {failure.id}: {failure.reason}")
    if not found.failures:
        shutil.rmtree(folder)
    return found


def run(
    rows: Sequence[MixtureRow],
    corpus: Corpus,
    systems: Sequence[System],
    path: Path,
    *,
    metrics: Iterable[str] = tuple(METRICS),
) -> list[Scores]:
    """Evaluate, and write a row per method and mixture: method, id, kind, snr_db, metrics.

    Args:
        rows: the mixtures.
        corpus: the one they are of.
        systems: systems to evaluate in addition to the input.
        path: of the results.
        metrics: names.
    """
    metrics = list(metrics)
    found = evaluated(rows, corpus, systems, path, metrics=metrics)
    results = [
        {"method": each.method, "id": each.id, "kind": each.kind, "snr_db": each.snr_db}
        | {COLUMNS.get(name, name): round(value, 5) for name, value in each.values.items()}
        for each in found.scores
    ]
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        columns = ["method", "id", "kind", "snr_db", *(COLUMNS.get(name, name) for name in metrics)]
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(results)
    return results


def _show(done: int, of: int) -> None:
    if done % 20 == 0 or done == of:
        print(f"{done} of {of}", flush=True)


def read(path: Path) -> list[Scores]:
    """The rows that `run` wrote."""
    with path.open(newline="") as file:
        return [
            {k: (float(v) if k in LABELS or k == "snr_db" else v) for k, v in row.items() if v != ""}
            for row in csv.DictReader(file)
        ]


def read_table(path: Path) -> list[dict[str, str]]:
    """All rows of results, as text; none before the first run."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Replace the results by these rows, which have the same columns."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def update(path: Path, rows: Sequence[Scores], metrics: Iterable[str]) -> None:
    """Write a row per method and file, the input first; rows of other methods and files stay.

    Args:
        path: of the results.
        rows: method, id and the metrics that each has.
        metrics: columns after method and id.
    """
    new = {(r["method"], r["id"]) for r in rows}
    old = [r for r in read_rows(path) if (r["method"], r["id"]) not in new] if path.exists() else []
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["method", "id", *metrics], lineterminator="\n")
        table.writeheader()
        table.writerows(sorted([*old, *rows], key=lambda r: (r["method"] != "input", r["method"], r["id"])))


def read_rows(path: Path) -> list[Scores]:
    """The rows that `update` wrote; metrics that a row lacks are left out."""
    if not path.exists():
        skip(f"{path.name} has not been measured: run it without --table")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v if k in ("method", "id") else float(v) for k, v in row.items() if v != ""} for row in rows]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval (normal approximation)."""
    v = np.asarray(values, float)
    return float(v.mean()), float(1.96 * v.std(ddof=1) / np.sqrt(len(v))) if len(v) > 1 else float("nan")


def mark(method: str, metric: str) -> str:
    """What follows a score that the method was trained toward."""
    return f" {MARK}" if metric in TOWARD.get(method, ()) else ""


def gains(results: Iterable[Scores], method: str, metric: str) -> list[float]:
    """Score minus the input's, mixture by mixture."""
    results = list(results)
    before = {r["id"]: r[metric] for r in results if r["method"] == "input" and metric in r}
    return [r[metric] - before[r["id"]] for r in results if r["method"] == method and metric in r and r["id"] in before]


def table(results: Sequence[Scores], metrics: Sequence[str] = tuple(METRICS)) -> str:
    """Markdown: the input's mean scores, then each method's mean change against the input ± its 95 % interval."""
    methods = list(dict.fromkeys(r["method"] for r in results))
    n = len({r["id"] for r in results})
    lines = ["| | " + " | ".join(LABELS[m] for m in metrics) + " | n |", "|---" * (len(metrics) + 2) + "|"]
    for method in methods:
        cells = []
        for metric in metrics:
            if method == "input":
                mean, half = interval([r[metric] for r in results if r["method"] == "input" and metric in r])
                cells.append(f"{mean:.2f} ± {half:.2f}" if metric.endswith("_db") else f"{mean:.3f} ± {half:.3f}")
            else:
                mean, half = interval(gains(results, method, metric))
                cells.append(f"{mean:+.2f} ± {half:.2f}" if metric.endswith("_db") else f"{mean:+.3f} ± {half:.3f}")
        lines.append(f"| {'input' if method == 'input' else f'`{method}`'} | " + " | ".join(cells) + f" | {n} |")
    return "\n".join(lines)


def table_by(results: Sequence[Scores], key: str, methods: Sequence[str], metric: str, *, digits: int = 2) -> str:
    """Markdown: one row per value of `key`: the input's mean, then each method's mean change and n."""
    values = sorted({r[key] for r in results})
    lines = [
        f"| {key} | input | " + " | ".join(f"`{m}`" for m in methods) + " | n |",
        "|---" * (len(methods) + 3) + "|",
    ]
    for value in values:
        part = [r for r in results if r[key] == value]
        before = interval([r[metric] for r in part if r["method"] == "input"])[0]
        changes = [interval(gains(part, m, metric))[0] for m in methods]
        n = len({r["id"] for r in part})
        lines.append(
            f"| {value} | {before:.{digits}f} | " + " | ".join(f"{c:+.{digits}f}" for c in changes) + f" | {n} |"
        )
    return "\n".join(lines)
