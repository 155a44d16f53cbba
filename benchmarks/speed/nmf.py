"""How long KL-NMF takes to reach a divergence: python -m benchmarks.speed.nmf [--table]

The divergence is what scikit-learn's NMF(solver="mu", beta_loss="kullback-leibler", max_iter=100, tol=0) reaches. Both
start from the same W and H and run in turn, REPEATS times, once with one BLAS thread and once with the default. undin's
time is that of the smallest n_iter of GRID that reaches the divergence, from scratch; ratios are taken within a repeat.
"""

import argparse
import csv
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.launch import parser
from benchmarks.scoring import RESULTS

F, T, K = 257, 7500, 128
REPEATS = 7
GRID = (20, 25, 30, 35, 40, 45, 50, 60, 80, 100)
PATH = RESULTS / "nmf_speed.csv"


def synthetic() -> np.ndarray:
    """A sum of 60 spectra with activations of gamma density, times noise of 30 %."""
    rng = np.random.default_rng(0)
    V = rng.gamma(0.3, 1, (F, 60)) @ rng.gamma(0.2, 1, (60, T)) + 1e-3
    return (V / V.mean() * rng.gamma(11, 1 / 11, V.shape)).astype(np.float32)


def mini_corpus() -> np.ndarray:
    """Magnitudes of the shipped voices and noises, with the hop that gives T frames."""
    from undin import corpora
    from undin.spectrum import stft

    corpus = corpora.mini()
    x = np.concatenate([corpus.load(clip) for clip in corpus.rows])
    hop_length = min(256, (len(x) - 512) // T)
    return np.abs(stft(x, 512, hop_length, window="hamming"))[:, :T]


def measure(name: str, V: np.ndarray, threads: str) -> list[dict[str, object]]:
    from sklearn.decomposition import NMF

    from undin.methods.nmf_updates import fit_bases, kl_divergence, random_start

    V = np.ascontiguousarray(V / V.mean() + np.float32(1e-6))
    start = random_start(V, K, np.random.default_rng(1))

    def theirs() -> tuple[np.ndarray, np.ndarray]:
        nmf = NMF(K, solver="mu", beta_loss="kullback-leibler", max_iter=100, tol=0, init="custom")
        return nmf.fit_transform(V, W=start[0].copy(), H=start[1].copy()), nmf.components_

    target = kl_divergence(V, *theirs())
    reached = {n: kl_divergence(V, *fit_bases(V, K, n_iter=n, start=start)[:2]) for n in GRID}
    n_iter = next(n for n in GRID if reached[n] <= target)
    rows = []
    for repeat in range(REPEATS):
        theirs_s, ours_s = timed(theirs), timed(lambda: fit_bases(V, K, n_iter=n_iter, start=start))
        rows.append({
            "input": name, "threads": threads, "repeat": repeat, "sklearn_s": round(theirs_s, 4),
            "undin_s": round(ours_s, 4), "ratio": round(ours_s / theirs_s, 4), "n_iter": n_iter,
            "kl_sklearn": round(target, 1), "kl_undin": round(reached[n_iter], 1),
            "kl_undin_100": round(reached[100], 1), "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        })  # fmt: skip
    return rows


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def table(rows: list[dict[str, str]]) -> str:
    lines = [
        "| input | BLAS threads | scikit-learn, 100 iterations | undin to the same D | ratio, median (range) | n |"
    ]
    lines.append("|---" * 6 + "|")
    for name, threads in dict.fromkeys((row["input"], row["threads"]) for row in rows):
        part = [row for row in rows if (row["input"], row["threads"]) == (name, threads)]
        theirs, ours, ratio = (np.array([float(r[key]) for r in part]) for key in ("sklearn_s", "undin_s", "ratio"))
        lines.append(
            f"| {name} | {threads} | {np.median(theirs):.2f} s | {np.median(ours):.2f} s | "
            f"{np.median(ratio):.2f} ({ratio.min():.2f} ... {ratio.max():.2f}) | {len(part)} |"
        )
    return "\n".join(lines)


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = words.parse_args()
    if options.worker:
        warnings.simplefilter("ignore")
        out = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
        for name, V in (("mini corpus", mini_corpus()), ("synthetic", synthetic())):
            out.writerows(measure(name, V, os.environ["THREADS"]))
        return
    if not options.table:
        lines = [",".join(FIELDS) + "\n"]
        for threads in ("1", "default"):
            limit = {f"{blas}_NUM_THREADS": "1" for blas in ("OPENBLAS", "OMP", "MKL")} if threads == "1" else {}
            command = [sys.executable, "-m", "benchmarks.speed.nmf", "--worker"]
            env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")} | limit | {"THREADS": threads}
            lines.append(subprocess.run(command, env=env, check=True, text=True, stdout=subprocess.PIPE).stdout)
        PATH.parent.mkdir(exist_ok=True)
        PATH.write_text("".join(lines))
    with PATH.open(newline="") as file:
        print(table(list(csv.DictReader(file))))


FIELDS = ["input", "threads", "repeat", "sklearn_s", "undin_s", "ratio", "n_iter", "kl_sklearn", "kl_undin"]
FIELDS += ["kl_undin_100", "machine"]

if __name__ == "__main__":
    main()
