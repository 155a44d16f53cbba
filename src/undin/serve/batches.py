"""Packets of several sockets processed in one call.

Nothing waits for a batch to fill: packets that arrive while others are at work are the next batch, so batches grow with
the load, and a packet that comes alone is answered at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from undin.packets import Packets, process_packets

MOST = 16  # packets in a batch: more make it longer without making a packet cheaper


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

    async def process(self, signal: Packets, packet: bytes) -> Answer:
        """Answer a packet; one at a time for each signal.

        Args:
            signal: the signal that the packet continues.
            packet: any number of samples.

        Raises:
            InputError: part of a sample, NaN or infinity.
            Exception: any error of the method, for each packet of its batch.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((signal, packet, answer))
        loop.call_soon(self._start)  # behind the packets that the event loop has already received
        return await answer

    def _start(self) -> None:
        while self._waiting and self._n_free:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
            signals, packets, answers = zip(*batch, strict=True)
            self._n_free -= 1
            work = asyncio.get_running_loop().run_in_executor(self._pool, _process, signals, packets)
            work.add_done_callback(partial(self._finish, answers))

    def _finish(self, answers: Answers, work: "asyncio.Future[Results]") -> None:
        self._n_free += 1
        self._start()
        _settle(answers, work.result())


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
