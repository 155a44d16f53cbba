"""Signal-to-distortion ratio that forgives a filter, and its parts, interference and artifacts: BSS-eval, version 3.

The estimate e is projected on what 512-tap filters can make of the references. Let P_j e be the projection on the
shifts s_j[n - k], k = 0 ... 511, of one reference, and P e that on the shifts of all references together. Then

    SDR = |P_j e|² / |e - P_j e|²,    SIR = |P_j e|² / |P e - P_j e|²,    SAR = |P e|² / |e - P e|²

With e of unit energy and the cosines c_j = |P_j e|², c = |P e|², Pythagoras turns these into

    SDR = c_j / (1 - c_j),    SIR = c_j / (c - c_j),    SAR = c / (1 - c)

and only correlations of up to 511 lags are needed: c_j = b_jᵀ T_j⁻¹ b_j with T_j the Toeplitz matrix of the
autocorrelation of s_j and b_j its correlation with e; c = bᵀ R⁻¹ b with R the block-Toeplitz matrix of all of them.

R is solved by conjugate gradients, preconditioned by its own diagonal blocks T_j. For two references that leaves the
eigenvalues 1 ± σ where σ are their canonical correlations. Different talkers share little, whatever their spectra are,
so some ten steps reach rounding. It takes more where references repeat each other or leave a band empty; there R is
singular to rounding, and no method that starts from correlations finds SIR and SAR to the last digit.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from undin.errors import InputError, require
from undin.metrics.pairs import Score, Signal, by_keyword, check_pair, score_each
from undin.metrics.permutation import MAX_SOURCES, permute_best

TAPS = 512
ROUNDING = 1e-12  # of the estimate's energy: what float64 leaves of a part that is not there
MAX_STEPS = 500
TINY = np.finfo(np.float64).tiny


class BssEval(NamedTuple):
    """What `bss_eval` returns; each is (..., n_src), by reference."""

    sdr_db: Signal
    sir_db: Signal
    sar_db: Signal
    permutation: NDArray[np.intp]  # permutation[..., j] is the estimate that was scored against reference j


@by_keyword
def sdr(*, ref: ArrayLike, est: ArrayLike) -> Score:
    """Signal-to-distortion ratio in dB up to a filter of 512 taps; higher is better.

    Any filtering of the reference with 512 taps is allowed: gain, delays of up to 511 samples, equalization,
    the early part of a room. `si_sdr` allows only gain and is never higher for signals without DC; DC is not removed
    here.

    Args:
        ref: (..., n_samples) clean, floating point.
        est: (..., n_samples) its estimate.

    Returns:
        A float for (n_samples,), else (...) float64. A part 120 dB below the estimate counts as absent: +inf, -inf.

    Raises:
        InputError: shapes differ, a signal is not floating point or not finite, or the ratio is undefined because one
            is empty, silent (constant counts as silent) or shorter than the 512 samples of the filter.
        MissingExtraError: scipy is not installed.

    Source: Vincent, Gribonval and Févotte 2006, "Performance measurement in blind audio source separation"; version 3
    of its toolbox (2007). Projection by cosines: Scheibler 2022, "SDR - medium rare with fast computations".

    >>> rng = np.random.default_rng(0)
    >>> speech, noise = rng.standard_normal((2, 16000))
    >>> late_and_loud = 3 * np.roll(speech + 0.1 * noise, 20)
    >>> bool(abs(sdr(ref=speech, est=late_and_loud) - 20) < 0.6)
    True
    """
    require("scipy", extra="eval")
    r, e = _check_length("SDR", ref, est)

    def score(ref: Signal, est: Signal) -> float:
        acf, ccf = _correlations(ref[None], est[None])
        c = np.array(_cosine(acf[0, 0, :TAPS], ccf[0, 0]))
        return float(_ratio_db(c, 1 - c))

    return score_each(score, r, e)


@by_keyword
def bss_eval(*, ref: ArrayLike, est: ArrayLike, permute: bool = True) -> BssEval:
    """SDR, SIR and SAR in dB of separated sources, each up to filters of 512 taps; higher is better.

    SDR counts all errors, SIR only the other sources, SAR only artifacts.

    Args:
        ref: (..., n_src, n_samples) clean sources, floating point.
        est: (..., n_src, n_samples) estimates, in any order when `permute` is true.
        permute: find the order of the estimates with the highest mean SIR; else estimate j belongs to reference j.

    Returns:
        `BssEval`: sdr_db, sir_db and sar_db by reference, and the permutation. With one source SIR is +inf. A part
        120 dB below the estimate counts as absent: +inf, -inf.

    Raises:
        InputError: as for `sdr`, with at least n_src · 512 samples; or the axis of sources is missing, or more than 8
            sources are to be permuted.
        MissingExtraError: scipy is not installed.

    Source: as for `sdr`.
    """
    require("scipy", extra="eval")
    if np.ndim(ref) < 2:
        raise InputError(f"ref and est must be (..., n_src, n_samples); got {np.shape(ref)}: for one source call sdr")
    *lead, n_src = np.shape(ref)[:-1]
    if not 1 <= n_src <= (MAX_SOURCES if permute else n_src):
        raise InputError(f"n_src, the axis before samples, must be in 1 to {MAX_SOURCES} to be permuted; got {n_src}")
    r, e = _check_length("BSS-eval", ref, est, n_src)
    scores = np.empty((3, *lead, n_src))
    order = np.empty((*lead, n_src), np.intp)
    for i in np.ndindex(*lead):
        scores[:, *i], order[i] = _bss_eval(r[i], e[i], permute)
    return BssEval(scores[0], scores[1], scores[2], order)


def _bss_eval(ref: Signal, est: Signal, permute: bool) -> tuple[Signal, NDArray[np.intp]]:
    own, joint = _cosines(*_correlations(ref, est))
    sir_db = _ratio_db(own, joint - own)
    order = permute_best(sir_db) if permute else np.arange(len(ref))
    j = np.arange(len(ref))
    own, joint = own[j, order], joint[order]
    return np.stack([_ratio_db(own, 1 - own), sir_db[j, order], _ratio_db(joint, 1 - joint)]), order


def _correlations(ref: Signal, est: Signal) -> tuple[Signal, Signal]:
    """Correlate ref (n_src, n) with itself and with est (n_est, n), all scaled to unit energy.

    A block of a reference is correlated with the block and the TAPS - 1 samples after it, and blocks are added up.

    Returns:
        acf: (n_src, n_src, 2·TAPS), Σ_t s_i[t] s_j[t + τ] at τ modulo 2·TAPS, |τ| < TAPS.
        ccf: (n_src, n_est, TAPS), Σ_t s_i[t] e_j[t + τ], 0 <= τ < TAPS.
    """
    from scipy.fft import irfft, rfft

    n_fft = 8 * TAPS
    n_block = n_fft - TAPS + 1
    n_blocks = -(-ref.shape[-1] // n_block)
    x = np.zeros((len(ref) + len(est), n_blocks * n_block + TAPS - 1))
    for row, y in zip(x, (*ref, *est), strict=True):
        np.divide(y, max(y.max(), -y.min()), out=row[: len(y)])  # peak one: squares neither overflow nor underflow
        row /= np.sqrt(row @ row)
    blocks = np.lib.stride_tricks.sliding_window_view(x, n_fft, -1)[:, ::n_block]  # (n_src + n_est, n_blocks, n_fft)
    spectrum = np.zeros((len(ref), len(x), n_fft // 2 + 1), np.complex128)
    for b in range(0, n_blocks, 64):  # few at a time, so that an hour fits in memory
        S, X = rfft(blocks[: len(ref), b : b + 64, :n_block], n_fft), rfft(blocks[:, b : b + 64])
        spectrum += np.einsum("ibf,jbf->ijf", S.conj(), X)
    r = irfft(spectrum, n_fft)[..., :TAPS]
    acf = np.zeros((len(ref), len(ref), 2 * TAPS))
    acf[..., :TAPS] = r[:, : len(ref)]
    acf[..., TAPS + 1 :] = r[:, : len(ref), :0:-1].swapaxes(0, 1)  # s_i with s_j is s_j with s_i backwards
    return acf, r[:, len(ref) :]


def _cosine(t: Signal, b: Signal) -> float:
    """bᵀ T⁻¹ b of one reference and one estimate, both (TAPS,), by Levinson's recursion where that is stable."""
    from scipy.linalg import LinAlgError, matmul_toeplitz, solve_toeplitz

    try:
        h = solve_toeplitz(t, b, check_finite=False)
        error = b - matmul_toeplitz(t, h, check_finite=False)
    except LinAlgError:
        error = np.array(np.inf)
    if not np.abs(error).max() <= 1e-12 * np.abs(b).max():  # the reference fills a narrow band only
        return float(b @ _cholesky(t)(b))
    return float((b + error) @ h)  # 2 bᵀh - hᵀTh: its error is quadratic in that of h


def _cosines(acf: Signal, ccf: Signal) -> tuple[Signal, Signal]:
    """Fractions of each estimate's energy that filters make of the references.

    Conjugate gradients minimize the energy of e - Σ_j h_j * s_j; each step lowers it by α ρ.

    Returns:
        own: (n_src, n_est), by each reference alone.
        joint: (n_est,), by all references together.
    """
    solvers = [_cholesky(acf[j, j, :TAPS]) for j in range(len(acf))]
    R = np.fft.rfft(acf)  # (n_src, n_src, TAPS + 1)
    r, p, rho = ccf, np.zeros_like(ccf), np.ones(ccf.shape[1])
    own, joint = np.zeros(ccf.shape[:2]), np.zeros(ccf.shape[1])
    for step in range(MAX_STEPS):
        z = np.stack([solve(r_j) for solve, r_j in zip(solvers, r, strict=True)])
        if step == 0:
            own = (r * z).sum(-1)  # each reference is solved alone
        rho, before = (r * z).sum((0, 2)), rho  # (n_est,)
        if rho.max() <= 1e-3 * ROUNDING:
            break
        p = z + (rho / np.maximum(before, TINY))[:, None] * p
        # R times p is a circular convolution of twice the length.
        P = np.fft.rfft(p, 2 * TAPS)
        q = np.fft.irfft(np.einsum("ijf,jef->ief", R, P))[..., :TAPS]
        curvature = (p * q).sum((0, 2))
        sound = rho * rho < (1 - joint) * curvature  # no step can gain more than is left, but for rounding: stop there
        alpha = np.where(sound, rho / np.where(sound, curvature, 1), 0)
        joint += alpha * rho
        r = np.where(sound[:, None], r - alpha[:, None] * q, 0)
    return own, np.asarray(np.maximum(joint, own.max(0)))


def _cholesky(t: Signal, load: float = 0.0) -> Callable[[Signal], Signal]:
    """Solver of the Toeplitz matrix with the first column t, for (..., TAPS); `load` raises its diagonal."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve, toeplitz

    try:
        factor = cho_factor(toeplitz(np.r_[t[0] * (1 + load), t[1:]]), lower=True, check_finite=False)
    except LinAlgError:  # Filters that differ make the same of a few sines, to rounding. The load prefers small ones.
        return _cholesky(t, max(10 * load, 1e-14))
    return lambda b: np.asarray(cho_solve(factor, b.T, check_finite=False).T)


def _ratio_db(signal: Signal, rest: Signal) -> Signal:
    with np.errstate(divide="ignore"):
        ratio_db = 10 * np.log10(np.where(signal <= ROUNDING, 0, signal) / np.maximum(rest, ROUNDING))
    return np.asarray(np.where(rest <= ROUNDING, np.inf, ratio_db))


def _check_length(metric: str, ref: ArrayLike, est: ArrayLike, n_src: int = 1) -> tuple[Signal, Signal]:
    r, e = check_pair(metric, ref, est)
    if r.shape[-1] < n_src * TAPS:
        raise InputError(
            f"{metric} is undefined: {n_src} x {TAPS} taps can fit any signal as short as {r.shape[-1]} samples: "
            "score longer signals"
        )
    return r, e
