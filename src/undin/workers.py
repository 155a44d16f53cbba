"""Many items, one function: in this process, in several, or wherever another `Executor` runs it.

    with closing(executor(workers).map(make, items, ordered=True)) as outcomes:
        for item, outcome in outcomes: ...

Every worker calls `make` once and the function that it returns once per item. A worker that dies fails the item it had
and is replaced; the others stay for the next `map`. What the function raises is raised to the caller and ends the run:
it returns what a run can survive.
"""

import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Protocol, TypeVar

from undin.errors import InputError

Item = TypeVar("Item")
Out = TypeVar("Out")
Progress = Callable[[float], object]  # called with the seconds of audio done since the last call
Make = Callable[[Progress], Callable[[Item], Out]]  # returns the function that works on one item

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
INTERRUPTS = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]
PATIENCE_S = 5.0  # that a worker has to finish its block and remove its unfinished files
AHEAD = 32  # outcomes per worker that may wait for an earlier one
CANNOT_START = "workers die at startup: see their output, or use 1 worker"
SPAWN = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold


class WorkerDied(Exception):
    """The outcome of an item whose worker ended without an answer; raised where workers cannot even start."""


class Intake:
    """A gate in front of an executor: closed by a deadline or by hand, so that what is begun is finished and no more.

    Args:
        minutes: from now until it closes; None for never.

    Attributes:
        is_open: set it to False to close it.
        has_left: whether items were left outside.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self._end = math.inf if minutes is None else time.monotonic() + 60 * minutes
        self.is_open, self.has_left = True, False

    def __call__(self, items: Iterable[Item]) -> "Gate[Item]":
        """The items, as long as it is open."""
        return Gate(self, iter(items))

    def passes(self) -> bool:
        """Whether an item that is there may still be begun."""
        self.is_open = self.is_open and time.monotonic() < self._end
        self.has_left |= not self.is_open
        return self.is_open


class Gate(Generic[Item]):
    """The items that an intake lets pass. An executor asks `intake.passes` again for items that it has put back."""

    def __init__(self, intake: Intake, items: Iterator[Item]) -> None:
        self.intake, self._items = intake, items

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        item = next(self._items)
        if not self.intake.passes():
            self._items = iter(())
            raise StopIteration
        return item


class Executor(Protocol):
    """Where work is done."""

    def map(
        self, make: Make[Item, Out], items: Iterable[Item], *, ordered: bool = False, progress: Progress | None = None
    ) -> Generator[tuple[Item, Out | WorkerDied], None, None]:
        """Work on items.

        Args:
            make: called once per worker with the function that reports progress; returns the function that works on
                one item. Workers that are other processes need it and the items picklable.
            items: what to work on, taken as workers become free; may be endless.
            ordered: yield outcomes in the order of the items, not as they come.
            progress: called here with what workers report. Their warnings become warnings here.

        Yields:
            (item, what the function returned, or `WorkerDied`). Work ends with the generator, however it ends.
        """


def executor(workers: "int | Executor") -> Executor:
    """Choose where to work.

    Args:
        workers: 1 for this process, n for n processes, or an `Executor`, which is returned.

    Raises:
        InputError: workers is less than 1.
    """
    if not isinstance(workers, int):
        return workers
    if workers < 1:
        raise InputError(f"workers must be at least 1; got {workers}")
    return Here() if workers == 1 else Processes(workers)


class Here:
    """This process: one item after the other, in order."""

    def map(
        self, make: Make[Item, Out], items: Iterable[Item], *, ordered: bool = False, progress: Progress | None = None
    ) -> Generator[tuple[Item, Out | WorkerDied], None, None]:
        """See `Executor.map`.

        Args:
            make, items, ordered, progress: as in `Executor.map`.
        """
        work = make(progress or (lambda _: None))
        for item in items:
            yield item, work(item)


class Threads:
    """Threads of this process, for work that lets others run, such as decoding; outcomes come in order.

    Args:
        n: how many.
        ahead: items for each that are done or waiting before their outcomes are taken.
    """

    def __init__(self, n: int, ahead: int = AHEAD) -> None:
        self.n, self.ahead = n, ahead

    def map(
        self, make: Make[Item, Out], items: Iterable[Item], *, ordered: bool = False, progress: Progress | None = None
    ) -> Generator[tuple[Item, Out | WorkerDied], None, None]:
        """See `Executor.map`.

        Args:
            make, items, ordered, progress: as in `Executor.map`; `make` is called once for all threads.
        """
        work, left = make(progress or (lambda _: None)), iter(items)
        waiting: deque[tuple[Item, Future[Out]]] = deque()
        pool = ThreadPoolExecutor(self.n)
        try:
            while True:
                waiting.extend(
                    (item, pool.submit(work, item)) for item in islice(left, self.n * self.ahead - len(waiting))
                )
                if not waiting:
                    return
                yield waiting[0][0], waiting.popleft()[1].result()
        finally:
            pool.shutdown(cancel_futures=True)


class Processes:
    """Processes that are started when they are needed and end with this object; BLAS takes one thread in each.

    Args:
        n: how many.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._idle: list[_Worker[Any, Any]] = []
        weakref.finalize(self, _stop, self._idle)

    def map(
        self, make: Make[Item, Out], items: Iterable[Item], *, ordered: bool = False, progress: Progress | None = None
    ) -> Generator[tuple[Item, Out | WorkerDied], None, None]:
        """See `Executor.map`.

        Args:
            make, items, ordered, progress: as in `Executor.map`.

        Raises:
            WorkerDied: workers die before they take an item.
        """
        crew: list[_Worker[Item, Out]] = [self._idle.pop() if self._idle else _Worker() for _ in range(self.n)]
        for worker in crew:
            worker.prepare(make)
        numbered = enumerate(items)
        outcomes: dict[int, tuple[Item, Out | WorkerDied]] = {}
        due = 0
        try:
            while busy := _feed(crew, numbered, AHEAD * self.n - len(outcomes)):
                outcomes.update(found for worker in _ready(busy) if (found := worker.receive(progress)))
                _check_start(crew, outcomes)
                _feed(crew, numbered, AHEAD * self.n - len(outcomes))  # they work while the caller looks at outcomes
                while (index := due if ordered else next(iter(outcomes), -1)) in outcomes:
                    yield outcomes.pop(index)
                    due += 1
            self._idle += crew
            crew = []
        finally:
            _stop(crew)


class _Worker(Generic[Item, Out]):
    """A process, started when it is first needed and again when it has died, and our end of the line to it."""

    line: "Connection[Any, Any]"
    process: Any = None
    make: Make[Item, Out]
    task: tuple[int, Item] | None = None

    def prepare(self, make: Make[Item, Out]) -> None:
        """Have it call `make` before its next item."""
        self.make, self.is_told, self.has_started = make, False, False

    def give(self, task: tuple[int, Item]) -> None:
        """Send it an item."""
        self.task = task
        if self.process is None or not self.process.is_alive():
            self._start()
        with suppress(OSError):  # it has died: that is seen when its answer is read
            self.line.send((None if self.is_told else self.make, task[1]))
        self.is_told = True

    def _start(self) -> None:
        self.is_told = False
        self.line, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        try:
            with quiet_start():
                self.process.start()
        except BrokenPipeError as error:
            raise WorkerDied(CANNOT_START) from error
        theirs.close()  # so that its death ends the line

    def receive(self, progress: Progress | None) -> tuple[int, tuple[Item, Out | WorkerDied]] | None:
        """Take a message, for which to `wait`; return what became of its item, with its index, when it is known."""
        try:
            kind, value = self.line.recv()
        except (EOFError, OSError):
            self.process.join()
            why = f"its process ended with {self.process.exitcode} (out of memory, or a crash in a library)"
            kind, value = "done", WorkerDied(why)
        if kind == "raised":
            raise value
        if kind == "done":
            assert self.task is not None
            (index, item), self.task = self.task, None
            return index, (item, value)
        if kind == "started":
            self.has_started = True
        elif kind == "warning":
            warnings.warn(value, stacklevel=4)  # where the caller of `map` asks for outcomes
        elif progress:
            progress(value)
        return None


def _feed(crew: Sequence[_Worker[Item, Out]], tasks: Iterator[tuple[int, Item]], room: int) -> list[_Worker[Item, Out]]:
    """Give every idle worker an item as long as there are any and room for outcomes; return the busy ones."""
    for worker in crew:
        if worker.task is None and room > 0 and (task := next(tasks, None)):
            worker.give(task)
    return [worker for worker in crew if worker.task is not None]


def _ready(busy: Sequence[_Worker[Item, Out]]) -> list[_Worker[Item, Out]]:
    """Wait for messages; return the workers that have sent one, or died."""
    lines = {worker.line: worker for worker in busy}
    return [lines[line] for line in wait(list(lines))]  # type: ignore[index]


def _check_start(crew: Sequence[_Worker[Item, Out]], outcomes: dict[int, tuple[Item, Out | WorkerDied]]) -> None:
    """End the run if workers cannot start: the items are not to blame, and all of them would fail."""
    if outcomes and not any(worker.has_started for worker in crew):
        raise WorkerDied(CANNOT_START)


def _stop(crew: Sequence[_Worker[Item, Out]]) -> None:
    """End the workers: they notice at their next message, or at once where they wait for an item."""
    running = [worker for worker in crew if worker.process is not None]
    for worker in running:
        worker.line.close()
    deadline = time.monotonic() + PATIENCE_S
    for worker in running:
        worker.process.join(max(deadline - time.monotonic(), 0))
        worker.process.kill()
        worker.process.join()


def _serve(line: "Connection[Any, Any]") -> None:
    """Loop of a worker until the parent closes the pipe or exits."""

    def tell(kind: str, value: Any = None) -> None:
        try:
            line.send((kind, value))
        except OSError:
            sys.exit()  # through all that is open, so that unfinished files go

    warnings.showwarning = lambda message, *_, **__: tell("warning", str(message))
    end_with_parent(PATIENCE_S)
    try:
        while True:
            make, item = _next(line)
            if make:
                work = make(partial(tell, "progress"))
                tell("started")
            tell("done", work(item))
    except Exception as error:
        tell("raised", portable(error))


def _next(line: "Connection[Any, Any]") -> Any:
    try:
        return line.recv()
    except (EOFError, OSError):
        sys.exit()


def portable(error: Exception) -> Exception:
    """The error, or where it does not survive pickling one that says the same; with its traceback as a note."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"In a worker:\n{traceback.format_exc()}")
    return error


@contextmanager
def quiet_start() -> Iterator[None]:
    """Initial state of a process: interrupts ignored, one thread for each library that would take all."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    in_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS if in_main}
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


def end_with_parent(patience_s: float = 0.0) -> None:
    """Have this process end when its parent does, however that ends.

    Args:
        patience_s: seconds to end by itself, when it notices.
    """

    def follow(sentinel: int) -> None:
        wait([sentinel])
        time.sleep(patience_s)
        os._exit(1)

    if parent := multiprocessing.parent_process():
        threading.Thread(target=follow, args=(parent.sentinel,), daemon=True).start()
