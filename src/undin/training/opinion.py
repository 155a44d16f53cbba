"""DNSMOS as a training loss: the published network, differentiable, with frozen weights.

    x at 16 kHz -> 161 learned filters and their quadrature in frames of 20 ms -> log power -> 7 convolutions, the
    maximum over time and frequency, 3 layers -> sig, bak, ovrl

A network may learn to please it rather than listeners, so tables mark networks that were trained with it.

Source: Reddy, Gopal and Cutler 2022, "DNSMOS P.835: A non-intrusive perceptual objective speech quality metric to
evaluate noise suppressors"; weights: the package speechmos.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from undin.errors import InputError, require_files
from undin.metrics.dnsmos import FIT, SR

FRAME, HOP = 320, 160
POOLED = (3, 4, 5)  # convolutions after which both axes are halved
TAPS = 24  # of the filter before decimation, per sample of the output, each way
LEVEL = 0.05  # RMS of speech that the network hears: -26 dB re full scale


def opinions(est: Tensor, ref: Tensor, sr: int) -> Tensor:
    """DNSMOS P.835 of signals with their speech at a common level: (B, 3), sig, bak and ovrl, about 1 to 5.

    Args:
        est: (B, n_samples), at least 0.2 s; shorter than the 9 s of the published windows, as its maxima are taken over
            what there is.
        ref: (B, n_samples), clean speech, for the level.
        sr: Hz, a multiple of 16000.

    Raises:
        InputError: another rate.
        MissingExtraError: speechmos is not installed.
    """
    if sr % SR:
        raise InputError(f"dnsmos_weight needs a sample rate that is a multiple of {SR}; got {sr}")
    level = LEVEL / (ref.float().square().mean(-1, keepdim=True).sqrt() + 1e-6)
    with torch.autocast(est.device.type, enabled=False):
        x = decimated(est.float() * level, sr // SR)
        filters, layers = _weights(est.device)
        X = x.unfold(-1, FRAME, HOP) @ filters  # (B, T, 2 * 161)
        real, imaginary = X.chunk(2, -1)
        power = real.square() + imaginary.square()
    v = power.clamp(min=1e-12).log10()[:, None]
    for i, (W, b) in enumerate(layers[:-3]):
        v = F.relu(F.conv2d(v.contiguous(memory_format=torch.channels_last), W, b, padding=1))
        v = F.max_pool2d(v, 2) if i in POOLED else v
    v = v.amax((2, 3)).float()
    with torch.autocast(est.device.type, enabled=False):
        for i, (W, b) in enumerate(layers[-3:]):
            v = v @ W + b
            v = F.relu(v) if i < 2 else v
        square, slope, offset = torch.tensor(FIT, device=v.device, dtype=v.dtype).T
        fitted: Tensor = (square * v + slope) * v + offset
        return fitted


def decimated(x: Tensor, factor: int) -> Tensor:
    """x (B, n_samples) at 1 / factor of its rate: (B, n_samples / factor)."""
    if factor == 1:
        return x
    n = TAPS * factor
    t = torch.arange(-n, n + 1, device=x.device) / factor
    h = torch.sinc(t * 0.95) * torch.hann_window(2 * n + 1, periodic=False, device=x.device) * 0.95 / factor
    y: Tensor = F.conv1d(x[:, None], h[None, None], stride=factor, padding=n)
    return y[:, 0]


@lru_cache(maxsize=2)
def _weights(device: torch.device) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """The filters, (FRAME, 2 * 161), and weight and bias of each convolution and layer in order."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(require_files("speechmos", extra="mos") / "dnsmos_models" / "sig_bak_ovr.onnx").graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}

    def found(node: onnx.NodeProto) -> list[Tensor]:
        return [torch.tensor(arrays[name], device=device) for name in node.input if name in arrays]

    convolutions = [found(node) for node in graph.node if node.op_type == "Conv"]
    filters = torch.cat([W[..., 0] for (W,) in (layer for layer in convolutions if len(layer) == 1)])
    layers = [(layer[0], layer[1]) for layer in convolutions if len(layer) == 2]
    products = [found(node)[0] for node in graph.node if node.op_type == "MatMul"]
    biases = [x for node in graph.node if node.op_type == "Add" for x in found(node)]
    return filters.T.contiguous(), [*layers, *zip(products, biases, strict=True)]
