"""Blocks of samples -> y: the one driver of every method, whole or live, at any sample rate, in any number of channels.

    chunk --StftStream--> X --link--> X_link --method--> Y_link --spread, strength--> Y --IstftStream--> y

A method is made for one rate (16 kHz) and one frame. At another rate the driver takes a window and a hop of the same
duration, so that bin k stays the same k·31.25 Hz, scales X to the level that the method knows, and extends the gain of
its top bins to the bins above. Several channels are linked: the method sees one X_link of their mean power, and its
complex gain Y_link / X_link is applied to each, which keeps the stereo image.

Time: frame t answers frame t - lookahead, and a frame spans n_fft samples, so an input sample is output at most
n_fft + lookahead · hop_length samples later. That is `Stream.latency`. The file, the pipe and the array are driven by
the same object: they do not see the delay, because `process` gives aligned samples as soon as they are final.
"""

from typing import Literal, NamedTuple

import numpy as np

from undin.air import Air, mean_masks
from undin.audio import MOST_CHANNELS, check_audio, check_axes
from undin.cores import Causal, Drivable, FrameConfig, Pairs, Whole, join
from undin.errors import InputError
from undin.spectrum import Array, ComplexArray, IstftStream, StftStream, n_frames_of

BLOCK_CHANNELS = 31  # a block with more channels than this and fewer samples has its axes swapped
MAX_LEVEL = 1e15  # beyond it powers overflow in float32
PIECE_S = 4.0  # longer input is processed in pieces of this length, to bound memory


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
    """A method applied to a signal that arrives in chunks of any size.

    Args:
        method: a method returned by `undin.load`.
        sr: sample rate of the signal in Hz.
        limit_db: maximum attenuation in dB; None for no limit, 0 returns the input.
        independent: process channels independently instead of with one linked gain.
        nan: "raise" an InputError at the first NaN or Inf, or "zero" to repair them.

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
        nan: Literal["raise", "zero"] = "raise",
    ) -> None:
        check_audio(np.zeros(0, np.float32), sr, nan=nan)
        if method.n_src and (limit_db is not None or independent):
            raise InputError("limit_db and independent apply to enhancement, not to separation")
        self.method, self.sr, self.independent, self.nan = method, sr, independent, nan
        self.limit_db = limit_db
        self.n_fft, self.hop_length = frame_at(method.config, sr)
        self.n_known = method.config.n_fft // 2 + 1  # bins that the method knows
        self._stft = StftStream(self.n_fft, self.hop_length, window=method.config.window)
        self._istft = IstftStream(self.n_fft, self.hop_length, window=method.config.window)
        self.core = Causal(method) if method.causal else Whole(method, self._frames_per_s)
        self.reset()

    def __repr__(self) -> str:
        return f"<undin stream of {self.method.id} at {self.sr} Hz, {self._n_in} samples in, {self._n_out} out>"

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
        self._istft.reset()
        self.core.reset()
        self._lead: tuple[int, ...] | None = None
        self._waiting: list[ComplexArray] = []  # frames of X that the core has not answered yet
        self._surplus = self.n_fft - self.hop_length  # samples still to drop, before the start
        self._air = Air(self.n_fft // 2 + 1 - self.n_known, self.sr / self.n_fft, self._frames_per_s)
        self._n_in = self._n_out = 0
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
        chunk = check_audio(chunk, self.sr, nan=self.nan, start=self._n_in)
        self._check(chunk, equal)
        if 0 in chunk.shape[:-1]:  # no channels: nothing to do, in the right shape
            return np.zeros((*self._sources, *chunk.shape), chunk.dtype)
        piece = max(round(PIECE_S * self.sr), 1)
        ys = [self._advance(chunk[..., i : i + piece]) for i in range(0, chunk.shape[-1], piece)]
        y: Array = join(ys) if ys else self._advance(chunk)
        return self._equalize(y, chunk.shape[-1]) if equal else y

    def begin(self, chunk: Array) -> ComplexArray | None:
        """First half of `process(chunk, equal=True)`: the method's input, which `together` processes in batches.

        Returns:
            Frames X (batch, n_bins, T) for `core`, or None where no frame is complete.

        Raises:
            InputError: as in `process`.
        """
        chunk = check_audio(chunk, self.sr, nan=self.nan, start=self._n_in)
        self._check(chunk, True)
        return self._analyze(chunk)

    def end(self, n_samples: int, answered: Pairs) -> Array:
        """Second half of `process(chunk, equal=True)`.

        Args:
            n_samples: of the chunk.
            answered: frames and answers, from `core`.
        """
        return self._equalize(self._synthesize(answered), n_samples)

    def flush(self) -> Array:
        """End the signal: return the remaining samples and reset the stream.

        Returns:
            The remaining samples, so that the output is as long as the input (plus `latency` samples with equal=True).
        """
        if self._lead is None or 0 in self._lead:
            lead, self._lead = self._lead or (), None
            return np.zeros((*self._sources, *lead, 0), np.float32)
        n_missing = n_frames_of(self._n_in, self.n_fft, self.hop_length) * self.hop_length - self._n_in
        n_in = self._n_in
        y: Array = self._advance(np.zeros((*self._lead, n_missing), self._dtype))
        y = join([y, self._synthesize(self.core.finish())])
        y = y[..., : y.shape[-1] - (self._n_out - n_in)]  # the frames reach past the end
        if self._fifo is not None:
            y = join([self._fifo, y])
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
            raise InputError(f"equal must not change within a signal, {self._equal} so far; got {equal}: reset() first")
        if chunk.size and max(chunk.max(), -chunk.min()) > MAX_LEVEL:
            raise InputError(f"x must be within ±{MAX_LEVEL:g}, full scale is 1; got a peak of {np.abs(chunk).max():g}")

    def _advance(self, x: Array) -> Array:
        """Samples in, final samples out."""
        X_link = self._analyze(x)
        return self._synthesize(iter(()) if X_link is None else self.core.push(X_link))

    def _analyze(self, x: Array) -> ComplexArray | None:
        """Samples -> new frames for the method; None where none is complete."""
        assert self._lead is not None
        self._n_in += x.shape[-1]
        n_channels = self._lead[-1] if self._lead and not self.independent else 1
        n_rows = int(np.prod(self._lead, dtype=int))
        x = x.reshape(n_rows // max(n_channels, 1), n_channels, x.shape[-1]).astype(np.float32)
        X = self._stft.process(x)  # (batch, n_channels, n_freq, T)
        if X.shape[-1] == 0 or X.size == 0:
            return None
        self._waiting.append(X)
        return self._link(X)

    @property
    def _sources(self) -> tuple[int, ...]:
        return (self.method.n_src,) if self.method.n_src else ()

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
                X_link = np.pad(X_link, [(0, 0), (0, self.n_known - X_link.shape[1]), (0, 0)])
        return X_link

    def _synthesize(self, pairs: Pairs) -> Array:
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
        y = join(ys)
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
        X_taken: ComplexArray = join(taken)
        return X_taken

    def _spread(self, X: ComplexArray, X_link: ComplexArray, Y_link: ComplexArray) -> ComplexArray:
        """Give all channels and bins of X what the method did to X_link -> (..., batch, n_channels, n_freq, T)."""
        n_freq, n_bins = X.shape[-2], X_link.shape[-2]
        if X.shape[1] == 1 and n_freq <= n_bins:
            return Y_link[..., None, :n_freq, :] * np.float32(self.n_fft / self.method.config.n_fft)
        G = Y_link * X_link.conj() / np.maximum(_power(X_link), 1e-20)  # a complex gain
        if n_freq > n_bins:
            top = slice(n_bins - n_bins // 4, None)
            G = np.concatenate([G, self._above(X[..., n_bins:, :], X_link[:, top], Y_link[..., top, :])], -2)
        return G[..., None, :n_freq, :].astype(X.dtype) * X

    def _above(self, U: ComplexArray, X_top: ComplexArray, Y_top: ComplexArray) -> Array:
        """Gains of the bins U above the known ones, from the top quarter of these: (..., batch, n_upper, T)."""
        if self.method.n_src:
            M = mean_masks(X_top, Y_top)
            return np.broadcast_to(M, (*M.shape[:-2], U.shape[-2], M.shape[-1]))
        change = _power(Y_top).sum(-2) / np.maximum(_power(X_top).sum(-2), 1e-20)  # of the energy
        return self._air.gains(np.mean(_power(U), 1), np.minimum(np.sqrt(change), 1))

    def _shape(self, y: Array) -> Array:
        assert self._lead is not None
        return y.reshape(*self._sources, *self._lead, y.shape[-1]).astype(self._dtype, copy=False)

    def _equalize(self, y: Array, n_samples: int) -> Array:
        if self._fifo is None:
            self._fifo = np.zeros((*y.shape[:-1], self.latency), y.dtype)
        ready = np.concatenate([self._fifo, y], -1)
        self._fifo = ready[..., n_samples:]
        return ready[..., :n_samples]


def _power(X: ComplexArray) -> Array:
    power: Array = X.real**2 + X.imag**2
    return power
