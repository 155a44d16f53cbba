"""Whether spectra made beforehand pay in training: python -m benchmarks.stft_cache [--table]

The founding program writes the spectra of noisy, clean and noise of every mixture to disk before it trains. Here the
same 200 mixtures of 3 s are, per example: drawn as training draws them, transformed as training transforms them, and
read back as complex64 spectra, from memory that the system still holds and from the disk. A step of training of the
small preset is there to compare, and mixtures of the recipe of `lull`, with its augmentation: drawn, and kept
(`train.kept`). Medians of 5 rounds in turn, of the processor's time but for the disk, written to
results/stft_cache.csv.
"""

import csv
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded

import numpy as np

import undin
from benchmarks.scoring import RESULTS
from benchmarks.speed import machine
from undin import corpora, mixing
from undin.mixing.augment import Augment

N, RUNS, BATCH = 200, 5, 16
PATH = RESULTS / "stft_cache.csv"


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    begin = clock()
    work()
    return clock() - begin


def measure(folder: Path) -> dict[str, float]:
    """Milliseconds per example of each way, and the bytes of one."""
    import torch

    from undin.training.kept import Kept
    from undin.training.stft import Stft

    torch.set_num_threads(1)
    mini = corpora.mini()
    corpora.pack(mini, folder / "mini.pack")
    settings = mixing.Settings(snr_db=(-6.0, 9.0), duration_s=3.0, split="train")
    examples = mixing.Examples(corpora.open(folder / "mini.pack"), settings, seed=0)
    waves = [np.stack([m.noisy, m.speech, m.noisy - m.speech]) for m in (examples[i] for i in range(N))]
    paths = [folder / f"{i}.npy" for i in range(N)]
    for x, path in zip(waves, paths, strict=True):
        np.save(path, undin.stft(x, 400, 160, window="hann"))
    stft = Stft(400, 160, "hann")
    os.sync()

    def transform() -> None:
        for first in range(0, N, BATCH):
            stft(torch.from_numpy(np.concatenate([x[:2] for x in waves[first : first + BATCH]])))

    def forget() -> None:
        for path in paths:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def read() -> None:
        for path in paths:
            np.load(path)

    augmented = mixing.Examples(examples.corpus, settings, _augment(), seed=0)
    kept = Kept(augmented, N, folder / "kept.f32", seed=0)
    for i in range(N):
        kept[i]
    ways = {"draw": lambda: [examples[i] for i in range(N)], "transform": transform, "read": read}
    ways |= {"augmented": lambda: [augmented[i] for i in range(N)], "kept": lambda: [kept[i] for i in range(N)]}
    found: dict[str, list[float]] = {name: [] for name in (*ways, "read_disk")}
    for _ in range(RUNS):
        for name, way in ways.items():
            found[name].append(seconds(way))
        forget()
        found["read_disk"].append(seconds(read, time.perf_counter))
    ms = {name: round(1e3 * statistics.median(times) / N, 3) for name, times in found.items()}
    return ms | {"step": step_ms(), "kb_cached": paths[0].stat().st_size / 1e3, "kb_pack": 2 * 2 * 48000 / 1e3}


def _augment() -> Augment:
    """Of the recipe of the default method."""
    from undin.experiment import read_recipe

    return read_recipe("lull").sections["train"].plan("lull").augment


def step_ms() -> float:
    """Milliseconds per example of a training step of the small preset."""
    import torch

    from undin.experiment import read_recipe
    from undin.training.batch import Batch
    from undin.training.nets import NETS

    plan = read_recipe("cmask-wilson2018", preset="small").sections["train"].plan("cmask")
    net = NETS["cmask"](plan.config)
    x = 0.1 * torch.randn(2, BATCH, 48000, generator=torch.Generator().manual_seed(0))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = net.loss(Batch(x.sum(0), x[0], x[1], 16000))["loss"]
        loss.backward()

    step()
    return round(1e3 * statistics.median(seconds(step) for _ in range(RUNS)) / BATCH, 3)


def show() -> None:
    with PATH.open(newline="") as file:
        row = next(csv.DictReader(file))
    told = {
        "draw": "draw and mix",
        "transform": "transform noisy and speech, as training does",
        "read": "read noisy, speech and noise as spectra, from the system's memory",
        "read_disk": "the same, from the disk",
        "augmented": "draw, mix and augment as for `lull`",
        "kept": "read that mixture, kept (`train.kept`)",
        "step": "learn: a step of the small preset",
    }
    print("| of one mixture of 3 s | ms |\n|---|---|")
    for name, words in told.items():
        print(f"| {words} | {float(row[name]):.2f} |")
    cached, drawn = (float(row[name]) for name in ("kb_cached", "kb_pack"))
    print(f"\n{cached:.0f} kB as spectra, {drawn:.0f} kB of the pack that it is drawn from. Medians of {RUNS} rounds,")
    print(f"{row['machine']}, one core.")


def main() -> None:
    if "--table" not in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            row = {"machine": machine(), **measure(Path(folder))}
        with PATH.open("w", newline="") as file:
            table = csv.DictWriter(file, list(row), lineterminator="\n")
            table.writeheader()
            table.writerow(row)
    show()


if __name__ == "__main__":
    main()
