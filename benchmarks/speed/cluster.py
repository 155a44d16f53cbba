"""What Ray costs per file and saves with a second worker: python -m benchmarks.speed.cluster [--n N] [--method METHOD]

N files of 5 s at 16 kHz are enhanced in a serial loop, by one worker of Ray and by two, each after its start-up, with
the outputs compared to the bit; and 10 N items that take no time go through Ray, which is its overhead alone. Needs the
extra `ray` and two free cores; into results/cluster_speed.csv.
"""

import csv
import hashlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.launch import SKIPPED, parser
from benchmarks.scoring import RESULTS
from undin import audio
from undin.cluster import Ray
from undin.errors import MissingExtraError
from undin.jobs import plan, run
from undin.methods import load
from undin.workers import Progress

PATH = RESULTS / "cluster_speed.csv"
SECONDS = 5


def nothing(_: Progress):  # type: ignore[no-untyped-def]
    """Work that takes no time."""
    return abs


def walls(outcomes: Iterable[object]) -> float:
    """Seconds from the first outcome to the last, so that no start-up counts."""
    taken = iter(outcomes)
    next(taken)
    start = time.perf_counter()
    for _ in taken:
        pass
    return time.perf_counter() - start


def digest(folder: Path) -> str:
    files = sorted(folder.glob("*.wav"))
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def measure(n: int, method: str, folder: Path) -> list[dict[str, object]]:
    make, rows = partial(load, method), []
    for i in range(n):
        x = np.random.default_rng(i).normal(0, 0.1, SECONDS * 16000).astype(np.float32)
        audio.write(folder / "in" / f"{i:05}.wav", x, 16000)
    digests = set()
    for name, pool in (("serial", 1), ("1 worker", Ray(n=1)), ("2 workers", Ray(n=2))):
        out = folder / name
        wall = walls(run(plan([str(folder / "in")], f"{out}/"), make, workers=pool))
        digests.add(digest(out))
        rows.append({"case": name, "n": n, "ms_per_file": 1000 * wall / (n - 1)})
    assert len(digests) == 1, "outputs differ between executors"
    wall = walls(Ray(n=1).map(nothing, range(10 * n)))
    return [*rows, {"case": "overhead of an item", "n": 10 * n, "ms_per_file": 1000 * wall / (10 * n - 1)}]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--n", type=int, default=2000)
    command.add_argument("--method", default="lull")
    options = command.parse_args()
    try:
        Ray()
    except MissingExtraError as error:
        print(error)
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").mkdir()
        rows = measure(options.n, options.method, Path(folder))
    about = {"method": options.method, "machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    about["load"] = round(os.getloadavg()[0], 1)
    with PATH.open("w", newline="") as file:
        table = csv.DictWriter(file, [*rows[0], *about], lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({**row, "ms_per_file": f"{row['ms_per_file']:.2f}", **about})
            print(f"{row['case']:20} {row['n']:6} x {row['ms_per_file']:8.2f} ms")


if __name__ == "__main__":
    main()
