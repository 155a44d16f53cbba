"""Means of weights: of the steps of one training, less noisy than any of them, and of several trainings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from undin.errors import InputError
from undin.training.checkpoint import Loaded, load_weights


class MeanWeights:
    """mean' = d mean + (1 - d) weights after each step, with d rising to `decay` so that the first weights fade.

    Args:
        net: whose weights; where it is computed.
        decay: d; 0 keeps no mean.
        past: the mean so far; the current weights when None.

    Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging", in its exponential form.
    """

    def __init__(self, net: nn.Module, decay: float, past: dict[str, Tensor] | None = None) -> None:
        self.net, self.decay = net, decay
        self.tensors: dict[str, Tensor] = {}
        if decay:
            mine = self._weights()
            self.tensors = {name: (past or mine)[name].detach().to(x.device, copy=True) for name, x in mine.items()}

    def _weights(self) -> dict[str, Tensor]:
        return {name: x.detach() for name, x in self.net.state_dict().items() if x.is_floating_point()}

    def follow(self, step: int) -> None:
        """Take in the weights after step 1, 2 ..."""
        if self.decay:
            part = 1 - min(self.decay, step / (step + 9))
            torch._foreach_lerp_(list(self.tensors.values()), list(self._weights().values()), part)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network in evaluation mode, with its mean weights where there are any."""
        mine = {name: x.clone() for name, x in self._weights().items()} if self.decay else {}
        self._put(self.tensors)
        self.net.eval()
        try:
            yield
        finally:
            self._put(mine)
            self.net.train()

    @torch.no_grad()
    def _put(self, tensors: dict[str, Tensor]) -> None:
        weights = self._weights()
        for name, x in tensors.items():
            weights[name].copy_(x)


def average(checkpoints: Sequence[Path]) -> Loaded:
    """The network with the mean of the weights of several trainings that began with the same ones.

    Args:
        checkpoints: one or more; the config is the first one's.

    Raises:
        InputError: as `load_weights`; their networks are of different kinds or sizes.

    Source: Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models".
    """
    first, *others = [load_weights(path) for path in checkpoints]
    for path, other in zip(checkpoints[1:], others, strict=True):
        if (first.name, _shapes(first)) != (other.name, _shapes(other)):
            raise InputError(
                f"{path} and {checkpoints[0]} must have the same network and size to be averaged; "
                f"got {other.name} and {first.name}: use runs that started from the same weights"
            )
    states = [loaded.net.state_dict() for loaded in (first, *others)]
    for name, x in states[0].items():
        if x.is_floating_point():
            x.copy_(torch.stack([state[name] for state in states]).mean(0))
    return first


def _shapes(loaded: Loaded) -> dict[str, torch.Size]:
    return {name: x.shape for name, x in loaded.net.state_dict().items()}
