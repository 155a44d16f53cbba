"""spectral-gate: closed in noise, open in speech, and its floor is the least power of its memory."""

import numpy as np

from undin.methods import SpectralGate
from undin.spectrum import stft

SR = 16000


def test_closed_in_noise_and_open_for_a_tone():
    rng = np.random.default_rng(0)
    noise = (0.02 * rng.standard_normal(6 * SR)).astype(np.float32)
    gate = SpectralGate()
    y = gate(noise, SR)[2 * SR :]
    assert 20 * np.log10(y.std() / noise[2 * SR :].std()) < -8
    x = noise.copy()
    burst = slice(4 * SR, 4 * SR + SR // 2)
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(SR // 2) / SR)
    x[burst] += tone.astype(np.float32)
    assert abs(20 * np.log10(gate(x, SR)[burst].std() / tone.std())) < 0.5


def test_floor_forgets_after_its_memory():
    """Noise that grows 20 dB closes the gate again once the old minimum has left the memory."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal(8 * SR).astype(np.float32) * np.repeat([0.003, 0.03], 4 * SR).astype(np.float32)
    gate = SpectralGate()
    X = stft(x, 512, 256)[None]
    Y, _ = gate.step(X, gate.initial_state(1))
    gain_db = 20 * np.log10(np.mean(np.abs(Y[0]), 0) / np.mean(np.abs(X[0]), 0))
    frames_per_s = SR / 256
    assert gain_db[int(4.2 * frames_per_s) : int(4.6 * frames_per_s)].mean() > -3
    assert gain_db[int(6.5 * frames_per_s) :].mean() < -8
