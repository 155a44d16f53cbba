"""Processes that work on jobs side by side.

Each has one job at a time, so that a process that dies has failed exactly the file it had, and a new one takes its
place. An interruption is for the parent: workers ignore it. They end when their line to the parent does, whether it was
closed or the parent is gone, and take their unfinished files away.
"""

import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from undin.jobs.job import Job, Result, clear, do
from undin.jobs.notes import Settings
from undin.jobs.process import Progress
from undin.methods.base import Method

Make = Callable[[], Method]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
INTERRUPTIONS = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]
PATIENCE_S = 5.0  # that a worker has to finish its block and clear up
SPAWN = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold


class Worker:
    """A process and our end of the line to it."""

    def __init__(self, make: Make, settings: Settings) -> None:
        self.line, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_work, args=(theirs, make, settings), daemon=True)
        with quiet_start():
            self.process.start()
        theirs.close()  # so that its death ends the line
        self.job: Job | None = None

    def give(self, job: Job) -> None:
        """Send it a job."""
        self.job = job
        with suppress(OSError):  # it has died: that is seen when its answer is read
            self.line.send(job)

    def answer(self) -> float | str | Result:
        """Wait for progress in seconds of audio, a warning, or a result; a death is a result too."""
        try:
            message: float | str | Result = self.line.recv()
        except (EOFError, OSError):
            assert self.job is not None
            task = self.job.task
            self.process.join()
            clear(task)
            why = f"ended with {self.process.exitcode} (out of memory, or a crash in a library)"
            message = Result(task, "failed", error=f"{task.source}: its process {why}: try it alone", kind="system")
        if isinstance(message, Result):
            self.job = None
        return message

    def stop(self) -> None:
        """End it; an unfinished output is taken away."""
        self.line.close()  # it notices when it next tells its progress, or at once where it waits for a job
        self.process.join(PATIENCE_S)
        self.process.kill()
        self.process.join()
        if self.job is not None:
            clear(self.job.task)


def share_out(
    jobs: Sequence[Job], make: Make, settings: Settings, n: int, progress: Progress | None
) -> Generator[Result, None, None]:
    """Have n processes do the jobs; results come in the order in which they are done."""
    waiting = deque(jobs)
    workers: dict[Any, Worker] = {}
    try:
        while waiting or any(worker.job for worker in workers.values()):
            for line in [line for line, worker in workers.items() if not worker.process.is_alive() and not worker.job]:
                workers.pop(line).stop()
            while waiting and len(workers) < n:
                worker = Worker(make, settings)
                workers[worker.line] = worker
                worker.give(waiting.popleft())
            for line in wait([line for line, worker in workers.items() if worker.job]):
                message = workers[line].answer()
                if isinstance(message, str):
                    warnings.warn(message, stacklevel=4)  # to where results are asked for, past `run`
                    continue
                if isinstance(message, float):
                    if progress:
                        progress(message)
                    continue
                if waiting and workers[line].process.is_alive():
                    workers[line].give(waiting.popleft())
                yield message
    finally:
        for worker in workers.values():
            worker.stop()


def _work(line: "Connection[Any, Any]", make: Make, settings: Settings) -> None:
    """What a worker does until it is told to end or its parent is gone."""
    warnings.showwarning = lambda message, *_, **__: line.send(str(message))  # for the parent to show
    with suppress(EOFError, OSError):
        method = make()
        while True:
            line.send(do(line.recv(), method, settings, line.send))


@contextmanager
def quiet_start() -> Iterator[None]:
    """What a process inherits at its start: interruptions ignored, one thread for each library that would take all."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    in_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTIONS if in_main}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        for number, handler in handlers.items():
            signal.signal(number, handler)
