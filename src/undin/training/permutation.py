"""Which output belongs to which talker: the order of the outputs that costs least."""

from itertools import permutations

import torch
from torch import Tensor


def cheapest(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Solve the order.

    Args:
        cost: (..., n_src, n_src), of output i for talker j at [..., i, j].

    Returns:
        (...) mean cost in the best order; and (..., n_src), the output of each talker.

    >>> cheapest(torch.tensor([[5.0, 1.0], [2.0, 5.0]]))
    (tensor(1.5000), tensor([1, 0]))
    """
    n_src = cost.shape[-1]
    orders = torch.tensor(list(permutations(range(n_src))), device=cost.device)  # (n_orders, n_src)
    totals = cost[..., orders, torch.arange(n_src, device=cost.device)].mean(-1)  # (..., n_orders)
    least, place = totals.min(-1)
    return least, orders[place]


def in_order(x: Tensor, order: Tensor) -> Tensor:
    """Outputs x (B, n_src, ...) in the order (B, n_src) of the talkers."""
    return torch.stack([row[places] for row, places in zip(x, order, strict=True)])
