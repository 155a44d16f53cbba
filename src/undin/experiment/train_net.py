"""The training stage of networks: pack, hold out, fit, export; one folder per variant, each resumed on its own."""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from undin import corpora, provenance
from undin.checks import counted
from undin.corpora import Corpus
from undin.errors import InputError, require
from undin.experiment.leaks import Taken
from undin.experiment.progress import StageProgress
from undin.experiment.variants import NetTrain, Variant
from undin.mixing import Examples, Settings
from undin.mixing.settings import more_speakers

if TYPE_CHECKING:
    from undin.training.cached import CachedExamples

MINUTE = 60.0
N_SHOWN = 2  # examples in the tables that some networks leave


def check(section: NetTrain, corpus: Corpus, *, seed: int) -> list[Taken]:
    """Refuse a corpus that the variants cannot be trained and validated with, and give the clips that each takes.

    Args:
        section: the recipe's.
        corpus: with its training split.
        seed: of the recipe.

    Raises:
        InputError: as `train`.
    """
    part = corpus.select(split=section.split)
    talkers = max(section.variant(name).mixing.talkers for name in section.files)
    crowds = any(section.variant(name).mixing.crowds for name in section.files)
    named = {clip.speaker for clip in part.speech} - {""}
    if talkers > 1 and len(named) < 2 * talkers and not crowds:
        raise InputError(
            f"{talkers} talkers need {2 * talkers} speakers with names in the {section.split} split of {corpus.root}, "
            f"{talkers} for training and as many for validation; it has {', '.join(sorted(named)) or 'none'}"
            f"{more_speakers(corpus)}"
        )
    taken = []
    for variant, few in _parts(section, part, _seen(corpus), seed):
        both = (variant.mixing, variant.valid)
        taken.append(Taken(*(Examples(few, settings, seed=seed).clips for settings in both)))
    return taken


def _seen(corpus: Corpus) -> set[str]:
    return {clip.speaker for clip in corpus.speech if clip.split == "seen"}


def _parts(section: NetTrain, corpus: Corpus, seen: set[str], seed: int) -> Iterator[tuple[Variant, Corpus]]:
    """Each variant, and the split as it learns from it: with voices and recordings held out."""
    mixings = [section.variant(name).mixing for name in section.files]
    corpus = corpora.hold_out(
        corpus,
        seed=seed,
        speakers=section.speakers,
        least=max(mixing.talkers for mixing in mixings),
        noise=section.noise,
        split=section.split,
        but=seen,
        learned={name for mixing in mixings for name in mixing.speech_from or ()},
    )
    for name in section.files:
        variant = section.variant(name)
        n = variant.voices
        few = corpora.few_voices(corpus, n, seed=seed, first=seen, split=section.split) if n else corpus
        yield variant, few


def train(
    section: NetTrain,
    corpus: Corpus,
    place: Path,
    *,
    name: str,
    seed: int,
    progress: StageProgress,
    max_minutes: float | None = None,
    start_from: Path | None = None,
    workers: int = 1,
) -> bool:
    """Leave <variant>.onnx, and a folder of each variant's training.

    Args:
        section: of the recipe.
        corpus: with the training split; a packed corpus is used directly.
        place: the stage's folder.
        name: of the recipe, for the card.
        seed: for held-out clips and every draw.
        progress: called with (steps done, of all, the last figures).
        max_minutes: stop after these, all variants together; None trains to the end.
        start_from: weights to begin with.
        workers: processes that pack.

    Returns:
        whether it is finished; otherwise the next call resumes.

    Raises:
        MissingExtraError: torch is not installed.
        InputError: the split has no speech or no noise.
    """
    from undin.training.memory import keep_freed

    keep_freed()
    require("torch", extra="train")
    from undin.training.export import export
    from undin.training.fit import fit

    digest = None if start_from is None else check_start(start_from, place)
    ends = None if max_minutes is None else time.monotonic() + max_minutes * MINUTE
    packed = _packed(corpus, section, place.parent / "pack", workers)
    for variant, part in _parts(section, packed, _seen(corpus), seed):
        drawn, about = seed + variant.options.seed, _about(part.select(split=section.split), variant.mixing)
        more = (f"{section.kept} kept{' with spectra' * section.kept_spectra}",) if section.kept else ()
        key = variant.key(variant.method, seed, about, digest, *more)
        folder = _folder(place / variant.name, key, part.digest, trust_old=not section.seen)
        left = None if ends is None else (ends - time.monotonic()) / MINUTE
        if left is not None and left <= 0:
            return False
        drawing = Examples(part, variant.mixing, variant.augment, seed=drawn)
        kept = _kept(section, variant, drawing, folder, drawn)
        fitted = fit(
            variant.method,
            variant.config,
            dataclasses.replace(variant.options, seed=drawn),
            kept or drawing,
            Examples(part, variant.valid, seed=seed + 1),
            folder,
            max_minutes=left,
            start_from=start_from,
            progress=partial(_report_step, progress, variant.name),
        )
        if not fitted.finished:
            return False
        if kept:
            kept.remove()
        _write_tables(fitted.best, drawing, folder)
        few = f", {variant.voices} speakers" if variant.voices else ""
        card = {"data": f"{name}, {about}{few}", "licence": section.licence}
        export(fitted.best, place / section.files[variant.name], weights=section.weights, card=card)
    return True


def _kept(section: NetTrain, variant: Variant, drawing: Examples, folder: Path, seed: int) -> "CachedExamples | None":
    from undin.training.cached import CachedExamples
    from undin.training.stft import Stft

    if not section.kept:
        return None
    c = variant.config
    stft = Stft(c.n_fft, c.hop_length, c.window) if section.kept_spectra else None
    return CachedExamples(drawing, section.kept, folder / "kept.f32", seed=seed, stft=stft)


def _write_tables(weights: Path, examples: Examples, folder: Path) -> None:
    """Save the network's tables of the first examples, if it has any, as <table>.npz."""
    from undin.training.checkpoint import load_weights
    from undin.training.data import stack, to_batch

    batch = to_batch(stack(examples, range(N_SHOWN)), examples.sr)
    for name, arrays in load_weights(weights).net.tables(batch).items():
        saved: dict[str, Any] = {key: x.numpy() for key, x in arrays.items()}
        np.savez_compressed(folder / f"{name}.npz", **saved)


def check_start(path: Path, place: Path) -> str:
    """Digest of the weights that a training in `place` begins with.

    Raises:
        InputError: no such file, one that cannot learn, or one that the training would move away.
    """
    if not path.is_file():
        raise InputError(f"--from {path}: no such file; expected best.pt or last.ckpt of another training")
    if path.suffix == ".onnx":
        raise InputError(
            f"--from {path}: an exported graph cannot be trained; use best.pt or last.ckpt of its training"
        )
    if path.resolve().is_relative_to(place.resolve()):
        raise InputError(f"--from {path} is inside the run folder of this training; use another -o")
    return provenance.sha256(path)


def _report_step(progress: StageProgress, variant: str, step: int, steps: int, row: Mapping[str, Any]) -> None:
    from undin.training.logs import describe

    progress(step, steps, f"{variant} {describe(row).partition('   ')[2]}" if row else variant)


def _packed(corpus: Corpus, section: NetTrain, folder: Path, workers: int) -> Corpus:
    """The split as one memory-mapped file, made once."""
    if corpora.is_packed(corpus):
        return corpus.select(split=section.split)
    path = folder / f"{section.split}.pack"
    folder.mkdir(exist_ok=True)
    part = corpus.select(split=section.split)
    corpora.pack(part, path, workers=workers, overwrite=not corpora.is_pack_of(path, part))
    return corpora.open(path)


def _about(part: Corpus, settings: Settings) -> str:
    """Training data for the card: sources of the mixtures."""
    voices = part if settings.speech_from is None else part.select(corpus=settings.speech_from)
    speech = [clip for clip in voices.speech if clip.speaker or settings.talkers == 1]
    noise = list(part.noise) if settings.noise_range[1] else []
    hours, extra = [sum(clip.duration_s for clip in clips) / 3600 for clips in (speech, noise)], ""
    if noise:
        kinds = len({clip.kind for clip in noise})
        extra = f" and {hours[1]:.2f} h of noise of {counted(kinds, 'kind')}"
    names = ", ".join(sorted({clip.corpus for clip in [*speech, *noise]} - {""}))
    return f"{hours[0]:.2f} h of speech{extra}" + (f" from {names}" if names else "")


def _folder(path: Path, key: str, rows: str, *, trust_old: bool) -> Path:
    """The variant's folder; one that was trained with other settings or clips is kept next to it under another name.

    Args:
        path: the folder.
        key: digest of the settings.
        rows: digest of the clips.
        trust_old: whether to accept a folder of undin 0.1.0, which noted no digest of the clips.
    """
    note = path / "key.txt"
    found = note.read_text(encoding="utf-8").split() if note.is_file() else []
    if path.exists() and found != [key, rows] and not (trust_old and found == [key]):
        n = 1
        while (old := path.with_name(f"{path.name}.old{n}")).exists():
            n += 1
        path.rename(old)
    path.mkdir(exist_ok=True)
    note.write_text(f"{key}\n{rows}\n", encoding="utf-8")
    return path
