"""What each method and peer costs on one thread: python -m benchmarks.speed.live_cost [NAME=x.onnx ...] [--only NAMES]

Real-time factor (processing time per second of audio) of a whole recording and live in packets of 10 ms, the time of
each packet, delay, size of the weights, and the peak memory of a process that does 60 s at once. Every method runs
in a separate process at its own sample rate. Times are those of the processor, so that other work on the machine is
not in them; it may slow them all the same: measure on an idle one. Rows of methods that a run is not about stay in
results/live_cost.csv and live_packets.csv, and so does what only --long measures.

    --long     also the peak memory of `undin enhance` on a file of two hours, for ours
    --table    the table from the results     --plot    docs/pictures/quality-over-cost.png and packet-times.png
"""

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.launch import parser

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded

import numpy as np

import undin
from benchmarks.peers import PACKET_MS, PEERS, System, find, systems
from benchmarks.quality import enhancement as quality
from benchmarks.scoring import PICTURES, RESULTS, ROOT, gains, interval
from benchmarks.speed import long_file
from benchmarks.speed.methods import machine
from undin.audio import AudioFormat, open_writer

SR, SECONDS, RUNS, MEMORY_S, HOURS = 16000, 20, 5, 60, 2
PATH, PACKETS = RESULTS / "live_cost.csv", RESULTS / "live_packets.csv"
EDGES_MS = np.logspace(-3, 2, 101)
OURS, THEIRS, WHOLE = "#7a54c7", "#e07b39", "#8a8a94"
COLUMNS = [
    "method", "package", "version", "sr", "rtf_offline", "rtf_live", "packet_p50_ms", "packet_p99_ms", "packet_max_ms",
    "delay_ms", "weights_kb", "base_mib", "peak_mib", "peak_2h_mib", "machine", "load",
]  # fmt: skip


def signal() -> np.ndarray:
    """20 s of voices in rain at 5 dB."""
    corpus = undin.corpora.mini().select(split="test")
    clean = np.concatenate([corpus.load(clip) for clip in corpus.speech])[: SR * SECONDS]
    return undin.mixing.mix(clean, corpus.load(corpus.select(kind="rain").noise[0]), snr_db=5.0).noisy


def peak_mib() -> float:
    """The most memory that this process has held; on Linux its rusage starts with that of its parent."""
    status = Path("/proc/self/status")
    if status.exists():
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 2**10
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def measure(system: System, x: np.ndarray) -> dict[str, Any]:
    """All but the file of two hours, in this process, which has done nothing else."""
    row: dict[str, Any] = {"base_mib": round(peak_mib())}
    system.enhance(np.tile(x, MEMORY_S // SECONDS), SR)
    row["peak_mib"] = round(peak_mib())
    native = undin.resample(x, SR, system.sr)  # so that resampling is not in it
    row["rtf_offline"] = _rounded(statistics.median(_seconds(system, native) / SECONDS for _ in range(RUNS)))
    if system.live:
        times = np.array([live(system, native) for _ in range(RUNS)])
        row["rtf_live"] = _rounded(float(np.median(times.sum(1))) / SECONDS)
        row |= {f"packet_p{q}_ms": _rounded(1e3 * float(np.percentile(times, q))) for q in (50, 99)}
        row["packet_max_ms"] = _rounded(1e3 * float(times.max()))
        row["counts"] = np.histogram(1e3 * times, EDGES_MS)[0].tolist()
    return row


def _seconds(system: System, x: np.ndarray) -> float:
    begin = time.process_time()
    system.enhance(x, system.sr)
    return time.process_time() - begin


def live(system: System, x: np.ndarray) -> np.ndarray:
    """Seconds for each packet of a stream."""
    step, n_samples, times = system.stream(), system.sr * PACKET_MS // 1000, []
    for packet in x[: x.size // n_samples * n_samples].reshape(-1, n_samples):
        begin = time.process_time_ns()
        step(packet)
        times.append(time.process_time_ns() - begin)
    return np.array(times) / 1e9


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def in_child(system: System, x: Path) -> dict[str, Any]:
    """`measure` in a new process."""
    command = [sys.executable, "-m", "benchmarks.speed.live_cost", "--child", system.name, system.source, str(x)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT)
    row: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    about = {"method": system.name, "package": system.package, "version": system.version, "sr": system.sr}
    about |= {"delay_ms": "" if system.delay_ms is None else f"{system.delay_ms:g}", "machine": machine()}
    return {**about, **row, "weights_kb": round(system.weights_bytes / 1e3), "load": f"{os.getloadavg()[0]:.1f}"}


def make_long(path: Path) -> None:
    """Two hours of the signal, written block by block."""
    x = np.tile(signal(), 3)[None]
    with open_writer(str(path), AudioFormat(sr=SR, n_channels=1, container="WAV", subtype="PCM_16")) as writer:
        for _ in range(HOURS * 60):
            writer.write(x)


def run(chosen: Sequence[System], with_long: bool) -> None:
    """Measure them and put their rows in the place of their older ones."""
    with tempfile.TemporaryDirectory() as folder:
        x, source, target = (Path(folder, name) for name in ("x.npy", "long.wav", "long.enhanced.wav"))
        np.save(x, signal())
        for system in chosen:
            row = {"peak_2h_mib": _old(system.name).get("peak_2h_mib", ""), **in_child(system, x)}
            counts = row.pop("counts", [])
            bins = [{"method": system.name, "bin": k, "count": n} for k, n in enumerate(counts) if n]
            _replace(PATH, COLUMNS, system.name, [row])
            _replace(PACKETS, ["method", "bin", "count"], system.name, bins)
            print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        if with_long:
            make_long(source)
            for system in chosen:
                if system.ours:
                    peak = round(long_file.measure(source, target, system.source)[1])
                    _replace(PATH, COLUMNS, system.name, [{**_old(system.name), "peak_2h_mib": peak}])
                    print(f"{system.name}: {peak} MiB for two hours", flush=True)


def _old(method: str) -> dict[str, Any]:
    return next((row for row in _rows(PATH) if row["method"] == method), {}) if PATH.exists() else {}


def _replace(path: Path, columns: Sequence[str], method: str, rows: list[dict[str, Any]]) -> None:
    kept = [row for row in (_rows(path) if path.exists() else []) if row["method"] != method] + rows
    names = quality.order({row["method"] for row in kept})
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(sorted(kept, key=lambda row: names.index(row["method"])))


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table() -> str:
    head = ["", "rate (Hz)", "real-time factor, whole / live", "packet of 10 ms: median / 99 % / most (ms)"]
    head += ["delay (ms)", "peak memory, 60 s / 2 h (MiB)", "weights (MB)", "package"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    libraries = {peer.name for peer in PEERS if any(name.endswith(".so") for name in peer.weights)}
    rows = _rows(PATH)
    for row in rows:
        packet = " / ".join(row[f"packet_{q}_ms"] for q in ("p50", "p99", "max")) if row["rtf_live"] else "–"
        size = f"{'under ' if row['method'] in libraries else ''}{float(row['weights_kb']) / 1e3:.1f}"
        cells = [f"`{row['method']}`", row["sr"], f"{row['rtf_offline']} / {row['rtf_live'] or '–'}", packet]
        cells += [row["delay_ms"] or "whole recording", f"{row['peak_mib']} / {row['peak_2h_mib'] or '–'}"]
        cells += [size if float(row["weights_kb"]) else "–", f"{row['package']} {row['version']}"]
        lines.append(f"| {' | '.join(cells)} |")
    loads = sorted(float(row["load"]) for row in rows)
    base = statistics.median(float(row["base_mib"]) for row in rows)
    machines = ", ".join(sorted({row["machine"] for row in rows}))
    note = f"One thread of an {machines}, processor time, medians of {RUNS} runs of {SECONDS} s; load of the machine "
    note += f"{loads[0]:g} to {loads[-1]:g}. Of the memory, {base:.0f} MiB are Python's, numpy's and the benchmark's."
    return "\n".join(lines) + f"\n\n{note}"


def plot() -> None:
    """Draw both pictures, from the results alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for name, draw, size in (("quality-over-cost", over_cost, (8, 5)), ("packet-times", packet_times, (8, 5.5))):
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        figure.savefig(PICTURES / f"{name}.png", pil_kwargs={"optimize": True})
        print(PICTURES / f"{name}.png")


def _color(method: str) -> str:
    return THEIRS if method in {peer.name for peer in PEERS} else OURS


def over_cost(axes: Any) -> None:
    """PESQ gained over computing time, every method a point with its interval."""
    part, costs = quality.of(quality.read(), "mix"), {row["method"]: row for row in _rows(PATH)}
    points = []
    for method in quality.order({r["method"] for r in part} & set(costs)):
        cost, (mean, half) = costs[method], interval(gains(part, method, "pesq_wb"))
        x, color = float(cost["rtf_live"] or cost["rtf_offline"]), _color(method)
        face = color if cost["rtf_live"] else "white"
        axes.errorbar(x, mean, half, fmt="o", color=color, mfc=face, ms=8, elinewidth=1, alpha=0.9)
        points.append((method, x, mean, half))
    axes.set_xscale("log")
    axes.set_xlim(min(x for _, x, *_ in points) / 1.8, max(x for _, x, *_ in points) * 2.5)
    axes.axhline(0, color=WHOLE, linewidth=1, linestyle="--")
    n = len({r["id"] for r in part})
    axes.set_xlabel("processing time per second of audio, one thread: ● in packets of 10 ms, ○ of a whole file")
    axes.set_ylabel(f"PESQ-WB gain, mean of {n} mixtures")
    axes.set_title("upper left is better   ● measured live   ○ needs the whole recording", fontsize=10)
    axes.grid(alpha=0.2)
    _label(axes, points)


def _label(axes: Any, points: Sequence[tuple[str, float, float, float]]) -> None:
    """Write each name next to its point, where it covers the fewest others."""
    axes.figure.canvas.draw()
    spots = axes.transData.transform([(x, y) for _, x, y, _ in points])
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in spots]
    ends = axes.transData.transform([(x, y + half) for _, x, y, half in points])
    taken += [(x - 2, 2 * y - end, x + 2, end) for (x, y), (_, end) in zip(spots, ends, strict=True)]
    for (name, *_), (x, y) in zip(points, spots, strict=True):
        w, h = 7.6 * len(name) + 6, 15
        boxes = [(x + 9, y - h / 2), (x + 6, y + 5), (x + 6, y - h - 5)]
        boxes += [(x - w - 9, y - h / 2), (x - w - 6, y + 5), (x - w - 6, y - h - 5)]
        rated = [(sum(_overlap((a, b, a + w, b + h), other) for other in taken), k) for k, (a, b) in enumerate(boxes)]
        k = min(rated)[1]
        a, b = boxes[k]
        taken.append((a, b, a + w, b + h))
        near, side = (a + 2, "left") if k < 3 else (a + w - 2, "right")
        place = axes.transData.inverted().transform((near, b + h / 2))
        axes.text(*place, name, color=_color(name), fontsize=9, ha=side, va="center")


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def packet_times(axes: Any) -> None:
    """How long packets of 10 ms take, every method a row: its distribution, and marks at the 99 % and the longest."""
    rows = [row for row in _rows(PATH) if row["rtf_live"]]
    bins = _rows(PACKETS)
    for k, row in enumerate(reversed(rows)):
        method, counts = row["method"], np.zeros(len(EDGES_MS) - 1)
        for one in bins:
            if one["method"] == method:
                counts[int(one["bin"])] = float(one["count"])
        height = 0.85 * np.sqrt(counts / counts.max())  # by its root, so that rare ones are seen
        axes.stairs(k + height, EDGES_MS, baseline=k, fill=True, color=_color(method), alpha=0.75)
        axes.plot(float(row["packet_p99_ms"]), k + 0.12, "|", color="black", ms=9)
        axes.plot(float(row["packet_max_ms"]), k + 0.12, "x", color="black", ms=5)
    axes.set_yticks(np.arange(len(rows)) + 0.25, [row["method"] for row in reversed(rows)])
    axes.axvline(PACKET_MS, color=WHOLE, linestyle="--", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(0.005, 30)
    axes.set_ylim(-0.15, len(rows))
    axes.set_xlabel(
        "processing time of a 10 ms packet (ms), one thread; heights: root of the share   | 99 %   × longest"
    )
    axes.grid(alpha=0.2, axis="x")


def main() -> None:
    words = parser(__doc__)
    words.add_argument("names", nargs="*", metavar="NAME=weights.onnx")
    words.add_argument("--only", default="")
    words.add_argument("--long", action="store_true")
    words.add_argument("--plot", action="store_true")
    words.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = words.parse_args()
    if options.child:
        name, source, x = options.names
        print(json.dumps(measure(find(name, source), np.load(x))))
    elif options.table:
        print(table())
    elif options.plot:
        plot()
    else:
        run(systems(options.names, options.only), options.long)


if __name__ == "__main__":
    main()
