"""Sound files for the tests of the command line."""

import numpy as np
import soundfile


def write(name, *, seconds=0.5, sr=16000, subtype="PCM_16", seed=0, n_channels=1):
    x = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * sr), n_channels))
    soundfile.write(name, x, sr, subtype=subtype)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".undin.jsonl")
