"""x <-> X in torch: the transform of `undin.spectrum` with gradients, real and imaginary part as channels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undin.spectrum import Window, dual_window, get_window, n_frames_of


class Stft(nn.Module):
    """Short-time Fourier transform and its inverse, equal to `undin.spectrum.stft` and `istft`.

    Args:
        n_fft: samples a frame spans.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
    """

    w: Tensor
    s: Tensor

    def __init__(self, n_fft: int, hop_length: int, window: Window = "sqrt_hann") -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        w = get_window(window, n_fft)
        self.register_buffer("w", torch.tensor(w, dtype=torch.float32), persistent=False)
        self.register_buffer("s", torch.tensor(dual_window(w, hop_length), dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, n_samples) -> X (B, 2, T, F): real and imaginary part."""
        n_frames = n_frames_of(x.shape[-1], self.n_fft, self.hop_length)
        n_past = self.n_fft - self.hop_length
        x = F.pad(x, (n_past, n_frames * self.hop_length - x.shape[-1]))
        X = torch.fft.rfft(x.unfold(-1, self.n_fft, self.hop_length) * self.w)  # (B, T, F)
        return torch.stack([X.real, X.imag], 1)

    def inverse(self, Y: Tensor, length: int) -> Tensor:
        """Y (B, 2, T, F) -> y (B, length)."""
        n_shifts = -(-self.n_fft // self.hop_length)
        frames = torch.fft.irfft(torch.complex(Y[:, 0], Y[:, 1]), self.n_fft) * self.s  # (B, T, n_fft)
        frames = F.pad(frames, (0, n_shifts * self.hop_length - self.n_fft))
        parts = torch.split(frames, self.hop_length, -1)
        y = torch.stack([F.pad(part, (0, 0, i, n_shifts - 1 - i)) for i, part in enumerate(parts)]).sum(0)
        y = y.flatten(1)  # (B, (T + n_shifts - 1) * hop_length)
        return y[:, self.n_fft - self.hop_length :][:, :length]
