"""Learning to recognize voices: what a network says of a talker at two times must agree, and of two talkers differ.

    v = sum_t |Y_t| V_t, of unit length, over either half of what a talker says
    loss = -log softmax(v . v' / temperature), v' the other half, against both halves of all other people in the batch

Only a talker who speaks for SPEECH_S seconds counts. Where the batch knows that two talkers are one person, neither
agreement nor difference is asked for: speed changes make them two voices.

Source: the loss and its temperature: T. Chen, S. Kornblith, M. Norouzi and G. Hinton, "A simple framework for
contrastive learning of visual representations", ICML 2020, eq. 1 and table 5 (0.1 is best); the same scale, 10, starts
the angular prototypical loss of J. S. Chung et al., "In defence of metric learning for speaker recognition", 2020.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from undin.training.batch import Batch
from undin.training.permutation import in_order

TEMPERATURE = 0.1
SPEECH_S = 1.0
RANGE_DB = 30.0  # below a talker's loudest step that counts as speech
NEVER = -1e4  # of a similarity: left out of a softmax


def voice_losses(V: Tensor, level: Tensor, order: Tensor, sources: Tensor, batch: Batch) -> dict[str, Tensor]:
    """The loss "voice"; and "voice_accuracy", the share of mixtures whose two halves are matched right, 0.5 by chance.

    Args:
        V: (B, n_src, T', D), what the network says of its outputs.
        level: (B, n_src, T'), sum of the magnitudes of each output.
        order: (B, n_src), the output of each talker.
        sources: (B, n_src, n_samples), the talkers.
        batch: says how many Hz, and who the talkers are.
    """
    parts, speaks = halves(sources, V.shape[2], batch.sr)
    V, level = in_order(V.float(), order), in_order(level.detach().float(), order)
    v = F.normalize((parts * level[:, :, None]) @ V, dim=-1, eps=1e-6)  # (B, n_src, 2, D)
    return {"voice": contrast(v, speaks, batch.voices), "voice_accuracy": matched(v.detach(), speaks)}


def halves(sources: Tensor, n_steps: int, sr: int) -> tuple[Tensor, Tensor]:
    """Split time where a talker has said half of what he says.

    Args:
        sources: (B, n_src, n_samples).
        n_steps: T'.
        sr: Hz.

    Returns:
        (B, n_src, 2, T'), 1 for the steps of either half; and (B, n_src), whether the talker speaks enough.
    """
    power = F.adaptive_avg_pool1d(sources.float().square(), n_steps)
    speech = power > power.amax(-1, keepdim=True).clamp(min=1e-10) * 10 ** (-RANGE_DB / 10)
    said = speech.cumsum(-1)
    first = (2 * said <= said[..., -1:]).float()
    enough = said[..., -1] * (sources.shape[-1] / sr / n_steps) >= SPEECH_S
    return torch.stack([first, 1 - first], 2), enough


def contrast(v: Tensor, speaks: Tensor, voices: Tensor | None) -> Tensor:
    """Normalized temperature-scaled cross entropy, the mean over the halves of all who speak.

    Args:
        v: (B, n_src, 2, D) of unit length.
        speaks: (B, n_src), whether a talker counts.
        voices: (B, n_src), who they are, or None if they all differ.
    """
    n = speaks.numel()
    who = torch.arange(n, device=v.device) if voices is None else voices.flatten()
    z, counts = v.reshape(2 * n, -1), speaks.flatten().repeat_interleave(2)
    other = torch.arange(2 * n, device=v.device) ^ 1  # the same talker's other half
    who = who.repeat_interleave(2)
    allowed = (who[:, None] != who) & counts
    allowed[torch.arange(2 * n, device=v.device), other] = True
    similarity = (z @ z.T / TEMPERATURE).masked_fill(~allowed, NEVER)
    each = F.cross_entropy(similarity, other, reduction="none")
    return (each * counts).sum() / counts.sum().clamp(min=1)


def matched(v: Tensor, speaks: Tensor) -> Tensor:
    """Share of the first two talkers whose halves are matched right by their similarity.

    Args:
        v: (B, n_src, 2, D) of unit length.
        speaks: (B, n_src), whether a talker counts.
    """
    a, b = v[:, 0], v[:, 1]  # (B, 2, D)
    same, swapped = (a[:, 0] * a[:, 1] + b[:, 0] * b[:, 1]).sum(-1), (a[:, 0] * b[:, 1] + b[:, 0] * a[:, 1]).sum(-1)
    both = speaks[:, :2].all(1)
    share = ((same > swapped) & both).sum() / both.sum().clamp(min=1)
    return torch.where(both.any(), share, torch.full_like(share, 0.5))
