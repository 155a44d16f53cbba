"""What a network learns from: mixtures and what they are made of."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Mixtures of one rate and length.

    Attributes:
        noisy: (B, n_samples) float32, what the network hears.
        speech: (B, n_samples), what it shall give: the target; of several talkers their sum.
        noise: (B, n_samples), the rest.
        sr: Hz.
        sources: (B, n_src, n_samples), the talkers one by one, where there are several; else None.
    """

    noisy: Tensor
    speech: Tensor
    noise: Tensor
    sr: int
    sources: Tensor | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        noisy, speech, noise = (x.to(device, non_blocking=True) for x in (self.noisy, self.speech, self.noise))
        sources = None if self.sources is None else self.sources.to(device, non_blocking=True)
        return Batch(noisy, speech, noise, self.sr, sources)

    def __len__(self) -> int:
        return len(self.noisy)
