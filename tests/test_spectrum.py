"""The STFT: it inverts, streams, keeps its type, and agrees with scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undin.errors import InputError
from undin.spectrum import COSINE_SUMS, IstftStream, StftStream, dual_window, get_window, istft, n_frames_of, stft

FRAMES = [
    (512, 128, "sqrt_hann", None),
    (512, 256, "sqrt_hann", None),
    (512, 160, "hann", 400),
    (512, 64, "hamming", None),
]
FRAMES += [(1412, 706, "sqrt_hann", None), (100, 33, "blackman", None), (7, 3, "hann", None), (1, 1, "boxcar", None)]


def noise(*shape: int, dtype: type = np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize(("n_fft", "hop_length", "window", "win_length"), FRAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_istft_inverts_stft_at_every_length(n_fft, hop_length, window, win_length, dtype):
    for n_samples in [0, 1, 2, hop_length, n_fft - 1, n_fft, n_fft + 1, 4097]:
        x = noise(2, n_samples, dtype=dtype)
        X = stft(x, n_fft, hop_length, window=window, win_length=win_length)
        y = istft(X, n_fft, hop_length, window=window, win_length=win_length, length=n_samples)
        assert X.shape == (2, n_fft // 2 + 1, n_frames_of(n_samples, n_fft, hop_length))
        assert X.dtype == (np.complex64 if dtype == np.float32 else np.complex128)
        assert y.dtype == dtype and y.shape == x.shape
        assert np.abs(y - x).max(initial=0) < (1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("window", [*COSINE_SUMS, "sqrt_hann", ("kaiser", 8.0)])
def test_windows_are_scipys(window):
    scipy_signal = pytest.importorskip("scipy.signal")
    name = window.removeprefix("sqrt_") if isinstance(window, str) else window
    expected = scipy_signal.get_window(name, 400)
    if window == "sqrt_hann":
        expected = np.sqrt(expected)
    np.testing.assert_allclose(get_window(window, 400), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("n_fft", "hop_length", "window"), [(512, 128, "hann"), (512, 200, "hamming"), (257, 64, "sqrt_hann")]
)
def test_agrees_with_scipys_short_time_fft(n_fft, hop_length, window):
    scipy_signal = pytest.importorskip("scipy.signal")
    x = noise(5000, dtype=np.float64)
    w = get_window(window, n_fft)
    theirs = scipy_signal.ShortTimeFFT(w, hop_length, fs=1, phase_shift=None)
    # Their slice p is centered on sample p·hop; ours t starts at t·hop - (n_fft - hop): shift x so that the two meet.
    shift = n_fft // 2 - n_fft + hop_length
    padded = np.concatenate([np.zeros(-shift % hop_length), x])
    S = theirs.stft(padded)
    X = stft(x, n_fft, hop_length, window=window)
    first = (-(n_fft - hop_length) + (-shift % hop_length) + n_fft // 2) // hop_length - theirs.p_min
    np.testing.assert_allclose(X[:, 4:30], S[:, first + 4 : first + 30], atol=1e-10)
    np.testing.assert_allclose(dual_window(w, hop_length), theirs.dual_win, atol=1e-12)


def test_a_frame_is_the_windowed_fft_of_its_samples():
    x = noise(1000, dtype=np.float64)
    X = stft(x, 128, 32, window="hann")
    start = 9 * 32 - (128 - 32)
    np.testing.assert_allclose(X[:, 9], np.fft.rfft(x[start : start + 128] * get_window("hann", 128)), atol=1e-12)


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 700), max_size=12), seed=st.integers(0, 9))
def test_streams_give_the_same_frames_and_samples(cuts, seed):
    x = noise(2, 3000, seed=seed)
    ends = np.minimum(np.cumsum([*cuts, 3000]), 3000)
    chunks = np.split(x, ends, axis=-1)
    forward, backward = StftStream(256, 100, window="hamming"), IstftStream(256, 100, window="hamming")
    blocks = [forward.process(chunk) for chunk in chunks]
    X = stft(x, 256, 100, window="hamming")
    streamed = np.concatenate(blocks, -1)
    np.testing.assert_array_equal(streamed, X[..., : streamed.shape[-1]])
    y = np.concatenate([backward.process(block) for block in blocks], -1)[..., 156:]
    np.testing.assert_allclose(y, x[..., : y.shape[-1]], atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stft(noise(99), 64, 65), "hop_length must be in 1 to n_fft = 64; got 65"),
        (lambda: stft(noise(99), 64, 64, window="hann"), "NOLA fails"),
        (lambda: stft(noise(99), 64, 16, window="han"), "window must be one of"),
        (lambda: stft(noise(99), 64, 16, window=np.ones(63)), r"shape \(win_length,\) = \(64,\); got .*\(63,\)"),
        (lambda: stft(noise(99), 64, 16, win_length=65), "win_length must be in 1"),
        (lambda: stft(np.arange(99), 64, 16), "must be floating point"),
        (lambda: istft(np.zeros((30, 4), np.complex64), 64, 16), "n_freq = 33"),
        (lambda: istft(np.zeros((33, 4), np.complex64), 64, 16, length=17), "at most the 16 samples"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
