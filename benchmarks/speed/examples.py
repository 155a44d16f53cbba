"""How fast training examples are mixed on one core, 4 s at 16 kHz: python -m benchmarks.speed.examples

From a pack of the shipped corpus and, where UNDIN_DATA names a corpus or a pack, from that one's training split too.
Seconds of mixtures per second of processor time, each run on other examples; into results/examples_speed.csv. One
augmentation at a time has a share of 1, so it is in every example; "usual" is `undin.mixing.augment.USUAL`. Then the
time to open the pack and to read a random crop, by the clock.
"""

import csv
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

from benchmarks.launch import parser
from benchmarks.scoring import RESULTS
from undin import corpora
from undin.corpora import Corpus
from undin.mixing import Examples, Settings
from undin.mixing.augment import USUAL, Augment

N, RUNS, WARM = 100, 5, 50
PATH = RESULTS / "examples_speed.csv"
PLAIN = Settings(duration_s=4.0, split="train")
FULL = Settings(duration_s=4.0, split="train", snr_over="active", level_db=(-35, -15), noises=(1, 3), noise_db=(0, 10))
SHARES = [field.name for field in fields(Augment) if field.default == 0.0]
CASES: dict[str, tuple[Settings, Augment | None]] = {
    "one noise": (PLAIN, None),
    "1 to 3 noises, SNR over active speech, drawn level": (FULL, None),
    "the same with the usual augmentation": (FULL, USUAL),
    **{f"one noise and {name}": (PLAIN, Augment(**{name: 1.0})) for name in SHARES},
}


def packs(folder: Path) -> Iterator[tuple[str, Path]]:
    """The corpora that are measured, packed."""
    for name, corpus in (("mini", corpora.mini()), ("UNDIN_DATA", None)):
        if corpus is None and not os.environ.get("UNDIN_DATA"):
            return
        corpus = corpus or corpora.open()
        path = folder / f"{name}.pack"
        start = time.perf_counter()
        corpora.pack(corpus.select(split="train"), path, workers=os.cpu_count() or 1)
        print(f"{name}: packed in {time.perf_counter() - start:.1f} s, {path.stat().st_size / 1e6:.0f} MB")
        yield name, path


def measure(examples: Examples) -> list[float]:
    """Times real time of each run."""
    for i in range(WARM):
        _ = examples[i]
    speeds = []
    for run in range(RUNS):
        start = time.process_time()
        for i in range(N):
            _ = examples[WARM + run * N + i]
        speeds.append(N * examples.n_samples / examples.sr / (time.process_time() - start))
    return speeds


def opening_ms(path: Path) -> list[float]:
    return [_clock(lambda: corpora.open_pack(path)) for _ in range(RUNS)]


def crop_ms(corpus: Corpus) -> list[float]:
    """Of 4 s from anywhere, or of the longest clips where none is as long."""
    longest = max(clip.duration_s for clip in corpus.rows)
    clips = [clip for clip in corpus.rows if clip.duration_s >= min(4.0, longest)]

    def read() -> None:
        for i in range(N):
            clip = clips[(i * 7919) % len(clips)]
            corpus.read(clip.path, clip.offset_s, min(4.0, longest))

    return [_clock(read) / N for _ in range(RUNS)]


def _clock(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    parser(__doc__).parse_args()
    machine = f"{platform.machine()}, one core, {sys.platform}"
    with tempfile.TemporaryDirectory() as folder, PATH.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["corpus", "case", "unit", "run", "value", "machine"])
        for name, path in packs(Path(folder)):
            corpus = corpora.open_pack(path)
            found = {"open": ("ms", opening_ms(path)), "crop of 4 s": ("ms", crop_ms(corpus))}
            for case, (settings, augment) in CASES.items():
                found[case] = ("times real time", measure(Examples(corpus, settings, augment, seed=0)))
            for case, (unit, values) in found.items():
                for run, value in enumerate(values):
                    table.writerow([name, case, unit, run, f"{value:.4g}", machine])
                middle = statistics.median(values)
                figure = f"{middle:8.3f} ms" if unit == "ms" else f"{middle:8.0f} x"
                print(f"{name:10s}  {case:52s} {figure}", flush=True)


if __name__ == "__main__":
    main()
