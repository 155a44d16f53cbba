"""How a method answers frames that arrive: one core for causal methods, one for those that need the whole signal.

Both take frames X (batch, n_channels, n_freq, T) and give frames with their answers, aligned and in order. They keep no
signal: the state goes in and comes out, as with `step`, so that signals can be stacked.
"""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from undin.spectrum import ComplexArray, Window

State = dict[str, Any]
Link = Callable[[ComplexArray], ComplexArray]  # (batch, n_channels, n_freq, T) -> (batch, n_bins, T)

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


class Answered(NamedTuple):
    """Frames and the method's answer to them, aligned.

    Attributes:
        X: (batch, n_channels, n_freq, T), any T >= 0.
        X_link: (batch, n_bins, T), what the method saw of them.
        Y_link: (..., batch, n_bins, T), its answer.
    """

    X: ComplexArray
    X_link: ComplexArray
    Y_link: ComplexArray


class Causal:
    """Runs `step` and lines its answers up with the frames they answer.

    Args:
        method: a causal method.
        link: frames X -> X_link.
    """

    def __init__(self, method: Drivable, link: Link) -> None:
        self.method, self._link = method, link

    def initial_state(self, X: ComplexArray) -> State:
        """State before the first frames; X (batch, n_channels, n_freq, 0) gives the shape."""
        return {"method": self.method.initial_state(len(X)), "X": X}  # X: frames that are not answered yet

    def step(self, X: ComplexArray, state: State) -> tuple[Answered, State]:
        """Take the next frames; give those that are answered, and the next state.

        Args:
            X: (batch, n_channels, n_freq, T).
            state: for these frames.
        """
        X_link = self._link(X)
        Y_link, new = self.method.step(X_link, state["method"])
        if not self.method.lookahead:
            return Answered(X, X_link, Y_link), {**state, "method": new}
        X = np.concatenate([state["X"], X], -1)
        n = max(X.shape[-1] - self.method.lookahead, 0)
        answered = Answered(X[..., :n], self._link(X[..., :n]), Y_link[..., Y_link.shape[-1] - n :])
        return answered, {"method": new, "X": X[..., n:]}

    def finish(self, state: State) -> Answered | None:
        """End the signal: give the frames that are still to be answered."""
        if not self.method.lookahead:
            return None
        X = state["X"]
        return self.step(np.zeros((*X.shape[:-1], self.method.lookahead), X.dtype), state)[0]


class Whole:
    """Runs `estimate` on overlapping chunks of at least CHUNK_S and cross-fades them; sources keep their order.

    Args:
        method: a method that needs the whole signal.
        link: frames X -> X_link.
        frames_per_s: frames per second.
    """

    def __init__(self, method: Drivable, link: Link, frames_per_s: float) -> None:
        self.method, self._link = method, link
        self.n_chunk, self.n_overlap = round(CHUNK_S * frames_per_s), round(OVERLAP_S * frames_per_s)

    def initial_state(self, X: ComplexArray) -> State:
        """State before the first frames."""
        return {"X": [], "tail": None}  # blocks that are not answered yet; the last chunk's answer to the overlap

    def step(self, X: ComplexArray, state: State) -> tuple[Answered | None, State]:
        """Take the next frames; give those that are answered, if any, and the next state.

        Args:
            X: (batch, n_channels, n_freq, T).
            state: for these frames.
        """
        blocks, tail, answered = [*state["X"], X], state["tail"], []
        # The rest must be a full chunk itself, so that the last one is never too short: it is in [n_chunk, 2 n_chunk).
        n_stride = self.n_chunk - self.n_overlap
        while sum(X.shape[-1] for X in blocks) >= self.n_chunk + n_stride:
            X = join(blocks)
            each, tail = self._answer(X[..., : self.n_chunk], n_stride, tail)
            answered.append(each)
            blocks = [X[..., n_stride:]]
        together = Answered(*map(join, zip(*answered, strict=True))) if answered else None
        return together, {"X": blocks, "tail": tail}

    def finish(self, state: State) -> Answered | None:
        """End the signal: give the frames that are still to be answered."""
        X = join(state["X"])
        return self._answer(X, X.shape[-1], state["tail"])[0]

    def _answer(self, X: ComplexArray, n_keep: int, tail: ComplexArray | None) -> tuple[Answered, ComplexArray]:
        X_link = self._link(X)
        Y = self.method.estimate(X_link)
        if tail is not None:
            n = tail.shape[-1]
            if self.method.n_src:
                Y = Y[source_order(tail, Y[..., :n])]
            fade = (np.arange(n, dtype=np.float32) + 0.5) / n
            Y = np.concatenate([tail + fade * (Y[..., :n] - tail), Y[..., n:]], -1)
        return Answered(X[..., :n_keep], X_link[..., :n_keep], Y[..., :n_keep]), Y[..., n_keep:]


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


def join(blocks: Sequence[Any]) -> Any:
    """Blocks of samples or frames as one, without a copy where there is but one."""
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, -1)
