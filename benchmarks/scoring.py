"""Mixtures -> scores in two processes -> CSV -> a table of means with 95 % intervals, the input's scores first."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import undin
from undin.corpora import Corpus
from undin.errors import MissingExtraError
from undin.mixing import MixtureRow, render

RESULTS = Path(__file__).parent / "results"
METRICS = {"pesq_wb": "PESQ-WB", "stoi": "STOI", "estoi": "ESTOI", "si_sdr_db": "SI-SDR (dB)"}
LABELS = {**METRICS, "sdr_db": "SDR (dB)", "out_snr_db": "SNR (dB)"}  # those of `METRICS` are in every table
Scores = dict[str, Any]


def real_data() -> Corpus:
    """The corpus that UNDIN_DATA names; these figures are for real recordings only."""
    root = os.environ.get("UNDIN_DATA")
    if not root:
        raise SystemExit(
            "set UNDIN_DATA to a folder with speech.csv and noise.csv: this benchmark needs real recordings"
        )
    return undin.corpora.open(root)


def score(ref: np.ndarray, est: np.ndarray, sr: int) -> Scores:
    """Every metric; one that is undefined is left out and said."""
    calls: dict[str, Callable[[], float]] = {
        "pesq_wb": lambda: undin.metrics.pesq(ref=ref, est=est, sr=sr),
        "stoi": lambda: undin.metrics.stoi(ref=ref, est=est, sr=sr),
        "estoi": lambda: undin.metrics.estoi(ref=ref, est=est, sr=sr),
        "si_sdr_db": lambda: undin.metrics.si_sdr(ref=ref, est=est),
    }
    scores: Scores = {}
    for name, call in calls.items():
        try:
            scores[name] = round(call(), 5)
        except MissingExtraError:
            raise
        except undin.InputError as error:
            print(f"  left out: {error}")
    return scores


def run(
    rows: Sequence[MixtureRow],
    work: Callable[[MixtureRow], Iterator[Scores]],
    path: Path,
    *,
    workers: int = 2,
    metrics: Iterable[str] = METRICS,
) -> list[Scores]:
    """Do `work` on every mixture and write what it yields, a row per method and mixture."""
    with ProcessPoolExecutor(workers) as pool:
        results = [result for results in pool.map(_listed, [work] * len(rows), rows) for result in results]
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["method", "id", "kind", "snr_db", *metrics], lineterminator="\n")
        table.writeheader()
        table.writerows(results)
    return results


def _listed(work: Callable[[MixtureRow], Iterator[Scores]], row: MixtureRow) -> list[Scores]:
    return list(work(row))


def labelled(row: MixtureRow, method: str, scores: Scores) -> Scores:
    """One row of the CSV."""
    return {"method": method, "id": row.id, "kind": row.kind, "snr_db": row.snr_db, **scores}


def read(path: Path) -> list[Scores]:
    """The rows that `run` wrote."""
    with path.open(newline="") as file:
        return [
            {k: (float(v) if k in LABELS or k == "snr_db" else v) for k, v in row.items() if v != ""}
            for row in csv.DictReader(file)
        ]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval (normal approximation)."""
    v = np.asarray(values, float)
    return float(v.mean()), float(1.96 * v.std(ddof=1) / np.sqrt(len(v))) if len(v) > 1 else float("nan")


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


def mixture(row: MixtureRow, corpus: Corpus) -> tuple[np.ndarray, np.ndarray, int]:
    """(clean, noisy, sr) of a row."""
    made = render(row, corpus)
    return made.speech, made.noisy, corpus.sr
