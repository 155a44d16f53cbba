"""Scores by which separators were chosen: python -m benchmarks.quality.talkers_development [NAME=x.onnx ...] [--table]

Mixtures of development speakers, made like those of test speakers in `benchmarks.quality.talkers`: unchanged, the first
of them at 8 kHz, of LibriSpeech alone with development and training speakers, and of three talkers for methods
that take any number. Weights and settings are chosen by these; models that do not ship are given by name. The last
column is of the test mixtures of `benchmarks.quality.talkers` at 8 kHz, by which nothing is chosen.

    --only NAMES     only these methods, separated by commas; results of others are kept
    --views NAMES    of `VIEWS`, by comma; all
"""

from dataclasses import dataclass

import numpy as np

import undin
from benchmarks.launch import parser
from benchmarks.quality import talkers as talkers_quality
from benchmarks.scoring import RESULTS, read_table, real_data, write_table
from undin.corpora import Corpus
from undin.evaluation.statistics import mean_of
from undin.methods import METHODS, Method
from undin.metrics import best_permutation, si_sdr
from undin.mixing import make_manifest, render

PATH = RESULTS / "talkers_development.csv"
SEED = 5


@dataclass(frozen=True)
class View:
    """A list of mixtures."""

    words: str
    n: int = 150
    split: str = "dev"
    corpus: str = ""
    talkers: int = 2
    sr: int = 16000
    seed: int = SEED


VIEWS = {
    "all": View("development"),
    "narrow": View("at 8 kHz", n=60, sr=8000),
    "libri": View("of LibriSpeech", corpus="librispeech"),
    "known": View("training speakers", corpus="librispeech", split="train"),
    "three": View("three talkers", n=60, talkers=3),
    "test": View("test, at 8 kHz", n=talkers_quality.N, split="test", sr=8000, seed=talkers_quality.SEED),
}


def gains(method: Method, corpus: Corpus, view: View) -> list[float]:
    """SI-SDRi in dB of each mixture, in the best order."""
    part = corpus.select(corpus=view.corpus) if view.corpus else corpus
    found = []
    rows = make_manifest(part, n=view.n, seed=view.seed, talkers=view.talkers, talker_db=(-2.5, 2.5), split=view.split)
    for row in rows:
        made = render(row, part)
        x, ref = (undin.resample(signal, row.sr, view.sr) for signal in (made.noisy, made.sources))
        scores, _ = best_permutation(si_sdr, ref=ref, est=method(x, view.sr))
        found.append(float(np.mean(scores) - si_sdr(ref=ref, est=np.broadcast_to(x, ref.shape)).mean()))
    return found


def measure(methods: dict[str, Method], views: list[str], corpus: Corpus) -> None:
    """Write a row per method, view and mixture; rows of others stay."""
    for name, method in methods.items():
        for key in views:
            view, made = VIEWS[key], method
            if view.talkers != method.n_src:
                if method.id != "deep-clustering":
                    continue
                made = method.with_settings(talkers=view.talkers)
            values = gains(made, corpus, view)
            print(f"{name}, {view.words}: {np.mean(values):.3f} dB", flush=True)
            rows = [row for row in read_table(PATH) if (row["method"], row["view"]) != (name, key)]
            rows += [{"method": name, "view": key, "i": str(i), "gain_db": f"{x:.4f}"} for i, x in enumerate(values)]
            order = [*METHODS, *sorted({row["method"] for row in rows} - METHODS.keys())]
            rows.sort(key=lambda row: (order.index(row["method"]), list(VIEWS).index(row["view"]), int(row["i"])))
            write_table(PATH, rows)


def show() -> None:
    """The table."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in read_table(PATH):
        found.setdefault(row["method"], {}).setdefault(row["view"], []).append(float(row["gain_db"]))
    first = VIEWS["narrow"].n
    print(f"| SI-SDRi (dB), mean ± 95 % | {VIEWS['all'].words} | the first {first} | ", end="")
    print(" | ".join(view.words for key, view in VIEWS.items() if key != "all") + " |")
    print("|---" * (len(VIEWS) + 2) + "|")
    for name, views in found.items():
        columns = [views.get("all", []), views.get("all", [])[:first], *(views.get(key, []) for key in list(VIEWS)[1:])]
        print(f"| {name} | {' | '.join(map(_cell, columns))} |")


def _cell(values: list[float]) -> str:
    mean = mean_of(values)
    return f"{mean.mean:.2f} ± {mean.half:.2f}" if mean and mean.half else ""


def main() -> None:
    words = parser(__doc__)
    words.add_argument("weights", nargs="*", metavar="NAME=FILE", help="weights that do not ship")
    words.add_argument("--only", type=lambda text: text.split(","), help="these methods, by comma")
    words.add_argument("--views", type=lambda text: text.split(","), default=list(VIEWS), help="these views, by comma")
    options = words.parse_args()
    if not options.table:
        methods = {name: method for name in METHODS if (method := undin.load(name)).n_src}
        methods |= {name: undin.load(path) for name, _, path in (w.partition("=") for w in options.weights)}
        methods = {name: method for name, method in methods.items() if options.only is None or name in options.only}
        measure(methods, options.views, real_data())
    show()


if __name__ == "__main__":
    main()
