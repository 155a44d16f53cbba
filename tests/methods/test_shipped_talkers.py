"""The shipped model on voices: two are separated, a lone one is in one output only, silence stays silent."""

import numpy as np
import pytest

import undin
from undin.errors import InputError
from undin.evaluation.separation import bins_right
from undin.metrics import best_permutation, si_sdr

SR = 16000


@pytest.fixture(scope="module")
def voices():
    """Recordings of the embedded test voices, at one level."""
    corpus = undin.corpora.mini().select(split="test")
    clips = [corpus.load(clip) for clip in corpus.speech]
    return {
        "voices": [(x / np.sqrt(np.mean(x**2)) * 0.05).astype(np.float32) for x in clips],
        "names": [clip.speaker for clip in corpus.speech],
    }


def test_two_voices_come_apart(voices):
    names, clips = voices["names"], voices["voices"]
    other = next(k for k, name in enumerate(names) if name != names[0])
    n = min(len(clips[0]), len(clips[other]))
    ref = np.stack([clips[0][:n], clips[other][:n]])
    est = undin.separate(ref.sum(0), SR)
    mixture = np.broadcast_to(ref.sum(0), ref.shape)
    gain_db = best_permutation(si_sdr, ref=ref, est=est)[0] - si_sdr(ref=ref, est=mixture)
    assert gain_db.mean() > 3
    assert bins_right(ref=ref, est=est, sr=SR) > bins_right(ref=ref, est=mixture, sr=SR)


def test_one_talker_alone_does_not_come_out_twice(voices):
    quieter = []
    for x in voices["voices"][:6]:
        energy = np.square(undin.separate(x, SR)).sum(-1)
        quieter.append(energy.min() / energy.max())
    assert sum(ratio < 1e-3 for ratio in quieter) >= 5, quieter


def test_the_same_speed_again_changes_nothing_and_others_do(voices):
    first, second = (x[: 2 * SR] for x in voices["voices"][:2])
    x = first + np.pad(second, (0, len(first) - len(second)))
    once = undin.separate(x, SR, speeds=())
    np.testing.assert_allclose(undin.separate(x, SR, speeds=(1.0, 1.0)), once, atol=1e-4)
    assert np.abs(undin.separate(x, SR, speeds=(0.9,)) - once).max() > 1e-3
    with pytest.raises(InputError, match=r"speeds must be a list, each a finite number, 0.5 to 2; got \(3.0,\)"):
        undin.separate(x, SR, speeds=(3.0,))
