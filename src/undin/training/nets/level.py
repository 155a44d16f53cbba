"""How loud it has been: a level that a network's features are relative to, so that loudness need not be learned."""

import torch
from torch import Tensor
from torch.nn import functional as F

TINY = 1e-20  # power under which a frame or a bin is digital silence


def running_level(power: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """Mean level of the last n frames, silent ones left out.

    The mean is of the square root of the amplitude, which keeps it from being that of the peaks.

    Args:
        power: (B, T, F), any T >= 1.
        past: (B, n - 1), state from the last call; zeros before the first.

    Returns:
        (B, T) power, 1 before the first sound; and the next `past`.
    """
    n_past = past.shape[1]
    root = torch.cat([past, _root(power)], 1)  # (B, n - 1 + T)
    return _mean(root, n_past + 1), root[:, root.shape[1] - n_past :]


def level_around(power: Tensor, n: int) -> Tensor:
    """The same mean over n frames before each and n after it: (B, T, F) -> (B, T)."""
    return _mean(_root(power), 2 * n + 1, n)


def running_mean(x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the last n values: (B, C, T), past (B, C, n - 1) -> (B, C, T) and the next `past`."""
    n_past = past.shape[2]
    x = torch.cat([past, x], 2)
    return F.avg_pool1d(x, n_past + 1, 1), x[..., x.shape[2] - n_past :]


def _root(power: Tensor) -> Tensor:
    """Square root of the amplitude, (B, T)."""
    return power.mean(-1).sqrt().sqrt()


def _mean(root: Tensor, n: int, padding: int = 0) -> Tensor:
    """Power from the mean of n values in a row that are not silence: (B, n - 1 + T - 2 padding) -> (B, T)."""
    both = torch.stack([root, (root > TINY**0.25).to(root.dtype)], 1)
    total, count = F.avg_pool1d(both, n, 1, padding).unbind(1)
    level = torch.where(count > 0, total / count.clamp(min=1e-6), torch.ones_like(total))
    return level.clamp(min=TINY**0.25) ** 4
