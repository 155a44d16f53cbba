"""Packets of several sockets processed in one call.

A batch starts no sooner than BATCH_S after the one before, unless it is full: a packet that comes alone is answered at
once, and the more come, the larger batches grow and the less a packet costs.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from undin.packets import Packets, process_packets

MOST = 16  # packets in a batch: more make it longer without making a packet cheaper
BATCH_S = 0.007  # between the starts of batches; with it, packets of 20 ms are answered within 10 to 15 ms


class Answer(NamedTuple):
    """An answered packet.

    Attributes:
        data: samples.
        work_s: its share of the processing time, in seconds.
        n_batch: packets of its batch.
    """

    data: bytes
    work_s: float
    n_batch: int


Answers = Sequence["asyncio.Future[Answer]"]
Results = Sequence[Answer | Exception]


class Batches:
    """A queue of packets; used in the event loop.

    Args:
        pool: threads, each of which processes one batch at a time.
        n_threads: how many of them.
    """

    def __init__(self, pool: ThreadPoolExecutor, n_threads: int) -> None:
        self._pool, self._n_free = pool, n_threads
        self._waiting: deque[tuple[Packets, bytes, asyncio.Future[Answer]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0  # when the next batch may start

    async def process(self, signal: Packets, packet: bytes) -> Answer:
        """Answer a packet; one at a time for each signal.

        Args:
            signal: the signal that the packet continues.
            packet: any number of samples.

        Raises:
            InputError: part of a sample, NaN or infinity.
            Exception: any error of the method, for each packet of its batch.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((signal, packet, answer))
        self._plan()
        return await answer

    def _plan(self) -> None:
        if self._timer is None and self._waiting and self._n_free:
            full = len(self._waiting) >= MOST
            self._timer = asyncio.get_running_loop().call_at(0 if full else self._next, self._start)
        elif self._timer is not None and len(self._waiting) == MOST:
            self._timer.cancel()
            self._start()

    def _start(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        while self._waiting and self._n_free:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
            signals, packets, answers = zip(*batch, strict=True)
            self._n_free, self._next = self._n_free - 1, loop.time() + BATCH_S
            self._pool.submit(self._work, loop, signals, packets, answers)

    def _work(
        self, loop: asyncio.AbstractEventLoop, signals: Sequence[Packets], packets: Sequence[bytes], answers: Answers
    ) -> None:
        """Process a batch; runs in a thread."""
        results = _process(signals, packets)
        loop.call_soon_threadsafe(self._finish, answers, results)

    def _finish(self, answers: Answers, results: Results) -> None:
        self._n_free += 1
        self._plan()
        _settle(answers, results)


def _process(signals: Sequence[Packets], packets: Sequence[bytes]) -> Results:
    start = time.perf_counter()
    try:
        results = process_packets(signals, packets)
    except Exception as error:  # each client must get an answer
        return [error] * len(signals)
    work_s = (time.perf_counter() - start) / len(signals)
    return [Answer(each, work_s, len(signals)) if isinstance(each, bytes) else each for each in results]


def _settle(answers: Answers, results: Results) -> None:
    for answer, result in zip(answers, results, strict=True):
        if answer.done():  # its socket has gone
            continue
        if isinstance(result, Answer):
            answer.set_result(result)
        else:
            answer.set_exception(result)
