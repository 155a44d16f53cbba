"""The network of `undin.methods.lull` and `undin.methods.hush`: bands, memories for each and for all, a complex mask.

    X / level -> X |X|^-0.7 and |X|^0.3 -> bands (K = 32, each with its own matrix) -> (B, T, K, C)
      -> block: + conv over frames and bands, + GRU over time, the same for all bands
      -> scene: + GRU over time on all bands at once
      -> block -> a matrix per band -> M

Causal, without look-ahead, it is `lull`; with convolutions and memories both ways in time it is `hush`.

Narrow bands at low frequencies, where harmonics are resolved, wide ones above: the trunk has 32 positions
instead of 257. Nearly all of its work is in dense products, which processors execute near their peak. The scene takes a
tenth of it and removes clicks, steps and keys: a convolution over few bands cannot detect that all bands jump at once.

Sources of the ideas: band-wise matrices in and out: Luo and Yu 2023, "Music source separation with band-split RNN";
memory along time, shared by the bands: Le, Chen, Chen and Lu 2021, "DPCRN"; dense products for speed on processors:
Ahn et al. 2025, "FastEnhancer"; compressed spectra, in the loss too: Wilson et al. 2018, Braun and Tashev 2021.
"""

from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.methods.lull import LullConfig
from undin.training.batch import Batch
from undin.training.gru import GRU
from undin.training.losses import stoi
from undin.training.nets.base import Network, State
from undin.training.nets.level import TINY, level_around, running_level, running_mean
from undin.training.opinion import opinions
from undin.training.perceptual import BEST, pesq_mos

DNSMOS_OF = 4  # one example in so many is heard by DNSMOS, which takes as long as the network


class Lull(Network):
    """See the head of this file."""

    config: LullConfig
    slope: Tensor
    offset: Tensor
    least: Tensor

    def __init__(self, config: LullConfig) -> None:
        super().__init__(config)
        C = config.channels
        self.frames = "any" if config.causal else "all"
        self.split = BandSplit(config.band_bins, 3, C)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.scene = Scene(config)
        self.merge = BandMerge(config.band_bins, C, 2)
        upper = torch.arange(config.n_fft // 2 + 1) >= config.level_bins
        shape = {"slope": (1.0, config.upper_slope), "offset": (0.0, config.upper_offset)}
        shape["least"] = (0.0, 10 ** (-config.upper_limit_db / 20))
        for name, (below, above) in shape.items():
            self.register_buffer(name, torch.where(upper, above, below), persistent=False)

    def initial_state(self, batch: int) -> State:
        """Silence before the first frame; none if the entire signal is needed."""
        c, K = self.config, len(self.config.band_bins)
        if not c.causal:
            return {}
        state = {"scene": torch.zeros(batch, c.scene), "level": torch.zeros(batch, c.frames(c.level_s) - 1)}
        if c.passes_clean:
            state["balance"] = torch.zeros(batch, 2, c.frames(c.clean_s) - 1)
        for i in range(c.blocks):
            if c.kernel_frames > 1:
                state[f"frames_{i}"] = torch.zeros(batch, c.kernel_frames - 1, K, c.channels)
            state[f"memory_{i}"] = torch.zeros(batch, K, c.channels)
        return state

    def forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """X (B, 2, T, F), any T >= 1 -> M (B, 2, T, F) and the state after it."""
        new: State = {}
        power, level = X.square().sum(1), self._level(X, state, new)  # (B, T, F), (B, T)
        X = X / (level.sqrt() + 1e-6)[:, None, :, None]
        magnitude = (X.square().sum(1, keepdim=True) + 1e-10).sqrt()  # (B, 1, T, F)
        u = torch.cat([X * magnitude**-0.7, magnitude**0.3], 1)  # (B, 3, T, F)
        u = self.split(u.permute(0, 2, 3, 1))  # (B, T, K, C)
        for i, block in enumerate(self.blocks):
            u = block(u, state, new, str(i))
            if i == 0:
                u = self.scene(u, state, new)
        gain, u = self.merge(u).float().unbind(-1)  # (B, T, F) each
        # A gain of at most 1 and a turn by the angle whose half has the tangent u: near 1 and 0, what is clean passes.
        scale = torch.maximum(torch.sigmoid((4 * gain + 1) * self.slope - self.offset), self.least) / (1 + u * u)
        M = torch.stack([scale * (1 - u * u), scale * 2 * u], 1)
        return self._pass_clean(M, power, state, new) if self.config.passes_clean else M, new

    def _pass_clean(self, M: Tensor, power: Tensor, state: State, new: State) -> Tensor:
        """The mask, and 1 where the noise is weaker than the speech by clean_db and more; in between, a mean of both.

        Args:
            M: (B, 2, T, F).
            power: of X, (B, T, F).
            state: has balance (B, 2, clean_s - 1), if causal: powers that were kept and removed.
            new: takes the state after M.
        """
        c, one = self.config, M.new_tensor([1.0, 0.0])[:, None, None]
        balance = torch.stack([(power * gain.square().sum(1)).sum(-1) for gain in (M, one - M)], 1)  # (B, 2, T)
        if c.causal:
            balance, new["balance"] = running_mean(balance, state["balance"])
        else:
            n = c.frames(c.clean_s) // 2
            balance = F.avg_pool1d(balance, 2 * n + 1, 1, n)
        kept, removed = (10 * torch.log10(balance + TINY)).unbind(1)
        share = torch.sigmoid(kept - removed - c.clean_db)[:, None, :, None]
        return M + share * (one - M)

    def _level(self, X: Tensor, state: State, new: State) -> Tensor:
        """Power of the last seconds, or of those around each frame: (B, T)."""
        c, power = self.config, X[..., : self.config.level_bins].square().sum(1)
        if not c.causal:
            return level_around(power, c.frames(c.level_s))
        level, new["level"] = running_level(power, state["level"])
        return level

    def grow(self, source: Network) -> dict[str, Tensor] | None:
        """The weights of a narrower one, causal or not: at first, what is new is random but does not reach the mask.

        None where bands, blocks or kernels do not fit. The levels of a causal source and of one that is not still
        differ.
        """
        if not isinstance(source, Lull) or not _holds(self.config, source.config):
            return None
        weights, olds = self.state_dict(), source.state_dict()
        if all(olds[name].shape == new.shape for name, new in weights.items() if name in olds):
            return None
        ways, shift = 1 if source.config.causal else 2, _now(self.config) - _now(source.config)
        return {
            name: _grown(name, olds[name], new, ways, shift) if name in olds else new for name, new in weights.items()
        }

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Error of compressed spectra and of envelopes, less the signal-to-noise ratio in dB; all at a noisy RMS of 1.

        Source: of the spectral part: Braun and Tashev 2021, "A consolidated view of loss functions for supervised deep
        learning-based speech enhancement", eq. 7, on the spectrum of the estimated signal; of the envelopes: ESTOI, see
        `undin.training.losses.stoi`. With pesq_weight and dnsmos_weight, what PESQ and DNSMOS as
        `undin.training.perceptual` and `undin.training.opinion` predict them lack to their best scores is added; silent
        speech has no part in it.
        """
        c, level = self.config, 1 / (batch.noisy.square().mean(-1, keepdim=True).sqrt() + 1e-5)
        est, ref = self.enhance(batch.noisy, batch.spectrum("noisy", self.stft)) * level, batch.speech * level
        Y, Y_magnitude = self._compressed(self.stft(est.float()))
        S, S_magnitude = self._compressed(batch.spectrum("speech", self.stft) * level[..., None, None])
        magnitude = self._mean((Y_magnitude - S_magnitude).square().sum(1))
        phase = self._mean((Y - S).square().sum(1))
        spectral = (1 - c.complex_weight) * magnitude + c.complex_weight * phase
        power, error = ref.square().mean(-1), (ref - est).square().mean(-1)
        # The ratio saturates; without speech, the loss is the level of the output.
        snr_db = 10 * torch.log10((power + 1e-6) / (error + 10 ** (-c.most_snr_db / 10) * power + 1e-6))
        snr_db = torch.where(power > 1e-4, snr_db, -10 * torch.log10(error + 1e-3)).mean()
        envelope = stoi(est, ref, batch.sr, extended=True)
        parts = {"spectral": spectral, "snr_db": snr_db, "envelope": envelope}
        loss = spectral - c.snr_weight * snr_db + c.envelope_weight * envelope
        spoken = (power > 1e-4).float()
        if c.pesq_weight:
            parts["pesq"] = _mean_of(pesq_mos(est, ref, batch.sr), spoken)
            loss = loss + c.pesq_weight * (BEST - parts["pesq"])
        if c.dnsmos_weight:
            few = slice(None, None, DNSMOS_OF)
            parts["dnsmos"] = _mean_of(opinions(est[few], ref[few], batch.sr)[:, 2], spoken[few])
            loss = loss + c.dnsmos_weight * (5 - parts["dnsmos"])
        return {"loss": loss, **parts}

    def _mean(self, error: Tensor) -> Tensor:
        """Mean over bins up to level_hz, those above added with their weight: (B, T, F) -> ()."""
        n = self.config.level_bins
        return error[..., :n].mean() + self.config.upper_weight * error[..., n:].sum(-1).mean() / n

    def _compressed(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X |X|^(p - 1) (B, 2, T, F) and |X|^p (B, 1, T, F)."""
        p = self.config.power
        magnitude = (X.square().sum(1, keepdim=True) + 1e-6).sqrt()
        return X * magnitude ** (p - 1), magnitude**p


class BandSplit(nn.Module):
    """Every band's bins, times the band's own matrix: (B, T, F, n) -> (B, T, K, C)."""

    def __init__(self, band_bins: tuple[int, ...], n: int, C: int) -> None:
        super().__init__()
        self.runs = runs(band_bins)
        self.weights = nn.ParameterList(torch.randn(k, bins * n, C) / (bins * n) ** 0.5 for k, bins in self.runs)
        self.norm = Norm(C)

    def forward(self, u: Tensor) -> Tensor:
        """Bands of one width are multiplied together."""
        B, T, _, n = u.shape
        bands, start = [], 0
        for (k, bins), W in zip(self.runs, self.weights, strict=True):
            v = u[:, :, start : start + k * bins].reshape(B * T, k, bins * n).transpose(0, 1)
            bands.append(torch.bmm(v, W))  # (k, B T, C)
            start += k * bins
        v = torch.cat(bands).transpose(0, 1)  # (B T, K, C)
        out: Tensor = self.norm(v.reshape(B, T, v.shape[1], v.shape[2]))
        return out


class BandMerge(nn.Module):
    """Bands to bins: (B, T, K, C) -> (B, T, F, n); the bin at sr / 2 copies the one below."""

    def __init__(self, band_bins: tuple[int, ...], C: int, n: int) -> None:
        super().__init__()
        self.runs, self.n = runs(band_bins), n
        self.norm, self.hidden = Norm(C), nn.Linear(C, C)
        self.weights = nn.ParameterList(torch.randn(k, C, bins * n) * 0.3 / C**0.5 for k, bins in self.runs)
        self.biases = nn.ParameterList(torch.zeros(k, 1, bins * n) for k, bins in self.runs)

    def forward(self, u: Tensor) -> Tensor:
        """One shared layer, then the band's own."""
        B, T, K, C = u.shape
        v = F.relu(self.hidden(self.norm(u))).reshape(B * T, K, C).transpose(0, 1)  # (K, B T, C)
        out, first = [], 0
        for (k, bins), W, b in zip(self.runs, self.weights, self.biases, strict=True):
            w = torch.baddbmm(b, v[first : first + k], W)  # (k, B T, bins n)
            out.append(w.transpose(0, 1).reshape(B, T, k * bins, self.n))
            first += k
        return torch.cat([*out, out[-1][:, :, -1:]], 2)


class Block(nn.Module):
    """Look around, then remember: (B, T, K, C) -> the same."""

    def __init__(self, config: LullConfig) -> None:
        super().__init__()
        C, bands, frames = config.channels, config.kernel_bands, config.kernel_frames
        self.causal, ways = config.causal, 1 if config.causal else 2
        groups = C if config.separable else 1
        padding = (0 if config.causal else frames // 2, bands // 2)
        self.conv = nn.Conv2d(C, C, (frames, bands), padding=padding, bias=False, groups=groups)
        self.mix = nn.Linear(C, C, bias=False) if config.separable else nn.Identity()
        self.conv_norm = nn.BatchNorm2d(C)
        self.norm = Norm(C)
        self.gru = GRU(C, C, bidirectional=ways == 2)
        self.linear = nn.Linear(ways * C, C)

    def forward(self, u: Tensor, state: State, new: State, i: str) -> Tensor:
        """The states of a causal block are its last kernel_frames - 1 inputs and its memory.

        Args:
            u: (B, T, K, C).
            state: has frames_i (B, kernel_frames - 1, K, C) and memory_i (B, K, C), or neither.
            new: takes the states after u.
            i: the block's number.
        """
        B, T, K, C = u.shape
        v = u
        if f"frames_{i}" in state:
            v = torch.cat([state[f"frames_{i}"].to(u.dtype), u], 1)
            new[f"frames_{i}"] = v[:, T:].float()
        v = self.mix(self.conv(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        u = u + F.relu(self.conv_norm(v.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        v = self.norm(u).transpose(0, 1).reshape(T, B * K, C)
        past = state[f"memory_{i}"].reshape(1, B * K, C).to(v.dtype) if self.causal else None
        v, memory = self.gru(v, past)
        if self.causal:
            new[f"memory_{i}"] = memory.reshape(B, K, C).float()
        out: Tensor = u + self.linear(v).reshape(T, B, K, C).transpose(0, 1)
        return out


class Scene(nn.Module):
    """Remember what all bands do together: (B, T, K, C) -> the same."""

    def __init__(self, config: LullConfig) -> None:
        super().__init__()
        C, n = config.channels, config.scene_channels
        self.causal, ways = config.causal, 1 if config.causal else 2
        width = len(config.band_bins) * n
        self.squeeze = nn.Linear(C, n)
        self.gru = GRU(width, config.scene, bidirectional=ways == 2)
        self.spread, self.expand = nn.Linear(ways * config.scene, width), nn.Linear(n, C, bias=False)
        self.norm = Norm(C)

    def forward(self, u: Tensor, state: State, new: State) -> Tensor:
        """The state of a causal scene is its memory.

        Args:
            u: (B, T, K, C).
            state: has scene (B, scene), or not.
            new: takes the state after u.
        """
        B, T, K, _ = u.shape
        v = self.squeeze(u).reshape(B, T, -1).transpose(0, 1)  # (T, B, K n)
        v, memory = self.gru(v, state["scene"][None].to(v.dtype) if self.causal else None)
        if self.causal:
            new["scene"] = memory[0].float()
        v = self.spread(v).transpose(0, 1).reshape(B, T, K, -1)
        out: Tensor = u + self.norm(self.expand(v))
        return out


class Norm(nn.Module):
    """Batch normalization of the last axis: a scale and an offset per channel when it runs."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(C)

    def forward(self, u: Tensor) -> Tensor:
        """Any leading axes."""
        v: Tensor = self.norm(u.reshape(-1, u.shape[-1]))
        return v.reshape(u.shape)


def _holds(config: LullConfig, source: LullConfig) -> bool:
    """Whether a network of this config has room for one of that."""
    equal = "band_bins", "blocks", "scene_channels", "separable", "kernel_bands"
    same = all(getattr(config, name) == getattr(source, name) for name in equal)
    wider = config.channels >= source.channels and config.scene >= source.scene
    frames = 0 <= _now(config) - _now(source) <= config.kernel_frames - source.kernel_frames
    return same and wider and frames and (source.causal or not config.causal)


def _now(config: LullConfig) -> int:
    """Which frame of a convolution's kernel is the present."""
    return config.kernel_frames - 1 if config.causal else config.kernel_frames // 2


def _grown(name: str, old: Tensor, new: Tensor, ways: int, shift: int) -> Tensor:
    """One parameter: the old part at its place, zeros from new inputs to old outputs, all else as in `new`.

    Args:
        name: of the parameter.
        old: its values in the source.
        new: random values, at least as large.
        ways: directions of time in the source.
        shift: frames of a convolution's kernel before those of the source.
    """
    if not new.ndim:  # a count
        return old
    outputs = -1 if ".weights." in name else 0  # of BandSplit and BandMerge, or of a layer
    grown = new.clone()
    if ".gru." in name:  # the gates one below the other
        old, grown = (x.reshape(3, -1, *x.shape[1:]) for x in (old, grown))
        outputs = 1
    if name.endswith(("linear.weight", "spread.weight")):  # the memories of both directions side by side
        old, grown = (x.reshape(len(x), ways, -1) for x in (old, grown))
    grown.narrow(outputs, 0, old.shape[outputs]).zero_()
    place = [slice(size) for size in old.shape]
    if name.endswith("conv.weight"):
        place[2] = slice(shift, shift + old.shape[2])
    grown[tuple(place)] = old
    return grown.reshape(new.shape)


def _mean_of(x: Tensor, weight: Tensor) -> Tensor:
    return (x * weight).sum() / weight.sum().clamp(min=1)


def runs(band_bins: tuple[int, ...]) -> list[tuple[int, int]]:
    """(how many, of how many bins): neighbors of one width together."""
    return [(len(list(group)), bins) for bins, group in groupby(band_bins)]
