"""What networks that separate talkers begin with: log spectra relative to a level, then layers that remember.

    f_t = (log |X_t|² - level - mean) / std      level: of the last seconds, or of the whole signal for "blstm", where
                                                 f is 0 in bins that are empty throughout
    h   = layers(f)                              "ff" frame by frame, "lstm" along time, "blstm" both ways

With `width` = 0 the layers are stacked; else layer l adds W_l layer_l(norm(u)) to a stream u of that width.
"""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.methods.talker_masks import TrunkConfig
from undin.training.nets.base import State
from undin.training.nets.level import TINY, running_level

Layer = Literal["ff", "lstm", "blstm"]
FLOOR = -14.0  # log power of the least that counts, 61 dB under the level


class Trunk(nn.Module):
    """X (B, 2, T, F) and the state in, features of frames (B, T, n_out) and the next state out."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: TrunkConfig, layer: Layer) -> None:
        super().__init__()
        c, self.config, self.layer = config, config, layer
        n_freq, ways = c.n_fft // 2 + 1, 2 if layer == "blstm" else 1
        self.register_buffer("mean", torch.zeros(n_freq))
        self.register_buffer("std", torch.ones(n_freq))
        self.n_out = c.width or ways * c.n_hidden
        self.inlet = nn.Linear(n_freq, c.width) if c.width else nn.Identity()
        sizes = [c.width or n_freq] + [self.n_out] * (c.n_layers - 1)
        self.layers = nn.ModuleList(_layer(layer, size, c.n_hidden) for size in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(c.width) if c.width else nn.Identity() for _ in sizes)
        self.outlets = nn.ModuleList(nn.Linear(ways * c.n_hidden, c.width) if c.width else nn.Identity() for _ in sizes)

    def initial_state(self, batch: int) -> State:
        """State before the first frame; "blstm" has none, since it processes the complete signal."""
        c = self.config
        if self.layer == "blstm":
            return {}
        shapes: dict[str, tuple[int, ...]] = {"level": (c.frames(c.level_s) - 1,)}
        if self.layer == "lstm":
            shapes |= dict.fromkeys(("h", "c"), (c.n_layers, c.n_hidden))
        return {name: self.mean.new_zeros(batch, *shape) for name, shape in shapes.items()}

    def forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """Any T >= 1."""
        f, new = self._spectrum(X, state)
        f_std = (f - self.mean) / self.std
        if self.layer == "blstm":  # empty bins, as above 4 kHz in a call, are unknown, not "silence"
            f_std = f_std * (f.amax(1, keepdim=True) > FLOOR).to(f.dtype)
        u = self.inlet(f_std)
        hidden = []
        for k, (layer, norm, outlet) in enumerate(zip(self.layers, self.norms, self.outlets, strict=True)):
            v = norm(u)
            if self.layer == "lstm":
                before = tuple(state[name][:, k][None].to(v.dtype).contiguous() for name in ("h", "c"))
                v, after = layer(v, before)
                hidden.append(after)
            else:
                v = layer(v)[0] if self.layer == "blstm" else torch.tanh(layer(v))
            v = outlet(F.dropout(v, self.config.dropout, self.training))
            u = u + v if self.config.width else v
        if hidden:
            new |= {name: torch.stack([x[i][0].float() for x in hidden], 1) for i, name in enumerate(("h", "c"))}
        return u, new

    def _spectrum(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """Log power (B, T, F) relative to the level, at least `FLOOR`."""
        power = X.square().sum(1)
        if self.layer == "blstm":
            root = power.mean(-1).sqrt().sqrt()
            sounds = (root > TINY**0.25).to(root.dtype)
            level = (root * sounds).sum(1, keepdim=True) / sounds.sum(1, keepdim=True).clamp(min=1)
            level, new = level.clamp(min=TINY**0.25) ** 4, dict[str, Tensor]()
        else:
            level, past = running_level(power, state["level"])
            new = {"level": past}
        f = power.clamp(min=TINY).log() - level.log()[..., None]
        return f.clamp(min=FLOOR), new

    @torch.no_grad()
    def calibrate(self, spectra: Iterable[Tensor]) -> None:
        """Take mean and deviation over spectra (B, 2, T, F), of each bin or of all together; silence is left out."""
        n, total, square = 0, torch.zeros(()), torch.zeros(())
        for X in spectra:
            f, _ = self._spectrum(X, self.initial_state(len(X)))
            f = f[X.square().sum((1, 3)) > TINY].double()  # (n, F)
            n, total, square = n + len(f), total + f.sum(0), square + f.square().sum(0)
        if not n:
            return
        mean, power = total / n, square / n
        if self.config.normalise == "global":
            mean, power = mean.mean().expand_as(mean), power.mean().expand_as(power)
        self.mean.copy_(mean)
        self.std.copy_((power - mean.square()).clamp(min=1e-4).sqrt())


def _layer(layer: Layer, n_in: int, n_hidden: int) -> nn.Module:
    if layer == "ff":
        return nn.Linear(n_in, n_hidden)
    return nn.LSTM(n_in, n_hidden, batch_first=True, bidirectional=layer == "blstm")


def active(X: Tensor, range_db: float) -> tuple[Tensor, Tensor]:
    """Frames (B, T, 1) and bins (B, T, F) of X (B, 2, T, F) within range_db of the loudest one: 1, else 0."""
    power = X.square().sum(1)
    frames, least = power.sum(-1, keepdim=True), 10 ** (-range_db / 10)
    loudest = power.amax((1, 2), keepdim=True).clamp(min=TINY)
    in_frames = frames > frames.amax(1, keepdim=True).clamp(min=TINY) * least
    return in_frames.to(X.dtype), (power > loudest * least).to(X.dtype)


def dominance(S: Tensor) -> Tensor:
    """The ideal binary mask: 1 for the loudest talker, else 0; S (B, n_src, 2, T, F) -> (B, n_src, T, F)."""
    power = S.square().sum(2)
    first = (power == power.amax(1, keepdim=True)).to(S.dtype)  # argmax takes ten times as long
    return first * (first.cumsum(1) == 1)


def clustering_loss(V: Tensor, Y: Tensor, weight: Tensor) -> Tensor:
    """|V V' - Y Y'|² over all pairs of bins, without the matrices of pairs.

    = |V' V|² - 2 |V' Y|² + |Y' Y|², of sizes K x K, K x n_src and n_src x n_src, over (sum of weights)².

    Args:
        V: (B, T, F, K) embeddings of unit norm.
        Y: (B, n_src, T, F), 1 for the loudest talker.
        weight: (B, T, F); 0 takes a bin out.

    Source: Hershey, Chen, Le Roux and Watanabe 2016, "Deep clustering", eq. 1-3.
    """
    w = weight.flatten(1)[..., None].sqrt()
    V, Y = V.float().flatten(1, 2) * w, Y.flatten(2).transpose(1, 2) * w  # (B, T F, K), (B, T F, n_src)
    V_t, Y_t = V.transpose(1, 2), Y.transpose(1, 2)
    parts = [(a @ b).square().sum((1, 2)) for a, b in ((V_t, V), (V_t, Y), (Y_t, Y))]
    pairs = weight.sum((1, 2)).clamp(min=1).square()
    return ((parts[0] - 2 * parts[1] + parts[2]) / pairs).mean()


def embed(h: Tensor, head: nn.Linear, n_freq: int) -> Tensor:
    """Embeddings of unit norm (B, T, F, K) of frames h (B, T, n): tanh, so that they point anywhere.

    Args:
        h: (B, T, n).
        head: n -> n_freq K.
        n_freq: number of bins.
    """
    v = torch.tanh(head(h).float()).reshape(*h.shape[:2], n_freq, -1)
    return F.normalize(v, dim=-1, eps=1e-6)


TO_DB = 10 / math.log(10)
