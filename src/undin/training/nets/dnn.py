"""The network of `undin.methods.dnn`: stacked frames of log spectra -> three wide layers -> log spectra of the speech.

    f_t = log |X_t|² - level_t                          relative to a running level (level augmentation for free)
    z_t = noise estimate, from the past of X alone      noise-aware training
    h_1 = σ(W [f_{t-past} ... f_{t+future}] + V z_t)    a convolution over time: W moves along the frames
    h_l = σ(W_l h_{l-1})
    o   = W_o h [+ a f_t + b z_t, bin by bin: `skip`]   speech's and noise's log spectra, normalized like f

Then M = exp((o_speech - f) / 2) for the targets "log" and "magnitude", and for "ratio" S / (S + N), which is
sigmoid((o_speech - o_noise) / 2). Frame t is answered when frame t + future is there.

Source: Xu et al. 2015 (undin.methods.dnn says more). Cost: 14 M parameters and multiplications per frame at its size.
"""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.methods.dnn import DNNConfig
from undin.training.batch import Batch, Signal
from undin.training.nets.base import Network, State, Tables
from undin.training.nets.level import TINY, running_level

FLOOR = -14.0  # log power of the least that counts, 61 dB under the running level
GAIN_MAX = 2.0
BIG = 1e4


class DNN(Network):
    """See the file; X (B, 2, T, F) and the state in, a real mask (B, 1, T, F) and the next state out."""

    config: DNNConfig
    mean: Tensor
    std: Tensor
    noise_mean: Tensor
    noise_std: Tensor
    equaliser: Tensor

    def __init__(self, config: DNNConfig) -> None:
        super().__init__(config)
        c = config
        self.n_freq = c.n_fft // 2 + 1
        self.n_heads = 2 if c.target == "ratio" else 1
        self.n_level, self.n_minimum = c.frames(c.level_s), c.frames(c.nat_s)
        self.scale = 1.0 if c.feature == "log-power" else 0.5
        width = c.n_bottleneck or self.n_freq
        self.bottleneck = nn.Linear(self.n_freq, width, bias=False) if c.n_bottleneck else nn.Identity()
        self.context = nn.Conv1d(width, c.n_hidden, c.past + 1 + c.future)
        self.noise = nn.Linear(self.n_freq, c.n_hidden, bias=False) if c.nat else None
        self.hidden = nn.ModuleList(nn.Linear(c.n_hidden, c.n_hidden) for _ in range(c.n_layers - 1))
        self.head = nn.Linear(c.n_hidden, self.n_heads * self.n_freq)
        self.skip = nn.Parameter(_skip(self.n_heads, self.n_freq)) if c.skip else None
        self.activation = torch.relu if c.activation == "relu" else torch.sigmoid
        for name in ("mean", "noise_mean"):
            self.register_buffer(name, torch.zeros(self.n_freq))
        for name in ("std", "noise_std"):
            self.register_buffer(name, torch.ones(self.n_freq))
        self.register_buffer("equaliser", torch.ones(self.n_heads, self.n_freq))

    def initial_state(self, batch: int) -> State:
        """State before the first frame."""
        c, n_freq = self.config, self.n_freq
        shapes: dict[str, tuple[int, ...]] = {"level": (self.n_level - 1,)}
        if c.nat == "minimum":
            shapes["noise"] = (self.n_minimum + c.nat_frames - 2, n_freq)
        if c.nat == "first":
            shapes |= {"noise_sum": (n_freq,), "noise_count": (1,)}
        if c.past + c.future:
            shapes["context"] = (c.past + c.future, c.n_bottleneck or n_freq)
        if c.future and (c.skip or c.target != "ratio"):
            shapes["delayed"] = (c.future, n_freq)
        return {name: self.mean.new_zeros(batch, *shape) for name, shape in shapes.items()}

    def forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """Answer frames X (B, 2, T, F), frame t answering frame t - lookahead."""
        f, z, _, new = self._features(X, state)
        answered, delayed = self._delay(f, state)
        heads, context = self._heads(f, z, answered, state)
        o = heads * self.equaliser[:, None] * self.std + self.mean
        new |= {**delayed, **context}
        if self.config.target == "ratio":
            return torch.sigmoid((o[:, :1] - o[:, 1:]) / 2), new
        return torch.exp((o - answered[:, None]) / 2).clamp(max=GAIN_MAX), new

    def _delay(self, f: Tensor, state: State) -> tuple[Tensor, State]:
        """The frames (B, T, F) that are answered, and the state for the next call."""
        if "delayed" not in state:
            return f, {}
        f, n = torch.cat([state["delayed"], f], 1), self.config.future
        return f[:, :-n], {"delayed": f[:, -n:]}

    def _features(self, X: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor, State]:
        """X -> f (B, T, F), z (B, T, F), log level (B, T, 1) and the state for the next frames."""
        power = X.square().sum(1)  # (B, T, F)
        level, past = running_level(power, state["level"])
        level, new = level.log()[..., None], {"level": past}
        log_power = power.clamp(min=TINY).log() - math.log(TINY)  # 0 is digital silence, and frames before the start
        f = (log_power + math.log(TINY) - level).clamp(min=FLOOR)
        if self.config.nat is None:
            return f, f, level, new
        z, noise = self._follow(log_power, state) if self.config.nat == "minimum" else self._start(log_power, state)
        return f, (z + math.log(TINY) - level).clamp(min=FLOOR), level, {**new, **noise}

    def _follow(self, log_power: Tensor, state: State) -> tuple[Tensor, State]:
        """Minimum over nat_s of the mean over nat_frames; uses past frames only."""
        past = torch.cat([state["noise"], log_power], 1)[:, None]  # (B, 1, n_minimum + nat_frames - 2 + T, F)
        total, count = (F.avg_pool2d(x, (self.config.nat_frames, 1), 1) for x in (past, (past > 0).to(past.dtype)))
        mean = torch.where(count > 0, total / count.clamp(min=1e-6), torch.full_like(total, BIG))
        least = _minimum(mean[:, 0], self.n_minimum)
        n_keep = self.n_minimum + self.config.nat_frames - 2
        return torch.where(least < BIG, least, torch.zeros_like(least)), {"noise": past[:, 0, past.shape[2] - n_keep :]}

    def _start(self, log_power: Tensor, state: State) -> tuple[Tensor, State]:
        """Mean of the first nat_frames that are not silent, of those so far while there are fewer."""
        n = self.config.nat_frames
        sounds = (log_power.amax(-1, keepdim=True) > 0).to(log_power.dtype)  # (B, T, 1)
        count = state["noise_count"][:, None] + torch.cumsum(sounds, 1)
        total = state["noise_sum"][:, None] + torch.cumsum(log_power * sounds * (count <= n).to(log_power.dtype), 1)
        count = count.clamp(max=n + 1)
        return total / count.clamp(min=1, max=n), {"noise_sum": total[:, -1], "noise_count": count[:, -1]}

    def _heads(self, f: Tensor, z: Tensor, answered: Tensor, state: State) -> tuple[Tensor, State]:
        """The network proper -> (B, n_heads, T, F), with mean and variance normalized on both sides."""
        c = self.config
        h = self.scale * (f - self.mean) / self.std
        h = self.bottleneck(F.dropout(h, c.dropout_input, self.training))  # (B, T, width)
        new: State = {}
        if c.past + c.future:
            h = torch.cat([state["context"], h], 1)
            new["context"] = h[:, h.shape[1] - c.past - c.future :]
        h = self.context(h.transpose(1, 2)).transpose(1, 2)  # (B, T, n_hidden)
        if self.noise is not None:
            known = self.scale * (z - self.noise_mean) / self.noise_std
            h = h + self.noise(F.dropout(known, c.dropout_input, self.training))
        h = F.dropout(self.activation(h), c.dropout_hidden, self.training)
        for layer in self.hidden:
            h = F.dropout(self.activation(layer(h)), c.dropout_hidden, self.training)
        o = torch.stack(self.head(h).split(self.n_freq, -1), 1)
        if self.skip is not None:
            of_f, of_z = self.skip.unbind()  # (n_heads, 1, F)
            o = o + of_f * ((answered - self.mean) / self.std)[:, None]
            if self.noise is not None:
                o = o + of_z * ((z - self.mean) / self.std)[:, None]
        return o, new

    def _pass(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A batch from its first frame -> heads and log power (B, 1 or 2, T, F) of speech and noise, both aligned."""
        n = self.config.future
        X = F.pad(batch.spectrum("noisy", self.stft), (0, 0, 0, n))
        state = self.initial_state(len(X))
        f, z, level, _ = self._features(X, state)
        heads, _ = self._heads(f, z, self._delay(f, state)[0], state)
        parts: tuple[Signal, ...] = ("speech", "noise")
        power = torch.stack([batch.spectrum(x, self.stft).square().sum(1) for x in parts[: self.n_heads]], 1)
        log = power.clamp(min=TINY).log() - level[:, None, : power.shape[2]]
        return heads[:, :, n:], log

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Least squares of normalized log spectra, or least absolute error of magnitudes relative to the level."""
        heads, ref = self._pass(batch)
        if self.config.target == "log":
            return {"loss": F.mse_loss(heads, (ref.clamp(min=FLOOR) - self.mean) / self.std)}
        error = (torch.exp((heads * self.std + self.mean) / 2) - torch.exp(ref / 2)).abs().mean((0, 2, 3))
        parts = dict(zip(("speech_l1", "noise_l1"), error.detach(), strict=False))
        return {"loss": error.sum(), **parts}

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Take mean and deviation of f and z over noisy signals, bin by bin; silent frames count for nothing."""
        for mean, std, moments in zip(
            (self.mean, self.noise_mean), (self.std, self.noise_std), _moments(self._sounding(batches)), strict=True
        ):
            mean.copy_(moments[0])
            std.copy_(moments[1].sqrt().clamp(min=1e-2))

    def _sounding(self, batches: Iterable[Batch]) -> Iterator[Tensor]:
        for batch in batches:
            X = batch.spectrum("noisy", self.stft)
            f, z, _, _ = self._features(X, self.initial_state(len(X)))
            yield torch.stack([f, z])[:, X.square().sum((1, 3)) > TINY]  # (2, n, F)

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch]) -> None:
        """Equalize the global variance of the heads to that of the references (Xu et al., section III-B)."""
        self.equaliser.fill_(1)
        if self.config.gv is None:
            return
        pooled = self.config.gv == "pooled"

        def normalized() -> Iterator[Tensor]:
            for batch in batches:
                heads, ref = self._pass(batch)
                ref = (ref.clamp(min=FLOOR) - self.mean) / self.std
                yield torch.cat([heads, ref], 1).transpose(0, 1).flatten(1, 2)  # (2 n_heads, n, F)

        was, _ = self.training, self.eval()
        _, variance = _moments(normalized()).unbind(1)
        self.train(was)
        if pooled:
            variance = variance.mean(-1, keepdim=True)
        self.equaliser.copy_((variance[self.n_heads :] / variance[: self.n_heads].clamp(min=1e-8)).sqrt())

    @torch.no_grad()
    def tables(self, batch: Batch) -> Tables:
        """Inputs and targets of the network, for plots: file name -> array name -> array.

        features: x (n, past + 1 + future, F), normalized frames, the one that is asked for at `past`; noise (n, F),
        the noise estimate; y (n, n_heads, F), log power relative to the level. scaler: mean and std of both.
        """
        c = self.config
        X = batch.spectrum("noisy", self.stft)
        f, z, _, _ = self._features(X, self.initial_state(len(X)))
        f, z = self.scale * (f - self.mean) / self.std, self.scale * (z - self.noise_mean) / self.noise_std
        x = F.pad(f, (0, 0, c.past, c.future)).unfold(1, c.past + 1 + c.future, 1)  # (B, T, F, context)
        _, y = self._pass(batch)
        features = {
            "x": x.transpose(2, 3).flatten(0, 1),
            "noise": z.flatten(0, 1),
            "y": y.transpose(1, 2).flatten(0, 1),
        }
        scaler = {name: getattr(self, name) for name in ("mean", "std", "noise_mean", "noise_std")}
        return {"features": features, "scaler": scaler}


def _skip(n_heads: int, n_freq: int) -> Tensor:
    """(of f and z, n_heads, 1, F): initially, speech is the input and noise its estimate."""
    weights = torch.zeros(2, n_heads, 1, n_freq)
    weights[0, 0] = 1
    weights[1, 1:] = 1
    return weights


def _moments(values: Iterable[Tensor]) -> Tensor:
    """Mean and variance over the second axis of all (K, n, F) together -> (K, 2, F)."""
    n, total, square = 0, torch.zeros(()), torch.zeros(())
    for x in values:
        x = x.double()
        n, total, square = n + x.shape[1], total + x.sum(1), square + x.square().sum(1)
    mean = total / max(n, 1)
    return torch.stack([mean, (square / max(n, 1) - mean.square()).clamp(min=0)], 1).float()


def _minimum(x: Tensor, n: int) -> Tensor:
    """Minimum over n frames of x (B, T, F) -> (B, T - n + 1, F), by doubling: a pool of n would take n comparisons."""
    width = 1
    while width < n:
        shift = min(width, n - width)
        x = torch.minimum(x[:, : x.shape[1] - shift], x[:, shift:])
        width += shift
    return x
