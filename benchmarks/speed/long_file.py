"""Two hours of 48 kHz stereo through `undin enhance`, on one core: python -m benchmarks.speed.long_file

    --hours H    how long it is, 2 without it    --table    the table from the results

Prints times real time and peak memory of the whole process, median of the runs, and writes results/long_file.csv.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import undin
from benchmarks.launch import parser
from benchmarks.scoring import RESULTS
from undin.audio import AudioFormat, open_writer

SR = 48000


def make(path: Path, hours: float) -> None:
    """Voices in stereo noise, written block by block."""
    corpus = undin.corpora.mini()
    voices = np.concatenate([corpus.load(clip) for clip in corpus.speech[:20]])
    voices = undin.resample(voices, corpus.sr, SR)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 10 * SR)).astype(np.float32) * 0.01
    n_left = round(hours * 3600 * SR)
    with open_writer(str(path), AudioFormat(sr=SR, n_channels=2, container="WAV", subtype="PCM_16")) as writer:
        while n_left > 0:
            start = int(rng.integers(voices.size - noise.shape[-1]))
            x = noise + voices[start : start + noise.shape[-1]] * np.array([[1.0], [0.7]], np.float32)
            writer.write(x[:, : min(n_left, x.shape[-1])])
            n_left -= x.shape[-1]


def measure(source: Path, target: Path, method: str) -> tuple[float, float]:
    """(wall seconds, peak MiB) of one run on one core with one thread."""
    command = [sys.executable, "-m", "undin", "enhance", str(source), "-o", str(target), "-m", method, "--overwrite"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    code = (
        "import os, resource, subprocess, sys\n"
        "hasattr(os, 'sched_setaffinity') and os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "subprocess.run(sys.argv[1:], check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    begin = time.perf_counter()
    out = subprocess.run([sys.executable, "-c", code, *command], check=True, env=environment, capture_output=True)
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return time.perf_counter() - begin, int(out.stdout.split()[-1]) / scale


def table() -> str:
    with (RESULTS / "long_file.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["| method | times real time, one core | peak memory | runs |", "|---|---|---|---|"]
    lines += [f"| `{r['method']}` | {r['times_real_time']} | {r['peak_mib']} MiB | {r['runs']} |" for r in rows]
    return "\n".join(lines)


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--hours", type=float, default=2.0, help="of the file")
    words.add_argument("--runs", type=int, default=5)
    options = words.parse_args()
    if options.table:
        print(table())
        return
    hours, runs = options.hours, options.runs
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "long.wav"), Path(folder, "long.enhanced.wav")
        make(source, hours)
        for method in ("spectral-gate", "log-mmse"):
            results = [measure(source, target, method) for _ in range(runs)]
            wall, memory = (statistics.median(column) for column in zip(*results, strict=True))
            speed = hours * 3600 / wall
            rows.append({"method": method, "hours": hours, "runs": runs, "wall_s": round(wall, 1)})
            rows[-1] |= {"times_real_time": round(speed, 1), "peak_mib": round(memory)}
            print(f"{method}: {speed:.0f} times real time, peak {memory:.0f} MiB, {wall:.1f} s for {hours:g} h")
    with (RESULTS / "long_file.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
