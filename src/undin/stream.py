"""Blocks of samples -> y: the one driver of every method, whole or live, at any sample rate, in any number of channels.

    chunk --StftStream--> X --link--> X_link --method--> Y_link --spread, strength--> Y --IstftStream--> y

A method is made for one rate (16 kHz) and one frame. At another rate the driver takes a window and a hop of the same
duration, so that bin k stays the same k·31.25 Hz, scales X to the level that the method knows, and extends the gain of
its top bins to the bins above. Several channels are linked: the method sees one X_link of their mean power, and its
complex gain Y_link / X_link is applied to each, which keeps the stereo image.

Time: frame t answers frame t - lookahead, and a frame spans n_fft samples, so a sample that goes in comes out at most
n_fft + lookahead · hop_length samples later. That is `Stream.latency`. The file, the pipe and the array are driven by
the same object: they do not see the delay, because `process` gives aligned samples as soon as they are final.
"""

from collections.abc import Iterator
from itertools import permutations
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from undin.air import Air
from undin.audio import MOST_CHANNELS, check_audio, check_axes
from undin.errors import InputError
from undin.spectrum import Array, ComplexArray, IstftStream, StftStream, Window, n_frames_of

State = dict[str, Any]
Pairs = Iterator[tuple[ComplexArray, ComplexArray]]  # X_link and the method's answer to it, frame by frame

BLOCK_CHANNELS = 31  # an audio callback's block with more, and fewer samples than that: axes the wrong way round
MAX_LEVEL = 1e15  # beyond it powers overflow in float32
PIECE_S = 4.0  # longer input is worked off in pieces, so that an hour needs no more memory than this
CHUNK_S = 20.0  # whole-signal methods see at least this much at once ...
OVERLAP_S = 2.0  # ... and neighbouring chunks are cross-faded over this


class FrameConfig(Protocol):
    """What the driver reads of a method's frozen config."""

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
        """Frames that an answer waits for."""

    @property
    def n_src(self) -> int | None:
        """Sources that it gives; None for enhancement."""

    def initial_state(self, batch: int) -> State:
        """State before the first frame."""

    def step(self, X: ComplexArray, state: State) -> tuple[ComplexArray, State]:
        """Answer the next frames."""

    def estimate(self, X: ComplexArray) -> ComplexArray:
        """Answer a whole signal."""


class Frame(NamedTuple):
    """The frame of a method at a given rate, in samples."""

    n_fft: int
    hop_length: int


def frame_at(config: FrameConfig, sr: int) -> Frame:
    """Scale a method's frame to the rate `sr`: the same milliseconds, hop a whole divisor of n_fft where it was one.

    >>> from undin.methods import LogMMSE
    >>> frame_at(LogMMSE().config, 48000)
    Frame(n_fft=1536, hop_length=768)
    """
    hop_length = max(round(config.hop_length * sr / config.sr), 1)
    ratio, rest = divmod(config.n_fft, config.hop_length)
    n_fft = hop_length * ratio if rest == 0 else round(config.n_fft * sr / config.sr)
    return Frame(max(n_fft, 2), hop_length)


class Stream:
    """A method at work on a signal that arrives in chunks of any size.

    Args:
        method: what `undin.load` gives.
        sr: sample rate of the signal in Hz.
        limit_db: nothing is attenuated by more than this many dB; None for no limit, 0 gives the input back.
        independent: treat channels one by one instead of giving all of them one linked gain.
        nan: "raise" an InputError at the first NaN or Inf, or "zero" to repair them.

    Chunks are (n_samples,) or (..., n_channels, n_samples); leading axes before the channels are a batch. With a method
    that separates, the sources are a new first axis of what comes out.

    >>> import undin
    >>> x = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    >>> stream = undin.load("log-mmse").stream(16000)
    >>> y = np.concatenate([stream.process(x[:1234]), stream.process(x[1234:]), stream.flush()])
    >>> y.shape == x.shape
    True
    """

    def __init__(
        self,
        method: Drivable,
        sr: int,
        *,
        limit_db: float | None = None,
        independent: bool = False,
        nan: Literal["raise", "zero"] = "raise",
    ) -> None:
        check_audio(np.zeros(0, np.float32), sr, nan=nan)
        if limit_db is not None and not (isinstance(limit_db, (int, float, np.number)) and limit_db >= 0):
            raise InputError(f"limit_db must be 0 or more dB of attenuation; got {limit_db!r}")
        if method.n_src and (limit_db is not None or independent):
            raise InputError("limit_db and independent are for enhancement: a separated talker has no input to keep")
        self.method, self.sr, self.independent, self.nan = method, sr, independent, nan
        self.keep = 0.0 if limit_db is None else 10 ** (-limit_db / 20)
        self.n_fft, self.hop_length = frame_at(method.config, sr)
        self.n_known = method.config.n_fft // 2 + 1  # bins that the method knows
        self._stft = StftStream(self.n_fft, self.hop_length, window=method.config.window)
        self._istft = IstftStream(self.n_fft, self.hop_length, window=method.config.window)
        self._core: _Causal | _Whole = _Causal(method) if method.causal else _Whole(method, self._frames_per_s)
        self.reset()

    def __repr__(self) -> str:
        return f"<undin stream of {self.method.id} at {self.sr} Hz, {self._n_in} samples in, {self._n_out} out>"

    @property
    def _frames_per_s(self) -> float:
        return self.sr / self.hop_length

    @property
    def latency(self) -> int:
        """Samples that `process(chunk, equal=True)` lies behind its input."""
        if not self.method.causal:
            raise InputError("a whole-signal method has no live delay: use a causal method for streams")
        return self.n_fft + self.method.lookahead * self.hop_length

    @property
    def latency_ms(self) -> float:
        """The same in milliseconds."""
        return 1e3 * self.latency / self.sr

    def reset(self) -> None:
        """Start a new signal with the same settings."""
        self._stft.reset()
        self._istft.reset()
        self._core.reset()
        self._lead: tuple[int, ...] | None = None
        self._waiting: list[ComplexArray] = []  # frames of X that the core has not answered yet
        self._surplus = self.n_fft - self.hop_length  # samples still to drop: they lie before the start
        self._air = Air(self.n_fft // 2 + 1 - self.n_known, self.sr / self.n_fft, self._frames_per_s)
        self._n_in = self._n_out = 0
        self._equal: bool | None = None  # whether this signal's calls say equal=True
        self._fifo: Array | None = None  # for equal=True: what is ready and not yet given

    def process(self, chunk: Array, *, equal: bool = False) -> Array:
        """Take the next samples; give what is final, aligned with the input, or as many as came in.

        Args:
            chunk: (..., n_samples) floating point, any n_samples >= 0, the same leading axes at every call.
            equal: give exactly n_samples, `latency` samples late (the first are zeros), as an audio callback needs;
                for the whole signal or not at all.

        Returns:
            (..., n) for enhancement, (n_src, ..., n) for separation, in chunk's dtype.

        Raises:
            InputError: not floating point, NaN or Inf, far beyond full scale, or other leading axes or another `equal`
                than before.
        """
        chunk = check_audio(chunk, self.sr, nan=self.nan, start=self._n_in)
        self._check(chunk, equal)
        if 0 in chunk.shape[:-1]:  # no channels: nothing to do, in the right shape
            return np.zeros((*self._sources, *chunk.shape), chunk.dtype)
        piece = max(round(PIECE_S * self.sr), 1)
        ys = [self._advance(chunk[..., i : i + piece]) for i in range(0, chunk.shape[-1], piece)]
        y: Array = _join(ys) if ys else self._advance(chunk)
        return self._equalise(y, chunk.shape[-1]) if equal else y

    def flush(self) -> Array:
        """End the signal: give the samples that `process` still owes, and start anew.

        Returns:
            The rest, so that everything given is as long as everything taken (plus `latency` zeros with equal=True).
        """
        if self._lead is None or 0 in self._lead:
            lead, self._lead = self._lead or (), None
            return np.zeros((*self._sources, *lead, 0), np.float32)
        n_missing = n_frames_of(self._n_in, self.n_fft, self.hop_length) * self.hop_length - self._n_in
        n_in = self._n_in
        y: Array = self._advance(np.zeros((*self._lead, n_missing), self._dtype))
        y = _join([y, self._synthesise(self._core.finish())])
        y = y[..., : y.shape[-1] - (self._n_out - n_in)]  # the frames reach past the end
        if self._fifo is not None:
            y = _join([self._fifo, y])
        self.reset()
        return y

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()

    def _check(self, chunk: Array, equal: bool) -> None:
        if self._lead is None:
            check_axes(chunk, most=BLOCK_CHANNELS if equal else MOST_CHANNELS)
            self._lead, self._dtype, self._equal = chunk.shape[:-1], chunk.dtype, equal
        if chunk.shape[:-1] != self._lead:
            raise InputError(
                f"all chunks of a stream must have the same leading axes, {self._lead} so far; got {chunk.shape[:-1]}: "
                "call flush() or reset() before another signal"
            )
        if equal != self._equal:
            raise InputError(
                f"equal must be the same for a whole signal, {self._equal} so far; got {equal}: reset() first"
            )
        if chunk.size and max(chunk.max(), -chunk.min()) > MAX_LEVEL:
            raise InputError(
                f"x must lie within ±{MAX_LEVEL:g}, full scale is 1; got a peak of {np.abs(chunk).max():g}"
            )

    def _advance(self, x: Array) -> Array:
        """Samples in, final samples out."""
        assert self._lead is not None
        self._n_in += x.shape[-1]
        n_channels = self._lead[-1] if self._lead and not self.independent else 1
        n_rows = int(np.prod(self._lead, dtype=int))
        x = x.reshape(n_rows // max(n_channels, 1), n_channels, x.shape[-1]).astype(np.float32)
        X = self._stft.process(x)  # (batch, n_channels, n_freq, T)
        if X.shape[-1] == 0 or X.size == 0:
            return self._shape(np.zeros((*self._sources, *x.shape[:-1], 0), np.float32))
        self._waiting.append(X)
        return self._synthesise(self._core.push(self._link(X)))

    @property
    def _sources(self) -> tuple[int, ...]:
        return (self.method.n_src,) if self.method.n_src else ()

    def _link(self, X: ComplexArray) -> ComplexArray:
        """(batch, n_channels, n_freq, T) -> (batch, n_bins, T): one channel, known bins, the level of the own rate."""
        if X.shape[1] == 1:
            X_link = X[:, 0]
        else:
            magnitude = np.sqrt(np.mean(X.real**2 + X.imag**2, 1))
            mid = X.sum(1)
            X_link = magnitude * np.where(mid == 0, 1, mid / np.maximum(np.abs(mid), 1e-30)).astype(X.dtype)
        X_link = X_link * np.float32(self.method.config.n_fft / self.n_fft)
        if self.method.bins != "any":
            X_link = X_link[:, : self.n_known]
            if self.method.bins == "fixed" and X_link.shape[1] < self.n_known:
                X_link = np.pad(X_link, [(0, 0), (0, self.n_known - X_link.shape[1]), (0, 0)])
        return X_link

    def _synthesise(self, pairs: Pairs) -> Array:
        """Answered frames (X_link, Y_link) -> samples."""
        ys = []
        for X_link, Y_link in pairs:
            X = self._take(X_link.shape[-1])
            Y = self._spread(X, X_link, Y_link)
            if self.keep:
                Y = Y + np.float32(self.keep) * (X - Y)
            y = self._istft.process(Y)
            n_drop = min(self._surplus, y.shape[-1])
            self._surplus -= n_drop
            ys.append(y[..., n_drop:])
        if not ys:
            assert self._lead is not None
            return np.zeros((*self._sources, *self._lead, 0), self._dtype)
        y = _join(ys)
        self._n_out += y.shape[-1]
        return self._shape(y)

    def _take(self, n_frames: int) -> ComplexArray:
        """The oldest waiting frames of X."""
        taken = []
        while n_frames:
            X = self._waiting.pop(0)
            if X.shape[-1] > n_frames:
                self._waiting.insert(0, X[..., n_frames:])
                X = X[..., :n_frames]
            taken.append(X)
            n_frames -= X.shape[-1]
        X_taken: ComplexArray = _join(taken)
        return X_taken

    def _spread(self, X: ComplexArray, X_link: ComplexArray, Y_link: ComplexArray) -> ComplexArray:
        """Give all channels and bins of X what the method did to X_link -> (..., batch, n_channels, n_freq, T)."""
        n_freq, n_bins = X.shape[-2], X_link.shape[-2]
        if X.shape[1] == 1 and n_freq <= n_bins:
            return Y_link[..., None, :n_freq, :] * np.float32(self.n_fft / self.method.config.n_fft)
        power = X_link.real**2 + X_link.imag**2
        G = Y_link * X_link.conj() / np.maximum(power, 1e-20)  # a complex gain
        if n_freq > n_bins:  # the air above: the gain by which the method changed the energy of its top quarter
            top = slice(n_bins - n_bins // 4, None)
            energy = (Y_link.real**2 + Y_link.imag**2)[..., top, :].sum(-2, keepdims=True)
            below = np.minimum(np.sqrt(energy / np.maximum(power[..., top, :].sum(-2, keepdims=True), 1e-20)), 1)
            if self.method.n_src:
                air = np.broadcast_to(below, (*G.shape[:-2], n_freq - n_bins, G.shape[-1]))
            else:
                U = X[..., n_bins:, :]
                air = self._air.gains(np.mean(U.real**2 + U.imag**2, 1), below[..., 0, :])
            G = np.concatenate([G, air], -2)
        return G[..., None, :n_freq, :].astype(X.dtype) * X

    def _shape(self, y: Array) -> Array:
        assert self._lead is not None
        return y.reshape(*self._sources, *self._lead, y.shape[-1]).astype(self._dtype, copy=False)

    def _equalise(self, y: Array, n_samples: int) -> Array:
        if self._fifo is None:
            self._fifo = np.zeros((*y.shape[:-1], self.latency), y.dtype)
        ready = np.concatenate([self._fifo, y], -1)
        self._fifo = ready[..., n_samples:]
        return ready[..., :n_samples]


class _Causal:
    """Runs `step` and lines its answers up with the frames they answer."""

    def __init__(self, method: Drivable) -> None:
        self.method = method
        self.reset()

    def reset(self) -> None:
        self._state: State | None = None
        self._early = self.method.lookahead  # answers to frames before the first
        self._unanswered: list[ComplexArray] = []

    def push(self, X: ComplexArray) -> Pairs:
        if self._state is None:
            self._state = self.method.initial_state(X.shape[0])
        Y, self._state = self.method.step(X, self._state)
        n_drop = min(self._early, Y.shape[-1])
        self._early -= n_drop
        yield from self._pair(X, Y[..., n_drop:])

    def finish(self) -> Pairs:
        if self._state is None or not self.method.lookahead:
            return
        last = self._unanswered[-1]
        yield from self.push(np.zeros((*last.shape[:-1], self.method.lookahead), last.dtype))

    def _pair(self, X: ComplexArray, Y: ComplexArray) -> Pairs:
        if not self.method.lookahead:
            yield X, Y
            return
        X = _join([*self._unanswered, X])
        n_frames = Y.shape[-1]
        self._unanswered = [X[..., n_frames:]]
        if n_frames:
            yield X[..., :n_frames], Y


class _Whole:
    """Runs `estimate` on overlapping chunks of at least CHUNK_S and cross-fades them; sources keep their order."""

    def __init__(self, method: Drivable, frames_per_s: float) -> None:
        self.method = method
        self.n_chunk, self.n_overlap = round(CHUNK_S * frames_per_s), round(OVERLAP_S * frames_per_s)
        self.reset()

    def reset(self) -> None:
        self._X: list[ComplexArray] = []
        self._tail: ComplexArray | None = None  # the last chunk's answer to the overlap

    def push(self, X: ComplexArray) -> Pairs:
        self._X.append(X)
        # The rest must be a full chunk itself, so that the last one is never a scrap: it lies in [n_chunk, 2 n_chunk).
        n_stride = self.n_chunk - self.n_overlap
        while sum(X.shape[-1] for X in self._X) >= self.n_chunk + n_stride:
            X = _join(self._X)
            yield from self._answer(X[..., : self.n_chunk], n_stride)
            self._X = [X[..., n_stride:]]

    def finish(self) -> Pairs:
        if self._X:
            X = _join(self._X)
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


def _join(blocks: list[Any]) -> Any:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, -1)
