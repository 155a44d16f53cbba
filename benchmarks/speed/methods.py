"""What each method costs on one thread: python -m benchmarks.speed.methods [METHOD | NAME=x.onnx ...] [--table]

Real-time factor (processing time per second of audio) offline and live in packets of 10 ms, and the time per packet;
and the STFT compared with scipy's ShortTimeFFT on the same signal. Medians of 5 runs, in results/speed.csv. Rows
of methods that are not named stay, and always those of weights that do not ship, NAME=x.onnx. Times are those of the
processor: other work is not in them.
"""

import csv
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.launch import parser

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded

import numpy as np

import undin
from benchmarks.scoring import RESULTS

SR, SECONDS, RUNS, PACKET = 16000, 20, 5, 160
PATH = RESULTS / "speed.csv"
COLUMNS = [
    "method", "rtf_offline", "rtf_live", "packet_p50_ms", "packet_p99_ms", "packet_p100_ms", "machine",
    "parameters", "bytes", "delay_ms",
]  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def measure(name: str, source: str, x: np.ndarray) -> dict[str, object]:
    method = undin.load(source)
    row: dict[str, object] = {"method": name, "machine": machine()}
    if name not in undin.METHODS:  # what shipped weights say of themselves
        row |= {"parameters": method.card.parameters, "bytes": Path(source).stat().st_size}
        row["delay_ms"] = method.latency_ms or ""
    row["rtf_offline"] = f"{statistics.median(seconds(lambda: method(x, SR)) / SECONDS for _ in range(RUNS)):.4f}"
    if method.causal:
        packets = np.concatenate([live(method, x) for _ in range(RUNS)])
        row["rtf_live"] = f"{packets.reshape(RUNS, -1).sum(1).mean() / SECONDS:.4f}"
        row |= {f"packet_p{q}_ms": f"{1e3 * np.percentile(packets, q):.2f}" for q in (50, 99, 100)}
    return row


def live(method: undin.Method, x: np.ndarray) -> np.ndarray:
    """Seconds for each packet of a stream."""
    stream, times = method.stream(SR), []
    for start in range(0, x.size, PACKET):
        begin = time.process_time()
        stream.process(x[start : start + PACKET], equal=True)
        times.append(time.process_time() - begin)
    return np.array(times)


def stft_ratio(x: np.ndarray) -> float:
    """Time of `undin.stft` and `istft` over that of scipy's, in turn, median of the ratios."""
    from scipy.signal import ShortTimeFFT

    from undin.spectrum import get_window

    theirs = ShortTimeFFT(get_window("sqrt_hann", 512).astype(np.float32), 256, fs=SR)
    ratios = []
    for _ in range(RUNS):
        a = seconds(lambda: undin.istft(undin.stft(x, 512, 256), 512, 256, length=x.size))
        b = seconds(lambda: theirs.istft(theirs.stft(x), k1=x.size))
        ratios.append(a / b)
    return statistics.median(ratios)


def machine() -> str:
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def table() -> str:
    with PATH.open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    lines = ["| method | kind | delay | parameters | real-time factor, offline / live | source |", "|---" * 6 + "|"]
    for name in undin.METHODS:
        method = undin.load(name)
        delay = f"{method.latency_ms:g} ms" if method.latency_ms else "whole recording"
        cost = f"{float(rows[name]['rtf_offline']):.3f} / " + (
            f"{float(rows[name]['rtf_live']):.3f}" if rows[name].get("rtf_live") else "–"
        )
        card = method.card
        lines.append(f"| `{name}` | {card.kind} | {delay} | {card.parameters or '–'} | {cost} | {card.source} |")
    return "\n".join(lines) + f"\n\nOne thread of an {rows['log-mmse']['machine']}, medians of {RUNS} runs."


def main() -> None:
    words = parser(__doc__)
    words.add_argument("asked", nargs="*", metavar="NAME[=FILE]", help="these methods alone")
    options = words.parse_args()
    if options.table:
        print(table())
        return
    corpus = undin.corpora.mini().select(split="test")
    clean = np.concatenate([corpus.load(clip) for clip in corpus.speech])[: SR * SECONDS]
    x = undin.mixing.mix(clean, corpus.load(corpus.select(kind="rain").noise[0]), snr_db=5.0).noisy
    asked = options.asked
    rows: dict[str, dict[str, object]] = {}
    if PATH.is_file():
        with PATH.open(newline="") as file:
            rows = {row["method"]: dict(row) for row in csv.DictReader(file) if asked or row["parameters"]}
    rows |= {name: measure(name, of or name, x) for name, _, of in (w.partition("=") for w in asked or undin.METHODS)}
    if not asked:
        name = "stft + istft, ratio to scipy"
        rows[name] = {"method": name, "machine": machine(), "rtf_offline": f"{stft_ratio(x):.3f}"}
    PATH.parent.mkdir(exist_ok=True)
    with PATH.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
    print(PATH.read_text())


if __name__ == "__main__":
    main()
