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
        past: (B, n - 1), what the last call gave; zeros before the first.

    Returns:
        (B, T) power, 1 where nothing was heard yet; and the next `past`.
    """
    n_past = past.shape[1]
    root = torch.cat([past, power.mean(-1).sqrt().sqrt()], 1)  # (B, n - 1 + T)
    both = torch.stack([root, (root > TINY**0.25).to(root.dtype)], 1)
    total, count = F.avg_pool1d(both, n_past + 1, 1).unbind(1)
    level = torch.where(count > 0, total / count.clamp(min=1e-6), torch.ones_like(total))
    return level.clamp(min=TINY**0.25) ** 4, root[:, root.shape[1] - n_past :]
