"""`deep-clustering`: bins of one talker are close together in an embedding; see `training/nets/deep_clustering.py`.

    X --graph--> V (n_bins, K), unit norm --k-means over the active bins--> talker of each bin: binary masks

Source: J. R. Hershey, Z. Chen, J. Le Roux and S. Watanabe, "Deep clustering: discriminative embeddings for segmentation
and separation", ICASSP 2016; Y. Isik, J. Le Roux, Z. Chen, S. Watanabe and J. R. Hershey, "Single-channel multi-speaker
separation using deep clustering", Interspeech 2016. The talkers need not be counted in training, only afterwards.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undin.audio import resample
from undin.checks import Count
from undin.methods.base import Card, Look
from undin.methods.learned import Learned, planes
from undin.methods.talker_masks import TrunkConfig
from undin.spectrum import Array, ComplexArray, stft

Points = NDArray[np.float32]  # (n, K)
MOST = 20000  # points that the centers are found from
STEPS = 30
ABSENT = 0.01  # share of the mixture assigned to an absent talker: 40 dB down, so that a misjudged voice is not lost


@dataclass(frozen=True)
class ClusteringConfig(TrunkConfig):
    """See `TrunkConfig`; `talkers` may be changed when it runs, and so may what follows but `embedding`.

    Attributes:
        embedding: K, numbers per bin.
        tries: beginnings of k-means, of which the best is kept.
        one_talker: centers whose cosine is above this are of one talker; the second output is then 40 dB down.
    """

    n_hidden: Count = 600
    n_layers: Count = 4
    embedding: Count = 40
    tries: Count = 5
    one_talker: float = 0.85


class DeepClustering(Learned):
    """Embeddings from a recurrent network, then k-means."""

    id = "deep-clustering"
    Config = ClusteringConfig
    config: ClusteringConfig
    adjustable = frozenset({"talkers", "tries", "one_talker", "active_db"})
    card = Card(
        summary="the network embeds every bin, k-means assigns bins to talkers",
        source="Hershey et al., ICASSP 2016; Isik et al., Interspeech 2016",
        kind="separate",
    )

    @property
    def n_src(self) -> int:
        """Number of talkers it separates."""
        return self.config.talkers

    def embed(self, X: ComplexArray) -> NDArray[np.float32]:
        """X (batch, n_freq, T) -> V (batch, n_freq, T, K)."""
        V, _ = self.runner.run(planes(X), self.runner.initial_state(len(X)))
        return V.transpose(0, 3, 2, 1)

    def estimate(self, X: ComplexArray) -> ComplexArray:
        """Answer a whole signal: X (batch, n_freq, T) -> Y (talkers, batch, n_freq, T)."""
        M = np.stack([self.masks(*pair) for pair in zip(X, self.embed(X), strict=True)], 1)
        Y: ComplexArray = (M * X).astype(np.complex64, copy=False)
        return Y

    def looks(self, x: Array, sr: int, *, ref: Array | None = None) -> list[Look]:
        """Embeddings of the active bins, and their talkers: before clustering, after, and with `ref` in truth.

        Args:
            x, sr, ref: as in `Method.looks`.
        """
        c = self.config
        X = stft(resample(x, sr, c.sr), c.n_fft, c.hop_length, window=c.window).astype(np.complex64)
        V, power = self.embed(X[None])[0], np.square(np.abs(X))
        active = power > power.max(initial=0) * 10 ** (-c.active_db / 10)
        of = {"before clustering": np.zeros(int(active.sum()), int), "clusters": self.masks(X, V).argmax(0)[active]}
        if ref is not None:
            R = stft(resample(ref, sr, c.sr), c.n_fft, c.hop_length, window=c.window)
            of["loudest talker"] = np.abs(R).argmax(0)[active]
        return [Look("points", "points", of, V[active])]

    def masks(self, X: ComplexArray, V: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `part_bins`."""
        return part_bins(X, V, self.config)


def part_bins(X: ComplexArray, V: NDArray[np.float32], config: ClusteringConfig) -> NDArray[np.float32]:
    """Part the bins of X (n_freq, T) by their embeddings V (n_freq, T, K) -> (talkers, n_freq, T), summing to 1.

    Args:
        X: (n_freq, T) complex.
        V: embeddings (n_freq, T, K).
        config: number of talkers, and how hard the masks are.
    """
    c, power = config, X.real**2 + X.imag**2
    active = power > power.max(initial=0) * 10 ** (-c.active_db / 10)
    M = np.full((c.talkers, *X.shape), 1 / c.talkers, np.float32)  # bins without speech
    if active.sum() < c.talkers:
        return M
    centers = find_centers(V[active], c.talkers, tries=c.tries)
    there = _apart(centers, c.one_talker)
    M[:] = (there / there.sum())[:, None, None]
    M[:, active] = np.eye(c.talkers, dtype=np.float32)[there][nearest(V[active], centers[there])].T
    n_absent = int((~there).sum())
    M *= 1 - ABSENT * n_absent
    M[~there] = ABSENT
    return M


def _apart(centers: Points, one_talker: float) -> NDArray[np.bool_]:
    """Whether each center belongs to a separate talker: its cosine with those before is at most `one_talker`."""
    unit = centers / np.maximum(np.linalg.norm(centers, axis=1, keepdims=True), 1e-9)
    near: NDArray[np.bool_] = np.tril(unit @ unit.T > one_talker, -1).any(1)
    return ~near


def find_centers(V: Points, n: int, *, tries: int) -> Points:
    """Centers of k-means (n, K) from points V (n_points, K): the best of several beginnings, always the same ones.

    Args:
        V: (n_points, K).
        n: number of centers.
        tries: number of beginnings.
    """
    rng = np.random.default_rng(0)
    V = V if len(V) <= MOST else V[rng.choice(len(V), MOST, replace=False)]
    best: tuple[float, Points] | None = None
    for _ in range(tries):
        centers = _begin(V, n, rng)
        for _ in range(STEPS):
            of = nearest(V, centers)
            new = np.stack([V[of == k].mean(0) if (of == k).any() else centers[k] for k in range(n)])
            if np.allclose(new, centers, atol=1e-5):
                break
            centers = new
        cost = float(np.square(V - centers[nearest(V, centers)]).sum())
        if best is None or cost < best[0]:
            best = cost, centers
    assert best is not None
    return best[1]


def _begin(V: Points, n: int, rng: np.random.Generator) -> Points:
    """Points far apart (k-means++): each next one drawn by its squared distance from those before."""
    chosen = [V[int(rng.integers(len(V)))]]
    while len(chosen) < n:
        distance = np.min([np.square(V - point).sum(1) for point in chosen], axis=0).astype(np.float64) + 1e-12
        chosen.append(V[int(rng.choice(len(V), p=distance / distance.sum()))])
    return np.stack(chosen)


def nearest(V: Points, centers: Points) -> NDArray[Any]:
    """Number of the nearest center of each point."""
    of: NDArray[Any] = (np.square(centers).sum(1) - 2 * V @ centers.T).argmin(1)
    return of
