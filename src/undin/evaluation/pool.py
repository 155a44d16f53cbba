"""Processes that score mixtures side by side; one that dies has failed exactly the item it had."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from undin.jobs.workers import PATIENCE_S, SPAWN, quiet_start

Item = TypeVar("Item")
Work = Callable[[Any], Any]


class Died(Exception):
    """The process that had an item ended without an answer."""


class Helper(Generic[Item]):
    """A process and our end of the line to it."""

    def __init__(self, make: Callable[[], Work]) -> None:
        self.line, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_serve, args=(theirs, make), daemon=True)
        with quiet_start():
            self.process.start()
        theirs.close()  # so that its death ends the line
        self.item: Item | None = None

    def give(self, item: Item) -> None:
        """Send it an item."""
        self.item = item
        with suppress(OSError):  # it has died: that is seen when its answer is read
            self.line.send(item)

    def answer(self) -> tuple[Item, Any]:
        """Its item with the result, or with `Died`."""
        item, self.item = self.item, None
        assert item is not None
        try:
            return item, self.line.recv()
        except (EOFError, OSError):
            self.process.join()
            return item, Died(
                f"its process ended with {self.process.exitcode} (out of memory, or a crash in a library)"
            )

    def stop(self) -> None:
        """End it."""
        self.line.close()
        self.process.join(PATIENCE_S if self.item is None else 0)
        self.process.kill()
        self.process.join()


def share_out(items: Sequence[Item], make: Callable[[], Work], n: int) -> Iterator[tuple[Item, Any]]:
    """Work on items in n processes, or in this one.

    Args:
        items: what to work on; picklable for n > 1.
        make: makes the function that works on one item, once per process; picklable for n > 1.
        n: processes; 1 works here.

    Yields:
        (item, its result) as they come; a `Died` is the result of an item whose process ended.
    """
    if n == 1 or len(items) < 2:
        work = make()
        for item in items:
            yield item, work(item)
        return
    waiting = deque(items)
    helpers: dict[Any, Helper[Item]] = {}
    try:
        while waiting or any(helper.item is not None for helper in helpers.values()):
            for line in [line for line, helper in helpers.items() if helper.item is None]:
                if waiting and helpers[line].process.is_alive():
                    helpers[line].give(waiting.popleft())
                else:
                    helpers.pop(line).stop()
            while waiting and len(helpers) < n:
                helper = Helper[Item](make)
                helpers[helper.line] = helper
                helper.give(waiting.popleft())
            for ready in wait(list(helpers)):
                yield helpers[ready].answer()
    finally:
        for helper in helpers.values():
            helper.stop()


def _serve(line: "Connection[Any, Any]", make: Callable[[], Work]) -> None:
    with suppress(EOFError, OSError):
        work = make()
        while True:
            line.send(work(line.recv()))
