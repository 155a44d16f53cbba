"""Whether spectra made beforehand pay in training: python -m benchmarks.speed.stft_cache [--table]

The founding program writes the spectra of noisy, clean and noise of every mixture to disk before it trains. Here the
same 200 mixtures of 3 s are, per example: drawn, and drawn with the augmentation of `lull`; kept (`train.kept`), kept
with their spectra (`train.kept_spectra`) and read back, from memory that the system still holds and from the disk; and
transformed as a step does. In addition, a step of training of the small preset that transforms and one that does not.
Medians of 5 rounds in turn, of the processor's time but for the disk, written to results/stft_cache.csv.
"""

import csv
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.launch import parser

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded

import numpy as np

from benchmarks.scoring import RESULTS
from benchmarks.speed.methods import machine
from undin import corpora, mixing
from undin.mixing.augment import Augment

if TYPE_CHECKING:
    from undin.training.data import ExampleSource
    from undin.training.stft import Stft

N, RUNS, BATCH = 200, 5, 16
PATH = RESULTS / "stft_cache.csv"


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    begin = clock()
    work()
    return clock() - begin


def measure(folder: Path) -> dict[str, float]:
    """Milliseconds per example of each way, and the bytes of one."""
    import torch

    from undin.training.cached import CachedExamples
    from undin.training.data import stack
    from undin.training.stft import Stft

    torch.set_num_threads(1)
    corpora.pack(corpora.mini(), folder / "mini.pack")
    settings = mixing.Settings(snr_db=(-6.0, 9.0), duration_s=3.0, split="train")
    drawn = mixing.Examples(corpora.open(folder / "mini.pack"), settings, seed=0)
    augmented = mixing.Examples(drawn.corpus, settings, _augment(), seed=0)
    stft = Stft(400, 160, "hann")
    files = {name: folder / f"{name}.f32" for name in ("kept", "spectra")}

    def keep(transform: Stft | None = None) -> CachedExamples:
        return CachedExamples(drawn, N, files["spectra" if transform else "kept"], seed=0, stft=transform)

    def load_all(examples: "ExampleSource") -> None:
        for first in range(0, N, BATCH):
            stack(examples, range(first, min(first + BATCH, N)))

    def transform() -> None:
        for first in range(0, N, BATCH):
            stft(signals[first : first + BATCH].flatten(0, 1))

    def hear_from_disk() -> None:
        with files["spectra"].open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        found["read_disk"].append(seconds(lambda: load_all(keep(stft)), time.perf_counter))

    signals = torch.stack([torch.from_numpy(np.stack([x.noisy, x.speech])) for x in (drawn[i] for i in range(N))])
    load_all(keep()), load_all(keep(stft))
    ways = {"draw": lambda: load_all(drawn), "augmented": lambda: load_all(augmented), "kept": lambda: load_all(keep())}
    ways |= {"transform": transform, "read": lambda: load_all(keep(stft))}
    steps = {"step": step(), "step_spectra": step(stft)}
    found: dict[str, list[float]] = {name: [] for name in (*ways, "read_disk", *steps)}
    for _ in range(RUNS):
        for name, way in ways.items():
            found[name].append(seconds(way))
        hear_from_disk()
        for name, work in steps.items():
            found[name].append(seconds(work) * N / BATCH)
    ms = {name: round(1e3 * statistics.median(times) / N, 3) for name, times in found.items()}
    kb = {f"kb_{name}": path.stat().st_size / N / 1e3 for name, path in files.items()}
    return ms | {name: round(size, 1) for name, size in kb.items()}


def _augment() -> Augment:
    """Of the recipe of the default method."""
    from undin.experiment import read_recipe

    return read_recipe("lull").train.variant("lull").augment


def step(stft: "Stft | None" = None) -> Callable[[], None]:
    """A training step of the small preset, with spectra made beforehand where their transform is given."""
    import torch

    from undin.experiment import read_recipe
    from undin.training.batch import Batch
    from undin.training.nets import NETS

    plan = read_recipe("cmask-wilson2018", preset="small").train.variant("cmask")
    net = NETS["cmask"](plan.config)
    x = 0.1 * torch.randn(2, BATCH, 48000, generator=torch.Generator().manual_seed(0))
    spectra = None if stft is None else torch.stack([stft(x.sum(0)), stft(x[0])], 1)

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = net.loss(Batch(x.sum(0), x[0], x[1], 16000, spectra=spectra))["loss"]
        loss.backward()

    work()
    return work


def show() -> None:
    with PATH.open(newline="") as file:
        row = next(csv.DictReader(file))
    labels = {
        "draw": "draw and mix",
        "augmented": "draw, mix and augment as for `lull`",
        "kept": "read what was drawn and kept (`train.kept`)",
        "transform": "transform noisy and speech, as a step does",
        "read": "read what was kept with its spectra (`train.kept_spectra`), from the system's memory",
        "read_disk": "the same, from the disk",
        "step": "learn: a step of the small preset",
        "step_spectra": "the same, with the spectra that were kept",
    }
    print("| of one mixture of 3 s | ms |\n|---|---|")
    for name, words in labels.items():
        print(f"| {words} | {float(row[name]):.2f} |")
    kept, spectra = (float(row[name]) for name in ("kb_kept", "kb_spectra"))
    print(f"\n{kept:.0f} kB kept, {spectra:.0f} kB with spectra. Medians of {RUNS} rounds, {row['machine']}, one core.")


def main() -> None:
    if not parser(__doc__).parse_args().table:
        with tempfile.TemporaryDirectory() as folder:
            row = {"machine": machine(), **measure(Path(folder))}
        with PATH.open("w", newline="") as file:
            table = csv.DictWriter(file, list(row), lineterminator="\n")
            table.writeheader()
            table.writerow(row)
    show()


if __name__ == "__main__":
    main()
