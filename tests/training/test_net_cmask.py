"""The network of cmask: its masks, its delta phase, its loss; the rest is in test_nets_contract."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from undin.errors import InputError
from undin.methods.cmask import CmaskConfig
from undin.spectrum import stft
from undin.training.batch import Batch
from undin.training.losses import compressed_spectral
from undin.training.nets.base import multiply
from undin.training.nets.cmask import Cmask

SMALL = CmaskConfig(
    n_fft=50, hop_length=20, channels=4, width=5, kernel=3, dilations=(1, 2), n_flat=2, n_lstm=12, n_hidden=10
)


def make(config: CmaskConfig = SMALL) -> Cmask:
    """A network with nontrivial statistics in the norms, as after training."""
    torch.manual_seed(0)
    net = Cmask(config).train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(2, 2, 20, 26), net.initial_state(2))
    return net.eval()


@pytest.mark.parametrize("mask", ["real", "complex", "polar"])
@pytest.mark.parametrize("skip", [False, True])
def test_masks_keep_their_bounds(mask: str, skip: bool) -> None:
    net = make(replace(SMALL, mask=mask, skip=skip))
    with torch.no_grad():
        net.head.weight.mul_(100)
        M, _ = net(torch.randn(1, 2, 40, 26), net.initial_state(1))
    assert M.shape == (1, 1 if mask == "real" else 2, 40, 26)
    magnitude = M.square().sum(1).sqrt()
    assert magnitude.max() <= (2**0.5 if mask == "complex" else 1) + 1e-5
    assert (M.min() >= 0) == (mask == "real")
    if mask != "real":  # turned in every direction
        assert all((sign * part).max() > 0.5 for part in M.unbind(1) for sign in (-1, 1))


def test_a_complex_mask_turns_phases() -> None:
    """By definition, compared with numpy's product of complex numbers."""
    M, X = torch.randn(1, 2, 5, 4), torch.randn(1, 2, 5, 4)
    Y = multiply(M, X).numpy()
    product = (M[:, 0].numpy() + 1j * M[:, 1].numpy()) * (X[:, 0].numpy() + 1j * X[:, 1].numpy())
    np.testing.assert_allclose(Y[:, 0] + 1j * Y[:, 1], product, atol=1e-6)


def planes_of(x: np.ndarray, config: CmaskConfig) -> np.ndarray:
    """Input planes (n, T, F) of a signal."""
    X = stft(x, config.n_fft, config.hop_length, window=config.window).T
    X = torch.from_numpy(np.stack([X.real, X.imag])[None].astype(np.float32))
    net = Cmask(config)
    return net._planes(X, net.initial_state(1))[0][0].numpy()


def test_compression_leaves_the_phase_alone() -> None:
    x = 0.1 * np.random.default_rng(0).standard_normal(2000)
    X = stft(x, 50, 20, window="hann").T
    u = planes_of(x, SMALL)
    u = u[0] + 1j * u[1]
    loud = np.abs(X) > 0.01 * np.abs(X).max()
    np.testing.assert_allclose(np.angle(u / X)[loud], 0, atol=1e-4)
    ratio = np.abs(u) / np.abs(X) ** 0.3  # a power, but for the level of the frame
    for t in range(10, 90):
        np.testing.assert_allclose(ratio[t, loud[t]], np.median(ratio[t, loud[t]]), rtol=1e-2)


def test_the_magnitude_is_that_of_the_compressed_spectrum() -> None:
    u = planes_of(0.1 * np.random.default_rng(0).standard_normal(2000), replace(SMALL, magnitude=True))
    np.testing.assert_allclose(u[2] ** 2, u[0] ** 2 + u[1] ** 2, rtol=0.02, atol=0.02)  # in silence, 0 and 0.016


def test_delta_phase_of_a_tone_is_that_of_its_distance_from_the_bin() -> None:
    config = CmaskConfig(delta_phase="both")
    for hz in (1000.0, 1010.0, 1990.0):
        u = planes_of(np.cos(2 * np.pi * hz * np.arange(16000) / 16000), config)[:, 5:90]
        k = round(hz / 40)
        wanted = np.exp(2j * np.pi * (hz - 40 * k) * 160 / 16000)  # the remaining rotation per hop
        np.testing.assert_allclose(u[2, :, k] + 1j * u[3, :, k], wanted, atol=0.02)
        # A steady tone lies in the middle of its frame: nothing is left over frequency.
        np.testing.assert_allclose(u[4, :, k] + 1j * u[5, :, k], 1, atol=0.02)


def test_delta_phase_over_frequency_of_a_click_is_that_of_its_place_in_the_frame() -> None:
    x = np.zeros(4000)
    x[2000] = 1
    config = CmaskConfig(delta_phase="both")
    u = planes_of(x, config)
    first = next(t for t in range(20) if t * 160 + 160 > 2000)  # frame that holds it
    for t in (first, first + 1):
        place = 2000 - (t * 160 - 240)
        wanted = np.exp(-2j * np.pi * (place - 200) / 400)
        np.testing.assert_allclose(u[4, t, 1:] + 1j * u[5, t, 1:], wanted, atol=1e-3)


def test_silence_has_no_delta_phase_and_stays_silent() -> None:
    config = replace(SMALL, delta_phase="both")
    assert not planes_of(np.zeros(500), config).any()
    net = make(config)
    for scale in (0.0, 1e-6, 1.0):
        with torch.no_grad():
            y = net.enhance(scale * torch.ones(1, 500))
        assert y.shape == (1, 500) and y.isfinite().all() and (scale or not y.any())


def test_loss_is_computed_on_the_output_signal_at_any_level() -> None:
    net = make(replace(SMALL, snr_weight=0.02))
    speech, noise = 0.1 * torch.randn(2, 800), 0.1 * torch.randn(2, 800)
    with torch.no_grad():
        losses = net.loss(Batch(speech + noise, speech, noise, 16000))
        level = 1 / (speech + noise).square().mean(-1, keepdim=True).sqrt()
        Y, S = (net.stft(x * level) for x in (net.enhance(speech + noise), speech))
        quiet = net.loss(Batch(0.01 * (speech + noise), 0.01 * speech, 0.01 * noise, 16000))
    torch.testing.assert_close(losses["spectral"], compressed_spectral(Y, S, 0.3, 0.113), rtol=1e-3, atol=0)
    torch.testing.assert_close(losses["loss"], losses["spectral"] - 0.02 * losses["snr_db"])
    torch.testing.assert_close(quiet["spectral"], losses["spectral"], rtol=2e-2, atol=0)


def test_the_default_has_the_paper_s_size() -> None:
    """27.6 million numbers with 257 bins and both directions; 201 bins make the LSTM's input smaller."""
    n = sum(p.numel() for p in Cmask(CmaskConfig(bidirectional=True)).parameters())
    lstm = 2 * 4 * 1023 * (201 * 8 + 1023 + 2)
    assert n == pytest.approx(lstm + 2046 * 873 + 873 * 403 + 5 * 32 * 32 * 25, rel=0.01)
    assert 23e6 < n < 25e6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mask": "soft"}, "mask must be one of real, complex, polar; got 'soft'"),
        ({"delta_phase": "none"}, "delta_phase must be one of time, frequency, both, or none; got 'none'"),
        ({"kernel": 4}, "kernel must be odd"),
        ({"dilations": (1, 0)}, "dilations must be a list, each a whole number, 1 or more"),
        (
            {"bidirectional": True, "lookahead": 5},
            "lookahead must be 0 in a bidirectional network",
        ),
        ({"lookahead": -1}, "lookahead must be a whole number, 0 or more; got -1"),
        ({"snr_weight": float("nan")}, "snr_weight must be a finite number, 0 or more"),
        ({"skip": 1}, "skip must be true or false; got 1"),
        ({"n_lstm": 0}, "n_lstm must be a whole number, 1 or more"),
    ],
)
def test_settings_are_checked(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CmaskConfig(**settings)
