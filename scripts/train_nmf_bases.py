"""Learn the speech bases that undin ships: UNDIN_DATA=... python scripts/train_nmf_bases.py [out.npz]

Every speaker label of the train split gives SECONDS at most, so that the bases span voices rather than corpora.
Takes a minute on one core. The same corpus gives the same bases.
"""

import os
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

import undin
from undin.corpora import Clip, Corpus
from undin.methods.nmf import NMF, SHIPPED
from undin.methods.nmf_bases import write_model

SECONDS = 8.0
UNLABELED = "picovoice"  # many speakers under one label, partly noise-gated


def choose(corpus: Corpus, rng: np.random.Generator) -> list[Clip]:
    """Utterances of every speaker, in random order, up to SECONDS."""
    of: dict[str, list[Clip]] = defaultdict(list)
    for clip in corpus.select(split="train").speech:
        if not clip.corpus.startswith(UNLABELED):
            of[clip.speaker].append(clip)
    chosen = []
    for speaker in sorted(of):
        length_s = 0.0
        for i in rng.permutation(len(of[speaker])):
            if length_s < SECONDS:
                chosen.append(of[speaker][i])
                length_s += min(of[speaker][i].duration_s, SECONDS)
    return chosen


def load(corpus: Corpus, clip: Clip) -> np.ndarray:
    """The start of a clip, at a common level, because corpora differ by more than voices do."""
    x = corpus.load(clip)[: round(SECONDS * corpus.sr)]
    return x / np.float32(max(np.sqrt(np.mean(np.square(x, dtype=np.float64))), 1e-6))


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    corpus = undin.corpora.open(os.environ["UNDIN_DATA"])
    clips = choose(corpus, np.random.default_rng(2026))
    model = NMF(prior="exponential").fit([load(corpus, clip) for clip in clips], None, corpus.sr, rng=2026)
    minutes = sum(min(clip.duration_s, SECONDS) for clip in clips) / 60
    n_speakers = len({clip.speaker for clip in clips})
    sources = ", ".join(f"{name} ({n})" for name, n in sorted(Counter(clip.corpus for clip in clips).items()))
    data = f"{minutes:.0f} minutes of {n_speakers} speaker labels, clips of: {sources}"
    write_model(out, model.bases, model.config, {"talkers": False, "data": data}, dtype=np.float16)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB; {data}")


if __name__ == "__main__":
    main()
