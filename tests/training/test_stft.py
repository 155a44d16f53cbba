"""The transform in torch is the transform in numpy."""

import numpy as np
import pytest
import torch

from undin.spectrum import istft, stft
from undin.training.stft import Stft


@pytest.mark.parametrize("n_samples", [1, 511, 4000])
@pytest.mark.parametrize(
    ("n_fft", "hop_length", "window"), [(512, 256, "sqrt_hann"), (320, 160, "hann"), (100, 30, "hamming")]
)
def test_it_equals_the_numpy_transform_and_inverts(n_samples, n_fft, hop_length, window):
    x = np.random.default_rng(0).standard_normal((2, n_samples)).astype(np.float32)
    transform = Stft(n_fft, hop_length, window)
    X = transform(torch.from_numpy(x))
    ours = stft(x, n_fft, hop_length, window=window)  # (2, n_freq, n_frames)
    np.testing.assert_allclose(torch.complex(X[:, 0], X[:, 1]).mT.numpy(), ours, atol=2e-5)
    gain = np.random.default_rng(1).random(ours.shape).astype(np.float32)
    y = transform.inverse(X * torch.from_numpy(gain).mT[:, None], n_samples)
    theirs = istft(gain * ours, n_fft, hop_length, window=window, length=n_samples)
    np.testing.assert_allclose(y.numpy(), theirs, atol=1e-5)
    np.testing.assert_allclose(transform.inverse(X, n_samples).numpy(), x, atol=1e-5)


def test_gradients_flow_through_both_ways():
    x = torch.randn(2, 700, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    transform = Stft(128, 48).double()
    assert torch.autograd.gradcheck(lambda x: transform.inverse(transform(x) ** 2, 100), (x[:1, :100],))
