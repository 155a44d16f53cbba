"""How a method answers frames that arrive: one core for causal methods, one for those that need the whole signal.

Both take frames X (batch, n_channels, n_freq, T) and give frames with their answers, aligned and in order. They keep no
signal: the state goes in and comes out, as with `step`, so that signals can be stacked.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from undin.order import in_order
from undin.spectrum import Array, ComplexArray, Window

State = dict[str, Any]
Link = Callable[[ComplexArray], ComplexArray]  # (batch, n_channels, n_freq, T) -> (batch, n_bins, T)

CHUNK_S = 20.0  # whole-signal methods see at least this much at once, unless they say otherwise ...
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
    def chunk_s(self) -> float:
        """Least duration that it sees at once, if it is not causal."""

    @property
    def lookahead(self) -> int:
        """Frames of look-ahead."""

    @property
    def n_src(self) -> int | None:
        """Number of sources returned; None for enhancement."""

    @property
    def has_rest(self) -> bool:
        """Whether a last source is what belongs to no talker."""

    def initial_state(self, batch: int) -> State:
        """State before the first frame."""

    def step(self, X: ComplexArray, state: State) -> tuple[ComplexArray, State]:
        """Answer the next frames."""

    def analyze(self, X: ComplexArray) -> tuple[ComplexArray, Array | None]:
        """Answer a whole signal, and describe the voices."""


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

    def finish(self, state: State) -> tuple[Answered | None, State]:
        """End the signal: give the frames that are still to be answered, and the last state."""
        if not self.method.lookahead:
            return None, state
        X = state["X"]
        return self.step(np.zeros((*X.shape[:-1], self.method.lookahead), X.dtype), state)


class Whole:
    """Runs `analyze` on overlapping chunks of at least chunk_s and cross-fades them; sources keep their order
    (`undin.order`). With a voice that is known, its talker is the first source.

    Args:
        method: a method that needs the whole signal.
        link: frames X -> X_link.
        frames_per_s: frames per second.
        voice: (D,) of length 1, the known voice, or None.
    """

    def __init__(self, method: Drivable, link: Link, frames_per_s: float, voice: Array | None = None) -> None:
        self.method, self._link, self._frames_per_s, self._voice = method, link, frames_per_s, voice
        self.n_chunk, self.n_overlap = round(method.chunk_s * frames_per_s), round(OVERLAP_S * frames_per_s)

    def initial_state(self, X: ComplexArray) -> State:
        """State before the first frames."""
        # blocks that are not answered yet; the last chunk's answer to the overlap; the sum of each source's voice
        return {"X": [], "tail": None, "voices": None}

    def step(self, X: ComplexArray, state: State) -> tuple[Answered | None, State]:
        """Take the next frames; give those that are answered, if any, and the next state.

        Args:
            X: (batch, n_channels, n_freq, T).
            state: for these frames.
        """
        blocks, answered = [*state["X"], X], []
        # The rest must be a full chunk itself, so that the last one is never too short: it is in [n_chunk, 2 n_chunk).
        n_stride = self.n_chunk - self.n_overlap
        while sum(X.shape[-1] for X in blocks) >= self.n_chunk + n_stride:
            X = join(blocks)
            each, state = self._answer(X[..., : self.n_chunk], n_stride, state)
            answered.append(each)
            blocks = [X[..., n_stride:]]
        together = Answered(*map(join, zip(*answered, strict=True))) if answered else None
        return together, {**state, "X": blocks}

    def finish(self, state: State) -> tuple[Answered | None, State]:
        """End the signal: give the frames that are still to be answered, and the last state."""
        X = join(state["X"])
        return self._answer(X, X.shape[-1], state)

    def _answer(self, X: ComplexArray, n_keep: int, state: State) -> tuple[Answered, State]:
        X_link = self._link(X)
        Y, V = self.method.analyze(X_link)
        tail, voices = state["tail"], state["voices"]
        if self.method.n_src:
            Y, voices = self._in_order(Y, V, tail, voices)
        if tail is not None:
            n = tail.shape[-1]
            fade = (np.arange(n, dtype=np.float32) + 0.5) / n
            Y = np.concatenate([tail + fade * (Y[..., :n] - tail), Y[..., n:]], -1)
        answered = Answered(X[..., :n_keep], X_link[..., :n_keep], Y[..., :n_keep])
        return answered, {**state, "tail": Y[..., n_keep:], "voices": voices}

    def _in_order(
        self, Y: ComplexArray, V: Array | None, tail: ComplexArray | None, voices: Array | None
    ) -> tuple[ComplexArray, Array | None]:
        """Talkers of Y (n_src [+ 1], batch, n_freq, T) in order; the sum of each one's voice, (n_src, batch, D)."""
        n, totals, Y = self.method.n_src or 0, list[Array](), Y.copy()
        for b in range(Y.shape[1]):
            Y[:n, b], total = in_order(
                Y[:n, b],
                None if V is None else V[:, b],
                None if tail is None else tail[:n, b],
                None if voices is None else voices[:, b],
                frames_per_s=self._frames_per_s,
                known=self._voice,
            )
            totals += [] if total is None else [total]
        return Y, np.stack(totals, 1) if totals else None


def join(blocks: Sequence[Any]) -> Any:
    """Blocks of samples or frames as one, without a copy where there is but one."""
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, -1)
