"""Every network of NETS at small sizes, in each of its forms, and mixtures to train it on."""

from copy import deepcopy
from typing import Any

import torch

from undin.methods import LEARNED
from undin.training.batch import Batch
from undin.training.checkpoint import Loaded
from undin.training.nets import NETS
from undin.training.stft import Stft

FRAME = {"n_fft": 64, "hop_length": 32, "level_s": 0.1}
CMASK = {**FRAME, "n_fft": 50, "hop_length": 20, "channels": 4, "width": 5, "kernel": 3, "dilations": (1, 2)}
CMASK |= {"n_flat": 2, "n_lstm": 12, "n_hidden": 10}
DNN = {**FRAME, "n_hidden": 24, "nat_s": 0.01}
LULL = {**FRAME, "band_bins": (2, 2, 4, 8, 8, 8), "channels": 8, "scene": 12, "scene_channels": 2}
MANN = {**FRAME, "n_hidden": 20, "n_lstm": 12, "n_cell": 10, "n_rows": 5, "n_width": 6, "stoi": 0.5}
MASKS = {**FRAME, "n_hidden": 12, "n_layers": 2, "dropout": 0.0}
TWAIN = {**LULL, "blocks": 2, "scene": 6, "heads": 2, "embedding": 3, "voice": 4}
# A new network needs a line here, or it is tested at its default size.
SMALL: dict[str, list[dict[str, Any]]] = {
    "cmask": [
        CMASK,
        {**CMASK, "mask": "real", "stride": 3, "lstm_layers": 2, "delta_phase": "time", "width": 1},
        {**CMASK, "mask": "polar", "skip": True, "magnitude": True, "delta_phase": "both", "lookahead": 3},
        {**CMASK, "skip": True, "lookahead": 4, "dilations": ()},
        {**CMASK, "bidirectional": True, "delta_phase": "frequency", "skip": True},
    ],
    "dnn": [
        DNN,
        {**DNN, "nat": "first", "target": "magnitude", "gv": "bin", "n_bottleneck": 6, "skip": True},
        {**DNN, "nat": None, "target": "log", "gv": "pooled", "past": 2, "future": 0, "activation": "sigmoid"},
        {**DNN, "past": 0, "future": 0, "nat_frames": 1, "n_layers": 1, "feature": "log-magnitude"},
        {**DNN, "skip": True, "future": 2},
    ],
    "lull": [
        LULL,
        {**LULL, "kernel_frames": 1},
        {**LULL, "kernel_frames": 3, "blocks": 1, "level_hz": 4000.0},
        {**LULL, "separable": True},
        {**LULL, "clean_db": 10.0, "clean_s": 0.1},
    ],
    "hush": [{**LULL, "kernel_frames": 3}, {**LULL, "kernel_frames": 3, "clean_db": 10.0, "clean_s": 0.1}],
    "mann": [
        {**MANN, "n_read": 2, "n_write": 3, "shifts": 2, "start": "learned", "feature": "compressed"},
        {**MANN, "gives": "hidden", "shifts": 0, "context": 3, "discriminative": 0.05, "loss_power": 0.5},
        {**MANN, "n_rows": 0},
    ],
    "mann-lstm": [{**MANN, "context": 5}],
    "mann-dnn": [{**MANN, "feature": "compressed"}],
    "ff-mask": [MASKS, {**MASKS, "width": 8}],
    "lstm-mask": [MASKS, {**MASKS, "width": 8, "activation": "relu", "voice": 4}, {**MASKS, "rest": True}],
    "blstm-mask": [{**MASKS, "width": 8, "embedding": 3}, {**MASKS, "width": 8, "rest": True, "voice": 4}],
    "deep-clustering": [{**MASKS, "embedding": 3}],
    "twain": [
        TWAIN,
        {**TWAIN, "patch_frames": 3, "scene": 0, "voice": 0},
        {**TWAIN, "patch_frames": 1, "heads": 0, "causal": True},
        {**TWAIN, "patch_frames": 1, "heads": 0, "causal": True, "scene": 0, "embedding": 0},
    ],
    "toy": [{}, {"output": "mask complex"}, {"output": "spectrum", "lookahead": 0}],
}
CASES = [(name, settings) for name in NETS for settings in SMALL.get(name, [{}])]


MADE: dict[str, Loaded] = {}


def network(name: str, settings: dict[str, Any]) -> Loaded:
    """A network with nontrivial statistics, as after training: made once, of which each call gives a copy."""
    config = LEARNED[name].Config(**settings)
    key = f"{name} {config}"
    if key not in MADE:
        MADE[key] = made(name, config)
    torch.manual_seed(0)
    return deepcopy(MADE[key])


def made(name: str, config: Any) -> Loaded:
    torch.manual_seed(0)
    net = NETS[name](config)
    net.calibrate([batch_of(1 + hasattr(config, "talkers"), config.sr)])
    with torch.no_grad():
        for _ in range(3):  # for the norms
            net(torch.randn(2, 2, 20, config.n_fft // 2 + 1), net.initial_state(2))
    return Loaded(name, config, net.eval())


def spectra(n_frames: int, n_freq: int, batch: int = 2, seed: int = 1) -> torch.Tensor:
    """X (batch, 2, n_frames, n_freq): loud, then quiet, the first row with digital silence at its start."""
    X = torch.randn(batch, 2, n_frames, n_freq, generator=torch.Generator().manual_seed(seed))
    X[:, :, n_frames // 2 :] *= 0.1
    X[0, :, :3] = 0
    return X


def batch_of(
    n_src: int, sr: int, stft: Stft | None = None, speech: float = 1.0, noise: float = 1.0, seconds: float = 0.5
) -> Batch:
    """Three mixtures of one or several talkers that begin softly, and noise."""
    rng, n = torch.Generator().manual_seed(0), round(seconds * sr)
    sources = 0.1 * speech * torch.randn(3, n_src, n, generator=rng)
    sources[:, :, : n // 2] *= torch.rand(3, n_src, 1, generator=rng)
    rest = 0.05 * noise * torch.randn(3, n, generator=rng)
    signals = torch.cat([(sources.sum(1) + rest)[:, None], sources.sum(1)[:, None], sources], 1)
    made = None
    if stft is not None:
        signals = signals if n_src > 1 else signals[:, :2]
        X = stft(signals.flatten(0, 1))
        made = X.reshape(3, signals.shape[1], *X.shape[1:])
    voices = 1000 * torch.arange(n_src)[None] + 1000 * n_src * torch.tensor([0, 0, 1])[:, None]  # the first two return
    several = (sources, made, voices) if n_src > 1 else (None, made, None)
    return Batch(signals[:, 0], signals[:, 1], rest, sr, *several)
