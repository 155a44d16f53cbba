"""The enhance stage of recipes with several talkers: each talker's audio, with pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from undin import audio, methods, mixing, pictures
from undin.errors import InputError
from undin.experiment.looks import draw_looks
from undin.experiment.mixtures import Mixtures
from undin.experiment.progress import StageProgress
from undin.experiment.recipe import Enhance
from undin.jobs import process_file
from undin.methods import Method
from undin.metrics import best_permutation, si_sdr
from undin.mixing import Mixture
from undin.spectrum import Array, stft

ACTIVE_DB = 40.0  # frames further below the loudest are drawn as silent
HOP_S = 0.016  # of the masks that are drawn


def separate(
    section: Enhance, mixtures: Mixtures, weights: Mapping[str, Path], place: Path, *, progress: StageProgress
) -> None:
    """Write separated_audio/<variant>/<id>.<k>.wav, and pictures of waveforms, spectra, masks and embeddings.

    Args:
        section: how many to write and to draw.
        mixtures: what to separate.
        weights: the trained variants' files.
        place: the stage's folder.
        progress: called after each mixture of each variant.
    """
    rows, corpus, done = mixtures.rows[: section.audio], mixtures.corpus, 0
    for variant, path in weights.items():
        model = _loaded(path)
        for folder in ("separated_audio", "plot"):
            (place / folder / variant).mkdir(parents=True, exist_ok=True)
        for i, row in enumerate(rows):
            (noisy,) = mixtures.files(i)["noisy"]
            targets = [place / "separated_audio" / variant / f"{row.id}.{k + 1}.wav" for k in range(model.n_src or 0)]
            if not all(target.exists() for target in targets):
                process_file(model, str(noisy), [str(target) for target in targets])
            if i < section.pictures:
                est = np.stack([audio.read(target)[0] for target in targets])
                draw(mixing.render(row, corpus), est, corpus.sr, place / "plot" / variant / row.id, model)
            done += 1
            progress(done, len(rows) * len(weights))


def draw(mixture: Mixture, est: Array, sr: int, stem: Path, model: Method) -> None:
    """Write <stem>.waves.png, .spectra.png, .masks.png and the model's plots, such as .points.png of embeddings.

    Args:
        mixture: with its sources (n_src, n_samples).
        est: (n_src, n_samples), in the order of the sources.
        sr: in Hz.
        stem: path of the pictures, without an ending.
        model: the method that estimated them.
    """
    ref, noisy = mixture.sources, mixture.noisy
    _, order = best_permutation(si_sdr, ref=ref, est=est)
    est = est[order]
    signals = {"mixture": noisy}
    for k, (r, e) in enumerate(zip(ref, est, strict=True), 1):
        signals |= {f"talker {k}": r, f"talker {k}, separated": e}
    pictures.waveforms(signals, sr, f"{stem}.waves.png", title=stem.name)
    pictures.spectrograms(signals, sr, f"{stem}.spectra.png", title=stem.name)
    hop_length = round(HOP_S * sr)
    planes = planes_of(ref, est, noisy, hop_length)
    pictures.masks(planes, sr, hop_length, f"{stem}.masks.png", title=stem.name)
    draw_looks(model, noisy, sr, f"{stem}.", ref=ref)


def planes_of(ref: Array, est: Array, noisy: Array, hop_length: int) -> dict[str, Any]:
    """Where somebody speaks, unless that is everywhere; where talker 1 is loudest, and is estimated to be.

    Args:
        ref, est: (2, n_samples).
        noisy: their mixture, (n_samples,).
        hop_length: in samples, half of the FFT size.
    """
    R, E, X = (np.abs(stft(x, 2 * hop_length, hop_length)) for x in (ref, est, noisy))
    power = np.square(X).sum(0)
    active = power > power.max(initial=0) * 10 ** (-ACTIVE_DB / 10)
    share = E[0] / np.maximum(E.sum(0), 1e-12)
    return {
        **({} if active.all() else {"somebody speaks": active.astype(float)}),
        "ideal binary mask of talker 1": (R.argmax(0) == 0) * active,
        "mask of talker 1": share * active,
    }


def _loaded(path: Path) -> Method:
    model = methods.load(path)
    if not model.n_src:
        raise InputError(f"{path} enhances, but the mixtures have several talkers: set mix.talkers to 1")
    return model
