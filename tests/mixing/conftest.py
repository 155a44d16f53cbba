"""A corpus of FLAC files whose samples follow from whole numbers alone."""

import numpy as np
import pytest
import soundfile

from undin.corpora import Clip, Corpus

SR = 8000


def counted(seed, n):
    """(n,) int16: a linear congruential generator, colored by a moving sum; the same everywhere, for ever."""
    state, values = seed, []
    for _ in range(n + 3):
        state = (1103515245 * state + 12345) % 2**31
        values.append((state >> 16) % 4001 - 2000)
    q = np.array(values)
    return (q[3:] + q[2:-1] + q[1:-2] + q[:-3]).astype(np.int16)


def make_corpus(root):
    """4 speakers with 3 utterances each, 3 kinds of noise with 2 recordings each; a third of the noise is too short."""
    clips = []
    for k in range(12):
        speaker, n = "abcd"[k % 4], 3000 + 500 * k
        path = f"speech/{speaker}/{k}.flac"
        clips.append(Clip(path, 0.0, n / SR, "test", corpus="x" if k < 6 else "y", speaker=speaker))
    for k in range(6):
        n = 2000 if k % 3 == 2 else 12000
        clips.append(Clip(f"noise/{k}.flac", 0.0, n / SR, "test", kind=("hum", "rain", "wind")[k % 3]))
    for k, clip in enumerate(clips):
        (root / clip.path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / clip.path, counted(k + 1, round(clip.duration_s * SR)), SR)
    return Corpus(root, clips)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Not to be written to."""
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def corpus_at(tmp_path):
    """One's own."""
    return make_corpus(tmp_path / "corpus")
