"""Time for SDR, SIR and SAR, compared with mir_eval and fast_bss_eval: python -m benchmarks.speed.metrics [--table]

Every run times all of them in turn on the same talkers, one thread; the ratios are those within a run, medians of 7.
Writes results/metrics_speed.csv. Needs mir_eval and fast_bss_eval; their scores are compared with ours in the same run.
"""

import csv
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.launch import parser

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded

import numpy as np

import undin
from benchmarks.scoring import RESULTS
from benchmarks.speed.methods import machine
from undin.metrics import bss_eval, sdr

SR, RUNS = 16000, 7
PATH = RESULTS / "metrics_speed.csv"
CASES = [(1, 4), (1, 10), (2, 4), (2, 10), (3, 4)]  # talkers, seconds


def talkers(n_src: int, seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """Voices, and estimates with leakage and noise, in another order."""
    corpus = undin.corpora.mini()
    names = list(dict.fromkeys(clip.speaker for clip in corpus.speech))[:n_src]
    voices = [np.concatenate([corpus.load(c) for c in corpus.speech if c.speaker == name]) for name in names]
    ref = np.stack([voice[: seconds * SR] for voice in voices]).astype(np.float64)
    noise = np.random.default_rng(0).standard_normal(ref.shape)
    est = ref + (n_src > 1) * 0.2 * np.roll(ref, 1, 0) + 0.1 * ref.std() * noise
    return ref, np.roll(est, 1, 0)


def contenders(ref: np.ndarray, est: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Name -> call that gives SDR, SIR and SAR; fast_bss_eval cannot order a single source."""
    import fast_bss_eval.numpy as fast
    from mir_eval.separation import bss_eval_sources

    if len(ref) == 1:
        return {"undin": lambda: (sdr(ref=ref, est=est),), "mir_eval": lambda: bss_eval_sources(ref, est)}
    return {
        "undin": lambda: bss_eval(ref=ref, est=est),
        "mir_eval": lambda: bss_eval_sources(ref, est),
        "fast_bss_eval": lambda: fast.bss_eval_sources(ref, est),
    }


def measure(n_src: int, seconds: int) -> dict[str, object]:
    """One row: median ratios of time, and the greatest difference of any score in dB."""
    calls = contenders(*talkers(n_src, seconds))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(RUNS):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    row: dict[str, object] = {"n_src": n_src, "seconds": seconds, "machine": machine()}
    row["undin_ms"] = f"{1e3 * statistics.median(times['undin']):.1f}"
    ours = calls["undin"]()[:3]
    for name in list(calls)[1:]:
        ratios = [theirs / own for theirs, own in zip(times[name], times["undin"], strict=True)]
        row[f"{name}_over_undin"] = f"{statistics.median(ratios):.1f}"
        theirs = calls[name]()
        row[f"{name}_difference_db"] = f"{max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=False)):.0e}"
    return row


def table() -> str:
    with PATH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["| talkers | seconds | undin | mir_eval | fast_bss_eval | largest difference |", "|---" * 6 + "|"]
    for row in rows:
        fast = f"{row['fast_bss_eval_over_undin']} x" if row["fast_bss_eval_over_undin"] else "–"
        apart = max(float(row[f"{name}_difference_db"] or 0) for name in ("mir_eval", "fast_bss_eval"))
        lines.append(
            f"| {row['n_src']} | {row['seconds']} | {row['undin_ms']} ms | {row['mir_eval_over_undin']} x | {fast} | "
            f"{apart:.0e} dB |"
        )
    return "\n".join(lines) + f"\n\nOne thread of an {rows[0]['machine']}, 16 kHz, medians of {RUNS} runs in turn."


def main() -> None:
    if not parser(__doc__).parse_args().table:
        warnings.filterwarnings("ignore", category=FutureWarning, module="__main__")  # mir_eval moves this function
        rows = [measure(*case) for case in CASES]
        names = ["n_src", "seconds", "undin_ms"]
        for other in ("mir_eval", "fast_bss_eval"):
            names += [f"{other}_over_undin", f"{other}_difference_db"]
        with PATH.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*names, "machine"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    print(table())


if __name__ == "__main__":
    main()
