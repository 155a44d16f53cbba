"""The contract of a network: members used by training, validation and export, and their defaults.

A network is one file in this folder, named after its method's file in `undin.methods`, and one line in `NETS`. It
subclasses `Network` and defines `forward` and `loss`; everything else has a default. docs/training.md has an example.
"""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.training.batch import Batch
from undin.training.stft import Stft

State = dict[str, Tensor]
Tables = dict[str, dict[str, Tensor]]


class Network(nn.Module):
    """A network that undin can train, validate, export and stream.

    Args:
        config: the method's frozen dataclass; has at least sr, n_fft, hop_length and window.

    Attributes:
        stft: the transform that config describes.
        output: what `forward` returns. "mask": one real gain (B, 1, T, F), a complex one (B, 2, T, F), or with n_src a
            real gain per source (B, n_src, T, F); "shares": gains of the sources and of the rest, which sum to one,
            real (B, n_src + 1, T, F), or complex (B, 2 (n_src + 1), T, F), real parts first; "spectrum": the estimate
            itself (B, 2, T, F); "embedding": a vector of unit norm per bin (B, K, T, F), for clustering.
        frames: number of frames T that `forward` accepts. "any"; 1 for a cell without an ONNX operator, which the
            runner loops over; "all" for a network that needs the entire signal and has no state.
        n_src: number of sources the masks separate; None for enhancement and for embeddings.
        voice: D, numbers in a description of a talker's voice; 0 for a network that does not describe voices.
        training_only: prefixes of parameters used in training only: not exported, and optional in initial weights.
        optional: prefixes of parameters that start fresh where initial weights lack them.
        shared: prefixes of parameters that a network can take from another network with the same `shared`.
    """

    config: Any
    output: Literal["mask", "shares", "spectrum", "embedding"] = "mask"
    frames: Literal["any", 1, "all"] = "any"
    n_src: int | None = None
    voice: int = 0
    training_only: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.stft = Stft(config.n_fft, config.hop_length, config.window)

    @property
    def lookahead(self) -> int:
        """Number of frames an answer waits for."""
        return int(getattr(self.config, "lookahead", 0))

    def initial_state(self, batch: int) -> State:
        """State before the first frame: tensors of zeros, batch first, on the network's device."""
        return {}

    def forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """Process the next frames.

        Args:
            X: (B, 2, T, F), real and imaginary part of the STFT, T >= 1.
            state: from `initial_state` or the previous call.

        Returns:
            the output (B, n, T, F), in which frame t answers frame t - lookahead; and the state with the same names.
        """
        raise NotImplementedError

    def grow(self, source: "Network") -> dict[str, Tensor] | None:
        """Weights with which this network computes what a smaller one does; None where it cannot start from it."""
        return None

    def describe(self, X: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """`forward`, and what the voice of each source sounds like; of networks whose `voice` is not 0.

        Args:
            X, state: as in `forward`.

        Returns:
            the output; V (B, n_src, T', D), where each of T' steps spans one or several frames; and the state. The mean
            of V over time, weighted by the magnitude of the source, points in the direction of the voice.
        """
        raise NotImplementedError

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars by name: "loss", which training minimizes, and any others, which are logged."""
        raise NotImplementedError

    def enhance(self, noisy: Tensor, X: Tensor | None = None) -> Tensor:
        """Enhance entire signals, as the exported graph does frame by frame.

        Args:
            noisy: (B, n_samples).
            X: its spectrum (B, 2, T, F), if already computed.

        Returns:
            est (B, n_samples), aligned with noisy.
        """
        X = self.stft(noisy) if X is None else X
        output, _ = self(F.pad(X, (0, 0, 0, self.lookahead)), _start(self, noisy))  # frame t answers t - lookahead
        output = output[:, :, self.lookahead :]
        Y = output if self.output == "spectrum" else multiply(output, X)
        est: Tensor = self.stft.inverse(Y.float(), noisy.shape[-1])
        return est

    def separate(self, noisy: Tensor) -> Tensor:
        """Separate entire signals, noisy (B, n_samples) -> est (B, n_src, n_samples)."""
        X = self.stft(noisy)
        Y = self.source_masks(X, self(X, _start(self, noisy))[0])[:, :, None] * X[:, None]  # (B, n_src, 2, T, F)
        est: Tensor = self.stft.inverse(Y.flatten(0, 1), noisy.shape[-1])
        return est.reshape(len(noisy), -1, noisy.shape[-1])

    def source_masks(self, X: Tensor, output: Tensor) -> Tensor:
        """Real masks (B, n_src, T, F) from the output for X (B, 2, T, F)."""
        return output.float()

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Set statistics of the data before the first step, from the first `options.n_calibrate` batches."""

    def finish(self, batches: Iterable[Batch]) -> None:
        """Adjust the best weights after the last step, from the same batches."""

    def tables(self, batch: Batch) -> Tables:
        """Arrays to look at after training: file name -> array name -> array; each file is saved as .npz."""
        return {}


def multiply(M: Tensor, X: Tensor) -> Tensor:
    """Apply a real (B, 1, T, F) or complex (B, 2, T, F) mask to X (B, 2, T, F)."""
    if M.shape[1] == 1:
        return M * X
    (a, b), (c, d) = M.unbind(1), X.unbind(1)
    return torch.stack([a * c - b * d, a * d + b * c], 1)


def _start(net: Network, x: Tensor) -> State:
    return {name: value.to(x.device) for name, value in net.initial_state(len(x)).items()}


__all__ = ["Network", "State", "Tables", "multiply"]
