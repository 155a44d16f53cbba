"""The network of `undin.methods.mann`: |X| -> layer -> LSTM -> memory -> layer -> masks of speech and noise.

    u = relu(W f)                      f: |X| relative to a running level
    u = LSTM(u), then NTM(u)           or, for comparison, LSTM(LSTM(u)), or relu(W relu(W u))
    a = V relu(W u)                    one a_k per source k
    M_k = |a_k| / (|a_1| + |a_2| + 1e-6)

The masks sum to one, so that of speech says all; the noise is X - M X. It learns from whole crops, back through all of
their frames; at run time, the state is carried from the first frame to the last.

Source: Tsou and Chien 2017 (undin.methods.mann says more). Cost at its size: 18 M parameters.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.methods.mann import MANNConfig
from undin.spectrum import get_window
from undin.training.batch import Batch
from undin.training.losses import stoi as stoi_loss
from undin.training.nets.base import Network, State, Tables
from undin.training.nets.level import TINY, running_level

TINY_M = 1e-6
FLOOR = 1e-5  # power relative to the level that counts no more: missing bins look like quiet ones


class MANN(Network):
    """See the file; X (B, 2, T, F) and the state in, a real mask (B, 1, T, F) and the next state out."""

    config: MANNConfig
    mean: Tensor
    std: Tensor

    def __init__(self, config: MANNConfig) -> None:
        super().__init__(config)
        c = config
        self.n_freq = c.n_fft // 2 + 1
        self.n_level = c.frames(c.level_s)
        self.scale = 1 / math.sqrt(float((get_window(c.window, c.n_fft) ** 2).sum()))  # a signal of RMS 1: |X| near 1
        self.first = nn.Linear(c.context * self.n_freq, c.n_hidden)
        self.below = (Dense if c.layer == "dnn" else LSTM)(c.n_hidden, c.n_lstm)
        self.layer = make_layer(c.n_lstm, c)
        self.frames = 1 if isinstance(self.layer, NTM) else "any"  # at once in a graph: ONNX has no such cell
        self.last = nn.Linear(self.layer.n_out, c.n_hidden)
        self.heads = nn.Linear(c.n_hidden, 2 * self.n_freq)
        for linear in (self.first, self.last, self.heads):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.constant_(linear.bias, 0.1)
        self.register_buffer("mean", torch.zeros(self.n_freq))
        self.register_buffer("std", torch.ones(self.n_freq))

    def initial_state(self, batch: int) -> State:
        """State before the first frame: an empty memory."""
        shapes: dict[str, tuple[int, ...]] = {"level": (self.n_level - 1,)}
        if self.config.context > 1:
            shapes["context"] = (self.config.context - 1, self.n_freq)
        shapes |= {f"below_{name}": shape for name, shape in self.below.shapes.items()}
        shapes |= {f"layer_{name}": shape for name, shape in self.layer.shapes.items()}
        return {name: self.mean.new_zeros(batch, *shape) for name, shape in shapes.items()}

    def forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """Answer frames X (B, 2, T, F), frame t answering frame t - lookahead."""
        masks, _, new = self._masks(X, state)
        return masks[:, :1], new

    def _masks(self, X: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Masks of speech and noise (B, 2, T, F); attention of the heads (B, T, heads, n_rows); and the next state."""
        f, new = self._features(X, state)
        u, _, below = self.below(torch.relu(self.first(f)), _part(state, "below_"))
        u, looks, layer = self.layer(u, _part(state, "layer_"))
        a = self.heads(torch.relu(self.last(u))).abs()  # (B, T, 2 F)
        a = torch.stack(a.split(self.n_freq, -1), 1)
        new |= {f"below_{name}": s for name, s in below.items()}
        new |= {f"layer_{name}": s for name, s in layer.items()}
        return a / (a.sum(1, keepdim=True) + TINY_M), looks, new

    def _features(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """X -> (B, T, context F), and the state for the next frames."""
        n, new = self.config.context - 1, dict[str, Tensor]()
        f, new["level"] = self._relative(X, state["level"])
        f = (f - self.mean) / self.std
        if n:
            f = torch.cat([state["context"], f], 1)  # (B, n + T, F)
            new["context"] = f[:, f.shape[1] - n :]
            f = torch.cat([f[:, i : f.shape[1] - n + i] for i in range(n + 1)], -1)
        return f, new

    def _relative(self, X: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """|X| relative to the running level, compressed if configured, (B, T, F); and the next `past` of the level."""
        power = X.square().sum(1)
        level, past = running_level(power, past)
        return (power / level[..., None] + FLOOR) ** (0.5 if self.config.feature == "magnitude" else 0.15), past

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Half the squared error of both magnitudes, less what the other source's would be; at a noisy RMS of 1."""
        c, n = self.config, self.config.lookahead
        level = 1 / (batch.noisy.square().mean(-1).sqrt() + 1e-5)[:, None]
        X, S, V = (batch.spectrum(x, self.stft) * level[..., None, None] for x in ("noisy", "speech", "noise"))
        masks = self._masks(F.pad(X, (0, 0, 0, n)), self.initial_state(len(X)))[0][:, :, n:]
        p = torch.stack([self._powered(M[:, None] * X) for M in masks.unbind(1)], 1)  # (B, 2, T, F)
        y = torch.stack([self._powered(S), self._powered(V)], 1)
        own = (p - y).square().sum(1).mean()
        other = (p - y.flip(1)).square().sum(1).mean()
        error = (own - c.discriminative * other) / 2
        parts = {"loss": error, "magnitude": own.detach() / 2}
        if c.stoi:
            est = self.stft.inverse(masks[:, :1] * X, batch.noisy.shape[-1])
            parts["stoi"] = stoi_loss(est, batch.speech * level, batch.sr)
            parts["loss"] = error + c.stoi * parts["stoi"]
        return parts

    def _powered(self, X: Tensor) -> Tensor:
        """(B, 2, T, F) -> the magnitude (B, T, F), near 1 for a signal of RMS 1, to the power of the loss."""
        return (self.scale**2 * X.square().sum(1) + 1e-6) ** (self.config.loss_power / 2)

    def compile(self, *args: Any, **settings: Any) -> None:
        """Compile one frame of the memory, which is what takes long; all frames at once would take minutes to."""
        if isinstance(self.layer, NTM):
            self.layer.step = torch.compile(self.layer.step, *args, **settings)  # type: ignore[method-assign]

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Take mean and deviation of the compressed features, bin by bin; silent frames count for nothing."""
        if self.config.feature == "magnitude":
            return
        found = []
        for batch in batches:
            X = batch.spectrum("noisy", self.stft)
            f, _ = self._relative(X, self.initial_state(len(X))["level"])
            f = f[X.square().sum((1, 3)) > TINY].double()  # (n, F)
            found.append(torch.stack([f.sum(0), f.square().sum(0), torch.full_like(f[0], len(f))]))
        total, square, count = torch.stack(found).sum(0)
        mean = total / count.clamp(min=1)
        self.mean.copy_(mean)
        self.std.copy_((square / count.clamp(min=1) - mean.square()).clamp(min=1e-4).sqrt())

    @torch.no_grad()
    def tables(self, batch: Batch) -> Tables:
        """Attention of the heads in a batch, for plots: read and write, (B, heads, T, n_rows)."""
        if not isinstance(self.layer, NTM):
            return {}
        X = batch.spectrum("noisy", self.stft)
        looks = self._masks(X, self.initial_state(len(X)))[1].transpose(1, 2)
        return {"attention": {"read": looks[:, : self.config.n_read], "write": looks[:, self.config.n_read :]}}


class NTM(nn.Module):
    """A neural Turing machine: an LSTM that reads from a memory M (n_rows, n_width), and writes to it.

    Every head has a weight per row, w, which sums to one. In one frame:

        [i f o u] = W [x_t; h_{t-1}; r_{t-1}] + b                      the controller
        c_t = σ(f) c_{t-1} + σ(i) tanh(u),  h_t = σ(o) tanh(c_t)
        each head, linear in h_t:
          k = tanh(.)   β = softplus(.)   g = σ(.)   s = softmax(.)   γ = 1 + softplus(.)
          w_c(i) = softmax_i(β cos(k, M(i)))                           by content
          w_g = g w_c + (1 - g) w_{t-1}                                or as in the last frame
          w_s(i) = Σ_j w_g(i - j) s(j),  -shifts <= j <= shifts        turned by a few rows, around the end
          w_t(i) = w_s(i)^γ / Σ_l w_s(l)^γ                             sharpened
        r_t = Σ_i w_t(i) M_{t-1}(i)                                    read, before anything is written
        M_t(i) = M_{t-1}(i) Π_k (1 - w_k(i) e_k) + Σ_k w_k(i) a_k      erase e = σ(.), add a = tanh(.), heads k

    and [h_t; r_t] is the output. A state starts at zero: of M it holds the difference to the start, of w all.
    """

    def __init__(self, n_in: int, config: MANNConfig) -> None:
        super().__init__()
        c = self.config = config
        H, N, D = c.n_cell, c.n_rows, c.n_width
        n_heads = c.n_read + c.n_write
        self.n_out = H + (c.n_read * D if c.gives == "both" else 0)
        self.shapes = {"h": (H,), "c": (H,), "r": (c.n_read, D), "w": (n_heads, N), "memory": (N, D)}
        self.sizes = (D, 1, 1, 2 * c.shifts + 1, 1)  # of k, β, g, s and γ
        self.input = nn.Linear(n_in, 4 * H)
        self.recurrent = nn.Linear(H + c.n_read * D, 4 * H, bias=False)
        self.address = nn.Linear(H, n_heads * sum(self.sizes))
        self.write = nn.Linear(H, c.n_write * 2 * D)
        self.w_0 = nn.Parameter(F.pad(torch.full((n_heads, 1), 5.0), (0, N - 1)))
        M_0 = torch.full((N, D), 1e-6)
        self.M_0 = nn.Parameter(0.1 * torch.randn(N, D)) if c.start == "learned" else nn.Buffer(M_0)
        nn.init.xavier_uniform_(self.input.weight)
        nn.init.xavier_uniform_(self.recurrent.weight)
        with torch.no_grad():
            self.input.bias.zero_()[H : 2 * H] = 1.0  # the cell keeps its content, at first
            # Attention starts on one row and stays near it. Spread over all, it would write the same to all, and
            # identical rows are indistinguishable by content.
            bias = self.address.bias.zero_().view(n_heads, -1)
            bias[:, D], bias[:, D + 1], bias[:, D + 2 + c.shifts] = 3.0, -1.0, 1.0  # β, g, and s of no shift

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """x (B, T, n_in) -> (B, T, n_out), the weights of the heads (B, T, heads, n_rows), and the next state."""
        x = self.input(x)
        h, c, r = state["h"], state["c"], state["r"]
        w = state["w"]
        w = w + (1 - w.sum(-1, keepdim=True)) * torch.softmax(self.w_0, -1)  # w_0 at first, then 0 more
        M = state["memory"] + self.M_0
        outs, looks = [], []
        for x_t in x.unbind(1):
            h, c, r, w, M = self.step(x_t, h, c, r, w, M)
            outs.append(torch.cat([h, r.flatten(1)], -1) if self.config.gives == "both" else h)
            looks.append(w)
        new = {"h": h, "c": c, "r": r, "w": w, "memory": M - self.M_0}
        return torch.stack(outs, 1), torch.stack(looks, 1), new

    def step(self, x_t: Tensor, h: Tensor, c: Tensor, r: Tensor, w: Tensor, M: Tensor) -> tuple[Tensor, ...]:
        """One frame; W x_t + b (B, 4 H), and what the last one left.

        Args:
            x_t: W x_t + b, (B, 4 H).
            h, c: of the controller, (B, H).
            r, w: reads and weights of the heads.
            M: the memory.
        """
        i, f, o, u = (x_t + self.recurrent(torch.cat([h, r.flatten(1)], -1))).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(u)
        h = torch.sigmoid(o) * torch.tanh(c)
        w = self._look(h, w, M)
        r = w[:, : self.config.n_read] @ M  # (B, n_read, D)
        return h, c, r, w, self._written(h, w[:, self.config.n_read :], M)

    def _look(self, h: Tensor, w: Tensor, M: Tensor) -> Tensor:
        """Weights of all heads (B, heads, N), from those of the last frame."""
        S = self.config.shifts
        k, b, g, s, y = self.address(h).unflatten(-1, (w.shape[1], -1)).split(self.sizes, -1)  # (B, heads, .)
        k = torch.tanh(k)
        lengths = k.norm(dim=-1, keepdim=True) * M.norm(dim=-1)[:, None]  # (B, heads, N)
        content = torch.softmax(F.softplus(b) * (k @ M.transpose(1, 2)) / (lengths + TINY_M), -1)
        g, s = torch.sigmoid(g), torch.softmax(s, -1)
        w = g * content + (1 - g) * w
        w = torch.stack([w.roll(j, -1) * s[..., S + j, None] for j in range(-S, S + 1)]).sum(0)
        return torch.softmax((1 + F.softplus(y)) * (w + TINY_M).log(), -1)  # w^γ / Σ w^γ

    def _written(self, h: Tensor, w: Tensor, M: Tensor) -> Tensor:
        """The memory (B, N, D) after all heads have erased, then added; w (B, n_write, N)."""
        erase, add = self.write(h).unflatten(-1, (w.shape[1], -1)).chunk(2, -1)  # (B, n_write, D)
        for w_k, e_k in zip(w.unbind(1), torch.sigmoid(erase).unbind(1), strict=True):
            M = M * (1 - w_k[:, :, None] * e_k[:, None])
        return M + w.transpose(1, 2) @ torch.tanh(add)


class LSTM(nn.Module):
    """(B, T, n_in) -> (B, T, n_out)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.n_out, self.shapes = n_out, {"h": (n_out,), "c": (n_out,)}
        self.lstm = nn.LSTM(n_in, n_out, batch_first=True)
        with torch.no_grad():
            for name, p in self.lstm.named_parameters():
                if name.startswith("weight"):
                    nn.init.xavier_uniform_(p)
                else:
                    p.zero_()[n_out : 2 * n_out] = 0.5  # the sum of both is 1: the cell keeps its content, at first

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """As `NTM`, with nothing to look at."""
        out, (h, c) = self.lstm(x, (state["h"][None], state["c"][None]))
        return out, out[..., None, :0], {"h": h[0], "c": c[0]}


class Dense(nn.Module):
    """(B, T, n_in) -> (B, T, n_out), each frame by itself."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.n_out, self.shapes = n_out, dict[str, tuple[int, ...]]()
        self.linear = nn.Linear(n_in, n_out)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """As `NTM`, with nothing to look at and no state."""
        out = torch.relu(self.linear(x))
        return out, out[..., None, :0], {}


def make_layer(n_in: int, config: MANNConfig) -> NTM | LSTM | Dense:
    """What remembers, or does not; an "ntm" without memory is its controller."""
    if config.layer == "ntm" and config.n_rows:
        return NTM(n_in, config)
    return Dense(n_in, config.n_cell) if config.layer == "dnn" else LSTM(n_in, config.n_cell)


def _part(state: State, prefix: str) -> State:
    """Of a state, what one layer has put there."""
    return {name.removeprefix(prefix): s for name, s in state.items() if name.startswith(prefix)}
