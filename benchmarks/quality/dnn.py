"""How much the shipped `dnn` helps, and each of its parts: python -m benchmarks.quality.dnn [RUN] [--table | --plot]

The mixtures of `classical_quality`: 100 of test speakers with test recordings of twelve everyday noises, and 100 with
every kind of noise, at -5, 0, 5, 10 and 15 dB. RUN is the folder of `undin train dnn-xu2015 --preset
ablation`: with it, its variants are scored on the second hundred instead.
--plot draws docs/pictures/dnn-kinds.png, PESQ by kind of noise.
"""

from pathlib import Path

from benchmarks.launch import parser
from benchmarks.quality.classical import SETS, SNRS_DB
from benchmarks.scoring import PICTURES, RESULTS, Scores, methods, read, real_data, run, table, table_by
from undin.evaluation.report.plots import bars
from undin.evaluation.statistics import mean_of
from undin.mixing import make_manifest

METHODS = {"log-mmse": "log-mmse", "dnn": "dnn"}
ABLATION = RESULTS / "dnn_ablation.csv"


def measure(kinds: list[str] | None, sources: dict[str, str], path: Path) -> list[Scores]:
    corpus = real_data()
    rows = make_manifest(corpus, n=100, seed=2026, snr_db=SNRS_DB, kinds=kinds, split="test")
    return run(rows, corpus, methods(sources), path)


def plot() -> None:
    """Draw PESQ of the input, `log-mmse` and `dnn` by kind of noise."""
    results = read(RESULTS / "dnn_everyday.csv")
    groups = {
        str(kind).replace("_", " "): {
            method: mean_of([r["pesq_wb"] for r in results if (r["kind"], r["method"]) == (kind, method)])
            for method in ("input", *METHODS)
        }
        for kind in sorted({row["kind"] for row in results})
    }
    figure = bars(groups, "PESQ-WB (MOS)")
    figure.axes[0].set_xticks(range(len(groups)), list(groups), rotation=35, ha="right")
    figure.savefig(PICTURES / "dnn-kinds.png", dpi=120, metadata={"Software": None})


def main() -> None:
    words = parser(__doc__)
    words.add_argument("run", nargs="?", type=Path, help="the folder of a run, whose variants are measured")
    words.add_argument("--plot", action="store_true", help="draw the picture from the results")
    options = words.parse_args()
    if options.plot:
        return plot()
    if options.run:
        variants = {path.stem: str(path) for path in sorted((options.run / "train").glob("*.onnx"))}
        print(table(measure(None, variants, ABLATION)))
        return
    for name, kinds in SETS.items():
        path = RESULTS / f"dnn_{name}.csv"
        results = read(path) if options.table else measure(kinds, METHODS, path)
        print(f"\n**{name} noise**, 100 mixtures, -5 to 15 dB\n\n{table(results)}")
        for metric in ("pesq_wb", "stoi", "si_sdr_db"):
            print(f"\n{metric} per SNR\n\n{table_by(results, 'snr_db', list(METHODS), metric)}")
    if options.table:
        print(f"\n**what each part is worth**, all noise, 450 steps each\n\n{table(read(ABLATION))}")


if __name__ == "__main__":
    main()
