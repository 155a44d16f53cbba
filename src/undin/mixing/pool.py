"""Items made by several processes, given back in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait

from undin.mixing.maker import Item, Made, Maker

CHUNK = 8  # items that a process is given at once
AHEAD = 3  # chunks per process that are under way or wait to be given back

_maker: Maker  # of a worker


def in_order(maker: Maker, items: Iterable[Item], workers: int) -> Iterator[Made]:
    """Make items in this process or in several; what becomes of them comes in their order, a few at a time.

    Raises:
        ChildProcessError: a process has died.
    """
    if workers == 1:
        yield from map(maker, items)
        return
    items = iter(items)
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(maker,))
    waiting: deque[Future[list[Made]]] = deque()
    try:
        while True:
            while len(waiting) < AHEAD * workers and (chunk := list(islice(items, CHUNK))):
                waiting.append(pool.submit(_make, chunk))
            if not waiting:
                break
            yield from waiting.popleft().result()
    except BrokenProcessPool:
        message = "a process has died (out of memory?): what is finished is kept, the same command does the rest"
        raise ChildProcessError(0, message, "undin mix") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start(maker: Maker) -> None:
    """What a worker does first."""
    global _maker
    _maker = maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is for the parent, which ends its workers
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End when the parent does, however it ends."""
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os._exit(1)


def _make(chunk: list[Item]) -> list[Made]:
    return [_maker(item) for item in chunk]
