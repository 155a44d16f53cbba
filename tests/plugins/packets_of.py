"""A signal in packets of 20 ms, and what `Stream` makes of it."""

import numpy as np

import undin

RATES = (8000, 16000, 24000, 48000)


def noisy(sr, seconds=2.0, n_channels=1):
    rng, t = np.random.default_rng(0), np.arange(round(sr * seconds)) / sr
    tone = sum(np.sin(2 * np.pi * k * 150 * t) / k for k in range(1, 8)) * (np.sin(9 * t) > 0)
    x = np.stack([0.1 * tone / (c + 1) + 0.03 * rng.standard_normal(t.size) for c in range(n_channels)])
    return np.rint(x * 32768).astype("<i2")  # (n_channels, n_samples)


def packets(q, sr, packet_s=0.02):
    n = round(packet_s * sr)
    return [q[:, i : i + n].T.tobytes() for i in range(0, q.shape[1], n)]


def expected(q, sr, *, method=None, **settings):
    """The output of `Stream` for all samples at once, in steps of 16 bits."""
    stream = undin.load(method or undin.methods.LIVE).stream(sr, **settings)
    y = stream.process((q / 32768).astype(np.float32), equal=True)
    return np.rint(y * 32768).clip(-32768, 32767)


def joined(answers, n_channels=1):
    return np.frombuffer(b"".join(answers), "<i2").reshape(-1, n_channels).T
