"""What Ray costs per file and saves with a second worker: python -m benchmarks.speed.cluster [--n N] [--method METHOD]

N files of 5 s at 16 kHz are enhanced in a serial loop, by one process of undin's own, by one worker of Ray and by two,
in 5 rounds of N / 5 files each, from when all workers have done a file, with the outputs compared to the bit. The
columns are medians over the rounds: time per file, and inside a worker the time and the CPU time of a file. 2 N items
that take no time go through Ray in each round, which is its overhead alone. Needs the extra `ray` and two free cores;
into results/cluster_speed.csv.
"""

import csv
import hashlib
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.launch import SKIPPED, parser
from benchmarks.scoring import RESULTS
from undin import audio
from undin.cluster import Ray
from undin.errors import MissingExtraError
from undin.jobs import plan, run
from undin.methods import load
from undin.workers import Executor, Here, Processes, Progress

PATH = RESULTS / "cluster_speed.csv"
SECONDS, ROUNDS = 5, 5
CASES: dict[str, Callable[[], Executor]] = {
    "serial": Here,
    "1 process": lambda: Processes(1),
    "1 worker of Ray": lambda: Ray(n=1),
    "2 workers of Ray": lambda: Ray(n=2),
}
FIELDS = ("ms_per_file", "ms_in_worker", "cpu_ms_in_worker")


def nothing(_: Progress):  # type: ignore[no-untyped-def]
    """Work that takes no time."""
    return abs


def timed(make: Callable[[Progress], Callable[[Any], Any]], progress: Progress) -> Callable[[Any], Any]:
    """The function of a worker, which also returns its process, the end, the time and the CPU time of its thread."""
    work = make(progress)

    def do(item: Any) -> Any:
        start, cpu = time.perf_counter(), time.thread_time()
        out = work(item)
        end = time.perf_counter()
        return out, (os.getpid(), end, end - start, time.thread_time() - cpu)

    return do


class Timed:
    """An executor that notes what `timed` returns."""

    def __init__(self, pool: Executor) -> None:
        self.pool, self.taken = pool, list[Any]()

    def map(self, make: Any, items: Iterable[Any], **options: Any) -> Generator[Any, None, None]:
        """See `Executor.map`."""
        for item, (out, taken) in self.pool.map(partial(timed, make), items, **options):
            self.taken.append(taken)
            yield item, out

    def means(self) -> tuple[float, ...]:
        """Seconds per file from when all workers have done one, so that no start-up counts; means inside a worker."""
        firsts: dict[int, float] = {}
        for process, end, *_ in self.taken:
            firsts[process] = min(end, firsts.get(process, end))
        start = max(firsts.values())
        later = np.array([row[1:] for row in self.taken if row[1] > start])
        return (later[:, 0].max() - start) / len(later), later[:, 1].mean(), later[:, 2].mean()


def wall(outcomes: Iterable[object]) -> float:
    """Seconds per outcome from the first to the last, so that no start-up counts."""
    times = [time.perf_counter() for _ in outcomes]
    return (times[-1] - times[0]) / (len(times) - 1)


def digest(folder: Path) -> str:
    files = sorted(folder.glob("*.wav"))
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def one_round(source: Path, method: str, first: int) -> dict[str, tuple[float, ...]]:
    """Each case once, beginning with another in each round; seconds per file, as in FIELDS."""
    names, found, digests = list(CASES), dict[str, tuple[float, ...]](), set[str]()
    for name in names[first:] + names[:first]:
        pool, out = Timed(CASES[name]()), source.with_name(f"{source.name} {name}")
        assert all(
            result.status == "done"
            for result in run(plan([str(source)], f"{out}/"), partial(load, method), workers=pool)
        )
        found[name] = pool.means()
        digests.add(digest(out))
    assert len(digests) == 1, "outputs differ between executors"
    found["an item that takes no time"] = (wall(Ray(n=1).map(nothing, range(10 * len(list(source.iterdir()))))), 0, 0)
    return found


def measure(n: int, method: str, folder: Path) -> list[dict[str, object]]:
    found = defaultdict[str, list[tuple[float, ...]]](list)
    for i in range(ROUNDS):
        source = folder / str(i)
        source.mkdir()
        for k in range(n // ROUNDS):
            x = np.random.default_rng((i, k)).normal(0, 0.1, SECONDS * 16000).astype(np.float32)
            audio.write(source / f"{k:05}.wav", x, 16000)
        for name, values in one_round(source, method, i % len(CASES)).items():
            found[name].append(values)
    medians = {name: 1000 * np.median(values, 0) for name, values in found.items()}
    return [{"case": name, **dict(zip(FIELDS, map(float, medians[name]), strict=True))} for name in medians]


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
        rows = measure(options.n, options.method, Path(folder))
    about = {"n": options.n, "rounds": ROUNDS, "method": options.method}
    about |= {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    about["load"] = round(os.getloadavg()[0], 1)
    with PATH.open("w", newline="") as file:
        table = csv.DictWriter(file, [*rows[0], *about], lineterminator="\n")
        table.writeheader()
        for row in rows:
            times = {name: f"{row[name]:.2f}" for name in FIELDS}
            table.writerow({**row, **times, **about})
            print(f"{row['case']:26}", *(f"{name} {value:>7}" for name, value in times.items()), sep="   ")


if __name__ == "__main__":
    main()
