"""Time per hop of a network as C, compared with onnxruntime: python -m benchmarks.speed.native [METHOD ...]

The C code is that of `undin export METHOD --to c`, at the network's own rate, transform and all; onnxruntime runs the
graph alone, on one thread. Both alternate in one run, and times are those of the processor. The ratio is
of the best instruction set. Rows go to results/native_speed.csv.
"""

import csv
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.launch import parser

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded

import numpy as np

from benchmarks.scoring import RESULTS
from benchmarks.speed.methods import machine
from undin.methods import Learned
from undin.native import Library, make_library
from undin.native.build import find_compiler

PATH, ROUNDS, HOPS = RESULTS / "native_speed.csv", 9, 400
TARGETS = ["plain", "avx2", "avx512"]
COLUMNS = [
    "method",
    "onnxruntime_ms",
    *(f"c_{name}_ms" for name in TARGETS),
    "ratio",
    "weights_kb",
    "struct_kb",
    "machine",
]
MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "@name@.c"
int main(int argc, char **argv) {
    static @name@ u;
    static float x[@HOP@];
    float *in[1] = {x}, *out[@NAME@_SOURCES];
    for (int s = 0; s < @NAME@_SOURCES; s++)
        out[s] = malloc(sizeof x);
    @name@_init(&u, @sr@, 1);
    int best = u.target, wanted = atoi(argv[argc - 1]);
    if (wanted > best)
        return 1;
    u.target = wanted;
    double total = 0.0;
    for (int t = -20; t < @HOPS@; t++) {
        for (int i = 0; i < @HOP@; i++)
            x[i] = 0.1f * ((float)rand() / (float)RAND_MAX - 0.5f);
        clock_t start = clock();
        @name@_process(&u, (const float *const *)in, out, @HOP@);
        total += t < 0 ? 0.0 : (double)(clock() - start);
    }
    printf("%g %zu\\n", 1e3 * total / CLOCKS_PER_SEC / @HOPS@, sizeof u);
    return 0;
}
"""


def compile_c(library: Library, folder: Path) -> Path:
    library.write(folder)
    text = MAIN.replace("@HOPS@", str(HOPS)).replace("@HOP@", str(library.method.config.hop_length))
    text = text.replace("@sr@", str(library.method.config.sr))
    text = text.replace("@name@", library.name).replace("@NAME@", library.name.upper())
    (folder / "main.c").write_text(text)
    subprocess.run([*find_compiler(), "-std=c99", "-O2", "main.c", "-o", "main", "-lm"], cwd=folder, check=True)
    return folder / "main"


def onnxruntime_ms(method: Learned) -> float:
    """Of a hop."""
    runner = method.runner
    state = runner.initial_state(1)
    X = 0.1 * np.random.default_rng(0).standard_normal((1, 2, 1, runner.n_freq)).astype(np.float32)
    for i in range(HOPS + 20):
        if i == 20:
            start = time.thread_time()
        _, *states = runner._session.run(runner._outputs, {"X": X, **state})
        state = dict(zip(runner.shapes, states, strict=True))
    return 1e3 * (time.thread_time() - start) / HOPS


def measure(name: str) -> dict[str, object]:
    library = make_library(name)
    with tempfile.TemporaryDirectory() as draft:
        program = compile_c(library, Path(draft))
        times: dict[str, list[float]] = {target: [] for target in TARGETS}
        ort, size = [], 0
        for _ in range(ROUNDS):
            ort.append(onnxruntime_ms(library.method))
            for i, target in enumerate(TARGETS):
                done = subprocess.run([program, str(i)], capture_output=True, text=True)
                if done.returncode == 0:
                    ms, size = float(done.stdout.split()[0]), int(done.stdout.split()[1])
                    times[target].append(ms)
    best = next(target for target in reversed(TARGETS) if times[target])
    ratio = statistics.median(a / b for a, b in zip(times[best], ort, strict=True))
    medians = {f"c_{target}_ms": round(statistics.median(found), 4) if found else "" for target, found in times.items()}
    row = {"method": name, "onnxruntime_ms": round(statistics.median(ort), 4), **medians, "ratio": round(ratio, 2)}
    return {**row, "weights_kb": library.n_bytes // 1000, "struct_kb": size // 1000, "machine": machine()}


def table() -> str:
    with PATH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    head = ["method", "onnxruntime", *TARGETS, "ratio", "weights", "struct"]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in rows:
        times = [f"{float(row[name]):.2f} ms" if row[name] else "" for name in COLUMNS[1 : 2 + len(TARGETS)]]
        sizes = [f"{int(row[name]) / 1000:.1f} MB" for name in ("weights_kb", "struct_kb")]
        lines.append(f"| `{row['method']}` | {' | '.join([*times, row['ratio'], *sizes])} |")
    return "\n".join(lines)


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--table", action="store_true", help="the table from the results")
    words.add_argument("methods", nargs="*", default=["lull", "cmask", "mann", "lstm-mask", "dnn"])
    args, rows = words.parse_args(), {}
    if args.table:
        print(table())
        return
    if PATH.exists():
        with PATH.open(newline="") as file:
            rows = {row["method"]: row for row in csv.DictReader(file)}
    for name in args.methods:
        rows[name] = measure(name)
        print(rows[name])
    with PATH.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows.values())


if __name__ == "__main__":
    main()
