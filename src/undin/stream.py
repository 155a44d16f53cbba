"""Blocks of samples -> y: the one driver of every method, whole or live, at any sample rate, in any number of channels.

    chunk --StftStream--> X --link--> X_link --method--> Y_link --spread, strength--> Y --IstftStream--> y

A method is made for one rate (16 kHz) and one frame. At another rate the driver takes a window and a hop of the same
duration, so that bin k stays the same k·31.25 Hz, scales X to the level that the method knows, and extends the gain of
its top bins to the bins above. Several channels are linked: the method sees one X_link of their mean power, and its
complex gain Y_link / X_link is applied to each, which keeps the stereo image.

Time: frame t answers frame t - lookahead, and a frame spans n_fft samples, so an input sample is output at most
n_fft + lookahead · hop_length samples later. That is `Stream.latency`. The file, the pipe and the array are driven by
the same object: they do not see the delay, because `process` returns aligned samples as soon as they are final.
"""

import math
from typing import Literal, NamedTuple, Protocol

import numpy as np

from undin.air import Air, mean_masks
from undin.audio import MOST_CHANNELS, check_audio, check_axes
from undin.cores import Answered, Causal, Drivable, FrameConfig, State, Whole, join
from undin.errors import InputError
from undin.spectrum import Array, ComplexArray, IstftStream, StftStream, n_frames_of

BLOCK_CHANNELS = 31  # a block with more channels than this and fewer samples has its axes swapped
MAX_LEVEL = 1e15  # beyond it powers overflow in float32
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
NO_REST = "assigns noise to the talkers: remove it with undin enhance first, or use a method that keeps it apart"
PIECE_S = 4.0  # longer input is processed in pieces of this length, to bound memory


class Frame(NamedTuple):
    """The frame of a method at a given rate, in samples."""

    n_fft: int
    hop_length: int


class Startable(Protocol):
    """What starts streams: a method, or a compiled network."""

    @property
    def id(self) -> str:
        """Of the method."""

    def stream(self, sr: int, *, limit_db: float | None = None) -> "Stream":
        """Start a stream."""


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
    """A method applied to a signal that arrives in chunks of any size.

    Args:
        method: a method returned by `undin.load`.
        sr: sample rate of the signal in Hz.
        limit_db: maximum attenuation in dB; None for no limit, 0 returns the input.
        independent: process channels independently instead of with one linked gain.
        rest: what belongs to no talker of a separation: "shared" equally among them, or "apart", as one more source.
        voice: (D,), of length 1: the talker who sounds like this comes first, of a method that describes voices.
        nan: "raise" an InputError at the first NaN or Inf, or "zero" to set them and samples beyond MAX_LEVEL to zero.

    Chunks are (n_samples,) or (..., n_channels, n_samples); leading axes before the channels are a batch. With a method
    that separates, the sources are a new first axis of the output.

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
        rest: Literal["shared", "apart"] = "shared",
        voice: Array | None = None,
        nan: Literal["raise", "zero"] = "raise",
    ) -> None:
        check_audio(np.zeros(0, np.float32), sr, nan=nan)
        if method.n_src and (limit_db is not None or independent):
            raise InputError("limit_db and independent apply to enhancement, not to separation")
        if rest == "apart" and not method.has_rest:
            raise InputError(f"{method.id} {NO_REST}")
        self.method, self.sr, self.independent, self.rest, self.nan = method, sr, independent, rest, nan
        self.limit_db = limit_db
        self.n_fft, self.hop_length = frame_at(method.config, sr)
        self.n_known = method.config.n_fft // 2 + 1  # bins that the method knows
        self._stft = StftStream(self.n_fft, self.hop_length, window=method.config.window)
        self._istft = IstftStream(self.n_fft, self.hop_length, window=method.config.window)
        self._air = Air(self.n_fft // 2 + 1 - self.n_known, sr / self.n_fft, self._frames_per_s)
        self.core = (
            Causal(method, self._link) if method.causal else Whole(method, self._link, self._frames_per_s, voice)
        )
        self.voices: Array | None = None  # (n_src, batch, D), how the talkers of the last signal sounded, where known
        self.reset()

    def __repr__(self) -> str:
        return f"<undin stream of {self.method.id} at {self.sr} Hz, {self.n_in} samples in, {self._n_out} out>"

    @property
    def _frames_per_s(self) -> float:
        return self.sr / self.hop_length

    @property
    def latency(self) -> int:
        """Delay of `process(chunk, equal=True)` in samples."""
        if not self.method.causal:
            raise InputError("this method needs the complete signal and has no live delay: use a causal method")
        return self.n_fft + self.method.lookahead * self.hop_length

    @property
    def latency_ms(self) -> float:
        """The same in milliseconds."""
        return 1e3 * self.latency / self.sr

    @property
    def limit_db(self) -> float | None:
        """Maximum attenuation in dB, None for no limit; a new value takes effect at the next frame."""
        return self._limit_db

    @limit_db.setter
    def limit_db(self, limit_db: float | None) -> None:
        if limit_db is not None and not (isinstance(limit_db, (int, float, np.number)) and limit_db >= 0):
            raise InputError(f"limit_db must be 0 or more dB of attenuation; got {limit_db!r}")
        self._limit_db = limit_db
        self.keep = 0.0 if limit_db is None else 10 ** (-limit_db / 20)

    def reset(self) -> None:
        """Start a new signal with the same settings."""
        self._stft.reset()
        self.state: State = {}  # of `answer`, for the next frames
        self._lead: tuple[int, ...] | None = None
        self._surplus = self.n_fft - self.hop_length  # samples still to drop, before the start
        self.n_in = self._n_out = 0
        self._equal: bool | None = None  # whether this signal's calls say equal=True
        self._fifo: Array | None = None  # for equal=True: samples ready but not yet returned

    def process(self, chunk: Array, *, equal: bool = False) -> Array:
        """Process the next samples; return final samples, aligned with the input, or as many as came in.

        Args:
            chunk: (..., n_samples) floating point, any n_samples >= 0, the same leading axes at every call.
            equal: return exactly n_samples, delayed by `latency` samples (the first are zeros), as an audio callback
                needs; must not change within a signal.

        Returns:
            (..., n) for enhancement, (n_src, ..., n) for separation, in chunk's dtype.

        Raises:
            InputError: not floating point, NaN or Inf, far beyond full scale, or other leading axes or another `equal`
                than before.
        """
        chunk = self._check(chunk, equal)
        if 0 in chunk.shape[:-1]:  # no channels: nothing to do, in the right shape
            return np.zeros((*self._sources, *chunk.shape), chunk.dtype)
        piece = max(round(PIECE_S * self.sr), 1)
        y = join([self._advance(chunk[..., i : i + piece]) for i in range(0, max(chunk.shape[-1], 1), piece)])
        return self._equalize(y, chunk.shape[-1]) if equal else y

    def begin(self, chunk: Array) -> Array:
        """First half of `process(chunk, equal=True)`, for `together`, which answers frames of several streams at once.

        Returns:
            Frames (batch, n_channels, T, n_fft) for `answer`, T >= 0.

        Raises:
            InputError: as in `process`.
        """
        return self._cut(self._check(chunk, True))

    def end(self, y: Array, n_samples: int) -> Array:
        """Second half of `process(chunk, equal=True)`.

        Args:
            y: the answer to the frames that `begin` gave.
            n_samples: of the chunk.
        """
        return self._equalize(self._shape(y), n_samples)

    def flush(self) -> Array:
        """End the signal: return the remaining samples and reset the stream.

        Returns:
            The remaining samples, so that the output is as long as the input (plus `latency` samples with equal=True).
        """
        if self._lead is None or 0 in self._lead:
            lead, self._lead = self._lead or (), None
            return np.zeros((*self._sources, *lead, 0), np.float32)
        n_missing = n_frames_of(self.n_in, self.n_fft, self.hop_length) * self.hop_length - self.n_in
        n_in = self.n_in
        ys = [self._advance(np.zeros((*self._lead, n_missing), self._dtype))]
        last, core = self.core.finish(self.state["core"]) if n_in else (None, {})
        self.voices = core.get("voices")
        if last is not None:
            ys.append(self._shape(self._synthesize(last, self.state, self.keep)[0]))
        y: Array = join(ys)
        y = y[..., : y.shape[-1] - (self._n_out - n_in)]  # the frames reach past the end
        if self._fifo is not None:
            y = join([self._fifo, y])
        self.reset()
        return y

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()

    def _check(self, chunk: Array, equal: bool) -> Array:
        """The chunk as floating point; a chunk that is refused changes nothing."""
        chunk = self.repaired(chunk)
        if self._lead is None:
            self._check_axes(chunk, equal)
            self._lead, self._dtype, self._equal = chunk.shape[:-1], chunk.dtype, equal
        if chunk.shape[:-1] != self._lead:
            raise InputError(
                f"all chunks of a stream must have the same leading axes, {self._lead} so far; got {chunk.shape[:-1]}: "
                "call flush() or reset() before another signal"
            )
        if equal != self._equal:
            raise InputError(f"equal must not change within a signal, {self._equal} so far; got {equal}: reset() first")
        return chunk

    def _check_axes(self, chunk: Array, equal: bool) -> None:
        """Refuse the first chunk of a signal for its shape."""
        check_axes(chunk, most=BLOCK_CHANNELS if equal else MOST_CHANNELS)

    def repaired(self, chunk: Array) -> Array:
        """Any chunk, after all checks; with nan="zero" samples beyond MAX_LEVEL are zero, as infinite ones are."""
        if _is_sound(chunk):
            return chunk
        chunk = check_audio(chunk, self.sr, nan=self.nan, start=self.n_in)
        if _is_sound(chunk):
            return chunk
        if self.nan == "raise":
            peak = np.abs(chunk).max()
            raise InputError(f"x must be within ±{MAX_LEVEL:g}, full scale is 1; got a peak of {peak:g}")
        return np.where(np.abs(chunk) > MAX_LEVEL, chunk.dtype.type(0), chunk)

    def _advance(self, x: Array) -> Array:
        """Samples in, final samples out."""
        y, self.state = self.answer(self._cut(x), self.state, self.keep)
        return self._shape(y)

    def _cut(self, x: Array) -> Array:
        """Samples -> new frames (batch, n_channels, T, n_fft)."""
        assert self._lead is not None
        self.n_in += x.shape[-1]
        n_channels = self._lead[-1] if self._lead and not self.independent else 1
        n_rows = math.prod(self._lead)
        batch = n_rows // max(n_channels, 1)
        self.state = self.state or self._initial_state(batch, n_channels)
        return self._stft.cut(x.reshape(batch, n_channels, x.shape[-1]).astype(np.float32))

    def answer(self, frames: Array, state: State, keep: float | Array) -> tuple[Array, State]:
        """Process frames; the batch may be that of several streams, stacked.

        Args:
            frames: (batch, n_channels, T, n_fft).
            state: for these frames, arrays with the batch first.
            keep: `keep` of the stream, or (batch, 1, 1, 1).

        Returns:
            (..., batch, n_channels, n), and the next state.
        """
        if not frames.size:
            return np.zeros((*self._sources, *frames.shape[:2], 0), np.float32), state
        X = self._stft.transform(frames)  # (batch, n_channels, n_freq, T)
        answered, core = self.core.step(X, state["core"])
        state = {**state, "core": core}
        if answered is None:
            return np.zeros((*self._sources, *frames.shape[:2], 0), np.float32), state
        return self._synthesize(answered, state, keep)

    def _initial_state(self, batch: int, n_channels: int) -> State:
        """State of `answer` before the first frames."""
        X = np.zeros((batch, n_channels, self.n_fft // 2 + 1, 0), np.complex64)
        tail = np.zeros((batch, *self._sources, n_channels, *self._istft.tail_shape), np.float32)
        return {"core": self.core.initial_state(X), "air": self._air.initial_state(batch), "tail": tail}

    @property
    def _sources(self) -> tuple[int, ...]:
        return (self.method.n_src + (self.rest == "apart"),) if self.method.n_src else ()

    def _link(self, X: ComplexArray) -> ComplexArray:
        """(batch, n_channels, n_freq, T) -> (batch, n_bins, T): one channel, known bins, the level of the own rate."""
        if X.shape[1] == 1:
            X_link = X[:, 0]
        else:
            magnitude = np.sqrt(np.mean(_power(X), 1))
            mid = X.sum(1)
            X_link = magnitude * np.where(mid == 0, 1, mid / np.maximum(np.abs(mid), 1e-30)).astype(X.dtype)
        X_link = X_link * np.float32(self.method.config.n_fft / self.n_fft)
        if self.method.bins != "any":
            X_link = X_link[:, : self.n_known]
            if self.method.bins == "fixed" and X_link.shape[1] < self.n_known:
                known = np.zeros((len(X_link), self.n_known, X_link.shape[2]), X_link.dtype)
                known[:, : X_link.shape[1]] = X_link  # np.pad takes ten times as long
                X_link = known
        return X_link

    def _synthesize(self, answered: Answered, state: State, keep: float | Array) -> tuple[Array, State]:
        """Answered frames -> samples (..., batch, n_channels, n), and the next state."""
        X, X_link, Y_link = answered
        if self.method.has_rest and self.rest == "shared":
            Y_link = Y_link[:-1] + Y_link[-1] / np.float32(len(Y_link) - 1)
        Y, air = self._spread(X, X_link, Y_link, state["air"])
        if np.any(keep):
            Y = Y + np.float32(keep) * (X - Y)
        y, tail = self._istft.overlap(Y, np.swapaxes(state["tail"], 0, -4))
        return y, {
            **state,
            "air": air,
            "tail": np.swapaxes(tail, 0, -4),
        }  # sources come first in Y, the batch in a state

    def _spread(
        self, X: ComplexArray, X_link: ComplexArray, Y_link: ComplexArray, air: State
    ) -> tuple[ComplexArray, State]:
        """Give all channels and bins of X what the method did to X_link -> (..., batch, n_channels, n_freq, T)."""
        n_freq, n_bins = X.shape[-2], X_link.shape[-2]
        if X.shape[1] == 1 and n_freq <= n_bins:
            return Y_link[..., None, :n_freq, :] * np.float32(self.n_fft / self.method.config.n_fft), air
        G = Y_link * X_link.conj() / np.maximum(_power(X_link), 1e-20)  # a complex gain
        if n_freq > n_bins:
            top = slice(n_bins - n_bins // 4, None)
            G_above, air = self._above(X[..., n_bins:, :], X_link[:, top], Y_link[..., top, :], air)
            G = np.concatenate([G, G_above], -2)
        return G[..., None, :n_freq, :].astype(X.dtype) * X, air

    def _above(self, U: ComplexArray, X_top: ComplexArray, Y_top: ComplexArray, air: State) -> tuple[Array, State]:
        """Gains of the bins U above the known ones, from the top quarter of these: (..., batch, n_upper, T)."""
        if self.method.n_src:
            M = mean_masks(X_top, Y_top)
            return np.broadcast_to(M, (*M.shape[:-2], U.shape[-2], M.shape[-1])), air
        change = _power(Y_top).sum(-2) / np.maximum(_power(X_top).sum(-2), 1e-20)  # of the energy
        return self._air.gains(np.mean(_power(U), 1), np.minimum(np.sqrt(change), 1), air)

    def _shape(self, y: Array) -> Array:
        """The samples of an answer that are not before the start, with the signal's own axes."""
        assert self._lead is not None
        n_drop = min(self._surplus, y.shape[-1])
        self._surplus -= n_drop
        self._n_out += y.shape[-1] - n_drop
        y = y[..., n_drop:]
        return y.reshape(*self._sources, *self._lead, y.shape[-1]).astype(self._dtype, copy=False)

    def _equalize(self, y: Array, n_samples: int) -> Array:
        if self._fifo is None:
            self._fifo = np.zeros((*y.shape[:-1], self.latency), y.dtype)
        ready = np.concatenate([self._fifo, y], -1)
        self._fifo = ready[..., n_samples:]
        return ready[..., :n_samples]


def _is_sound(x: Array) -> bool:
    """Whether samples need no further check: float32 or float64 and within MAX_LEVEL, which NaN is not."""
    if not isinstance(x, np.ndarray) or x.dtype not in FLOATS or not x.ndim:
        return False
    return not x.size or bool(x.max() <= MAX_LEVEL and x.min() >= -MAX_LEVEL)


def _power(X: ComplexArray) -> Array:
    power: Array = X.real**2 + X.imag**2
    return power
