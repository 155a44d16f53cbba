"""How a method answers frames that arrive: one core for causal methods, one for those that need the whole signal.

Both take frames X_link (batch, n_bins, T) and give pairs of frames and answers, aligned and in order.
"""

from collections.abc import Iterator
from itertools import permutations
from typing import Any, Literal, Protocol

import numpy as np

from undin.spectrum import ComplexArray, Window

State = dict[str, Any]
Pairs = Iterator[tuple[ComplexArray, ComplexArray]]  # X_link and the method's answer to it, frame by frame

CHUNK_S = 20.0  # whole-signal methods see at least this much at once ...
OVERLAP_S = 2.0  # ... and neighboring chunks are cross-faded over this


class FrameConfig(Protocol):
    """Fields of a method's frozen config that the driver reads."""

    @property
    def sr(self) -> int:
        """Rate in Hz that the method is made for: the other lengths count at it."""

    @property
    def n_fft(self) -> int:
        """Samples a frame spans."""

    @property
    def hop_length(self) -> int:
        """Samples between frames."""

    @property
    def window(self) -> Window:
        """See `undin.spectrum.get_window`."""


class Drivable(Protocol):
    """A method as the driver sees it; `undin.methods.Method` says what each member means."""

    id: str

    @property
    def config(self) -> FrameConfig:
        """The frame."""

    @property
    def bins(self) -> Literal["any", "fewer", "fixed"]:
        """Which n_freq it takes: "any" (bins of every rate), "fewer" (can do without the upper ones) or "fixed"."""

    @property
    def causal(self) -> bool:
        """Whether it has `step`, else `estimate`."""

    @property
    def lookahead(self) -> int:
        """Frames of look-ahead."""

    @property
    def n_src(self) -> int | None:
        """Number of sources returned; None for enhancement."""

    def initial_state(self, batch: int) -> State:
        """State before the first frame."""

    def step(self, X: ComplexArray, state: State) -> tuple[ComplexArray, State]:
        """Answer the next frames."""

    def estimate(self, X: ComplexArray) -> ComplexArray:
        """Answer a whole signal."""


class Causal:
    """Runs `step` and lines its answers up with the frames they answer."""

    def __init__(self, method: Drivable) -> None:
        self.method = method
        self.reset()

    def reset(self) -> None:
        """Start a new signal."""
        self._state: State | None = None
        self._early = self.method.lookahead  # answers to frames before the first
        self._unanswered: list[ComplexArray] = []

    def push(self, X: ComplexArray) -> Pairs:
        """Take the next frames X (batch, n_bins, T); give those that are answered."""
        Y, state = self.method.step(X, self.state(X))
        yield from self.take(X, Y, state)

    def state(self, X: ComplexArray) -> State:
        """Arguments of `step` in addition to the next frames X."""
        return self.method.initial_state(X.shape[0]) if self._state is None else self._state

    def take(self, X: ComplexArray, Y: ComplexArray, state: State) -> Pairs:
        """Take the answer Y of `step` to the next frames X, and the new state; give the frames that are answered.

        Args:
            X: (batch, n_bins, T).
            Y: the answer.
            state: for the frames after X.
        """
        self._state = state
        n_drop = min(self._early, Y.shape[-1])
        self._early -= n_drop
        yield from self._pair(X, Y[..., n_drop:])

    def finish(self) -> Pairs:
        """End the signal: give the frames that are still to be answered."""
        if self._state is None or not self.method.lookahead:
            return
        last = self._unanswered[-1]
        yield from self.push(np.zeros((*last.shape[:-1], self.method.lookahead), last.dtype))

    def _pair(self, X: ComplexArray, Y: ComplexArray) -> Pairs:
        if not self.method.lookahead:
            yield X, Y
            return
        X = join([*self._unanswered, X])
        n_frames = Y.shape[-1]
        self._unanswered = [X[..., n_frames:]]
        if n_frames:
            yield X[..., :n_frames], Y


class Whole:
    """Runs `estimate` on overlapping chunks of at least CHUNK_S and cross-fades them; sources keep their order."""

    def __init__(self, method: Drivable, frames_per_s: float) -> None:
        self.method = method
        self.n_chunk, self.n_overlap = round(CHUNK_S * frames_per_s), round(OVERLAP_S * frames_per_s)
        self.reset()

    def reset(self) -> None:
        """Start a new signal."""
        self._X: list[ComplexArray] = []
        self._tail: ComplexArray | None = None  # the last chunk's answer to the overlap

    def push(self, X: ComplexArray) -> Pairs:
        """Take the next frames X (batch, n_bins, T); give those that are answered."""
        self._X.append(X)
        # The rest must be a full chunk itself, so that the last one is never too short: it is in [n_chunk, 2 n_chunk).
        n_stride = self.n_chunk - self.n_overlap
        while sum(X.shape[-1] for X in self._X) >= self.n_chunk + n_stride:
            X = join(self._X)
            yield from self._answer(X[..., : self.n_chunk], n_stride)
            self._X = [X[..., n_stride:]]

    def finish(self) -> Pairs:
        """End the signal: give the frames that are still to be answered."""
        if self._X:
            X = join(self._X)
            yield from self._answer(X, X.shape[-1])

    def _answer(self, X: ComplexArray, n_keep: int) -> Pairs:
        Y = self.method.estimate(X)
        if self._tail is not None:
            n = self._tail.shape[-1]
            if self.method.n_src:
                Y = Y[source_order(self._tail, Y[..., :n])]
            fade = (np.arange(n, dtype=np.float32) + 0.5) / n
            Y = np.concatenate([self._tail + fade * (Y[..., :n] - self._tail), Y[..., n:]], -1)
        self._tail = Y[..., n_keep:]
        yield X[..., :n_keep], Y[..., :n_keep]


def source_order(reference: ComplexArray, Y: ComplexArray) -> list[int]:
    """Order of the sources of Y that correlates best, in magnitude, with the reference's.

    Args:
        reference: (n_src, ..., n_freq, T).
        Y: the same shape.
    """
    a, b = (np.abs(Z).reshape(len(Z), -1) for Z in (reference, Y))
    similarity = a @ b.T  # (n_src, n_src)

    orders = [list(order) for order in permutations(range(len(Y)))]
    return max(orders, key=lambda order: float(similarity[range(len(Y)), order].sum()))


def join(blocks: list[Any]) -> Any:
    """Blocks of samples or frames as one, without a copy where there is but one."""
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, -1)
