"""The networks of `undin.methods.talker_masks`: spectra -> trunk -> one mask for each talker.

    M = softmax, sigmoid or ReLU of W h            (B, n_src, T, F), real; Y_s = M_s X, with the phase of the mixture
                                                   with a `rest`, one more of what belongs to no talker: they sum to one

What is learned is one of three answers to "which output is which talker?", over one of five targets. With `objective`
"fixed" the answer is wrong half of the time whatever the network does: docs/talkers-trap.md.

Cost: 2 x BLSTM of 896 units and more in the papers; the shipped preset is far smaller.
"""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.errors import InputError
from undin.methods.talker_masks import MaskConfig
from undin.training.batch import Batch
from undin.training.nets.base import Network, State, Tables
from undin.training.nets.trunk import TO_DB, Layer, Trunk, active, clustering_loss, dominance, embed
from undin.training.permutation import cheapest, in_order
from undin.training.voice import voice_losses

LIMIT = 1e-3  # error that does not count any more, re the power of the talker
SILENCE = 1e-4  # the same where the talker is silent, re the power of the mixture
START = -3.0  # of the rest's logits: training from weights without it begins with little
SILENT = 1e-8  # power re that of the mixture under which a talker is silent


class TalkerMasks(Network):
    """See the file; subclasses define the layers."""

    config: MaskConfig
    training_only, shared, optional = ("embedding.",), ("trunk.",), ("describer.", "rest.")
    layer: Layer

    def __init__(self, config: MaskConfig) -> None:
        super().__init__(config)
        c = config
        self.n_src: int = c.talkers
        self.n_freq = c.n_fft // 2 + 1
        self.trunk = Trunk(c, self.layer)
        self.norm = nn.LayerNorm(c.width) if c.width else nn.Identity()
        self.head = nn.Linear(self.trunk.n_out, self.n_src * self.n_freq)
        self.embedding = nn.Linear(self.trunk.n_out, c.embedding * self.n_freq) if c.embedding else None
        self.rest = nn.Linear(self.trunk.n_out, self.n_freq) if c.rest else None
        if self.rest is not None:
            self.output = "shares"
            nn.init.constant_(self.rest.bias, START)
        self.voice = c.voice
        self.describer = Describer(self.trunk.n_out, c) if c.voice else None

    def initial_state(self, batch: int) -> State:
        """State before the first frame."""
        return self.trunk.initial_state(batch)

    def forward(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """X (B, 2, T, F) -> M (B, n_src [+ 1], T, F) and the state after it."""
        h, new = self.trunk(X, state)
        return self._masks(self.norm(h)), new

    def describe(self, X: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """The masks, what the voices sound like (B, n_src, T, D), and the state after it."""
        assert self.describer is not None
        h, new = self.trunk(X, state)
        h = self.norm(h)
        return self._masks(h), self.describer(h), new

    def _masks(self, h: Tensor) -> Tensor:
        o = self.head(h).float()
        o = o if self.rest is None else torch.cat([o, self.rest(h).float()], -1)
        o = o.reshape(*h.shape[:2], -1, self.n_freq).transpose(1, 2)
        if self.config.activation == "softmax":
            return torch.softmax(o, 1)
        return torch.sigmoid(o) if self.config.activation == "sigmoid" else torch.relu(o)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The objective over the target; "accuracy" and "chance" of `_accuracy`."""
        c = self.config
        batch, sources = talkers_of(batch, self.n_src, c.alone if self.training else 0.0)
        X = batch.spectrum("noisy", self.stft)
        h = self.norm(self.trunk(X, self.initial_state(len(X)))[0])
        M = self._masks(h)[:, : self.n_src]
        losses, order = self._mask_losses(M, X, sources, batch)
        if self.embedding is not None:
            V, D = embed(h, self.embedding, self.n_freq), dominance(batch.spectrum("sources", self.stft))
            losses |= {"masks": losses["loss"], "clustering": clustering_loss(V, D, active(X, c.active_db)[1])}
            losses["loss"] = torch.lerp(losses["masks"], losses["clustering"], c.cluster_weight)
        if self.describer is not None:
            level = (M.detach() * X.square().sum(1, keepdim=True).sqrt()).sum(-1)
            losses |= voice_losses(self.describer(h), level, order[:, 0], sources, batch)
            losses["loss"] = losses["loss"] + c.voice_weight * losses.get("voice", 0.0)
        return losses

    def _mask_losses(self, M: Tensor, X: Tensor, sources: Tensor, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """The objective over the target; and the order of the outputs, (B, segments, n_src)."""
        of_signal = self.config.target == "signal"
        if of_signal:
            loss, order = self._assign(self._signal_cost(M, X, sources, batch.noisy))
            if self.embedding is None:  # which knows nothing of bins
                return {"loss": loss}, order
        S = batch.spectrum("sources", self.stft)
        if not of_signal:
            level = X.square().mean((1, 2, 3)).clamp(min=1e-12).rsqrt()[:, None, None, None]
            loss, order = self._assign(self._bin_cost(M, X * level, S * level[..., None]))
        return {"loss": loss} | self._accuracy(M.detach(), X, S, order), order

    def _assign(self, cost: Tensor) -> tuple[Tensor, Tensor]:
        """Costs (B, segments, output, talker) -> their mean in the order asked for, and it: (B, segments, n_src)."""
        if self.config.objective != "fixed":
            least, order = cheapest(cost)
            return least.mean(), order
        order = torch.arange(self.n_src, device=cost.device).expand(cost.shape[:-1])
        return cost.diagonal(dim1=-2, dim2=-1).mean(), order

    def _signal_cost(self, M: Tensor, X: Tensor, s: Tensor, x: Tensor) -> Tensor:
        """Negative signal-to-noise ratio in dB, (B, 1, output, talker); of a silent talker the level of the output."""
        Y = M[:, :, None] * X[:, None]  # (B, n_src, 2, T, F)
        y = self.stft.inverse(Y.flatten(0, 1), s.shape[-1]).reshape(s.shape)
        power, mixture = s.square().mean(-1)[:, None], x.square().mean(-1)[:, None, None]
        error = (y[:, :, None] - s[:, None]).square().mean(-1)  # (B, output, talker)
        silent = power < SILENT * mixture
        base = torch.where(silent, mixture, power).clamp(min=1e-9)
        return (TO_DB * torch.log(error / base + torch.where(silent, SILENCE, LIMIT)))[:, None]

    def _bin_cost(self, M: Tensor, X: Tensor, S: Tensor) -> Tensor:
        """Mean squared error of each output for each talker's target, over segments: (B, segments, n_src, n_src)."""
        c = self.config
        is_active = active(X, c.active_db)[0][:, None]  # (B, 1, T, 1)
        magnitude, of_talkers = (Z.square().sum(-3).add(1e-12).sqrt() for Z in (X, S))  # (B, T, F), (B, n_src, T, F)
        if c.target == "ibm":
            targets = dominance(S)
        elif c.target == "irm":
            targets = of_talkers / of_talkers.sum(1, keepdim=True)
        elif c.target == "amplitude":
            targets = of_talkers
        else:
            targets = ((S * X[:, None]).sum(2) / magnitude[:, None]).clamp(min=0)
        outputs = M if c.target in ("ibm", "irm") else M * magnitude[:, None]
        error = (outputs[:, :, None] - targets[:, None]).square() * is_active[:, None]  # (B, output, talker, T, F)
        n = c.segment if c.objective == "pit" else X.shape[2]
        sums = [part.sum((-2, -1)) for part in torch.split(error, n, 3)]
        weights = [part.sum((-2, -1)) * self.n_freq for part in torch.split(is_active, n, 2)]  # (B, 1)
        return torch.stack(sums, 1) / torch.stack(weights, 1).clamp(min=1)[..., None]

    def _accuracy(self, M: Tensor, X: Tensor, S: Tensor, order: Tensor) -> dict[str, Tensor]:
        """Share of the bins of frames with speech that go to the talker who is loudest there.

        "chance" is that of giving all bins to one output: with fixed labels to any, else to the one that suits.
        """
        c, n = self.config, self.config.segment if self.config.objective == "pit" else X.shape[2]
        parts = [in_order(part, order[:, k]) for k, part in enumerate(torch.split(M, n, 2))]
        M, D, is_active = torch.cat(parts, 2), dominance(S), active(X, c.active_db)[0]
        right = ((M * D).amax(1) == M.amax(1)).to(M.dtype)
        of_each = torch.stack([part.sum((2, 3)) for part in torch.split(D * is_active[:, None], n, 2)])
        best = of_each.mean(-1) if c.objective == "fixed" else of_each.amax(-1)  # (segments, B)
        n_bins = (is_active.sum() * self.n_freq).clamp(min=1)
        return {"accuracy": (right * is_active).sum() / n_bins, "chance": best.sum() / n_bins}

    def source_masks(self, X: Tensor, output: Tensor) -> Tensor:
        """Real masks (B, n_src, T, F); the rest is shared equally."""
        M = output.float()
        return M if self.rest is None else M[:, :-1] + M[:, -1:] / self.n_src

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Mean and deviation of the features."""
        self.trunk.calibrate(batch.spectrum("noisy", self.stft) for batch in batches)

    def tables(self, batch: Batch) -> Tables:
        """Normalization of the features, (F,) each: file name -> array name -> array."""
        return {"scaler": {"mean": self.trunk.mean, "std": self.trunk.std}}


class Describer(nn.Module):
    """What each talker sounds like in a frame: h (B, T, n) -> (B, n_src, T, D)."""

    def __init__(self, n: int, config: MaskConfig) -> None:
        super().__init__()
        self.n_src = config.talkers
        self.hidden = nn.Linear(n, config.talkers * 2 * config.voice)
        self.head = nn.Linear(2 * config.voice, config.voice, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """A layer for each output, then one for all."""
        v = F.relu(self.hidden(h)).reshape(*h.shape[:2], self.n_src, -1)
        out: Tensor = self.head(v).float().transpose(1, 2)
        return out


class FFMask(TalkerMasks):
    """Frame by frame."""

    layer = "ff"


class LSTMMask(TalkerMasks):
    """Along time."""

    layer = "lstm"


class BLSTMMask(TalkerMasks):
    """Along time both ways: the graph takes all frames of a signal at once."""

    layer, frames = "blstm", "all"


def talkers_of(batch: Batch, n_src: int, alone: float) -> tuple[Batch, Tensor]:
    """The mixtures, of a share of them one talker alone; and their talkers (B, n_src, n_samples).

    Args:
        batch: of examples.
        n_src: number of talkers.
        alone: share of the mixtures that get one talker.
    """
    found = 1 if batch.sources is None else batch.sources.shape[1]
    if batch.sources is None or found != n_src:
        raise InputError(f"this network separates {n_src} talkers, but mixtures have {found}: set mixing.talkers")
    if not alone:
        return batch, batch.sources
    left = torch.rand(len(batch), 1, 1, device=batch.noisy.device) >= alone
    sources = torch.cat([batch.sources[:, :1], batch.sources[:, 1:] * left], 1)
    gone, spectra = (batch.sources - sources).sum(1), batch.spectra
    if spectra is not None:
        S = torch.cat([spectra[:, 2:3], spectra[:, 3:] * left[..., None, None]], 1)
        sums = spectra[:, :2] - (spectra[:, 2:] - S).sum(1, keepdim=True)
        spectra = torch.cat([sums, S], 1)
    noisy, speech = batch.noisy - gone, batch.speech - gone
    return replace(batch, noisy=noisy, speech=speech, sources=sources, spectra=spectra), sources
