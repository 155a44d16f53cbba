"""What a network learns from: mixtures and what they are made of."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Mixtures of one rate and length.

    Attributes:
        noisy: (B, n_samples) float32, what the network hears.
        speech: (B, n_samples), what it shall give: the target.
        noise: (B, n_samples), the rest.
        sr: Hz.
    """

    noisy: Tensor
    speech: Tensor
    noise: Tensor
    sr: int

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        noisy, speech, noise = (x.to(device, non_blocking=True) for x in (self.noisy, self.speech, self.noise))
        return Batch(noisy, speech, noise, self.sr)

    def __len__(self) -> int:
        return len(self.noisy)
