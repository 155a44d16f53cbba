"""Admission: files while the queue has room, sockets while those already open stay in time.

Beyond capacity the delay of all sockets would grow to seconds, so a socket is refused before that. Load is predicted,
because a burst of connections arrives before any packet can be late: every kind of stream has a cost, processing time
per second of audio, measured before the first of its kind is admitted and followed while packets are processed. Where
the prediction fails (another program takes the machine), late packets stop admission, and sockets on probation are
closed again, the latest first, until packets are in time.
"""

import time
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from undin.serve.limits import Limits
from undin.serve.refusal import Refusal

HEADROOM = 0.8  # of the threads' time that sockets may take
OVERHEAD = 0.01  # of a thread's time that a socket costs in the event loop
FOLLOW = 0.02  # how quickly a cost follows new measurements
LATE_SHARE = 0.01  # of recent packets that may be late
RECENT_S = 5.0
LEAST_BATCH = 8  # packets of a batch whose cost is followed upwards
MEAN_S = 1.0  # of audio in smaller batches, whose mean cost is followed downwards: packets without a frame cost little
PROBATION_S = 10.0  # after its admission, in which a socket may be closed for the sake of the others
SHED_S = 0.25  # between two that are closed, in which the effect shows
MOST_KINDS = 256


class FileQueue:
    """Counts the files in the house, from upload to download."""

    def __init__(self, limits: Limits) -> None:
        self.n_places, self.n_jobs = limits.jobs + limits.queue, limits.jobs
        self.n_taken = 0
        self._job_s = 1.0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place.

        Raises:
            Refusal: all places are taken.
        """
        if self.n_taken >= self.n_places:
            wait_s = min(max(round(self._job_s * self.n_taken / self.n_jobs), 1), 120)
            message = f"all {self.n_places} slots for files are in use: try again in {wait_s} s"
            raise Refusal(503, "busy", message, retry_after_s=wait_s)
        self.n_taken += 1
        try:
            yield
        finally:
            self.n_taken -= 1

    def follow(self, job_s: float) -> None:
        """Learn how long a job takes."""
        self._job_s += 0.2 * (job_s - self._job_s)


@dataclass(eq=False)
class Place:
    """An admitted socket.

    Attributes:
        kind: of its stream.
        start: when it was admitted.
        shed: whether it must be closed for the sake of the others.
        work_s, audio_s: of its latest packets in small batches, in seconds.
    """

    kind: Hashable
    start: float
    shed: bool = False
    work_s: float = 0.0
    audio_s: float = 0.0


class SocketGate:
    """Admits sockets by predicted load and by recent lateness."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._costs: dict[Hashable, float] = {}
        self._places: list[Place] = []  # in the order of admission
        self._shed_at = 0.0
        self._late: deque[float] = deque(maxlen=10_000)  # when packets were late
        self._all: deque[float] = deque(maxlen=10_000)

    @property
    def n_open(self) -> int:
        """Open sockets."""
        return len(self._places)

    @property
    def load(self) -> float:
        """Predicted load of the open sockets; 1 is what may be admitted."""
        return sum(self._cost(place.kind) for place in self._places) / (HEADROOM * self._limits.threads)

    def knows(self, kind: Hashable) -> bool:
        """Whether the cost of a kind of stream has been measured."""
        return kind in self._costs

    def learn(self, kind: Hashable, cost: float) -> None:
        """Set the cost of a kind of stream: processing time per second of audio."""
        if len(self._costs) >= MOST_KINDS:
            open_kinds = {place.kind for place in self._places}
            self._costs = {known: cost for known, cost in self._costs.items() if known in open_kinds}
        self._costs[kind] = cost

    @contextmanager
    def place(self, kind: Hashable) -> Iterator[Place]:
        """Hold a place for a socket of a kind that is known.

        Raises:
            Refusal: it would not stay in time, or would make others late.
        """
        if self.n_open >= self._limits.sockets or (self.n_open and self._is_full(kind)):
            raise self.refusal()
        place = Place(kind, time.monotonic())
        self._places.append(place)
        try:
            yield place
        finally:
            self._places.remove(place)

    def refusal(self) -> Refusal:
        """The error for a socket beyond the capacity."""
        return Refusal(503, "busy", f"at capacity with {self.n_open} sockets: try again later", retry_after_s=5)

    def follow(self, place: Place, work_s: float, audio_s: float, *, n_batch: int, late: bool) -> None:
        """Learn from a packet that was processed.

        Args:
            place: of its socket.
            work_s: processing time, in seconds.
            audio_s: duration of the packet, in seconds.
            n_batch: packets that were processed together; in small batches one costs more, which says nothing of a full
                server, unless a second of them costs less than expected.
            late: whether the answer came too late.
        """
        now = time.monotonic()
        if audio_s and place.kind in self._costs:
            self._costs[place.kind] += FOLLOW * self._change(place, work_s, audio_s, n_batch)
        self._all.append(now)
        if late:
            self._late.append(now)
            self._relieve(now)

    def _change(self, place: Place, work_s: float, audio_s: float, n_batch: int) -> float:
        """The difference of a measured cost from the known one; 0 while too little is measured."""
        if n_batch >= LEAST_BATCH:
            return work_s / audio_s - self._costs[place.kind]
        place.work_s, place.audio_s = place.work_s + work_s, place.audio_s + audio_s
        if place.audio_s < MEAN_S:
            return 0.0
        mean, place.work_s, place.audio_s = place.work_s / place.audio_s, 0.0, 0.0
        return min(mean - self._costs[place.kind], 0.0)

    def _relieve(self, now: float) -> None:
        """Close the latest socket, if packets are late and it is on probation."""
        latest = next((place for place in reversed(self._places) if not place.shed), None)
        if latest is None or latest is self._places[0] or now - latest.start > PROBATION_S:
            return
        if now - self._shed_at > SHED_S and self._is_late():
            latest.shed, self._shed_at = True, now
            self._late.clear()
            self._all.clear()

    def _cost(self, kind: Hashable) -> float:
        return self._costs.get(kind, 0.0) + OVERHEAD

    def _is_full(self, kind: Hashable) -> bool:
        cost = self._cost(kind) / (HEADROOM * self._limits.threads)
        return self.load + cost > 1 or self._is_late()

    def _is_late(self) -> bool:
        since = time.monotonic() - RECENT_S
        for times in (self._late, self._all):
            while times and times[0] < since:
                times.popleft()
        return len(self._late) > max(LATE_SHARE * len(self._all), 2)
