"""x <-> X: the only short-time Fourier transform in the repository, whole and as streams.

Frame t holds the samples t·hop - (n_fft - hop) ... t·hop + hop - 1: it ends with the t-th hop, so it can be computed
the moment that hop has arrived, and the signal is taken to be zero outside. Every sample is then covered by the same
set of window shifts, the first and the last included, and one periodic dual window inverts the transform:

    y[n] = Σ_t s[n - t·hop] · frame_t[n - t·hop],    s[m] = w[m] / Σ_k w[m + k·hop]²

s is the canonical dual (Griffin and Lim 1984, eq. 6): the inverse that is nearest to any modified X in least squares.
It exists when the denominator is nowhere zero, which is the NOLA condition that `dual_window` enforces.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from undin.errors import InputError

Array = NDArray[np.floating]
ComplexArray = NDArray[np.complexfloating]
Window = str | tuple[str, float] | ArrayLike

# Generalized cosine windows: w[m] = Σ_i (-1)^i a_i cos(2π i m / N)   (Harris 1978; periodic, so that shifts sum well)
COSINE_SUMS: dict[str, tuple[float, ...]] = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
}


def get_window(window: Window, win_length: int, n_fft: int | None = None) -> NDArray[np.float64]:
    """Make a periodic analysis window, centered in `n_fft` samples.

    Args:
        window: a name of `COSINE_SUMS`; "sqrt_" before it for its square root; ("kaiser", beta); or the samples
            themselves, win_length of them.
        win_length: samples the window is long.
        n_fft: samples to pad it to with zeros on both sides; win_length when None.

    Returns:
        (n_fft,) float64.

    Raises:
        InputError: unknown name, or an array of another length than win_length.
    """
    n_fft = win_length if n_fft is None else n_fft
    if not 1 <= win_length <= n_fft:
        raise InputError(f"win_length must be in 1 to n_fft = {n_fft}; got {win_length}")
    m = np.arange(win_length)
    if isinstance(window, str):
        name = window.removeprefix("sqrt_")
        if name not in COSINE_SUMS:
            names = ", ".join(sorted(COSINE_SUMS))
            raise InputError(f'window must be one of {names} (each also as "sqrt_..."), or an array; got {window!r}')
        a = COSINE_SUMS[name]
        w = sum((-1) ** i * a_i * np.cos(2 * np.pi * i * m / win_length) for i, a_i in enumerate(a)) + np.zeros(1)
        w = np.sqrt(np.maximum(w, 0)) if window != name else w
    elif isinstance(window, tuple) and len(window) == 2 and window[0] == "kaiser":
        if isinstance(window[1], str) or not 0 <= window[1] < np.inf:
            raise InputError(f'window ("kaiser", beta) needs a beta of 0 or more; got {window[1]!r}')
        w = np.kaiser(win_length + 1, float(window[1]))[:-1]
    else:
        w = np.asarray(window)
        if w.shape != (win_length,) or w.dtype.kind not in "fiu" or not np.isfinite(w).all():
            raise InputError(
                f"window must be a name or {win_length} finite numbers, shape (win_length,) = ({win_length},); "
                f"got {w.dtype} of shape {w.shape}"
            )
        w = w.astype(np.float64)
    left = (n_fft - win_length) // 2
    return np.pad(w, (left, n_fft - win_length - left))


def dual_window(w: NDArray[np.float64], hop_length: int) -> NDArray[np.float64]:
    """Canonical dual of `w` at this hop: the synthesis window that inverts the transform.

    Args:
        w: (n_fft,) analysis window.
        hop_length: samples between frames.

    Returns:
        (n_fft,) float64.

    Raises:
        InputError: some sample would not be covered by a window (the NOLA condition fails).
    """
    n_fft = len(w)
    if not 1 <= hop_length <= n_fft:
        raise InputError(f"hop_length must be in 1 to n_fft = {n_fft}; got {hop_length}")
    n_shifts = -(-n_fft // hop_length)
    power = np.zeros(n_shifts * hop_length)
    power[:n_fft] = w**2
    weight = power.reshape(n_shifts, hop_length).sum(0)  # (hop,)
    if weight.min() <= 1e-7 * weight.max():
        raise InputError(
            f"window and hop_length = {hop_length} leave samples under no window (NOLA fails at sample "
            f"{int(weight.argmin())} of every hop): choose a smaller hop_length"
        )
    s: NDArray[np.float64] = w / np.tile(weight, n_shifts)[:n_fft]
    return s


def n_frames_of(n_samples: int, n_fft: int, hop_length: int) -> int:
    """Count the frames that touch a signal of n_samples: none for an empty one.

    Args:
        n_samples: of the signal.
        n_fft, hop_length: of the STFT, in samples.
    """
    return -(-(n_samples + n_fft - hop_length) // hop_length) if n_samples else 0


def stft(
    x: Array, n_fft: int, hop_length: int, *, window: Window = "sqrt_hann", win_length: int | None = None
) -> ComplexArray:
    """Short-time Fourier transform.

    Args:
        x: (..., n_samples), real floating point.
        n_fft: samples a frame spans, also the FFT size.
        hop_length: samples between frames.
        window: see `get_window`.
        win_length: length of the window in samples; n_fft when None.

    Returns:
        (..., n_freq, n_frames) with n_freq = n_fft // 2 + 1; complex64 for float32, complex128 for float64.

    Raises:
        InputError: x is not floating point; window, win_length or hop_length break their rules.

    >>> x = np.random.default_rng(0).standard_normal(1000)
    >>> X = stft(x, 512, 128)
    >>> X.shape
    (257, 11)
    >>> bool(np.allclose(istft(X, 512, 128, length=1000), x))
    True
    """
    stream = StftStream(n_fft, hop_length, window=window, win_length=win_length)
    x = _real(x)
    n_samples = x.shape[-1]
    n_zeros = n_frames_of(n_samples, n_fft, hop_length) * hop_length - n_samples
    return stream.process(np.concatenate([x, np.zeros((*x.shape[:-1], n_zeros), x.dtype)], -1) if n_zeros else x)


def istft(
    X: ComplexArray,
    n_fft: int,
    hop_length: int,
    *,
    length: int | None = None,
    window: Window = "sqrt_hann",
    win_length: int | None = None,
) -> Array:
    """Inverse of `stft` with the same settings; for a modified X, the nearest signal in least squares.

    Args:
        X: (..., n_freq, n_frames), complex.
        n_fft: as given to `stft`.
        hop_length: as given to `stft`.
        length: samples to return; all that the frames span when None.
        window: as given to `stft`.
        win_length: as given to `stft`.

    Returns:
        (..., length); float32 for complex64, float64 for complex128.

    Raises:
        InputError: n_freq of X does not match n_fft, or X has too few frames for `length`.
    """
    y = IstftStream(n_fft, hop_length, window=window, win_length=win_length).process(X)[..., n_fft - hop_length :]
    if length is not None and length > y.shape[-1]:
        raise InputError(
            f"length must be at most the {y.shape[-1]} samples that {X.shape[-1]} frames span; got {length}"
        )
    return y[..., :length]


class StftStream:
    """`stft` of a signal that arrives in chunks: the same frames, each as soon as its last sample arrives."""

    def __init__(
        self, n_fft: int, hop_length: int, *, window: Window = "sqrt_hann", win_length: int | None = None
    ) -> None:
        self.n_fft, self.hop_length = n_fft, hop_length
        self.w = get_window(window, n_fft if win_length is None else win_length, n_fft)
        dual_window(self.w, hop_length)  # refuses what cannot be inverted
        self.reset()

    def reset(self) -> None:
        """Forget the signal so far."""
        self._past: Array | None = None  # the samples of the next frame that are here already

    def process(self, x: Array) -> ComplexArray:
        """Take the next samples, give the frames they complete.

        Args:
            x: (..., n_samples), any n_samples >= 0; the leading axes stay the same from call to call.

        Returns:
            (..., n_freq, n_frames), n_frames >= 0; a view whose frames are contiguous.
        """
        return self.transform(self.cut(_real(x)))

    def cut(self, x: Array) -> Array:
        """First half of `process`: the samples of the frames that x completes.

        Args:
            x: (..., n_samples), float32 or float64.

        Returns:
            (..., n_frames, n_fft), overlapping views.
        """
        if self._past is None:
            self._past = np.zeros((*x.shape[:-1], self.n_fft - self.hop_length), x.dtype)
        n_past = self._past.shape[-1]
        samples = np.empty((*x.shape[:-1], n_past + x.shape[-1]), x.dtype)
        samples[..., :n_past], samples[..., n_past:] = self._past, x
        n_frames = max((samples.shape[-1] - self.n_fft) // self.hop_length + 1, 0)
        self._past = samples[..., n_frames * self.hop_length :].copy()
        *strides, step = samples.strides
        shape = (*x.shape[:-1], n_frames, self.n_fft)
        return np.ndarray(shape, x.dtype, samples, 0, (*strides, self.hop_length * step, step))

    def transform(self, frames: Array) -> ComplexArray:
        """Second half of `process`, which keeps no state: frames (..., n_frames, n_fft) -> (..., n_freq, n_frames)."""
        # numpy computes an rfft of float32 in float32 only where it is to scale it: 6 times faster than without norm.
        w = (self.w * self.n_fft**0.5).astype(frames.dtype)
        return np.swapaxes(np.fft.rfft(frames * w, norm="ortho"), -1, -2)


class IstftStream:
    """`istft` of frames that arrive in blocks: hop_length samples for every frame.

    The first n_fft - hop_length output samples are before the start of the signal: drop them.
    """

    def __init__(
        self, n_fft: int, hop_length: int, *, window: Window = "sqrt_hann", win_length: int | None = None
    ) -> None:
        self.n_fft, self.hop_length = n_fft, hop_length
        self.s = dual_window(get_window(window, n_fft if win_length is None else win_length, n_fft), hop_length)
        self.tail_shape = -(-n_fft // hop_length) - 1, hop_length
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far."""
        self._tail: Array | None = None  # see `overlap`

    def process(self, X: ComplexArray) -> Array:
        """Take the next frames, give the samples that no later frame touches.

        Args:
            X: (..., n_freq, n_frames), any n_frames >= 0; the leading axes stay the same from call to call.

        Returns:
            (..., n_frames * hop_length).

        Raises:
            InputError: X is not complex or has another n_freq than n_fft gives.
        """
        if not np.iscomplexobj(X) or X.ndim < 2 or X.shape[-2] != self.n_fft // 2 + 1:
            raise InputError(
                f"X must be complex of shape (..., n_freq = {self.n_fft // 2 + 1}, n_frames) for n_fft = {self.n_fft}; "
                f"got {X.dtype} of shape {X.shape}"
            )
        y, self._tail = self.overlap(X, self._tail)
        return y

    def overlap(self, X: ComplexArray, tail: Array | None) -> tuple[Array, Array]:
        """`process` with the state as an argument.

        Args:
            X: (..., n_freq, n_frames).
            tail: what earlier frames add to the samples still to come, (..., *tail_shape); None before the first.

        Returns:
            (..., n_frames * hop_length), and the next tail.
        """
        lead, n_frames, hop = X.shape[:-2], X.shape[-1], self.hop_length
        n_shifts = self.tail_shape[0] + 1
        frames = np.fft.irfft(np.swapaxes(X, -1, -2), self.n_fft)  # (..., n_frames, n_fft)
        frames *= self.s.astype(frames.dtype)
        if n_shifts * hop != self.n_fft:
            frames = np.pad(frames, [(0, 0)] * len(lead) + [(0, 0), (0, n_shifts * hop - self.n_fft)])
        frames = frames.reshape(*lead, n_frames, n_shifts, hop)
        y = np.zeros((*lead, n_frames + n_shifts - 1, hop), frames.dtype)
        if tail is not None:
            y[..., : n_shifts - 1, :] = tail
        for shift in range(n_shifts):
            y[..., shift : shift + n_frames, :] += frames[..., shift, :]
        return y[..., :n_frames, :].reshape(*lead, n_frames * hop), y[..., n_frames:, :].copy()


def _real(x: Array) -> Array:
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating) or x.ndim == 0:
        raise InputError(
            f"x must be floating point of shape (..., n_samples); got {x.dtype} of shape {x.shape}: "
            "use undin.read(path), or divide integers by their full scale"
        )
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float32)
