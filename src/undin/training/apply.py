"""A network on whole signals: noisy -> estimate, as the runner does it frame by frame."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.methods.deep_clustering import part_bins
from undin.training.stft import Stft


def apply_output(output: Tensor, X: Tensor, kind: str) -> Tensor:
    """Make the estimated spectrum of what a network gives.

    Args:
        output: (B, 1, T, F) real mask, (B, 2, T, F) complex mask, or (B, 2, T, F) spectrum.
        X: (B, 2, T, F) noisy spectrum, frames aligned with the output's.
        kind: "mask" or "spectrum".

    Returns:
        Y (B, 2, T, F).
    """
    if kind == "spectrum":
        return output
    if output.shape[1] == 1:
        return output * X
    (a, b), (c, d) = output.unbind(1), X.unbind(1)
    return torch.stack([a * c - b * d, a * d + b * c], 1)


def separate(net: nn.Module, config: Any, noisy: Tensor) -> Tensor:
    """Run a network that gives a real mask for each talker, or embeddings of bins to cluster, over whole signals.

    Args:
        net: takes and gives what `undin.training.nets` says.
        config: its config.
        noisy: (B, n_samples).

    Returns:
        est (B, n_src, n_samples).
    """
    stft = Stft(config.n_fft, config.hop_length, config.window).to(noisy.device)
    X = stft(noisy)
    output, _ = net(X, {name: value.to(noisy.device) for name, value in net.initial_state(len(noisy)).items()})  # type: ignore[operator]
    M = _clustered(output, X, config) if net.output == "embedding" else output.float()
    Y = M[:, :, None] * X[:, None]  # (B, n_src, 2, T, F)
    y: Tensor = stft.inverse(Y.flatten(0, 1), noisy.shape[-1])
    return y.reshape(len(noisy), -1, noisy.shape[-1])


def _clustered(V: Tensor, X: Tensor, config: Any) -> Tensor:
    """V (B, K, T, F) -> binary masks (B, n_src, T, F)."""
    spectra = torch.complex(*X.float().unbind(1)).transpose(1, 2).cpu().numpy()
    points = V.float().permute(0, 3, 2, 1).cpu().numpy()
    M = np.stack([part_bins(*pair, config) for pair in zip(spectra, points, strict=True)])
    return torch.from_numpy(M).transpose(2, 3).to(X)


def enhance(net: nn.Module, config: Any, noisy: Tensor, X: Tensor | None = None) -> Tensor:
    """Run a network over whole signals.

    Args:
        net: takes and gives what `undin.training.nets` says.
        config: its config: n_fft, hop_length, window, and lookahead where it has any.
        noisy: (B, n_samples).
        X: its spectrum (B, 2, T, F), where it is there already.

    Returns:
        est (B, n_samples), aligned with noisy.
    """
    stft = Stft(config.n_fft, config.hop_length, config.window).to(noisy.device)
    X, lookahead = stft(noisy) if X is None else X, int(getattr(config, "lookahead", 0))
    state = {name: value.to(noisy.device) for name, value in net.initial_state(len(noisy)).items()}  # type: ignore[operator]
    output, _ = net(F.pad(X, (0, 0, 0, lookahead)), state)  # frame t answers t - lookahead
    Y = apply_output(output[:, :, lookahead:], X, str(net.output))
    y: Tensor = stft.inverse(Y.float(), noisy.shape[-1])
    return y
