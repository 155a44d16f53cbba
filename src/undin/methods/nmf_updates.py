"""The mathematics of KL-NMF: V ~ W H, learned fast, and H with a prior when W is known.

The cost is the generalized Kullback-Leibler divergence

    D(V | WH) = Σ_ft V log(V / WH) - V + WH.

Everything here rests on one majorizer. By Jensen's inequality, with φ_ftk = W_fk H_kt / (WH)_ft of the current point,

    D(V | W'H') <= const - Σ_ft V_ft Σ_k φ_ftk log(W'_fk H'_kt) + Σ_fkt W'_fk H'_kt,   equal at W' = W, H' = H.

Where the columns of W' sum to one, the last term is Σ_kt H'_kt: W' and H' no longer meet, and both minima follow from
the same ratio R = V / (WH):

    H' = H ∘ (WᵀR),    W' ∝ W ∘ (R Hᵀ).

So one pass costs three matrix products where the alternating update of Lee and Seung costs four, and D never rises.
A prior on the rows of H adds γ Σ (1 - k) log h + h / θ to the cost (gamma density of shape k and scale θ), which leaves
the minimum over H' in closed form:

    H' = max(0, H ∘ (WᵀR) + pull) / (1 + penalty),    penalty = γ / θ,  pull = γ (k - 1).

The exponential prior is the case k = 1. For k >= 1 the step is exact and monotone; for k < 1 the density has a pole
at 0 and the step goes there: a sparse H.

Source: D. Lee and S. Seung, NIPS 2000 (the update); K. Kwon, J. W. Shin and N. S. Kim, ICASSP 2016 (the priors);
T. Minka, "Estimating a gamma distribution", 2002.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Double = NDArray[np.float64]
Rows = NDArray[np.floating] | float

TINY = np.float32(1e-12)  # V is scaled to a mean of about one before it comes here
BLOCK = 512  # frames whose ratio stays in the cache of a core
BOLDNESS = 1.2  # extrapolation factor, see `descend`; measured best of 0.5 ... 3
SHRINK, GROW = np.float32(0.95), np.float32(4)  # what extrapolation may do to one entry: zeros come back too slowly
THIN = 4  # the first stage of `fit_bases` sees every fourth frame


class Factors(NamedTuple):
    """V ~ W H, and D(V | WH) after every accepted pass."""

    W: Matrix  # (n_freq, n_bases), columns summing to 1
    H: Matrix  # (n_bases, n_frames)
    kl: list[float]


def kl_divergence(V: Matrix, W: Matrix, H: Matrix) -> float:
    """Generalized KL divergence D(V | WH).

    Args:
        V: (n_freq, n_frames).
        W: (n_freq, n_bases).
        H: (n_bases, n_frames).

    >>> V = np.ones((3, 4), np.float32)
    >>> kl_divergence(V, np.full((3, 1), 1 / 3, np.float32), np.full((1, 4), 3, np.float32))
    0.0
    """
    WH = np.maximum(W @ H, TINY)
    log_ratio = np.log(np.maximum(V / WH, TINY))
    return float(np.sum(V * log_ratio - V + WH, dtype=np.float64))


def fit_bases(
    V: Matrix,
    n_bases: int,
    *,
    n_iter: int = 100,
    tol: float = 0.0,
    accelerate: bool = True,
    rng: np.random.Generator | int = 0,
    start: tuple[Matrix, Matrix] | None = None,
) -> Factors:
    """Learn V ~ W H under the KL divergence.

    Coarse to fine: `n_iter` extrapolated passes over every fourth frame, then n_iter / 5 over all of them. W is nearly
    as well determined by a quarter of the frames, and H follows in a few passes once W is there.

    Args:
        V: (n_freq, n_frames) >= 0, with a mean of about 1.
        n_bases: columns of W.
        n_iter: passes of the first stage (of the only one where n_frames is small or `accelerate` is off).
        tol: stop a stage when a pass lowers D by less than this part; 0 runs all passes.
        accelerate: False for the plain alternating update, W then H, n_iter times.
        rng: seed or generator of the start.
        start: (W, H) initial values; not modified.

    Returns:
        Factors; kl holds D of the last stage.
    """
    W, H = start or random_start(V, n_bases, np.random.default_rng(rng))
    scale = W.sum(0)
    W, H = W / scale, H * scale[:, None]
    if not accelerate:
        return _alternate(V, W, H, n_iter)
    if V.shape[1] < 4 * THIN * n_bases:
        return descend(V, W, H, n_iter=n_iter, tol=tol)
    H = H.copy()
    W, H[:, ::THIN], _ = descend(np.ascontiguousarray(V[:, ::THIN]), W, H[:, ::THIN], n_iter=n_iter, tol=tol)
    return descend(V, W, H, n_iter=max(n_iter // 5, 1), tol=tol)


def random_start(V: Matrix, n_bases: int, rng: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Uniform W and H whose product has V's mean.

    Args:
        V: (n_freq, n_frames).
        n_bases: columns of W.
        rng: draws the entries.
    """
    W = rng.random((V.shape[0], n_bases), dtype=np.float32) + np.float32(0.1)
    H = rng.random((n_bases, V.shape[1]), dtype=np.float32) + np.float32(0.1)
    return W, H * np.float32(V.mean() / (W.mean() * H.mean() * n_bases))


def descend(
    V: Matrix,
    W: Matrix,
    H: Matrix,
    *,
    n_iter: int,
    n_fixed: int = 0,
    penalty: Rows = 0.0,
    pull: Rows = 0.0,
    tol: float = 0.0,
) -> Factors:
    """Extrapolated passes on W and H; D, with the prior, never rises.

    A pass starts from the point z = x + b (x - x_before), entry by entry within [0.95, 4] x, and gives the next x. Its
    ratio also gives D(z) for the price of a logarithm. When D(z) exceeds the D of the z before, the pass is thrown away
    and repeated from x itself, where the majorizer promises that D is no higher; b is halved and recovers slowly.

    Args:
        V: (n_freq, n_frames) >= 0.
        W: (n_freq, n_bases), columns summing to 1.
        H: (n_bases, n_frames).
        n_iter: passes, thrown-away ones included.
        n_fixed: the first n_fixed columns of W stay.
        penalty: (n_bases, 1) or a number, see the module.
        pull: (n_bases, 1) or a number, see the module.
        tol: stop when a pass lowers D by less than this part.
    """
    b, costs, before = BOLDNESS, [np.inf], (W, H)
    for _ in range(n_iter):
        bold = before[1] is not H
        zW, zH = (_extrapolate(x, x_before, b) if bold else x for x, x_before in zip((W, H), before, strict=True))
        zW = np.concatenate([W[:, :n_fixed], zW[:, n_fixed:] / zW[:, n_fixed:].sum(0)], 1)
        nextW, nextH, cost = _pass(V, zW, zH, n_fixed, penalty, pull)
        if cost > costs[-1]:
            if not bold:
                break  # no lower from x itself: the rest is rounding
            b, before = b / 2, (W, H)
            continue
        b, before = min(b * 1.1, BOLDNESS), (W, H)
        W, H = nextW, nextH
        costs.append(cost)
        if costs[-2] - cost < tol * abs(cost):
            break
    return Factors(W, H, costs[1:])


def _extrapolate(x: Matrix, before: Matrix, b: float) -> Matrix:
    z = x - before
    z *= np.float32(b)
    z += x
    return np.clip(z, SHRINK * x, GROW * x, out=z)


def _pass(V: Matrix, W: Matrix, H: Matrix, n_fixed: int, penalty: Rows, pull: Rows) -> tuple[Matrix, Matrix, float]:
    """One joint update from (W, H), and the cost of (W, H) itself."""
    nextH, RHt = np.empty_like(H), np.zeros_like(W[:, n_fixed:])
    cost = prior_cost(H, penalty, pull)
    for start in range(0, V.shape[1], BLOCK):
        t = slice(start, start + BLOCK)
        R = W @ H[:, t]
        cost += float(R.sum(dtype=np.float64))
        np.divide(V[:, t], np.maximum(R, TINY, out=R), out=R)
        np.multiply(H[:, t], W.T @ R, out=nextH[:, t])
        if n_fixed < W.shape[1]:
            RHt += R @ H[n_fixed:, t].T
        # V log(V / WH) - V summed over the block; R = 0 where V is, and 0 log TINY = 0
        np.log(np.maximum(R, TINY, out=R), out=R)
        R -= 1
        R *= V[:, t]
        cost += float(R.sum(dtype=np.float64))
    _apply_prior(nextH, penalty, pull)
    nextW = W.copy()
    nextW[:, n_fixed:] *= RHt
    nextW[:, n_fixed:] /= np.maximum(nextW[:, n_fixed:].sum(0), TINY)
    return np.maximum(nextW, TINY, out=nextW), nextH, cost


def _apply_prior(H: Matrix, penalty: Rows, pull: Rows) -> None:
    """H <- max(TINY, H + pull) / (1 + penalty), in place."""
    if np.any(pull):
        H += pull
    np.maximum(H, TINY, out=H)
    if np.any(penalty):
        H /= 1 + penalty


def prior_cost(H: Matrix, penalty: Rows, pull: Rows) -> float:
    """Σ penalty h - pull log h: minus the logarithm of the prior, up to a constant.

    Args:
        H: (n_bases, n_frames).
        penalty, pull: of the prior, one per row or one for all.
    """
    cost = float(np.sum(penalty * H.sum(1, keepdims=True, dtype=np.float64))) if np.any(penalty) else 0.0
    if np.any(pull):
        cost -= float(np.sum(pull * np.log(np.maximum(H, TINY)), dtype=np.float64))
    return cost


def encode(V: Matrix, W: Matrix, *, n_iter: int, penalty: Rows = 0.0, pull: Rows = 0.0, epsilon: float = 0.0) -> Matrix:
    """H of V with W known: n_iter updates from a constant start, each frame for itself.

    Args:
        V: (n_freq, n_frames) >= 0.
        W: (n_freq, n_bases), columns summing to 1.
        n_iter: updates.
        penalty: (n_bases, 1) or a number, see the module.
        pull: (n_bases, n_frames), (n_bases, 1) or a number, see the module.
        epsilon: stop all frames when the Frobenius norm of V log(V / WH) - V + WH falls below it; 0 runs all updates.

    Returns:
        (n_bases, n_frames).
    """
    n_bases = W.shape[1]
    H = np.repeat(V.sum(0, keepdims=True) / np.float32(n_bases), n_bases, 0)
    R = np.empty_like(V, order="C")
    Wt = np.ascontiguousarray(W.T)
    for _ in range(n_iter):
        np.matmul(W, H, out=R)
        if epsilon and np.linalg.norm(V * np.log(np.maximum(V, TINY) / np.maximum(R, TINY)) - V + R) < epsilon:
            break
        np.divide(V, np.maximum(R, TINY, out=R), out=R)
        H *= Wt @ R
        _apply_prior(H, penalty, pull)
    return H


def quiet_bases(V: Matrix, n_bases: int) -> Matrix:
    """Bases of the quietest fifth of the frames, where no one speaks: where the noise of a recording starts."""
    n_quiet = min(max(round(0.2 * V.shape[1]), n_bases), V.shape[1])
    quiet = V[:, np.argsort(V.sum(0), kind="stable")[:n_quiet]]
    quiet = np.ascontiguousarray(quiet / np.maximum(quiet.mean(), TINY))
    W = fit_bases(quiet, n_bases, n_iter=20, rng=0).W + np.float32(1e-3 / V.shape[0])  # zeros could not grow
    W /= W.sum(0)
    return W


def _alternate(V: Matrix, W: Matrix, H: Matrix, n_iter: int) -> Factors:
    """The plain multiplicative update of Lee and Seung: W, its columns scaled to sum 1, then H."""
    costs = []
    for _ in range(n_iter):
        W = W * ((V / np.maximum(W @ H, TINY)) @ H.T) / np.maximum(H.sum(1), TINY)
        scale = np.maximum(W.sum(0), TINY)
        W, H = W / scale, H * scale[:, None]
        H = H * (W.T @ (V / np.maximum(W @ H, TINY)))
        costs.append(kl_divergence(V, W, H))
    return Factors(W, H, costs)


def smooth(S: Matrix, last: Matrix, a: float) -> tuple[Matrix, Matrix]:
    """One-pole smoothing S_t <- a S_(t-1) + (1 - a) S_t over the first axis, in place; also its last frame.

    Args:
        S: (n_frames, ...), changed in place.
        last: the frame before, (...).
        a: the pole, 0 to 1.
    """
    for S_t in S if a else ():
        S_t *= 1 - a
        S_t += a * last
        last = S_t
    return S, np.broadcast_to(last, S.shape[1:]).copy() if len(S) else last


def wiener_gain(S: Matrix, power: float) -> Matrix:
    """G_i = S_i^p / Σ_j S_j^p over the second-last axis; the largest is scaled to one first, so no power underflows."""
    G: Matrix = S / np.maximum(S.max(-2, keepdims=True), np.float32(1e-30))
    G **= np.float32(power)
    G /= np.maximum(G.sum(-2, keepdims=True), np.float32(1e-30))
    return G


def digamma(x: NDArray[np.floating]) -> Double:
    """ψ(x) for x > 0: ψ(x) = ψ(x + 1) - 1 / x up to x >= 8, then the asymptotic series (error under 1e-12)."""
    y, value = _recur(x, lambda x: -1 / x)
    z = 1 / y**2
    series = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132 - z * 691 / 32760)))))
    return value + np.log(y) - 0.5 / y - series


def trigamma(x: NDArray[np.floating]) -> Double:
    """ψ'(x) for x > 0: ψ'(x) = ψ'(x + 1) + 1 / x² up to x >= 8, then the asymptotic series (error under 1e-12)."""
    y, value = _recur(x, lambda x: 1 / x**2)
    z = 1 / y**2
    series = z * (1 / 6 - z * (1 / 30 - z * (1 / 42 - z * (1 / 30 - z * (5 / 66 - z * 691 / 2730)))))
    return value + 1 / y + z / 2 + series / y


def _recur(x: NDArray[np.floating], term: Callable[[Double], Double]) -> tuple[Double, Double]:
    """x raised by whole steps to 8 or more, and the sum of `term` over the steps."""
    raised = np.array(x, np.float64)
    total = np.zeros_like(raised)
    for _ in range(8):
        small = raised < 8
        total += np.where(small, term(raised), 0)
        raised += small
    return raised, total


def fit_gamma(H: NDArray[np.floating], *, floor: float = 1e-6) -> tuple[Double, Double]:
    """Maximum-likelihood gamma density of every row: the closed-form start of Minka and three Newton steps.

    With a = ln(mean h) - mean(ln h), the shape k solves ln k - ψ(k) = a; the scale is θ = mean / k.

    Args:
        H: (n_bases, n_frames) >= 0.
        floor: entries below floor times the mean of all count as that, because the density has a pole at 0.

    Returns:
        k and θ, (n_bases,) each.
    """
    H = np.maximum(np.asarray(H, np.float64), max(floor * float(np.mean(H)), 1e-30))
    mean = H.mean(1)
    a = np.maximum(np.log(mean) - np.log(H).mean(1), 1e-6)
    k = (3 - a + np.sqrt((a - 3) ** 2 + 24 * a)) / (12 * a)
    for _ in range(3):
        k -= (np.log(k) - digamma(k) - a) / (1 / k - trigamma(k))
    return k, mean / k
