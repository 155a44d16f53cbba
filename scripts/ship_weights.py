"""Prepare weights for the wheel: python scripts/ship_weights.py src/undin/weights/lull.onnx --version 2

Measures the gain that the card states, and writes it, the version and a checksum into the file's metadata. The tensors
stay as they are.
"""

import argparse
import json
from itertools import permutations
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

import undin
from undin.methods import NMF, Method
from undin.methods.nmf_bases import Bases, write_model
from undin.metrics import si_sdr
from undin.runner import FORMAT, UNSEALED, Runner, seal

N_CLIPS, N_MIXTURES = 4, 6


def gains_db(method: Method) -> np.ndarray:
    """SI-SDR gains on the mini corpus: over white noise at 5 dB, or over two talkers as loud as each other."""
    corpus = undin.corpora.mini().select(split="test")
    gains = []
    if method.n_src:
        for row in undin.mixing.make_manifest(corpus, n=N_MIXTURES, seed=1, talkers=2):
            mixture = undin.mixing.render(row, corpus)
            est = method(mixture.noisy, corpus.sr)
            after = max(si_sdr(ref=mixture.sources, est=np.stack(each)).mean() for each in permutations(est))
            gains.append(after - np.mean([si_sdr(ref=ref, est=mixture.noisy) for ref in mixture.sources]))
        return np.array(gains)
    for seed, clip in enumerate(corpus.speech[:N_CLIPS]):
        clean = corpus.load(clip)
        noise = np.random.default_rng(seed).standard_normal(clean.size).astype(np.float32)
        x = undin.mixing.mix(clean, noise, snr_db=5.0).noisy
        gains.append(si_sdr(ref=clean, est=method(x, corpus.sr)) - si_sdr(ref=clean, est=x))
    return np.array(gains)


def ship(path: Path, version: str) -> str:
    """Rewrite the metadata of a file; what its card then states."""
    model = undin.load(path)
    if isinstance(model, NMF):
        about = {"talkers": model.talkers, "data": model.data, "weights_version": version}
        with np.load(path) as held:
            bases = [Bases(*(held[f"{name}{i}"] for name in Bases._fields)) for i in range(len(model.bases))]
        write_model(path, tuple(bases), model.config, about, dtype=bases[0].W.dtype)
        return f"{path}: version {version}"
    stated, graph = float(np.floor(2 * gains_db(model).mean()) / 2), onnx.load(path)
    meta = {"checksum": UNSEALED, **json.loads(graph.metadata_props[0].value), "format": FORMAT}
    meta |= {"checksum": UNSEALED, "card": {**meta["card"], "version": version, "si_sdr_gain_db": stated}}
    helper.set_model_props(graph, {"undin": json.dumps(meta)})
    path.write_bytes(seal(graph.SerializeToString(deterministic=True)))
    Runner(path)
    return f"{path}: version {version}, SI-SDR +{stated} dB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--version", required=True)
    given = parser.parse_args()
    for path in given.paths:
        print(ship(path, given.version), flush=True)


if __name__ == "__main__":
    main()
