"""DNSMOS: opinions of noise suppression, predicted by a network from the estimate alone."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from undin.errors import InputError, require_files
from undin.metrics.pairs import Score, Signal, by_keyword, check_estimate, check_sr
from undin.runner import open_graph

SR = 16000
WINDOW = 144160  # 9.01 s, every second
N_FFT, HOP, N_MELS = 321, 160, 120  # the mel spectrum of P.808: 20 ms every 10 ms
RANGE_DB = 80.0
# Polynomials, highest power first, from outputs of the network to the opinions of listeners: sig, bak, ovrl.
FIT = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)


class Dnsmos(NamedTuple):
    """What `dnsmos` returns, each about 1 ... 5 and higher for better."""

    sig: Score  # quality of the speech
    bak: Score  # quality of the background
    ovrl: Score  # overall
    p808: Score  # overall, by the network for ITU-T P.808


@by_keyword
def dnsmos(*, est: ArrayLike, sr: int) -> Dnsmos:
    """DNSMOS P.835: predicted opinions of speech, background and overall quality, without a reference.

    A network scores windows of 9.01 s, one starting every second; the mean over windows is returned. A shorter signal
    is repeated until it fills a window. Level matters: full scale is 1.

    Args:
        est: (..., n_samples) floating point.
        sr: sample rate in Hz: 16000.

    Returns:
        `Dnsmos`: sig, bak, ovrl, p808; floats for (n_samples,), else (...) float64.

    Raises:
        InputError: est is not floating point or not finite, empty or silent, or sr is not 16000.
        MissingExtraError: the package speechmos, which has the weights, is not installed.

    Source: Reddy, Gopal and Cutler 2022, "DNSMOS P.835: A non-intrusive perceptual objective speech quality metric to
    evaluate noise suppressors"; p808: the same authors 2021, "DNSMOS: A non-intrusive perceptual objective speech
    quality metric to evaluate noise suppressors". Weights, windows and polynomials are those of the package speechmos.
    In signals of 17 s and more, repetitions included, rounding in that package skips the windows that start at 7 to
    23 s; here all windows count.
    """
    primary, p808 = _networks()
    if check_sr(sr) != SR:
        raise InputError(f"DNSMOS is defined at sr = {SR} only; got {sr}: resample est")
    e = check_estimate("DNSMOS", est)
    lead = e.shape[:-1]
    scores = np.empty((4, *lead))
    for i in np.ndindex(lead):
        windows = _windows(e[i])
        raw = np.mean([_fitted(primary(x[None])[0]) for x in windows], 0)
        scores[(slice(None), *i)] = [*raw, np.mean([p808(_mel_spectrum(x[:-HOP])[None]) for x in windows])]
    return Dnsmos(*(scores if lead else map(float, scores)))


@cache
def _networks() -> tuple[Callable[..., NDArray[np.float32]], Callable[..., NDArray[np.float32]]]:
    """Of P.835 and of P.808."""
    folder = require_files("speechmos", extra="mos") / "dnsmos_models"
    return open_graph(folder / "sig_bak_ovr.onnx"), open_graph(folder / "model_v8.onnx")


def _windows(x: Signal) -> list[NDArray[np.float32]]:
    """(n_samples,) to windows of (WINDOW,); as published, the last one may be left out."""
    while len(x) < WINDOW:
        x = np.concatenate([x, x])
    n = max(len(x) // SR - 9, 1)
    return [x[k * SR : k * SR + WINDOW].astype(np.float32) for k in range(n)]


def _fitted(raw: NDArray[np.float32]) -> Signal:
    """Outputs (3,) mapped to opinions."""
    return np.array([np.polyval(p, x) for p, x in zip(FIT, raw.astype(np.float64), strict=True)])


def _mel_spectrum(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n_samples,) to (n_frames, N_MELS): power in dB below the maximum, scaled to -1 ... 1."""
    w = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, N_FFT // 2), N_FFT)[::HOP]
    S = np.abs(np.fft.rfft(frames * w)) ** 2 @ _mel_bands().T  # (n_frames, N_MELS)
    S_db = 10 * np.log10(np.maximum(S, 1e-10))
    relative = np.maximum(S_db - S_db.max(), -RANGE_DB)
    return np.asarray((relative + RANGE_DB / 2) / (RANGE_DB / 2), np.float32)


@cache
def _mel_bands() -> Signal:
    """Triangles on the mel scale of Slaney (1998), (N_MELS, n_freq), each of area 1.

    The scale is linear below 1 kHz, 200/3 Hz a step, and logarithmic above, 27 steps for a factor of 6.4.
    """
    top = 15 + 27 * np.log(SR / 2 / 1000) / np.log(6.4)
    mel = np.linspace(0, top, N_MELS + 2)
    hz = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    f = np.fft.rfftfreq(N_FFT, 1 / SR)
    low, center, high = hz[:-2, None], hz[1:-1, None], hz[2:, None]
    bands = np.maximum(np.minimum((f - low) / (center - low), (high - f) / (high - center)), 0)
    return np.asarray(bands * 2 / (high - low))
