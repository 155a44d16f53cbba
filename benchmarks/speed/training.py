"""Does mixing on the fly keep the network waiting?  python -m benchmarks.speed.training [--data DIR]

Seconds of audio learned from per second, of `undin.training.fit` with dynamic mixing, and of a bare PyTorch loop over
tensors made beforehand: same network (2 x GRU 256, a mask on 257 bins), same loss, optimizer and threads, batches of
32 x 4 s, in turn, in one run. Into results/training_speed.csv.
"""

import csv
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.launch import parser

os.environ["OMP_NUM_THREADS"] = "1"  # of numpy, as `undin` sets it; torch is given its threads below

import torch
from torch import Tensor, nn

from benchmarks.scoring import RESULTS
from benchmarks.speed.methods import machine
from undin import corpora, methods
from undin.mixing import Settings
from undin.mixing.augment import Augment
from undin.mixing.examples import Examples
from undin.training import losses
from undin.training.batch import Batch
from undin.training.data import stack, to_batch
from undin.training.fit import fit
from undin.training.nets import NETS, Network
from undin.training.options import Options

STEPS, FIRST, BATCH, SECONDS = 24, 5, 32, 4.0  # the steps before the first that counts fill caches and queues
AUGMENT = Augment(
    clean=0.02, noise_only=0.05, speed=0.2, eq=0.3, noise_eq=0.3, silence=0.1, synthetic=0.2, babble=0.1, rooms=0.2,
    band_limit=0.1, floor=0.2, clip=0.1, gain_steps=0.1,
)  # fmt: skip
WAYS = {
    "bare": "plain PyTorch loop on ready tensors",
    "mixed": "`undin train`, mixed on the fly",
    "augmented": "`undin train`, mixed on the fly and augmented",
}
PATH = RESULTS / "training_speed.csv"


@dataclass(frozen=True)
class Config:
    """Of `Net`."""

    sr: int = 16000
    n_fft: int = 512
    hop_length: int = 256
    window: str = "sqrt_hann"
    hidden: int = 256


class Net(Network):
    """Magnitudes -> 2 x GRU 256 -> mask."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.gru = nn.GRU(config.n_fft // 2 + 1, config.hidden, 2, batch_first=True)
        self.out = nn.Linear(config.hidden, config.n_fft // 2 + 1)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Before the first frame."""
        return {"h": torch.zeros(batch, 2, self.gru.hidden_size)}

    def forward(self, X: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mask of a spectrum, as every network of the project."""
        magnitude = (X.square().sum(1) + 1e-9) ** 0.15  # (B, T, F)
        y, h = self.gru(magnitude, state["h"].transpose(0, 1).contiguous())
        return torch.sigmoid(self.out(y))[:, None], {"h": h.transpose(0, 1)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of compressed spectra."""
        X = self.stft(batch.noisy)
        M, _ = self(X, self.initial_state(len(X)))
        return {"loss": losses.compressed_spectral(M * X, self.stft(batch.speech))}


def options(threads: int, workers: int | None) -> Options:
    """Of a run that does nothing but steps."""
    return Options(
        steps=STEPS,
        batch=BATCH,
        valid_every=10**6,
        n_valid=1,
        save_every_min=60.0,
        workers=workers,
        threads=threads,
        accelerator="cpu",
    )


def bare(made: list[Any], sr: int, threads: int) -> float:
    """The loop that a tutorial shows."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    net = Net(Config())
    optimizer, times = torch.optim.AdamW(net.parameters(), lr=1e-3), []
    for step in range(STEPS):
        optimizer.zero_grad()
        net.loss(to_batch(made[step % len(made)], sr))["loss"].backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        times.append(time.perf_counter())
    return speed(times)


def engine(examples: Examples, threads: int, workers: int | None) -> float:
    """The same through `fit`."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        on_step = lambda *_: times.append(time.perf_counter())  # noqa: E731
        fit("bench", Config(), options(threads, workers), examples, examples, Path(folder), progress=on_step)
    return speed(times[:-1])  # the last step has a validation


def speed(times: list[float]) -> float:
    """Seconds of audio per second between the first step that counts and the last."""
    return (len(times) - 1 - FIRST) * BATCH * SECONDS / (times[-1] - times[FIRST])


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--data", type=Path, help="a corpus instead of the shipped one")
    words.add_argument("--runs", type=int, default=5)
    words.add_argument("--workers", type=int, default=None)
    words.add_argument("--table", action="store_true", help="print what was measured")
    given = words.parse_args()
    if given.table:
        print(show())
        return
    NETS["bench"], methods.LEARNED["bench"] = Net, SimpleNamespace(Config=Config)  # type: ignore[assignment]
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        corpus = (corpora.open(given.data) if given.data else corpora.mini()).select(split="train")
        corpora.pack(corpus, Path(folder) / "train.pack")
        corpus, settings = corpora.open(Path(folder) / "train.pack"), Settings(duration_s=SECONDS, split="train")
        plain, augmented = (Examples(corpus, settings, augment, seed=0) for augment in (None, AUGMENT))
        made = [stack(augmented, range(BATCH * k, BATCH * (k + 1))) for k in range(4)]
        rows = []
        for _ in range(given.runs):
            of_bare = bare(made, corpus.sr, threads)
            rows.append([of_bare, *(engine(examples, threads, given.workers) for examples in (plain, augmented))])
    facts = {"corpus": "real" if given.data else "embedded", "machine": f"{machine()}, {threads} cores"}
    with PATH.open("w", newline="") as file:
        table = csv.DictWriter(file, [*WAYS, *facts], lineterminator="\n")
        table.writeheader()
        table.writerows({**{way: f"{x:.1f}" for way, x in zip(WAYS, row, strict=True)}, **facts} for row in rows)
    print(show())


def show() -> str:
    """Markdown: medians, and of the ratios to the plain loop in the same run."""
    with PATH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["| | seconds of audio per second | ratio |", "|---|---|---|"]
    for way, name in WAYS.items():
        speeds = [float(row[way]) for row in rows]
        ratios = [x / float(row["bare"]) for x, row in zip(speeds, rows, strict=True)]
        ratio = "" if way == "bare" else f"{statistics.median(ratios):.2f} ({min(ratios):.2f} ... {max(ratios):.2f})"
        lines.append(f"| {name} | {statistics.median(speeds):.0f} | {ratio} |")
    setup = f"Two layers of GRU with 256 units, batches of {BATCH} x {SECONDS:g} s, {rows[0]['corpus']} recordings, "
    return "\n".join(lines) + f"\n\n{setup}medians of {len(rows)} runs on an {rows[0]['machine']}."


if __name__ == "__main__":
    main()
