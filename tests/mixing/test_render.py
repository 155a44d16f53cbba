"""The same manifest gives the same 16-bit samples: today, tomorrow, elsewhere."""

import hashlib

import numpy as np

from undin.mixing import MixtureRow, Source, render

# Written down, not drawn: the generators of numpy may change, the samples of a manifest may not.
ROWS = [
    MixtureRow(
        id="plain", sr=8000, n_samples=4000, snr_db=4.442, snr_over="clip", scale_db=0.0, split="test", seed=0,
        speech=(Source("speech/c/2.flac", 0.0, 0.5, 0, 0.0, "c"),),
        noise=(Source("noise/1.flac", 0.0, 1.5, 777, -3.995467, "rain"),),
    ),
    MixtureRow(
        id="two, looped", sr=8000, n_samples=5000, snr_db=-1.065, snr_over="active", scale_db=-1.25, split="", seed=0,
        speech=(Source("speech/a/4.flac", 0.0, 0.625, 0, 0.0, "a"),
                Source("speech/d/7.flac", 0.0, 0.8125, 99, -2.5, "d")),
        noise=(Source("noise/2.flac", 0.0, 0.25, 11, 0.0, "wind"), Source("noise/0.flac", 0.0, 1.5, 1, 0.0, "hum")),
    ),
]  # fmt: skip


def digest(mixture):
    found = hashlib.sha256()
    for x in (mixture.noisy, mixture.speech, mixture.noise, *mixture.sources):
        found.update(np.round(x.astype(np.float64) * 2**15).astype("<i2").tobytes())
    return found.hexdigest()[:16]


def test_samples_of_a_manifest_never_change(shared):
    assert [digest(render(row, shared)) for row in ROWS] == HASHES


HASHES = ["83f3d011f8349b74", "33d625a1ac418a54"]
