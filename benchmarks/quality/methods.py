"""All methods in one place: what each is, costs and gains: python -m benchmarks.quality.methods [--table]

Scores are those of `benchmarks.quality.enhancement` and `.talkers`, times those of `benchmarks.speed.methods`; sizes
and delays are read from the methods. Nothing is measured here: `make results` measures all that the tables need.
"""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import undin
from benchmarks.quality import enhancement as quality
from benchmarks.quality import talkers as talkers_quality
from benchmarks.scoring import MARKED, Scores, gains, interval, mark
from benchmarks.speed import methods as speed
from undin.methods import LEARNED
from undin.methods.nmf import SHIPPED

UNSHIPPED = "Sizes in parentheses: baselines that do not ship, trained for minutes ({})."
TRAINED = {
    False: "`mann-lstm-1` and `mann-dnn-1` of `undin train mann-tsou2017 --preset comparison`",
    True: "`ff-upit` of `undin train talkers-trap --preset small`",
}
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
        found.append(f"{mean:{sign}.{digits}f} ± {half:.{digits}f}{mark(name, metric)}" if values else "–")
    return found


def about(name: str, times: dict[str, dict[str, str]]) -> list[str]:
    """What a method is and costs; of one that does not ship, what `benchmarks.speed.methods` found in its weights."""
    mine = times.get(name, {})
    if name in undin.METHODS:
        method = undin.load(name)
        card, weights, delay_ms = method.card, size(method), method.latency_ms
    else:
        card, weights = LEARNED[name].card, f"({int(mine['bytes']) / 1e6:.2f} MB)"
        card, delay_ms = replace(card, parameters=int(mine["parameters"])), float(mine["delay_ms"] or 0)
    delay = f"{delay_ms:g} ms" if delay_ms else "whole recording"
    count = f"{card.parameters:,}".replace(",", " ") if card.parameters else "–"
    cost = " / ".join(f"{float(mine[k]):.3f}" if mine.get(k) else "–" for k in ("rtf_offline", "rtf_live"))
    return [f"`{name}`", card.summary, count, weights, delay, cost]


def listed(times: dict[str, dict[str, str]], *, separates: bool) -> list[str]:
    """Methods that ship, then those that were trained for the table alone."""
    ours = [name for name in undin.METHODS if bool(undin.load(name).n_src) is separates]
    others = [name for name in LEARNED if name not in undin.METHODS and times.get(name, {}).get("parameters")]
    return ours + [name for name in others if (LEARNED[name].card.kind == "separate") is separates]


def markdown(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under the columns that all methods have, and `names`."""
    head = ["method", "kind", "parameters", "weights", "delay", "real-time factor, files / live", *names]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def enhancing(times: dict[str, dict[str, str]]) -> str:
    """Methods that enhance, the input first."""
    results = quality.of(quality.read(), "mix")
    rows = [["input", *[""] * 5, *cells(results, "input")]]
    rows += [[*about(name, times), *cells(results, name)] for name in listed(times, separates=False)]
    n, machine = len({r["id"] for r in results}), times["log-mmse"]["machine"]
    note = (
        f"Scores: mean of the input, below it the mean change, over n = {n} mixtures of unseen speakers with unseen "
        f"recordings of twelve everyday noises at -5 to 15 dB; 95 % intervals. {MARKED} Real-time factors: processing "
        f"time per second of audio on one thread of an {machine}; live in packets of 10 ms; medians of {speed.RUNS} "
        f"runs. {UNSHIPPED.format(TRAINED[False])}"
    )
    return f"{markdown(list(SCORES.values()), rows)}\n\n{note}"


def separating(times: dict[str, dict[str, str]]) -> str:
    """Methods that pull two talkers apart."""
    scores = {
        (r["method"], r["talkers"]): r["si_sdr_gain_db"] for r in talkers_quality.summarize(talkers_quality.read())
    }
    rows = []
    for name in listed(times, separates=True):
        found = [scores[name, part] for part in talkers_quality.SLICES]
        rows.append([*about(name, times), *(f"{s.mean:+.1f} ± {s.half:.1f}" for s in found)])
    note = (
        f"SI-SDRi: improvement over the mixture with the best assignment of outputs to talkers, over "
        f"{talkers_quality.N} mixtures of two unseen talkers within 2.5 dB of each other; 95 % intervals. "
        f"{UNSHIPPED.format(TRAINED[True])}"
    )
    return f"{markdown([f'SI-SDRi (dB), {part}' for part in talkers_quality.SLICES.values()], rows)}\n\n{note}"


def table() -> str:
    """Both."""
    with speed.PATH.open(newline="") as file:
        times = {r["method"]: r for r in csv.DictReader(file)}
    return f"{enhancing(times)}\n\n{separating(times)}"


if __name__ == "__main__":
    print(table())
