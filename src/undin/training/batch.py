"""Training batches: mixtures and their components."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from undin.training.stft import Stft

Signal = Literal["noisy", "speech", "noise", "sources"]


@dataclass(frozen=True)
class Batch:
    """Mixtures of one rate and length.

    Attributes:
        noisy: (B, n_samples) float32, the input of the network.
        speech: (B, n_samples), the target; of several talkers their sum.
        noise: (B, n_samples), the rest.
        sr: Hz.
        sources: (B, n_src, n_samples), the talkers one by one, where there are several; else None.
        spectra: (B, 2 [+ n_src], 2, T, F) of noisy, speech and sources, where they were made beforehand; else None.
        voices: (B, n_src) whole numbers, see `undin.mixing.mix.Mixture`, where talkers return; else None.
    """

    noisy: Tensor
    speech: Tensor
    noise: Tensor
    sr: int
    sources: Tensor | None = None
    spectra: Tensor | None = None
    voices: Tensor | None = None

    def spectrum(self, name: Signal, stft: Stft) -> Tensor:
        """X (B, 2, T, F) of a signal, or (B, n_src, 2, T, F) of the sources: as it was made beforehand, or made now.

        Args:
            name: of the signal.
            stft: the network's transform.
        """
        if self.spectra is not None:
            noisy, speech = self.spectra[:, 0], self.spectra[:, 1]
            if name == "noise":
                return noisy - speech
            return self.spectra[:, 2:] if name == "sources" else noisy if name == "noisy" else speech
        x = getattr(self, name)
        X: Tensor = stft(x.flatten(0, -2))
        return X.reshape(*x.shape[:-1], *X.shape[1:])

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        moved = {name: x.to(device, non_blocking=True) for name, x in vars(self).items() if isinstance(x, Tensor)}
        return replace(self, **moved)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.noisy)
