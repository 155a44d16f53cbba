"""Training losses: functions of an estimate and its reference, differentiable everywhere.

They take signals (..., n_samples), or spectra (..., 2, T, F) from `undin.training.stft`. Each returns one number, the
mean over all leading axes, and has a finite gradient at silence.
"""

from functools import lru_cache

import torch
from torch import Tensor

from undin.training.stft import Stft

TINY = 1e-10  # power: 100 dB under full scale
SILENT = 1e-10  # a reference of less mean power is silence
FLOOR = 1e-6  # mean power of an estimate that is silent enough


def si_sdr(est: Tensor, ref: Tensor, ceiling_db: float = 60.0) -> Tensor:
    """Negative scale-invariant signal-to-distortion ratio in dB, of zero-mean signals.

    Where the reference is silent the ratio is undefined; there, the estimate's level in dB over -60 dB of full scale
    is to become small, 0 at the least.

    Args:
        est: (..., n_samples).
        ref: (..., n_samples).
        ceiling_db: the loss levels off here, so that a perfect estimate has a gradient.

    Source: Le Roux, Wisdom, Erdogan and Hershey 2019, "SDR: half-baked or well done?", eq. 3-5; the ceiling: Wisdom et
    al. 2020, "Unsupervised sound separation using mixture invariant training".
    """
    return -si_sdr_each(est, ref, ceiling_db).mean()


def si_sdr_each(est: Tensor, ref: Tensor, ceiling_db: float = 60.0) -> Tensor:
    """SI-SDR in dB of each signal, (...); see `si_sdr`.

    Args:
        est, ref: (..., n_samples).
        ceiling_db: most that a signal may score.
    """
    est, ref = (x.float() - x.float().mean(-1, keepdim=True) for x in (est, ref))
    power = ref.square().sum(-1, keepdim=True)
    silent = power[..., 0] <= SILENT * ref.shape[-1]
    # est = a ref + the rest, a = <est, ref> / <ref, ref>; the rest is distortion.
    target = (est * ref).sum(-1, keepdim=True) / power.clamp_min(SILENT) * ref
    of_target, of_rest = target.square().sum(-1), (est - target).square().sum(-1)
    limit = 10 ** (-ceiling_db / 10)
    ratio_db = 10 * torch.log10((of_target + TINY) / (of_rest + limit * of_target + TINY))
    level_db = 10 * torch.log10((est.square().mean(-1) + FLOOR) / FLOOR)
    return torch.where(silent, -level_db, ratio_db)


def compressed_spectral(est: Tensor, ref: Tensor, power: float = 0.3, complex_weight: float = 0.113) -> Tensor:
    """Squared error of compressed magnitudes, and of spectra of compressed magnitude with their phase.

    (|Y|^p - |S|^p)^2 + w |Y_p - S_p|^2 with Y_p = |Y|^p e^(j arg Y): the power brings quiet parts near to loud ones, as
    in ears.

    Args:
        est, ref: (..., 2, T, F).
        power: the exponent p.
        complex_weight: the factor w.

    Source: Wilson, Chinen, Thorpe, Patton, Hansen, Lyon and Hansen 2018, "Exploring tradeoffs in models for
    low-latency speech enhancement".
    """
    (Y, Y_magnitude), (S, S_magnitude) = _compressed(est, power), _compressed(ref, power)
    of_magnitude = (Y_magnitude - S_magnitude).square().mean()
    return of_magnitude + complex_weight * (Y - S).square().sum(-3).mean()


def stoi(est: Tensor, ref: Tensor, sr: int = 16000, *, extended: bool = False) -> Tensor:
    """1 less the short-time objective intelligibility, or nearly: frames of 32 ms every 16 ms, at any rate.

    Pauses, in which the reference is 40 dB below its loudest frame, are cut out, as in the metrics: without this a
    network learns to clean the pauses. STOI correlates the envelopes of third octaves over 384 ms; extended, what is
    correlated is the spectrum at each instant, once all envelopes are of one size.

    Args:
        est: (..., n_samples).
        ref: (..., n_samples).
        sr: Hz.
        extended: ESTOI instead of STOI.

    Source: Taal, Hendriks, Heusdens and Jensen 2011, eq. 1-6, and Jensen and Taal 2016, eq. 1-8 (undin.metrics.stoi).
    """
    hop_length, n = round(0.016 * sr), 24  # frames in 384 ms
    level = ref.float().square().mean(-1, keepdim=True).sqrt().clamp_min(1e-5)
    signals = torch.stack([est.float() / level, ref.float() / level]).reshape(-1, est.shape[-1])  # (2 B, n_samples)
    with torch.autocast(est.device.type, enabled=False):  # the product would lose digits
        power = _power(_stft(2 * hop_length, 2, est.device)(signals)) @ _third_octaves(2 * hop_length, sr, est.device)
    bands = power.sqrt()  # (2 B, T, 15)
    loud = bands[len(bands) // 2 :].square().sum(-1)  # (B, T)
    speaks = (loud > 1e-4 * loud.amax(-1, keepdim=True)) & (loud > 1e-6)
    order = torch.argsort(speaks.int(), dim=-1, descending=True, stable=True)  # frames that speak, then the others
    bands = bands.gather(1, order.repeat(2, 1)[..., None].expand_as(bands))
    n = min(n, bands.shape[1])
    hop = max(n // 4, 1)
    x, y = bands.unfold(1, n, hop).chunk(2)  # (B, segments, 15, n)
    whole = torch.arange(x.shape[1], device=est.device) * hop + n <= speaks.sum(-1, keepdim=True)  # all frames speak
    if extended:
        x, y = (_centered(_centered(v, -1), -2) for v in (x, y))
        correlation = (x * y).sum((-1, -2)) / n  # (B, segments)
    else:
        x = x * (y.norm(dim=-1, keepdim=True) / (x.norm(dim=-1, keepdim=True) + 1e-6))
        x = torch.minimum(x, (1 + 10 ** (15 / 20)) * y)  # no more than 15 dB above the reference
        correlation = (_centered(x, -1) * _centered(y, -1)).sum(-1).mean(-1)
    mean: Tensor = (correlation * whole).sum() / whole.sum().clamp(min=1)
    return 1 - mean


def _power(X: Tensor) -> Tensor:
    """(..., 2, T, F) -> (..., T, F), never quite 0: roots and logarithms have finite gradients."""
    return X.float().square().sum(-3) + TINY


def _compressed(X: Tensor, power: float) -> tuple[Tensor, Tensor]:
    """|X|^p e^(j arg X) = X |X|^(p - 1), (..., 2, T, F), and |X|^p, (..., T, F)."""
    squared = _power(X)
    return X.float() * squared.pow((power - 1) / 2).unsqueeze(-3), squared.pow(power / 2)


def _centered(x: Tensor, dim: int) -> Tensor:
    """Without its mean, and of length 1."""
    x = x - x.mean(dim, keepdim=True)
    return x / (x.square().sum(dim, keepdim=True) + 1e-5).sqrt()


@lru_cache(16)
def _stft(n_fft: int, overlap: int, device: torch.device) -> Stft:
    return Stft(n_fft, n_fft // overlap, "hann").to(device)


@lru_cache(16)
def _third_octaves(n_fft: int, sr: int, device: torch.device) -> Tensor:
    """(F, 15): the bins of each band from 150 Hz on."""
    f = torch.arange(n_fft // 2 + 1, device=device)[:, None] * (sr / n_fft)
    center = 150 * 2 ** (torch.arange(15, device=device) / 3)
    return ((f >= center * 2 ** (-1 / 6)) & (f < center * 2 ** (1 / 6))).float()
