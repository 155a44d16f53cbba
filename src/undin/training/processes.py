"""Where a run's arithmetic takes place: threads, devices, processes; and Lightning, kept to what matters."""

import logging
import os
import re
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch.multiprocessing.spawn import ProcessRaisedException

from undin import errors
from undin.errors import UndinError
from undin.training.logs import StepProgress, read_log
from undin.training.options import Options

LAUNCHERS = ("TORCHELASTIC_RUN_ID", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")  # set where processes are started for us
END_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)]
FOLLOW_S = 0.5
LOGGERS = ("lightning.pytorch", "lightning.fabric", "torch.multiprocessing.spawn")
# Torch warnings caused by Lightning, and Lightning's own advice: starts of messages.
NOT_OURS: list[tuple[str, type[Warning]]] = [
    (r"`isinstance\(treespec, LeafSpec\)`", FutureWarning),
]


def n_processes(options: Options) -> int:
    """Processes on this node: one for each GPU used."""
    if options.devices != "auto":
        return int(options.devices)
    on_gpu = options.accelerator in ("auto", "gpu") and torch.cuda.is_available()
    return torch.cuda.device_count() if on_gpu else 1


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spawns(options: Options) -> bool:
    """Whether to start our own processes: Lightning's "ddp" would rerun the complete script."""
    several = n_processes(options) * options.nodes > 1
    return options.strategy == "auto" and several and not any(name in os.environ for name in LAUNCHERS)


def strategy(options: Options) -> str:
    """Lightning's name for how processes work together."""
    if options.strategy != "auto" or n_processes(options) * options.nodes == 1:
        return options.strategy
    return "ddp_spawn" if spawns(options) else "ddp"


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return not getattr(rank_zero_only, "rank", 0)


@contextmanager
def arithmetic(threads: int) -> Iterator[None]:
    """Compute with this many threads; restore threads and random numbers afterwards."""
    before, numbers = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_rng_state(numbers)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what Lightning says about itself, for a while."""
    levels = [logging.getLogger(name).level for name in LOGGERS]
    with warnings.catch_warnings():
        silence()
        try:
            yield
        finally:
            for name, level in zip(LOGGERS, levels, strict=True):
                logging.getLogger(name).setLevel(level)


def silence() -> None:
    """Keep it back for good, in a process of our own."""
    for message, kind in NOT_OURS:
        warnings.filterwarnings("ignore", message, kind)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def told_plainly() -> Iterator[None]:
    """Say in our words what went wrong in another process."""
    try:
        yield
    except ProcessRaisedException as error:
        found = re.search(r"^undin\.errors\.(\w+): (.*)", str(error), re.MULTILINE)
        if found is None:
            raise
        raise getattr(errors, found[1])(found[2]) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UndinError(
            f"a process that mixes examples has died ({' '.join(str(error).split())[:200]}): "
            "if memory ran out, use fewer workers or a smaller prefetch"
        ) from error


@contextmanager
def passed_on(trainer: Any, callback: Any) -> Iterator[None]:
    """Pass a request to end on to our own processes."""

    def on_signal(number: int, frame: Any) -> None:
        callback.caught = number
        trainer.strategy.launcher.kill(number)

    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, on_signal) for number in END_SIGNALS if in_main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def followed(log: Path, steps: int, progress: StepProgress) -> Iterator[None]:
    """Tell the progress of another process, as its log.csv does.

    Args:
        log: path of its log.csv.
        steps: of the run.
        progress: called with every new line.
    """
    over = threading.Event()

    def follow() -> None:
        reported, ended = 0.0, False
        while not ended:
            ended = over.wait(FOLLOW_S)
            rows = read_log(log) if log.exists() else []
            if rows and rows[-1]["step"] != reported:
                reported = rows[-1]["step"]
                progress(int(reported), steps, rows[-1])

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
