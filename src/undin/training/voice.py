"""Learning to recognize voices: what a network says of a talker in two mixtures must agree, and of two talkers differ.

    v = sum_t |Y_t| V_t, of unit length
    loss = -log softmax(v . v' / temperature), v' the same voice in another mixture, against other people's

Mixtures with returning talkers (`mixing.twice`) are needed: within one mixture the number of the output tells its
talkers apart and the room all others, so that nothing would be learned of the voices. Only a talker who speaks for
SPEECH_S seconds counts; the same person at another speed is neither the same voice nor another.

Source: the loss and its temperature: T. Chen, S. Kornblith, M. Norouzi and G. Hinton, "A simple framework for
contrastive learning of visual representations", ICML 2020, eq. 1 and table 5 (0.1 is best); the same scale, 10, starts
the angular prototypical loss of J. S. Chung et al., "In defence of metric learning for speaker recognition", 2020.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from undin.errors import InputError
from undin.mixing.examples import PERSON
from undin.training.batch import Batch
from undin.training.permutation import in_order

TEMPERATURE = 0.1
SPEECH_S = 1.0
RANGE_DB = 30.0  # below a talker's loudest step that counts as speech
NEVER = -1e4  # of a similarity: left out of a softmax


def voice_losses(V: Tensor, level: Tensor, order: Tensor, sources: Tensor, batch: Batch) -> dict[str, Tensor]:
    """The loss "voice"; and "voice_accuracy", the share of talkers who are found among all people of the batch.

    Without gradients, none of them where no talker returns.

    Args:
        V: (B, n_src, T', D), what the network says of its outputs.
        level: (B, n_src, T'), sum of the magnitudes of each output.
        order: (B, n_src), the output of each talker.
        sources: (B, n_src, n_samples), the talkers.
        batch: says how many Hz, and who the talkers are.

    Raises:
        InputError: in training, no talker of the batch returns.
    """
    who = batch.voices
    if who is None or len(torch.unique(who)) == who.numel():
        if torch.is_grad_enabled():
            raise InputError("a voice is learned from talkers who return: set mixing.twice = true and an even batch")
        return {}
    V, level = in_order(V.float(), order), in_order(level.detach().float(), order)
    v = F.normalize((level[:, :, None] @ V)[:, :, 0], dim=-1, eps=1e-6)  # (B, n_src, D)
    speaks = speak_enough(sources, V.shape[2], batch.sr)
    loss, accuracy = contrast(v, speaks, who)
    return {"voice": loss, "voice_accuracy": accuracy}


def speak_enough(sources: Tensor, n_steps: int, sr: int) -> Tensor:
    """Whether each talker of (B, n_src, n_samples) speaks for SPEECH_S, (B, n_src).

    Args:
        sources: (B, n_src, n_samples).
        n_steps: into which time is split.
        sr: Hz.
    """
    power = F.adaptive_avg_pool1d(sources.float().square(), n_steps)
    speech = power > power.amax(-1, keepdim=True).clamp(min=1e-10) * 10 ** (-RANGE_DB / 10)
    return speech.sum(-1) * (sources.shape[-1] / sr / n_steps) >= SPEECH_S


def contrast(v: Tensor, speaks: Tensor, who: Tensor) -> tuple[Tensor, Tensor]:
    """Normalized temperature-scaled cross entropy, the mean over all talkers who return; 0 without any.

    Args:
        v: (B, n_src, D) of unit length.
        speaks: (B, n_src), whether a talker counts.
        who: (B, n_src), the voices; see `undin.mixing.Mixture`.

    Returns:
        the loss; and the share of these talkers to whom, of all that they are compared with, they themselves are the
        most similar: by chance one in as many.
    """
    z, counts, who = v.flatten(0, 1), speaks.flatten(), who.flatten()
    other = counts & ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    same = (who[:, None] == who) & other
    found, returns = same.float().argmax(1), same.any(1) & counts
    allowed = ((who[:, None] // PERSON != who // PERSON) & other).scatter(1, found[:, None], True)
    similarity = (z @ z.T / TEMPERATURE).masked_fill(~allowed, NEVER)
    each, right = F.cross_entropy(similarity, found, reduction="none"), similarity.detach().argmax(1) == found
    n = returns.sum().clamp(min=1)
    return (each * returns).sum() / n, (right & returns).sum() / n
