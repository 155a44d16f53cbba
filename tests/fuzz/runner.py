"""Batches of inputs in a worker process; what crashes, hangs, is not caught or leaves half a file is kept."""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

TARGETS = ("readers", "arrays", "chunkings", "models", "manifests", "recipes", "config_ini")
GOOD = ("processed", "rejected")
BAD = ("uncaught", "half-written", "crashed", "hung")
WATCHDOG_S, DRAWING_S = 20.0, 600.0
HUNG = ("hung", "no answer")
SIZES = {"chunkings": 30, "manifests": 30, "config_ini": 50}  # inputs of one seed; of the others BATCH
BATCH = 100


@dataclass(frozen=True)
class Finding:
    """An input that broke something, kept in a file for --replay."""

    target: str
    verdict: str
    reproducer: Path
    details: str

    def __str__(self) -> str:
        return f"{self.target} {self.verdict}: python -m tests.fuzz --replay {self.reproducer}\n{self.details}"


class Fuzzer:
    """Runs batches and counts what came of their inputs.

    Args:
        targets: names of modules in `tests.fuzz.targets`.
        home: folder of the reproducers, made when there is one.
        watchdog_s: an input that is not answered for so long hangs; more on a machine that does much else.
    """

    def __init__(self, targets: Sequence[str], home: Path, *, watchdog_s: float = WATCHDOG_S) -> None:
        self.counts: dict[str, Counter[str]] = {target: Counter() for target in targets}
        self.findings: list[Finding] = []
        self._home, self._watchdog_s = home, watchdog_s
        self._folder = Path(tempfile.mkdtemp(prefix="undin-fuzz-"))
        self._worker: Worker | None = None

    @property
    def n_inputs(self) -> int:
        """Inputs so far, of all targets."""
        return sum(map(Counter.total, self.counts.values()))

    def batch(self, target: str, seed: int, n: int | None = None) -> None:
        """Give a target n inputs that follow from a seed; the rest of the batch is lost with the worker."""
        n = n or SIZES.get(target, BATCH)
        self._worker = self._worker or Worker(self._folder)
        self._worker.start(target, seed, n)
        done = 0
        while done < n:
            verdict, details = self._worker.answer(DRAWING_S)
            if verdict == "end":
                return
            if verdict != "drawn":
                raise RuntimeError(f"{target} cannot draw input {done + 1} of seed {seed}: {verdict}, {details}")
            verdict, details = self._worker.answer(self._watchdog_s)
            self.counts[target][verdict] += 1
            done += 1
            if verdict in BAD:
                self._keep(target, verdict, seed, done, details)
            if verdict == "crashed" or (verdict, details) == HUNG:
                self._worker.kill()
                self._worker = None
                return
        self._worker.answer(DRAWING_S)

    def _keep(self, target: str, verdict: str, seed: int, number: int, details: str) -> None:
        """Keep the input, unless one that broke at the same place is kept already."""
        known = {(each.target, each.verdict, place(each.details)) for each in self.findings}
        if (target, verdict, place(details)) in known:
            return
        self._home.mkdir(parents=True, exist_ok=True)
        reproducer = self._home / f"{target}-{seed}-{number}.pickle"
        shutil.copyfile(self._folder / f"{number}.pickle", reproducer)
        self.findings.append(Finding(target, verdict, reproducer, details))
        print(self.findings[-1], file=sys.stderr, flush=True)

    def table(self) -> str:
        """Counts as text: a line per target."""
        columns = ("inputs", *GOOD, *BAD)
        lines = ["".join(f"{name:>13}" for name in ("", *columns))]
        total = sum(self.counts.values(), Counter[str]())
        for target, counts in (*self.counts.items(), ("all", total)):
            cells = (target, counts.total(), *(counts[name] for name in columns[1:]))
            lines.append("".join(f"{cell:>13}" for cell in cells))
        return "\n".join(lines)

    def close(self) -> None:
        """End the worker."""
        if self._worker:
            self._worker.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def place(details: str) -> str:
    """The last line of code of a traceback; of other details their first line."""
    frames = [line.strip() for line in details.splitlines() if line.startswith('  File "')]
    return frames[-1] if frames else details.partition("\n")[0]


class Worker:
    """The process; its answers come through a thread, so that waiting for one can end."""

    def __init__(self, folder: Path) -> None:
        self._errors = folder / "stderr"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        self._lines: queue.Queue[bytes] = queue.Queue()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def start(self, target: str, seed: int, n: int) -> None:
        """Ask for a batch."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{target} {seed} {n}\n".encode())
        self._process.stdin.flush()

    def answer(self, timeout_s: float) -> tuple[str, str]:
        """(verdict, details) of the next input; "end" after the last."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return HUNG
        if not line:
            code = self._process.wait()
            return "crashed", f"exit code {code}\n{self._errors.read_text(errors='replace')[-3000:]}"
        verdict, details = json.loads(line)
        return verdict, details

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait()
