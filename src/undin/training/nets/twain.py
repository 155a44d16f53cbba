"""The network of `undin.methods.twain`: bands, then blocks that look along bands, time and the entire signal; masks.

    X / level -> X |X|^-0.7 and |X|^0.3 -> bands x patches of frames (own matrix each) -> (T, B, K, C)
      -> blocks:  + conv over neighboring bands
                  + GRU over time, shared by the bands; both ways unless causal
                  + scene: GRU over time on all bands at once
                  + attention over time, each head on all bands at once, to follow each talker over the signal
      -> a matrix per band -> n_src + 1 complex masks that sum to one
      -> a matrix per band -> what the voices sound like, the mean over bands by each talker's share of them

Narrow bands at low frequencies, where harmonics are resolved, wide ones above. A step of the trunk spans patch_frames
frames: half the steps pay for twice the channels, and larger products run nearer to a processor's peak.

Sources of the ideas: band-wise matrices: Luo and Yu 2023, "Music source separation with band-split RNN"; memories along
time and frequency and attention between frames: Wang et al. 2023, "TF-GridNet"; memory shared by the bands: Le, Chen,
Chen and Lu 2021, "DPCRN"; clustering and masks combined: Luo et al. 2017 (Chimera).
"""

from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.methods.twain import TwainConfig
from undin.training.batch import Batch
from undin.training.gru import GRU
from undin.training.nets.base import Network, State
from undin.training.nets.level import TINY, running_level
from undin.training.nets.talker_masks import talkers_of
from undin.training.nets.trunk import TO_DB, active, clustering_loss, dominance
from undin.training.permutation import cheapest
from undin.training.voice import voice_losses

SILENT = 1e-8  # power re that of the mixture below which a talker is silent
ACTIVE_DB = 40.0  # range below the loudest bin that counts for clustering
CLUSTER_HZ, CLUSTER_STEP = 4000.0, 2  # clustering sees bins up to here, of every second frame: it costs half as much


class Twain(Network):
    """See the head of this file."""

    config: TwainConfig
    output, training_only, optional = "shares", ("embedding.",), ("describer.",)

    def __init__(self, config: TwainConfig) -> None:
        super().__init__(config)
        c = config
        self.n_src: int = c.talkers
        self.frames = "any" if c.causal else "all"
        self.split = BandSplit(c)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.blocks))
        self.merge = BandMerge(c, 2 * (c.talkers + 1))
        self.embedding = BandMerge(c, c.embedding) if c.embedding else None
        self.voice = c.voice
        self.describer = Describer(c) if c.voice else None

    def initial_state(self, batch: int) -> State:
        """Silence before the first frame; none if the entire signal is needed."""
        c, K = self.config, len(self.config.band_bins)
        if not c.causal:
            return {}
        state = {"level": torch.zeros(batch, c.frames(c.level_s) - 1)}
        for i in range(c.blocks):
            state[f"memory_{i}"] = torch.zeros(batch, K, c.channels)
            if c.scene:
                state[f"scene_{i}"] = torch.zeros(batch, c.scene)
        return state

    def forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """X (B, 2, T, F) -> masks (B, 2 (n_src + 1), T, F), real parts first, and the state after it."""
        u, new = self._trunk(X, state)
        return self._masks(self.merge.features(u), X), new

    def describe(self, X: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """The masks, what the voices sound like (B, n_src, T / patch_frames, D), and the state after it."""
        assert self.describer is not None
        u, new = self._trunk(X, state)
        v = self.merge.features(u)
        M = self._masks(v, X)
        return M, self.describer(v, self._magnitudes(M, X))[0], new

    def _trunk(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """X (B, 2, T, F) -> steps (T / patch_frames, B, K, C)."""
        new: State = {}
        level = self._level(X, state, new)
        X = X / (level.sqrt() + 1e-6)[:, None, :, None]
        magnitude = (X.square().sum(1, keepdim=True) + 1e-10).sqrt()  # (B, 1, T, F)
        u = self.split(torch.cat([X * magnitude**-0.7, magnitude**0.3], 1))
        for i, block in enumerate(self.blocks):
            u, memory, scene = block(u, state.get(f"memory_{i}"), state.get(f"scene_{i}"))
            new |= {f"memory_{i}": memory} if self.config.causal else {}
            new |= {f"scene_{i}": scene} if self.config.causal and scene is not None else {}
        return u, new

    def _level(self, X: Tensor, state: State, new: State) -> Tensor:
        """Power of the last seconds, or of the entire signal without its silent frames: (B, T) or (B, 1)."""
        power = X.square().sum(1)
        if self.config.causal:
            level, new["level"] = running_level(power, state["level"])
            return level
        root = power.mean(-1).sqrt().sqrt()
        sounds = (root > TINY**0.25).to(root.dtype)
        mean = (root * sounds).sum(1, keepdim=True) / sounds.sum(1, keepdim=True).clamp(min=1)
        entire: Tensor = mean.clamp(min=TINY**0.25) ** 4
        return entire

    def _masks(self, v: Tensor, X: Tensor) -> Tensor:
        """Real parts p that sum to one; imaginary parts p (q - sum p q), which sum to zero and vanish where p does."""
        real, q = self.merge(v, X).float().chunk(2, 1)  # (B, n_src + 1, T, F) each
        p = torch.softmax(real, 1)
        imaginary = p * (q - (p * q).sum(1, keepdim=True))
        return torch.cat([p, imaginary], 1)

    def _magnitudes(self, M: Tensor, X: Tensor) -> Tensor:
        """Of the talkers' spectra, (B, n_src, T, F); the voices have no say in the masks."""
        real, imaginary = (part[:, :-1] for part in M.detach().chunk(2, 1))
        return ((real.square() + imaginary.square()) * X.square().sum(1, keepdim=True)).sqrt()

    def separate(self, noisy: Tensor) -> Tensor:
        """Separate entire signals with the rest shared between the talkers: (B, n_samples) -> (B, n_src, n_samples)."""
        X = self.stft(noisy)
        state = {name: x.to(noisy.device) for name, x in self.initial_state(len(noisy)).items()}
        y = self._signals(self(X, state)[0], X, noisy.shape[-1])
        return y[:, :-1] + y[:, -1:] / self.n_src

    def _signals(self, M: Tensor, X: Tensor, length: int) -> Tensor:
        """Talkers and the rest, (B, n_src + 1, length)."""
        (a, b), (c, d) = M.chunk(2, 1), X[:, :, None].unbind(1)
        Y = torch.stack([a * c - b * d, a * d + b * c], 2)  # (B, n_src + 1, 2, T, F)
        return self.stft.inverse(Y.flatten(0, 1), length).reshape(len(X), -1, length)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Negative signal-to-noise ratio of the talkers in dB, in the best order, and the embedding's clustering."""
        c = self.config
        batch, sources = talkers_of(batch, self.n_src, 0.0)
        X = batch.spectrum("noisy", self.stft)
        state = {name: x.to(X.device) for name, x in self.initial_state(len(X)).items()}
        u, _ = self._trunk(X, state)
        v = self.merge.features(u)
        M = self._masks(v, X)
        y = self._signals(M, X, sources.shape[-1])
        least, order = cheapest(self._cost(y[:, :-1], sources, batch.noisy))
        losses = {"loss": least.mean()}
        if self.describer is not None:
            V, level = self.describer(v, self._magnitudes(M, X))
            losses |= {"masks": losses["loss"], **voice_losses(V, level, order, sources, batch)}
            losses["loss"] = losses["loss"] + c.voice_weight * losses.get("voice", 0.0)
        if self.embedding is not None and self.training:
            losses |= {"masks": least.mean(), "clustering": self._clustering(u, X, batch)}
            losses["loss"] = losses["loss"] + c.cluster_weight * losses["clustering"]
        return losses

    def _cost(self, y: Tensor, s: Tensor, x: Tensor) -> Tensor:
        """Error of each output for each talker, (B, output, talker), in dB re the talker.

        It levels off limit_db below the talker. Of a silent talker it is the output's level re the mixture, which
        levels off at silence_db.
        """
        power, mixture = s.square().mean(-1)[:, None], x.square().mean(-1)[:, None, None]
        error = (y[:, :, None] - s[:, None]).square().mean(-1)
        silent = power < SILENT * mixture
        base = torch.where(silent, mixture, power).clamp(min=1e-9)
        least = torch.where(silent, 10 ** (-self.config.silence_db / 10), 10 ** (-self.config.limit_db / 10))
        return TO_DB * torch.log(error / base + least)

    def _clustering(self, u: Tensor, X: Tensor, batch: Batch) -> Tensor:
        """Of bins below CLUSTER_HZ in every second frame, against which talker is loudest."""
        assert self.embedding is not None
        c = self.config
        n = round(CLUSTER_HZ * c.n_fft / c.sr)
        V = self.embedding(self.embedding.features(u), X)[:, :, ::CLUSTER_STEP, :n]  # (B, K, T, F)
        V = F.normalize(torch.tanh(V.float()), dim=1, eps=1e-6).permute(0, 2, 3, 1)
        S = batch.spectrum("sources", self.stft)[..., ::CLUSTER_STEP, :n]
        X = X[:, :, ::CLUSTER_STEP, :n]
        loud = (S.square().sum(2) > 0).any(1)  # noise alone belongs to no talker
        return clustering_loss(V, dominance(S), active(X, ACTIVE_DB)[1] * loud)


class BandSplit(nn.Module):
    """Every band's bins in a patch of frames, times the band's own matrix: (B, n, T, F) -> (T / patch, B, K, C)."""

    def __init__(self, config: TwainConfig) -> None:
        super().__init__()
        C, self.runs, self.patch = config.channels, runs(config.band_bins), config.patch_frames
        sizes = [(k, bins, bins * 3 * self.patch) for k, bins in self.runs]
        self.weights = nn.ParameterList(torch.randn(k, size, C) / size**0.5 for k, _, size in sizes)
        self.norm = nn.LayerNorm(C)

    def forward(self, u: Tensor) -> Tensor:
        """Bands of one width are multiplied together; the last patch is filled with silence."""
        B, n = u.shape[:2]
        if self.patch > 1:  # onnxruntime drops an expansion to no frames, and so would add one
            u = torch.cat([u, torch.zeros_like(u[:, :, :1]).expand(-1, -1, self.patch - 1, -1)], 2)
        steps = [u[:, :, i :: self.patch] for i in range(self.patch)]
        steps = [x[:, :, : steps[-1].shape[2]] for x in steps]
        u = torch.stack(steps, -1).permute(2, 0, 3, 1, 4)  # (T, B, F, n, patch)
        T, bands, start = u.shape[0], [], 0
        for (k, bins), W in zip(self.runs, self.weights, strict=True):
            v = u[:, :, start : start + k * bins].reshape(T * B, k, bins * n * self.patch).transpose(0, 1)
            bands.append(torch.bmm(v, W))  # (k, T B, C)
            start += k * bins
        v = torch.cat(bands).transpose(0, 1)  # (T B, K, C)
        out: Tensor = self.norm(v.reshape(T, B, v.shape[1], v.shape[2]))
        return out


class BandMerge(nn.Module):
    """Bands to bins: features of (T / patch, B, K, C) -> (B, n, T, F); the bin at sr / 2 copies the one below."""

    def __init__(self, config: TwainConfig, n: int) -> None:
        super().__init__()
        C, self.runs, self.patch, self.n = config.channels, runs(config.band_bins), config.patch_frames, n
        sizes = [(k, bins * n * self.patch) for k, bins in self.runs]
        self.norm, self.hidden = nn.LayerNorm(C), nn.Linear(C, C)
        self.weights = nn.ParameterList(torch.randn(k, C, size) * 0.3 / C**0.5 for k, size in sizes)
        self.biases = nn.ParameterList(torch.zeros(k, 1, size) for k, size in sizes)

    def features(self, u: Tensor) -> Tensor:
        """A layer shared by the bands, (T, B, K, C) -> (K, T B, C)."""
        return F.relu(self.hidden(self.norm(u))).flatten(0, 1).transpose(0, 1)

    def forward(self, v: Tensor, X: Tensor) -> Tensor:
        """The band's own layer on features v (K, T B, C); X (B, 2, T, F) says how many frames there are."""
        B, T = X.shape[0], v.shape[1] // X.shape[0]
        out, first = [], 0
        for (k, bins), W, b in zip(self.runs, self.weights, self.biases, strict=True):
            w = torch.baddbmm(b, v[first : first + k], W)  # (k, T B, patch bins n)
            out.append(w.reshape(k, T, B, self.patch, bins, self.n).permute(2, 5, 1, 3, 0, 4).flatten(4))
            first += k
        y = torch.cat([*out, out[-1][..., -1:]], -1)  # (B, n, T, patch, F)
        return y.reshape(B, self.n, -1, y.shape[-1])[:, :, : X.shape[2]]


class Describer(nn.Module):
    """What each talker sounds like in a step: the mean over bands, by the talker's share of them."""

    def __init__(self, config: TwainConfig) -> None:
        super().__init__()
        C, self.runs, self.patch = config.channels, runs(config.band_bins), config.patch_frames
        self.weight = nn.Parameter(torch.randn(len(config.band_bins), C, config.voice) / C**0.5)

    def forward(self, v: Tensor, magnitude: Tensor) -> tuple[Tensor, Tensor]:
        """V (B, n_src, T / patch, D), and the talkers' levels, (B, n_src, T / patch).

        Args:
            v: the masks' features (K, T / patch B, C).
            magnitude: of the talkers' spectra, (B, n_src, T, F).
        """
        bands = self._bands(magnitude).transpose(1, 2)  # (B, T, n_src, K)
        B, T, _, K = bands.shape
        V = torch.bmm(v, self.weight).float().reshape(K, T, B, -1).permute(2, 1, 0, 3)  # (B, T, K, D)
        level = bands.sum(-1, keepdim=True)
        return (bands / (level + 1e-9) @ V).transpose(1, 2), level[..., 0].transpose(1, 2)

    def _bands(self, magnitude: Tensor) -> Tensor:
        """Sums over the bins and frames of each band and step: (B, n_src, T, F) -> (B, n_src, T / patch, K)."""
        bands, start = [], 0
        for k, bins in self.runs:
            v = magnitude[..., start : start + k * bins]
            bands.append(v.reshape(*v.shape[:3], k, bins).sum(-1))
            start += k * bins
        u = torch.cat(bands, -1)
        if self.patch > 1:
            u = torch.cat([u, torch.zeros_like(u[:, :, :1]).expand(-1, -1, self.patch - 1, -1)], 2)
        steps = [u[:, :, i :: self.patch] for i in range(self.patch)]
        return torch.stack([x[:, :, : steps[-1].shape[2]] for x in steps]).sum(0)


class Block(nn.Module):
    """Neighbors, each band's memory, the scene, attention: (T, B, K, C) -> the same."""

    def __init__(self, config: TwainConfig) -> None:
        super().__init__()
        c, C = config, config.channels
        ways = 1 if c.causal else 2
        self.conv_norm, self.conv = nn.LayerNorm(C), nn.Conv2d(C, C, (1, 3), padding=(0, 1))
        self.norm, self.linear = nn.LayerNorm(C), nn.Linear(ways * C, C)
        self.gru = GRU(C, C, bidirectional=ways == 2)
        self.scene = Scene(c) if c.scene else None
        self.attention = Attention(c) if c.heads else None

    def forward(self, u: Tensor, memory: Tensor | None, scene: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """The memory is (B, K, C), that of the scene (B, scene), both for causal use; None for silence before.

        Args:
            u: (T, B, K, C).
            memory: state of the recurrent layer, (B, K, C).
            scene: state of the scene, (B, scene).
        """
        T, B, K, C = u.shape
        v = self.conv(self.conv_norm(u).permute(0, 3, 1, 2))  # in memory this is (T, B, K, C) still
        u = u + F.relu(v).permute(0, 2, 3, 1)
        v = self.norm(u).reshape(T, B * K, C)
        v, h = self.gru(v, None if memory is None else memory.reshape(1, B * K, C).to(v.dtype))
        u = u + self.linear(v).reshape(T, B, K, C)
        if self.scene is not None:
            u, scene = self.scene(u, scene)
        if self.attention is not None:
            u = self.attention(u)
        return u, h.reshape(-1, K, C).float(), scene


class Scene(nn.Module):
    """What all bands do together over time: (T, B, K, C) -> the same."""

    def __init__(self, config: TwainConfig) -> None:
        super().__init__()
        C, n, ways = config.channels, config.scene_channels, 1 if config.causal else 2
        width = len(config.band_bins) * n
        self.norm, self.squeeze = nn.LayerNorm(C), nn.Linear(C, n)
        self.gru = GRU(width, config.scene, bidirectional=ways == 2)
        self.spread, self.expand = nn.Linear(ways * config.scene, width), nn.Linear(n, C)

    def forward(self, u: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor]:
        """The memory is (B, scene)."""
        T, B, K, _ = u.shape
        v = self.squeeze(self.norm(u)).reshape(T, B, -1)  # (T, B, K n)
        v, h = self.gru(v, None if memory is None else memory[None].to(v.dtype))
        v = F.relu(self.spread(v)).reshape(T, B, K, -1)
        return u + self.expand(v), h.flatten(0, 1).float()


class Attention(nn.Module):
    """Steps attend to steps, each head by all bands: (T, B, K, C) -> the same.

    Source: Wang et al. 2023, "TF-GridNet", cross-frame self-attention.
    """

    def __init__(self, config: TwainConfig) -> None:
        super().__init__()
        C, self.heads, self.n = config.channels, config.heads, config.head_channels
        self.norm = nn.LayerNorm(C)
        self.query, self.key = nn.Linear(C, self.heads * self.n), nn.Linear(C, self.heads * self.n)
        self.value, self.linear = nn.Linear(C, C), nn.Linear(C, C)

    def forward(self, u: Tensor) -> Tensor:
        """Softmax over all steps of the signal."""
        T, B, K, C = u.shape
        v = self.norm(u)
        Q, R, V = (self._headed(layer(v)) for layer in (self.query, self.key, self.value))  # (B, heads, T, K n)
        A = torch.softmax((Q @ R.transpose(-1, -2)).float() * (K * self.n) ** -0.5, -1).to(V.dtype)
        v = (A @ V).reshape(B, self.heads, T, K, -1).permute(2, 0, 3, 1, 4).reshape(T, B, K, C)
        out: Tensor = u + self.linear(v)
        return out

    def _headed(self, v: Tensor) -> Tensor:
        T, B, K, n = v.shape
        return v.reshape(T, B, K, self.heads, n // self.heads).permute(1, 3, 0, 2, 4).flatten(3)


def runs(band_bins: tuple[int, ...]) -> list[tuple[int, int]]:
    """(how many, of how many bins): neighbors of one width together."""
    return [(len(list(group)), bins) for bins, group in groupby(band_bins)]
