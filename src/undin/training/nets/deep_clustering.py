"""The network of `undin.methods.deep_clustering`: spectra -> trunk -> K numbers of unit norm for every bin.

    V = tanh(W h) / |tanh(W h)|,    J = |V V' - Y Y'|² / n²    over the n bins that are not silent, Y the loudest talker

tanh lets embeddings point anywhere: the founding project's sigmoid kept them in one corner. Bins more than `active_db`
under the loudest have weight 0: without speech, no talker is the loudest.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from undin.methods.deep_clustering import ClusteringConfig, part_bins
from undin.training.batch import Batch
from undin.training.nets.base import Network, State, Tables
from undin.training.nets.talker_masks import talkers_of
from undin.training.nets.trunk import Trunk, active, clustering_loss, dominance, embed


class DeepClustering(Network):
    """X (B, 2, T, F), all frames of a signal, in; V (B, K, T, F) out."""

    config: ClusteringConfig
    output, frames, shared = "embedding", "all", ("trunk.",)

    def __init__(self, config: ClusteringConfig) -> None:
        super().__init__(config)
        c = config
        self.n_freq = c.n_fft // 2 + 1
        self.trunk = Trunk(c, "blstm")
        self.norm = nn.LayerNorm(c.width) if c.width else nn.Identity()
        self.head = nn.Linear(self.trunk.n_out, c.embedding * self.n_freq)

    def initial_state(self, batch: int) -> State:
        """None: it takes the whole signal."""
        return self.trunk.initial_state(batch)

    def forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """Embed every bin."""
        return self._embed(X).permute(0, 3, 1, 2), {}

    def _embed(self, X: Tensor) -> Tensor:
        return embed(self.norm(self.trunk(X, {})[0]), self.head, self.n_freq)  # (B, T, F, K)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """J, a mean over pairs of active bins: 0.5 where nothing was learned, 0 where all is."""
        c = self.config
        batch, _ = talkers_of(batch, c.talkers, c.alone if self.training else 0.0)
        X, S = batch.spectrum("noisy", self.stft), batch.spectrum("sources", self.stft)
        return {"loss": clustering_loss(self._embed(X), dominance(S), active(X, c.active_db)[1])}

    def source_masks(self, X: Tensor, output: Tensor) -> Tensor:
        """Cluster the embeddings V (B, K, T, F) -> binary masks (B, n_src, T, F)."""
        spectra = torch.complex(*X.float().unbind(1)).transpose(1, 2).cpu().numpy()
        points = output.float().permute(0, 3, 2, 1).cpu().numpy()
        M = np.stack([part_bins(*pair, self.config) for pair in zip(spectra, points, strict=True)])
        return torch.from_numpy(M).transpose(2, 3).to(X)

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Mean and deviation of the features."""
        self.trunk.calibrate(batch.spectrum("noisy", self.stft) for batch in batches)

    @torch.no_grad()
    def tables(self, batch: Batch) -> Tables:
        """Plots: normalization of the features; embeddings (n, K) of active bins and their loudest talker (n,)."""
        batch, _ = talkers_of(batch, self.config.talkers, 0.0)
        X, S = batch.spectrum("noisy", self.stft), batch.spectrum("sources", self.stft)
        is_active = active(X, self.config.active_db)[1] > 0
        embedding = {"V": self._embed(X)[is_active], "talker": dominance(S).argmax(1)[is_active]}
        return {"embedding": embedding, "scaler": {"mean": self.trunk.mean, "std": self.trunk.std}}
