"""PESQ as a training loss: the hearing model of ITU-T P.862.2, differentiable, without its alignment in time.

    P = |X|² in 49 Bark bands, frames of 32 ms, speech at 79 dB
    L = c (P0 / 0.5)^γ ((0.5 + 0.5 P / P0)^γ - 1)          loudness; P0: threshold of hearing
    D = max(|L_est - L_ref| - min(L_est, L_ref) / 4, 0)    disturbance; small differences are masked
    d = |D|,  d_a = Σ_k D_k ((P_est + 50) / (P_ref + 50))^1.2 where that exceeds 3: added sound counts more
    score = 4.5 - 0.1 d - 0.0309 d_a,   MOS = 0.999 + 4 / (1 + exp(3.8224 - 1.3669 score))

Bark bands and thresholds follow formulas instead of the tables of the standard. A network may learn to please the
formula rather than listeners, so tables mark networks that were trained with it.

Sources: ITU-T P.862 (2001), sections 10.2 and 10.3, and P.862.2 (2007); as a loss: Martín-Doñas, Gómez, González and
Peinado 2018, "A deep learning loss function based on the perceptual evaluation of the speech quality"; thresholds:
Terhardt 1979, "Calculating virtual pitch"; Bark: Traunmüller 1990, "Analytical expressions for the tonotopic sensory
scale".
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

FRAME_S = 0.032
BEST = 4.64  # the score of a perfect estimate
N_FREQ = 257  # bins of 31.25 Hz, up to 8 kHz
# Bins in each band, from 0 Hz up.
BAND_BINS = [1] * 8 + [2] + [1] * 5 + [2, 1, 1] + [2] * 8 + [3] * 4
BAND_BINS += [4, 3, 4, 5, 4, 5, 6, 6, 7, 8, 9, 9, 12, 12, 15, 16, 18, 21, 25, 20]
SPEECH_BINS = slice(11, 104)  # 350 to 3250 Hz, where the level is measured
LEVEL = 1e7  # mean power of speech, on the standard's scale of 16-bit integers
SEGMENT = 20  # frames, in steps of 10: a syllable


def pesq_mos(est: Tensor, ref: Tensor, sr: int) -> Tensor:
    """PESQ-WB (MOS-LQO) as the model above predicts it: (B,), 1 to `BEST`.

    Args:
        est: (B, n_samples), aligned with ref; at least 336 ms.
        ref: (B, n_samples). If it is silent, the score has no meaning.
        sr: Hz, at least 16000.
    """
    with torch.autocast(est.device.type, enabled=False):
        ear = _ear(est.device)
        R, E = ear.equalized(ear.powers(ref.float(), sr), ear.powers(est.float(), sr))
        return 0.999 + 4 / (1 + torch.exp(3.8224 - 1.3669 * ear.score(R, E)))


class Ear:
    """Bark bands, the threshold of hearing and loudness: constants of the model."""

    def __init__(self, device: torch.device) -> None:
        bins = torch.tensor(BAND_BINS)
        edges = F.pad(bins.cumsum(0), (1, 0))
        band = torch.repeat_interleave(torch.arange(len(bins)), bins)
        bark = _bark(edges * 31.25)
        center, khz = (bark[1:] + bark[:-1]) / 2, (edges[1:] + edges[:-1]) / 2 * 0.03125
        threshold_db = 3.64 * khz**-0.8 - 6.5 * torch.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4 - 3.5
        self.width = bark.diff().clamp(min=0.1).to(device)
        density = 6.910853e-4 * self.width.cpu() / bins / self.width[:8].mean().cpu()
        self.split = F.pad(F.one_hot(band, len(bins)), (0, 0, 0, 1)) * density * _inlet()[:, None]
        self.split = self.split.to(device)  # (257, 49)
        self.threshold = (10 ** (threshold_db.clamp(max=77) / 10)).to(device)
        self.exponent = (0.23 * torch.where(center < 4, (6 / (center + 2)).clamp(1, 2) ** 0.15, 1.0)).to(device)

    def powers(self, x: Tensor, sr: int) -> Tensor:
        """x (B, n_samples) -> power in Bark bands (B, T, 49), with speech at the standard's level."""
        n = round(FRAME_S * sr)
        w = torch.hann_window(n, device=x.device)
        X = torch.stft(x, n, n // 2, window=w, center=False, return_complex=True)[:, :N_FREQ].mT
        power = (X.real.square() + X.imag.square()) * (512 / n) ** 2
        mean = power[..., SPEECH_BINS].sum(-1).mean(-1) / (512 * 0.375 * 256)
        bands: Tensor = (power * (LEVEL / (mean + 1e-9))[:, None, None]) @ self.split
        return bands + 1e-3

    def equalized(self, R: Tensor, E: Tensor) -> tuple[Tensor, Tensor]:
        """A constant difference of the spectra and slow changes of the level are forgiven: both (B, T, 49)."""
        loud = 100 * self.threshold
        active = _above(R, loud).sum(-1, keepdim=True) > 1e4
        of_est, of_ref = (1000 + (_above(P, loud) * active).sum(1, keepdim=True) for P in (E, R))
        R = R * (of_est / of_ref).clamp(0.01, 100)
        gain = (self.audible(R) + 5e3) / (self.audible(E) + 5e3)
        gain = torch.cat([gain[:, :1], 0.2 * gain[:, :-1] + 0.8 * gain[:, 1:]], 1).clamp(3e-4, 5)
        return R, E * gain[..., None]

    def audible(self, P: Tensor) -> Tensor:
        """Power of the bands above the threshold of hearing, (B, T)."""
        return _above(P, self.threshold).sum(-1)

    def loudness(self, P: Tensor) -> Tensor:
        """Zwicker's law, in sone per Bark; 0 below the threshold."""
        sone = (0.5 + 0.5 * P / self.threshold) ** self.exponent - 1
        return 0.1866055 * (self.threshold / 0.5) ** self.exponent * sone.clamp(min=0)

    def score(self, R: Tensor, E: Tensor) -> Tensor:
        """Disturbances of frames, then of the whole signal: (B,)."""
        of_ref, of_est = self.loudness(R), self.loudness(E)
        D = ((of_est - of_ref).abs() - 0.25 * torch.minimum(of_est, of_ref)).clamp(min=0) * self.width
        added = ((E + 50) / (R + 50)) ** 1.2
        added = torch.where(added < 3, 0.0, added.clamp(max=12))
        weight = ((self.audible(R) + 1e5) / 1e7) ** 0.04
        total = self.width.sum()
        symmetric = (D.square().sum(-1) / total + 1e-9).sqrt() * total / weight
        asymmetric = (D * added).sum(-1) / weight
        return 4.5 - 0.1 * _overall(symmetric) - 0.0309 * _overall(asymmetric)


def _above(power: Tensor, least: Tensor) -> Tensor:
    return torch.where(power > least, power, 0.0)


def _overall(d: Tensor) -> Tensor:
    """(B, T) -> (B,): the sixth power within a syllable, the second over all: bad moments count most."""
    segments = ((d.clamp(max=45) / 10).unfold(1, SEGMENT, SEGMENT // 2) ** 6).mean(-1)
    return 10 * ((segments + 1e-12) ** (1 / 3)).mean(1).sqrt()


def _bark(hz: Tensor) -> Tensor:
    return torch.where(hz < 170, 0.0098 * hz, 26.81 / (1 + 1960 / hz.clamp(min=1)) - 0.53)


def _inlet() -> Tensor:
    """|H|² of the filter through which P.862.2 listens, at each bin."""
    z = torch.exp(-1j * torch.pi * torch.arange(N_FREQ) / (N_FREQ - 1))
    H = (2.6657628 - 5.3315255 * z + 2.6657628 * z**2) / (1 - 1.8890331 * z + 0.89487434 * z**2)
    return H.abs().square().float()


@lru_cache(4)
def _ear(device: torch.device) -> Ear:
    return Ear(device)
