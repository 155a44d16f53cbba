"""One table of all methods: what each is, costs and gains: python -m benchmarks.methods [--table]

Scores are those of `benchmarks.quality`, times those of `benchmarks.speed`; sizes and delays are read from the methods.
Nothing is measured here: `make results` measures all that the table needs.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import undin
from benchmarks import quality, speed
from benchmarks.scoring import Scores, gains, interval
from undin.methods.nmf import SHIPPED

SCORES = {"pesq_wb": "PESQ-WB", "estoi": "ESTOI", "si_sdr_db": "SI-SDR (dB)"}


def size(method: undin.Method) -> str:
    """Bytes of the shipped weights."""
    runner = getattr(method, "runner", None)
    path = Path(runner.path) if runner else SHIPPED if isinstance(method, undin.NMF) else None
    return f"{path.stat().st_size / 1e6:.2f} MB" if path else "–"


def cells(results: Sequence[Scores], name: str) -> list[str]:
    """Mean and interval of each score, or of its change."""
    found = []
    for metric in SCORES:
        if name == "input":
            values = [r[metric] for r in results if r["method"] == "input" and metric in r]
        else:
            values = gains(results, name, metric)
        digits = {"estoi": 3, "pesq_wb": 2}.get(metric, 1)
        mean, half = interval(values) if values else (float("nan"), 0.0)
        sign = "" if name == "input" else "+"
        found.append(f"{mean:{sign}.{digits}f} ± {half:.{digits}f}" if values else "–")
    return found


def row(name: str, results: Sequence[Scores], times: dict[str, dict[str, str]]) -> list[str]:
    """A method's line."""
    method = undin.load(name)
    delay = f"{method.latency_ms:g} ms" if method.latency_ms else "whole recording"
    count = f"{method.card.parameters:,}".replace(",", " ") if method.card.parameters else "–"
    mine = times.get(name, {})
    cost = " / ".join(f"{float(mine[k]):.3f}" if mine.get(k) else "–" for k in ("rtf_offline", "rtf_live"))
    about = [f"`{name}`", method.card.summary, count, size(method), delay, cost]
    return [*about, *cells(results, name)]


def table() -> str:
    """Methods that enhance, the input first."""
    with speed.PATH.open(newline="") as file:
        times = {r["method"]: r for r in csv.DictReader(file)}
    results = quality.of(quality.read(), "mix")
    head = ["method", "kind", "parameters", "weights", "delay", "real-time factor, files / live", *SCORES.values()]
    rows = [["input", "", "", "", "", "", *cells(results, "input")]]
    rows += [row(name, results, times) for name in undin.METHODS if not undin.load(name).n_src]
    lines = [f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows]]
    n, machine = len({r["id"] for r in results}), times["log-mmse"]["machine"]
    note = (
        f"Scores: the input's mean, then the mean change over n = {n} mixtures of unseen speakers, unseen recordings "
        f"of twelve everyday noises, -5 to 15 dB; 95 % intervals. Times: one thread of an {machine}, seconds of work "
        f"per second of sound, live in packets of 10 ms, medians of {speed.RUNS} runs."
    )
    return "\n".join([*lines, "", note])


if __name__ == "__main__":
    print(table())
