"""How much the shipped `cmask` helps, and its mask, phase and look-ahead: python -m benchmarks.quality.cmask [RUN]

100 mixtures of test speakers with test recordings of twelve everyday noises at -6 ... 9 dB, the range of the founding
program. RUN is the folder of `undin train cmask-wilson2018 --preset ablation`: with it, its variants are scored on the
same mixtures instead. `--table` prints what the last runs gave; `--plot` draws how the gains are spread and, from
results/cmask_log.csv, how the shipped weights came about: docs/pictures/cmask-gains.png, cmask-curve.png.
"""

from pathlib import Path

import numpy as np

from benchmarks.launch import parser
from benchmarks.quality.classical import SETS
from benchmarks.scoring import (
    LABELS,
    PICTURES,
    RESULTS,
    Scores,
    gains,
    interval,
    methods,
    read,
    real_data,
    run,
    table,
    table_by,
)
from undin.evaluation.report.plots import histograms
from undin.mixing import make_manifest

METHODS = {"log-mmse": "log-mmse", "cmask": "cmask"}
SNRS_DB = [float(snr_db) for snr_db in range(-6, 10)]
SHIPPED, ABLATION = RESULTS / "cmask_quality.csv", RESULTS / "cmask_ablation.csv"
LOG = RESULTS / "cmask_log.csv"
SCORED = ("sdr_db", "snr_db", "si_sdr_db", "pesq_wb", "stoi", "estoi")
SHOWN = ("sdr_db", "out_snr_db", *SCORED[2:])


def measure(sources: dict[str, str], path: Path) -> list[Scores]:
    corpus = real_data()
    rows = make_manifest(corpus, n=100, seed=2018, snr_db=SNRS_DB, kinds=SETS["everyday"], split="test")
    return run(rows, corpus, methods(sources), path, metrics=SCORED)


def binned(results: list[Scores]) -> list[Scores]:
    """SNRs in fours: "-6 ... -3 dB"."""
    lows = [4 * ((result["snr_db"] + 6) // 4) - 6 for result in results]
    return [{**result, "snr": low} for result, low in zip(results, lows, strict=True)]


def show(results: list[Scores], methods: list[str]) -> None:
    print(f"\n{table(results, SHOWN)}")
    for metric in ("sdr_db", "pesq_wb"):
        text = table_by(binned(results), "snr", methods, metric)
        for low in (-6, -2, 2, 6):
            text = text.replace(f"\n| {low:.1f} |", f"\n| {low} ... {low + 3} dB |")
        print(f"\n{LABELS[metric]} per SNR\n\n{text}")


def variants(results: list[Scores]) -> str:
    """Gains of the ablation's variants, and what they are more than those of `base` on the same mixtures."""
    metrics = ("sdr_db", "pesq_wb", "stoi")
    heads = [*(LABELS[m] for m in metrics), *(f"{LABELS[m]} against base" for m in metrics)]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    names = [name for name in dict.fromkeys(str(r["method"]) for r in results) if name != "input"]
    for name in names:
        own = {m: np.array(gains(results, name, m)) for m in metrics}
        more = {m: own[m] - gains(results, "base", m) for m in metrics}
        cells = [_signed(own[m], m) for m in metrics]
        cells += ["" if name == "base" else _signed(more[m], m) for m in metrics]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _signed(values: np.ndarray, metric: str) -> str:
    mean, half = interval(values.tolist())
    return f"{mean:+.2f} ± {half:.2f}" if metric.endswith("_db") else f"{mean:+.3f} ± {half:.3f}"


def plot(results: list[Scores]) -> None:
    from undin.training.logs import draw_curve

    spread = {
        LABELS[metric]: {name: gains(results, name, metric) for name in METHODS}
        for metric in ("sdr_db", "out_snr_db", "pesq_wb")
    }
    histograms(spread).savefig(PICTURES / "cmask-gains.png", dpi=120, metadata={"Software": None})
    draw_curve(LOG, PICTURES / "cmask-curve.png")


def main() -> None:
    words = parser(__doc__)
    words.add_argument("run", nargs="?", type=Path, help="the folder of a run, whose variants are measured")
    words.add_argument("--plot", action="store_true", help="draw the picture from the results")
    options = words.parse_args()
    if options.run:
        graphs = {path.stem: str(path) for path in sorted((options.run / "train").glob("*.onnx"))}
        print(variants(measure(graphs, ABLATION)))
        return
    results = read(SHIPPED) if options.table or options.plot else measure(METHODS, SHIPPED)
    if options.plot:
        plot(results)
        return
    show(results, list(METHODS))
    if options.table and ABLATION.exists():
        print(f"\n**Mask, delta phase, look-ahead, direction**, 200 steps each\n\n{variants(read(ABLATION))}")


if __name__ == "__main__":
    main()
