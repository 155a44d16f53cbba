"""Ray as an `Executor`: the workers are actors on one machine or many. The only user of Ray.

Items travel in lists that take about `LIST_S`. A worker takes its next list when it has answered the last, so that
nothing waits on a slow one. The lists of a worker or node that dies are processed by others, item by item; an item
that takes `TRIES` workers with it is a `WorkerDied`. What the driver holds is bounded by the number of workers.
"""

import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, NamedTuple

from undin.errors import InputError, require
from undin.runner import USE_GPU
from undin.workers import AHEAD, PATIENCE_S, Gate, Intake, Item, Make, Out, Progress, WorkerDied, portable

LIST_S = 0.5  # of work in a list
LONGEST = 32  # items in a list
MOST_AHEAD = 1000  # items that are looked at to find out whether the end is near
TRIES = 3  # workers that an item may take with it
NO_ROOM_S = 120.0  # until it is said that no worker has started
LOOK_S = 2.0  # without an answer until workers are asked how far they are


class Ray:
    """Actors of Ray, each with the model loaded once.

    Args:
        address: "ray" for the cluster that this machine belongs to, or else one of its own; or ray://HOST:PORT.
        n: how many workers; None for as many as there is room for when work begins.
        num_cpus: cores that each takes.
        num_gpus: GPUs that each takes.

    Raises:
        InputError: address is neither, or a number is below 0.
        MissingExtraError: Ray is not installed.
    """

    def __init__(
        self, address: str = "ray", n: int | None = None, *, num_cpus: float = 1.0, num_gpus: float = 0.0
    ) -> None:
        if address != "ray" and not address.startswith("ray://"):
            raise InputError(f"--on must be ray or ray://HOST:PORT; got {address}")
        if min(num_cpus, num_gpus) < 0 or num_cpus + num_gpus <= 0:
            raise InputError(f"a worker needs num_cpus or num_gpus above 0; got {num_cpus:g} and {num_gpus:g}")
        self._ray: Any = require("ray", extra="ray")
        self.address, self.n, self.num_cpus, self.num_gpus = address, n, num_cpus, num_gpus

    def map(
        self, make: Make[Item, Out], items: Iterable[Item], *, ordered: bool = False, progress: Progress | None = None
    ) -> Generator[tuple[Item, Out | WorkerDied], None, None]:
        """See `Executor.map`; progress comes when a list is done, and every `LOOK_S` where lists take longer.

        Args:
            make, items, ordered, progress: as in `Executor.map`.

        Raises:
            WorkerDied: workers die before they take an item.
            InputError: the cluster cannot be reached, or has no room for a worker.
        """
        self._connect()
        n = self.n or self._room()
        crew = _Crew[Item, Out](self, make, n, items)
        due = 0
        try:
            while crew.feed():
                crew.receive(progress)
                crew.feed()  # they work while the caller looks at outcomes
                while (index := due if ordered else next(iter(crew.outcomes), -1)) in crew.outcomes:
                    yield crew.outcomes.pop(index)
                    due += 1
        finally:
            crew.stop()

    def _connect(self) -> None:
        if self._ray.is_initialized():
            return
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        try:
            if self.address == "ray":
                self._ray.init(include_dashboard=False, **settings)
            else:
                self._ray.init(self.address, **settings)
        except Exception as error:  # of a start that takes too long Ray's own has no other class
            why = " ".join(str(error).split())
            raise InputError(f"--on {self.address} cannot be reached: {why}: see `ray status` there") from error

    def _room(self) -> int:
        """Workers that fit on the cluster."""
        there = self._ray.cluster_resources()
        wanted = {"CPU": self.num_cpus, "GPU": self.num_gpus}
        room = min(int(there.get(name, 0) / each) for name, each in wanted.items() if each)
        if room < 1:
            raise InputError(
                f"--on {self.address} has {there.get('CPU', 0):g} cores and {there.get('GPU', 0):g} GPUs: no room for "
                f"a worker with num_cpus={self.num_cpus:g} and num_gpus={self.num_gpus:g}"
            )
        return room

    def hire(self, make: Any) -> Any:
        """Start an actor; `make` is a reference to the function that makes the worker's function."""
        options = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "max_restarts": 0, "max_concurrency": 2}
        return self._ray.remote(**options)(Actor).remote(make, self.num_gpus > 0, str(Path.cwd()))


class Task(NamedTuple):
    """An item with its place among all, and the workers that have died with it."""

    n: int
    item: Any
    deaths: int = 0


class _Crew(Generic[Item, Out]):
    """The workers of a run, their lists, and the outcomes that the caller has not taken yet."""

    def __init__(self, pool: Ray, make: Make[Item, Out], n: int, items: Iterable[Item]) -> None:
        self._ray, self._pool, self._n = pool._ray, pool, n
        self._make = self._ray.put(make)
        self._intake = items.intake if isinstance(items, Gate) else Intake()
        self._new = (Task(n, item) for n, item in enumerate(items))
        self._next = deque[Task]()
        self._busy: dict[Any, tuple[Any, list[Task], float]] = {}  # answer to come -> worker, its list, since when
        self._idle: list[Any] = []
        self._item_s: float | None = None
        self._has_started, self._n_lost = False, 0
        self.outcomes: dict[int, tuple[Item, Out | WorkerDied]] = {}

    def feed(self) -> bool:
        """Give idle workers lists as long as there are items and room for outcomes; return whether work is left."""
        if self._next and not self._intake.passes():
            self._next.clear()
        while self._idle and (tasks := self._take()):
            worker = self._idle.pop()
            self._busy[worker.work.remote([task.item for task in tasks])] = (worker, tasks, time.monotonic())
        n_starting = sum(not tasks for _, tasks, _ in self._busy.values())
        n_wanted = min(self._n - len(self._busy) - len(self._idle), self._fetch(self._n) - n_starting - len(self._idle))
        for _ in range(n_wanted):
            worker = self._pool.hire(self._make)
            self._busy[worker.start.remote()] = (worker, [], time.monotonic())
        return any(tasks for _, tasks, _ in self._busy.values()) or bool(self._next)

    def _fetch(self, n: int) -> int:
        """Have n items ready, fewer only at the end; return how many."""
        while len(self._next) < n and (task := next(self._new, None)):
            self._next.append(task)
        return len(self._next)

    def _take(self) -> list[Task]:
        """The next list, in order, a worker's share where few are left; one that has cost a worker goes alone."""
        at_hand = sum(len(tasks) for _, tasks, _ in self._busy.values()) + len(self.outcomes)
        n = min(AHEAD * self._n - at_hand, self._length())
        ahead = min(n * self._n, MOST_AHEAD)
        if (left := self._fetch(ahead)) < ahead:
            n = min(n, -(-left // self._n))
        tasks: list[Task] = []
        while len(tasks) < n and self._fetch(1) and not (tasks and self._next[0].deaths + tasks[0].deaths):
            tasks.append(self._next.popleft())
        return tasks

    def _length(self) -> int:
        return 1 if self._item_s is None else min(max(int(LIST_S / max(self._item_s, 1e-6)), 1), LONGEST)

    def receive(self, progress: Progress | None) -> None:
        """Wait for answers and take them."""
        ready, _ = self._ray.wait(list(self._busy), timeout=LOOK_S if self._has_started else NO_ROOM_S)
        if not (ready or self._has_started):
            warnings.warn("no worker has started yet: is there room on the cluster? See `ray status`", stacklevel=4)
        if progress and not ready:
            self._look(progress)
        for answer in ready:
            worker, tasks, since = self._busy.pop(answer)
            try:
                found, seconds, said, error = self._ray.get(answer)
            except self._ray.exceptions.RayTaskError:
                raise
            except self._ray.exceptions.RayError as death:
                self._bury(worker, tasks, death)
                continue
            if error:
                raise error
            self._idle.append(worker)
            self._has_started = True
            if tasks:
                self._item_s = (time.monotonic() - since) / max(len(found), 1)
            self._next.extendleft(reversed(tasks[len(found) :]))  # it took longer than thought
            self.outcomes.update((task.n, (task.item, out)) for task, out in zip(tasks, found, strict=False))
            for message in said:
                warnings.warn(message, stacklevel=4)  # where the caller of `map` asks for outcomes
            if progress and seconds:
                progress(seconds)

    def _look(self, progress: Progress) -> None:
        """Ask workers how far they are in long files."""
        for answer in [worker.look.remote() for worker, tasks, _ in self._busy.values() if tasks]:
            with suppress(self._ray.exceptions.RayError):  # it has died or does not answer: `receive` sees to it
                progress(self._ray.get(answer, timeout=LOOK_S))

    def _bury(self, worker: Any, tasks: list[Task], death: Exception) -> None:
        """Do its items again, unless they have cost too many workers."""
        self._kill(worker)
        self._n_lost += 1
        if not self._has_started and self._n_lost >= TRIES:
            why = str(death).strip().splitlines()[-1]
            raise WorkerDied(f"workers die at startup on {self._pool.address}: {why}") from death
        if self._has_started and not self._idle and not any(tasks for _, tasks, _ in self._busy.values()):
            self._has_started, self._n_lost = False, 0  # nobody is left: as at the start
        for task in reversed(tasks):
            if task.deaths + 1 < TRIES:
                self._next.appendleft(task._replace(deaths=task.deaths + 1))
            else:
                why = f"{TRIES} workers ended with it (out of memory, or a crash in a library)"
                self.outcomes[task.n] = (task.item, WorkerDied(why))

    def _kill(self, worker: Any) -> None:
        with suppress(Exception):  # it is gone already, or so is the cluster
            self._ray.kill(worker)

    def stop(self) -> None:
        """End the workers: busy ones at their next report of progress, so that they remove unfinished files."""
        with suppress(Exception):
            for worker, tasks, _ in self._busy.values():
                if tasks:
                    worker.stop.remote()
            at_work = [answer for answer, (_, tasks, _) in self._busy.items() if tasks]
            self._ray.wait(at_work, num_returns=len(at_work), timeout=PATIENCE_S) if at_work else None
        for worker in (*self._idle, *(worker for worker, _, _ in self._busy.values())):
            self._kill(worker)


class Stopped(BaseException):
    """Raised in a worker's function, through all that is open."""


Answer = tuple[list[Any], float, list[str], Exception | None]  # outcomes, seconds of audio, warnings, what ends the run


class Actor:
    """A worker: makes its function once, then does lists of items.

    Args:
        make: as in `Executor.map`.
        has_gpu: whether networks may use one.
        folder: that relative paths start from, where this machine has it.
    """

    def __init__(self, make: Make[Any, Any], has_gpu: bool, folder: str) -> None:
        self._make, self._has_gpu, self._is_ending = make, has_gpu, False
        self._function: Callable[[Any], Any]
        self._seconds, self._said = 0.0, list[str]()
        with suppress(OSError):
            os.chdir(folder)
        warnings.showwarning = lambda message, *_, **__: self._said.append(str(message))

    def start(self) -> Answer:
        """Make the function."""

        def make() -> Iterator[Any]:
            if self._has_gpu:
                os.environ[USE_GPU] = "1"
            self._function = self._make(self._progress)
            return iter(())

        return self._answer(make)

    def work(self, items: list[Any]) -> Answer:
        """Process items until twice the usual time of a list has passed; the rest is returned."""
        end = time.monotonic() + 2 * LIST_S

        def do() -> Iterator[Any]:
            for n, item in enumerate(items):
                if n and time.monotonic() > end:
                    return
                yield self._function(item)

        return self._answer(do)

    def stop(self) -> None:
        """Stop the current item."""
        self._is_ending = True

    def look(self) -> float:
        """Seconds of audio processed since the last look or answer; called while the worker works."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _progress(self, seconds: float) -> None:
        self._seconds += seconds
        if self._is_ending:
            raise Stopped

    def _answer(self, do: Callable[[], Iterator[Any]]) -> Answer:
        found: list[Any] = []
        error: Exception | None = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                found.extend(do())
        except Stopped:
            error = WorkerDied("stopped")
        except Exception as raised:
            error = portable(raised)
        seconds, said = self._seconds, list(dict.fromkeys(self._said))
        self._seconds, self._said = 0.0, []
        return found, seconds, said, error
