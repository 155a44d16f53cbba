"""Composite measures: PESQ, spectral slope, linear prediction and segmental SNR combined into predicted opinions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from undin.metrics.frames import EPS, MIN_SR, by_frame, check_framed, critical_bands, magnitudes
from undin.metrics.pairs import Score, Signal, by_keyword
from undin.metrics.pesq import Band, pesq, pesq_raw
from undin.metrics.snr import segmental_snr

KEPT = 0.95  # of the frames, those of the smallest distance; the rest are outliers
K_MAX, K_LOCAL = 20.0, 1.0  # Klatt's weights: how fast a band loses weight below the highest peak, and the nearest


class Composite(NamedTuple):
    """What `composite` returns, each 1 ... 5 and higher for better."""

    csig: Score  # distortion of the speech
    cbak: Score  # intrusion of the background
    covl: Score  # overall


@by_keyword
def composite(*, ref: ArrayLike, est: ArrayLike, sr: int, band: Band = "wb") -> Composite:
    """CSIG, CBAK and COVL: predicted mean opinions of speech, background and overall quality, 1 to 5, higher is better.

    They were fitted to narrow-band P.862 scores (raw, 8 kHz). Most tables today use the same formula with
    wide-band MOS-LQO at 16 kHz instead; that is `band="wb"`. `band="nb"` is the original formula. Two
    scales: never compare across them, and state the band in tables.

    Args:
        ref: (..., n_samples) clean, floating point, full scale 1, 0.25 to 20 s.
        est: (..., n_samples) its estimate, in the scale of ref.
        sr: sample rate of both in Hz: 16000, or 8000 for narrow band only.
        band: which PESQ is used, "wb" for P.862.2 MOS-LQO or "nb" for raw P.862.

    Returns:
        `Composite`: csig, cbak, covl; floats for (n_samples,), else (...) float64.

    Raises:
        InputError: as for `pesq`.
        MissingExtraError: pesq is not installed.

    Source: Hu and Loizou 2008, "Evaluation of objective quality measures for speech enhancement", and the constants of
    their program composite.m. LLR, WSS and segmental SNR follow that program, and agree within 1e-6 with its port
    pysepm-evo 0.1.1 on 20 noisy recordings; it scores frames in which both signals are digital silence by -10 dB,
    `segmental_snr` leaves them out.
    """
    mos = pesq_raw(ref=ref, est=est, sr=sr) if band == "nb" else pesq(ref=ref, est=est, sr=sr, band=band)
    return composite_of(
        llr=llr(ref=ref, est=est, sr=sr), wss=wss(ref=ref, est=est, sr=sr), mos=mos,
        segsnr_db=segmental_snr(ref=ref, est=est, sr=sr),
    )  # fmt: skip


def composite_of(*, llr: Score, wss: Score, mos: Score, segsnr_db: Score) -> Composite:
    """The ratings from the scores that they follow; see `composite`.

    Args:
        llr, wss, mos, segsnr_db: by the metrics of these names; mos is PESQ.
    """
    csig = 3.093 - 1.029 * llr + 0.603 * mos - 0.009 * wss
    cbak = 1.634 + 0.478 * mos - 0.007 * wss + 0.063 * segsnr_db
    covl = 1.594 + 0.805 * mos - 0.512 * llr - 0.007 * wss
    clipped = [np.clip(x, 1, 5) for x in (csig, cbak, covl)]
    return Composite(*(x if np.ndim(x) else float(x) for x in clipped))


@by_keyword
def llr(*, ref: ArrayLike, est: ArrayLike, sr: int) -> Score:
    """Log-likelihood ratio of linear prediction; lower is better, 0 is best. Gain does not matter.

    The filter a_e that predicts the estimate best is run over the reference. It leaves more energy than the reference's
    own filter a_r, and the frame scores the logarithm of the ratio: log (a_eᵀ R a_e / a_rᵀ R a_r), with R the
    reference's autocorrelation matrix. Order 16, below 10 kHz 10; frames of 30 ms every 7.5 ms; mean of the lowest
    95 %.

    Args:
        ref: (..., n_samples) clean, floating point, full scale 1.
        est: (..., n_samples) its estimate.
        sr: sample rate of both in Hz.

    Returns:
        A float for (n_samples,), else (...) float64.

    Raises:
        InputError: shapes differ, a signal is not floating point or not finite, or the ratio is undefined: a signal is
            empty, silent or shorter than 37.5 ms.

    Source: Quackenbush, Barnwell and Clements 1988, "Objective measures of speech quality"; frames, order and trimming
    as in Hu and Loizou's composite.m.
    """
    r, e = check_framed("LLR", ref, est, sr)
    order = 10 if sr < 10000 else 16

    def score(ref: Signal, est: Signal) -> Signal:
        R = _autocorrelation(ref, order)
        (_, energy), (a, _) = _levinson(R), _levinson(_autocorrelation(est, order))
        # aᵀ R a with R Toeplitz is the autocorrelation of a against that of the signal, both sides of lag 0.
        A = _autocorrelation(a, order)
        left = A[..., 0] * R[..., 0] + 2 * (A[..., 1:] * R[..., 1:]).sum(-1)
        return np.asarray(np.log(np.maximum(left, energy) / energy))

    return _trimmed_mean(by_frame("LLR", score, r + EPS, e + EPS, sr))


@by_keyword
def wss(*, ref: ArrayLike, est: ArrayLike, sr: int) -> Score:
    """Weighted spectral slope distance; lower is better, 0 is best. Gain does not matter.

    The squared difference of the slopes between neighboring critical bands in dB, weighted toward spectral peaks.
    Bands end at 3.8 kHz; frames of 30 ms every 7.5 ms; mean of the lowest 95 %.

    Args:
        ref: (..., n_samples) clean, floating point, full scale 1.
        est: (..., n_samples) its estimate.
        sr: sample rate of both in Hz, 8000 or more.

    Returns:
        A float for (n_samples,), else (...) float64.

    Raises:
        InputError: as for `llr`, or sr is below 8000.

    Source: Klatt 1982, "Prediction of perceived phonetic distance from critical-band spectra"; bands, weights and
    trimming as in Hu and Loizou's composite.m, where weights are divided by their sum.
    """
    r, e = check_framed("WSS", ref, est, sr, min_sr=MIN_SR)

    def score(ref: Signal, est: Signal) -> Signal:
        bands = critical_bands(ref.shape[-1], sr)
        X, Y = (10 * np.log10(np.maximum(magnitudes(x) ** 2 @ bands.T, 1e-10)) for x in (ref, est))  # (..., T, 25) dB
        W = (_peak_weights(X) + _peak_weights(Y)) / 2
        return np.asarray((W * (np.diff(X) - np.diff(Y)) ** 2).sum(-1) / W.sum(-1))

    return _trimmed_mean(by_frame("WSS", score, r + EPS, e + EPS, sr))


def _peak_weights(X_db: Signal) -> Signal:
    """Klatt's weights (..., 24) of the slopes that start at each band of (..., 25) dB: near one at peaks."""
    slope = np.diff(X_db)
    n = slope.shape[-1]
    # The nearest peak is uphill: to the right of a rise, to the left of a fall. As in the published program, a climb
    # to the right ends one band before its top.
    right, left = X_db[..., :-1].copy(), X_db[..., :-1].copy()
    for i in range(n - 2, -1, -1):
        right[..., i] = np.where(slope[..., i + 1] > 0, right[..., i + 1], X_db[..., i])
    for i in range(1, n):
        left[..., i] = np.where(slope[..., i - 1] > 0, X_db[..., i], left[..., i - 1])
    peak = np.where(slope > 0, right, left)
    highest = X_db.max(-1, keepdims=True)
    weights: Signal = K_MAX / (K_MAX + highest - X_db[..., :-1]) * K_LOCAL / (K_LOCAL + peak - X_db[..., :-1])
    return weights


def _autocorrelation(x: Signal, order: int) -> Signal:
    """(..., n) to (..., order + 1): Σ_t x[t] x[t + k]."""
    n = x.shape[-1]
    return np.stack([np.einsum("...t,...t->...", x[..., : n - k], x[..., k:]) for k in range(order + 1)], -1)


def _levinson(R: Signal) -> tuple[Signal, Signal]:
    """Prediction-error filter (..., order + 1), 1 first, and the energy it leaves (...), by Levinson and Durbin."""
    a = np.zeros_like(R)
    a[..., 0] = 1
    energy = R[..., 0].copy()
    for i in range(1, R.shape[-1]):
        k = np.clip((a[..., :i] * R[..., i:0:-1]).sum(-1) / energy, -1, 1)
        a[..., 1 : i + 1] -= k[..., None] * a[..., i - 1 :: -1][..., :i]
        energy = energy * np.maximum(1 - k * k, EPS)  # both are bounded: rounding leaves less than nothing of a tone
    return a, energy


def _trimmed_mean(distances: Signal) -> Score:
    n = int(distances.shape[-1] * KEPT + 0.5)
    mean: Signal = np.sort(distances, -1)[..., : max(n, 1)].mean(-1)
    return mean if mean.ndim else float(mean)
