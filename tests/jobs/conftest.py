from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def make_wav(tmp_path):
    """Write noise in (n_channels, n_samples) as a file below tmp_path; give its path and samples."""

    def make(name="a.wav", *, seconds=0.5, sr=16000, n_channels=1, subtype="PCM_16", peak=0.5, seed=0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        x = np.random.default_rng(seed).uniform(-peak, peak, (n_channels, round(seconds * sr))).astype(np.float32)
        soundfile.write(path, x.T, sr, subtype=subtype)
        return str(path)

    return make


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A fresh working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
