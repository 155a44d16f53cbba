"""A network and examples of a few samples, and the command that trains them in a separate process.

python tone.py FOLDER '{"steps": 8, ...}': options as JSON; "slow" is how long each example takes, in seconds.
"""

import json
import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from undin.training.nets.base import Network

SR, N_SAMPLES = 4000, 800


@dataclass(frozen=True)
class ToneConfig:
    sr: int = SR
    n_fft: int = 64
    hop_length: int = 32
    window: str = "sqrt_hann"
    hidden: int = 8
    dropout: float = 0.25
    lookahead: int = 1
    helper: int = 0


class ToneNet(Network):
    """A GRU on magnitudes, with dropout and one frame of look-ahead."""

    training_only = ("helper.",)

    def __init__(self, config):
        super().__init__(config)
        n_freq = config.n_fft // 2 + 1
        self.gru = nn.GRU(n_freq, config.hidden, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.hidden, n_freq)
        self.register_buffer("mean", torch.zeros(n_freq))
        self.helper = nn.Linear(1, config.helper) if config.helper else None
        self.register_buffer("finished", torch.zeros(()))

    def initial_state(self, batch):
        return {"h": torch.zeros(batch, self.config.hidden)}

    def forward(self, X, state):
        magnitude = X.square().sum(1).add(1e-8).sqrt() - self.mean
        h, last = self.gru(magnitude, state["h"][None])
        return torch.sigmoid(self.out(self.dropout(h)))[:, None], {"h": last[0]}

    def loss(self, batch):
        from undin.training.losses import compressed_spectral, si_sdr

        est = self.enhance(batch.noisy)
        spectral = compressed_spectral(self.stft(est), self.stft(batch.speech))
        return {"loss": spectral, "si_sdr": si_sdr(est, batch.speech)}

    def calibrate(self, batches):
        self.mean.copy_(torch.stack([self.stft(b.noisy).square().sum(1).mean((0, 1)) for b in batches]).mean(0).sqrt())

    def finish(self, batches):
        self.finished.fill_(len(list(batches)))


class Tones:
    """A tone in noise, drawn from the seed and i; picklable."""

    sr, n_samples = SR, N_SAMPLES

    def __init__(self, seed=0, slow=0.0, nan_from=None):
        self.seed, self.slow, self.nan_from = seed, slow, nan_from

    def __getitem__(self, i):
        time.sleep(self.slow)
        rng = np.random.default_rng([self.seed, i])
        t = np.arange(N_SAMPLES) / SR
        speech = np.sin(2 * np.pi * rng.uniform(100, 1000) * t) * rng.uniform(0.05, 0.2)
        noisy = speech + 0.1 * rng.standard_normal(N_SAMPLES)
        if self.nan_from is not None and i >= self.nan_from:
            noisy[0] = np.nan
        return types.SimpleNamespace(noisy=noisy.astype(np.float32), speech=speech.astype(np.float32))


def register(put=dict.__setitem__):
    """Make "tone" a method that learns."""
    from undin import methods
    from undin.training import nets

    put(nets.NETS, "tone", ToneNet)
    put(methods.LEARNED, "tone", types.SimpleNamespace(Config=ToneConfig))


SMALL = {
    "steps": 12, "batch": 4, "lr": 1e-2, "valid_every": 5, "n_valid": 6, "log_every": 2, "n_calibrate": 2,
    "workers": 0, "threads": 1, "tensorboard": False, "devices": 1, "accelerator": "cpu",
}  # fmt: skip


def main():
    from undin.training.fit import fit
    from undin.training.options import Options

    register()
    settings = {**SMALL, **json.loads(sys.argv[2])}
    train = Tones(0, settings.pop("slow", 0.0))
    fit("tone", ToneConfig(), Options(**settings), train, Tones(1), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
