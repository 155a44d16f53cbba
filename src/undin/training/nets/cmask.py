"""The network of `undin.methods.cmask`: dilated convolutions -> LSTM -> dense layers -> a mask.

    u = X |X|^-0.7 [, |X|^0.3, cos and sin of the delta phase]   relative to a running level; phases are unchanged
    u = conv 1 x 7 (with a stride), conv 7 x 1           along frequency, then along time
    u = conv 5 x 5, spaced by 1, 2, 4, 8, 16 frames      1.3 s of past at the paper's size
    u = conv 1 x 1 to a few channels, positions side by side -> LSTM -> dense
    M = dense [and weight_t log |X|², bin by bin: `skip`]   real, complex or polar

Every convolution looks back only and keeps the frames it needs as state, so all of it streams; with look-ahead L the
answer to frame t - L is given at frame t. The bidirectional variant pads on both sides, runs its LSTM both ways and
needs the whole signal: `frames` says so.

Source: Wilson et al. 2018 (undin.methods.cmask says more). Batch normalization and the running level are ours.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.methods.cmask import CmaskConfig
from undin.training.batch import Batch
from undin.training.losses import compressed_spectral
from undin.training.nets.base import Network, State
from undin.training.nets.level import running_level

GUARD = 1e-6  # power, relative to the running level, under which a bin has no phase and no slope
N_MASK = {"real": 1, "complex": 2, "polar": 3}  # numbers per bin
N_SKIP = {"real": 1, "complex": 2, "polar": 1}  # and more of them with `skip`


class Cmask(Network):
    """See the file; X (B, 2, T, F) and the state in, a mask (B, 1 or 2, T, F) and the next state out."""

    config: CmaskConfig
    turn: Tensor  # of each bin's own frequency, backwards by a hop

    def __init__(self, config: CmaskConfig) -> None:
        super().__init__(config)
        c = config
        self.frames = "all" if c.bidirectional else "any"
        self.n_freq, self.n_out = c.n_fft // 2 + 1, N_MASK[c.mask] + c.skip * N_SKIP[c.mask]
        self.in_time, self.in_frequency = (c.delta_phase in (axis, "both") for axis in ("time", "frequency"))
        n_planes = 2 + c.magnitude + 2 * self.in_time + 2 * self.in_frequency
        n_positions = (self.n_freq - 1) // c.stride + 1
        shapes = [(1, c.width, 1), (c.width, 1, 1), *((c.kernel, c.kernel, d) for d in c.dilations)]
        convs = [
            Conv(c.channels if i else n_planes, c.channels, *shape, 1 if i else c.stride, c.bidirectional)
            for i, shape in enumerate(shapes)
        ]
        self.pasts = {f"conv_{i}": (c.channels, conv.n_past, n_positions) for i, conv in enumerate(convs) if i}
        self.convs = nn.ModuleList(convs)
        self.flat = Conv(c.channels, c.n_flat, 1, 1, 1, 1, c.bidirectional)
        self.lstm = nn.LSTM(
            c.n_flat * n_positions, c.n_lstm, c.lstm_layers, batch_first=True, bidirectional=c.bidirectional
        )
        self.hidden = nn.Linear(c.n_lstm * (1 + c.bidirectional), c.n_hidden)
        self.head = nn.Linear(c.n_hidden, self.n_out * self.n_freq)
        turn = torch.arange(self.n_freq) * (-2 * math.pi * c.hop_length / c.n_fft)
        self.register_buffer("turn", torch.stack([turn.cos(), turn.sin()])[None, :, None], persistent=False)

    def initial_state(self, batch: int) -> State:
        """Silence before the first frame, batch first; nothing where the whole signal is seen at once."""
        return {} if self.config.bidirectional else self._silence(batch)

    def _silence(self, batch: int) -> State:
        c = self.config
        shapes: dict[str, tuple[int, ...]] = {"level": (c.frames(c.level_s) - 1,)}
        shapes |= {"h": (c.lstm_layers, c.n_lstm), "c": (c.lstm_layers, c.n_lstm)}
        if self.in_time:
            shapes["last"] = (2, 1, self.n_freq)
        if c.skip and c.lookahead:
            shapes["delayed"] = (c.lookahead, self.n_freq)
        shapes |= {name: shape for name, shape in self.pasts.items() if shape[1]}
        return {name: torch.zeros(batch, *shape, device=self.turn.device) for name, shape in shapes.items()}

    def forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """Answer frames X (B, 2, T, F), frame t answering frame t - lookahead."""
        state = self._silence(X.shape[0]) if self.config.bidirectional else state
        u, own, new = self._planes(X, state)
        for i, conv in enumerate(self.convs):
            u, past = conv(u, state.get(f"conv_{i}"))  # (B, C, T, positions)
            if past is not None:
                new[f"conv_{i}"] = past
        u = self.flat(u, None)[0].transpose(1, 2).flatten(2)  # (B, T, n_flat positions)
        if self.config.bidirectional:
            u, new = self.lstm(u)[0], {}
        else:
            h, cell = (state[name].transpose(0, 1).to(u.dtype).contiguous() for name in ("h", "c"))
            u, (h, cell) = self.lstm(u, (h, cell))  # (B, T, n_lstm)
            new |= {"h": h.transpose(0, 1).float(), "c": cell.transpose(0, 1).float()}
        a = self.head(F.relu(self.hidden(u))).float()
        return self._mask(a.reshape(*a.shape[:2], self.n_out, self.n_freq).transpose(1, 2), own), new

    def _planes(self, X: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """X -> input planes (B, 2 to 7, T, F), log |X|² (B, T, F) of the answered frames, and the next state."""
        c = self.config
        new: State = {}
        level, new["level"] = running_level(X.square().sum(1), state["level"])  # (B, T)
        X = X / (level.sqrt() + 1e-6)[:, None, :, None]
        square = X.square().sum(1) + GUARD  # (B, T, F)
        planes = [X * square.pow((c.power - 1) / 2)[:, None]]
        if c.magnitude:
            planes.append(square.pow(c.power / 2)[:, None])
        if self.in_time:
            before = torch.cat([state["last"], X], 2)
            new["last"] = before[:, :, -1:]
            planes.append(unit(rotate(turned(X, before[:, :, :-1]), self.turn)))
        if self.in_frequency:  # a frame's center turns each bin by -pi from the one below
            delta = unit(-turned(X[..., 1:], X[..., :-1]))
            planes.append(torch.cat([torch.zeros_like(X[..., :1]), delta], -1))
        own = square.log()
        if c.skip and c.lookahead:
            own = torch.cat([state["delayed"], own], 1)
            own, new["delayed"] = own[:, : -c.lookahead], own[:, -c.lookahead :]
        return torch.cat(planes, 1), own, new

    def _mask(self, a: Tensor, own: Tensor) -> Tensor:
        """Output of the dense layers (B, n_out, T, F) -> the mask (B, 1 or 2, T, F)."""
        c = self.config
        of_own = (0.5 + a[:, -1:]) * own[:, None] if c.skip else 0.0
        if c.mask == "complex":
            parts = torch.tanh(a[:, :2])
            return parts * torch.sigmoid(a[:, 2:3] + of_own) if c.skip else parts
        gain = torch.sigmoid(a[:, :1] + of_own)
        if c.mask == "real":
            return gain
        # A unit phasor near (1, 0) at first, so that phases are unchanged before training.
        return gain * unit(torch.stack([2 + a[:, 1], a[:, 2]], 1))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Error of compressed magnitudes and spectra of the estimated signal, at a noisy RMS of 1.

        The masked spectrum is inconsistent: neighboring frames disagree, and overlap-add changes it.
        The loss uses the spectrum of the output signal, so that nothing is learned that cancels afterwards.
        """
        c, level = self.config, 1 / (batch.noisy.square().mean(-1, keepdim=True).sqrt() + 1e-5)
        est = self.enhance(batch.noisy, batch.spectrum("noisy", self.stft)) * level
        ref, S = batch.speech * level, batch.spectrum("speech", self.stft) * level[..., None, None]
        spectral = compressed_spectral(self.stft(est), S, c.power, c.complex_weight)
        power, error = ref.square().mean(-1), (ref - est).square().mean(-1)
        # The ratio saturates at 30 dB; without speech, the loss is the level of the output.
        snr_db = 10 * torch.log10((power + 1e-6) / (error + 1e-3 * power + 1e-6))
        snr_db = torch.where(power > 1e-4, snr_db, -10 * torch.log10(error + 1e-3)).mean()
        return {"loss": spectral - c.snr_weight * snr_db, "spectral": spectral, "snr_db": snr_db}


class Conv(nn.Module):
    """A convolution over time and frequency, normalized, rectified; looks back only unless both ways: (B, C, T, F)."""

    def __init__(self, n_in: int, n_out: int, time: int, width: int, dilation: int, stride: int, both: bool) -> None:
        super().__init__()
        self.n_past = 0 if both else (time - 1) * dilation
        padding = ((time // 2) * dilation if both else 0, width // 2)
        self.conv = nn.Conv2d(n_in, n_out, (time, width), (1, stride), padding, (dilation, 1), bias=False)
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, u: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """`past` is the n_past frames before u."""
        if past is not None:
            u = torch.cat([past.to(u.dtype), u], 2)
            past = u[:, :, u.shape[2] - self.n_past :].float()
        return F.relu(self.norm(self.conv(u))), past


def turned(X: Tensor, before: Tensor) -> Tensor:
    """X times the conjugate of `before`, (B, 2, T, F) each: its angle is that from `before` to X."""
    (a, b), (c, d) = X.unbind(1), before.unbind(1)
    return torch.stack([a * c + b * d, b * c - a * d], 1)


def rotate(X: Tensor, by: Tensor) -> Tensor:
    """X times `by`, complex, (B, 2, T, F) each."""
    (a, b), (c, d) = X.unbind(1), by.unbind(1)
    return torch.stack([a * c - b * d, a * d + b * c], 1)


def unit(X: Tensor) -> Tensor:
    """X (B, 2, T, F) brought to magnitude 1: cosine and sine of its angle; near 0 where X is."""
    return X / (X.square().sum(1, keepdim=True) + GUARD**2).sqrt()
