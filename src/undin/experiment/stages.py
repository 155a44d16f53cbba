"""The stages that are the same for every method: mixtures, enhanced audio with pictures, scores with a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from undin import audio, evaluation, methods, mixing, pictures
from undin.errors import InputError
from undin.experiment import talkers
from undin.experiment.names import Told
from undin.jobs import process_file
from undin.mixing.layout import Layout
from undin.mixing.write import Job
from undin.spectrum import Array

if TYPE_CHECKING:
    from undin.experiment.run import Run


LAYOUT = Layout(noisy="test_noisy_audio/{id}_{speaker}_{kind}", clean="clean/{id}", noise="noise/{id}", format="wav")

TALKERS = Layout(noisy="mixtures/{id}", clean="talkers/{id}.{k}", noise="noise/{id}", format="wav")


def mix(run: "Run", place: Path, workers: int, progress: Told) -> None:
    """Leave manifest.csv, test_noisy_audio/, clean/ and noise/."""
    section = run.section("mix")
    layout = LAYOUT if section.talkers == 1 else TALKERS
    drawing = mixing.Drawing(run.corpus, section.settings, seed=run.section("experiment").seed, seen=_seen(run))
    failed = []
    for made in Job(run.corpus, place, layout=layout, drawing=drawing, n=section.n).run(workers):
        progress(made.n, section.n)
        if made.status == "failed":
            failed.append(f"mixture {made.n}: {made.error}")
    if failed:
        raise InputError(f"{len(failed)} of {section.n} mixtures cannot be made; the first is {failed[0]}")


def enhance(run: "Run", place: Path, workers: int, progress: Told) -> None:
    """Leave enhanced_audio/<variant>/enhanced_<name>.wav and plot/<variant>/<name>.png.

    Of masks there is <name>_mask.png too, of a memory <name>_attention.png.
    """
    section, rows = run.section("enhance"), run.rows
    if _separates(rows):
        return talkers.separate(run, place, TALKERS, progress)
    total, done = len(run.weights) * min(section.audio, len(rows)), 0
    for variant, path in run.weights.items():
        model = methods.load(path)
        for folder in ("enhanced_audio", "plot"):
            (place / folder / variant).mkdir(parents=True, exist_ok=True)
        for i, row in enumerate(rows[: section.audio]):
            files = {name: run.folder / "mix" / paths[0] for name, paths in LAYOUT.outputs(row, i + 1).items()}
            name = files["noisy"].stem
            target = place / "enhanced_audio" / variant / f"enhanced_{name}.wav"
            if not target.exists():
                process_file(model, str(files["noisy"]), str(target))
            picture = place / "plot" / variant / f"{name}.png"
            if i < section.pictures and not picture.exists():
                sounds = {"noisy": files["noisy"], "clean": files["clean"], f"enhanced, {variant}": target}
                signals = {label: audio.read(file)[0] for label, file in sounds.items()}
                signals[f"taken out, {variant}"] = signals["noisy"] - signals[f"enhanced, {variant}"]
                pictures.spectrograms(signals, run.corpus.sr, picture, title=name)
                if isinstance(model, methods.Learned) and model.runner.meta["output"] == "mask":
                    _draw_mask(model, signals["noisy"], run.corpus.sr, picture.with_stem(f"{name}_mask"))
                if isinstance(model, methods.MANN) and "layer_w" in model.runner.shapes:
                    _draw_attention(model, signals["noisy"], run.corpus.sr, picture.with_stem(f"{name}_attention"))
            done += 1
            progress(done, total)


def _draw_mask(model: methods.Learned, noisy: Array, sr: int, path: Path) -> None:
    M = model.mask(audio.resample(noisy, sr, model.config.sr))
    parts = {"mask, real part": M.real}
    if np.iscomplexobj(M):
        faint = np.quantile(np.abs(M.imag), 0.9) < 0.1  # it would be white beside the real part
        parts["mask, imaginary part" + ", ten times" * bool(faint)] = M.imag * (10 if faint else 1)
    pictures.masks(parts, model.config.sr, model.config.hop_length, path, title=path.stem)


def _draw_attention(model: methods.MANN, noisy: Array, sr: int, path: Path) -> None:
    looks = {
        f"{what}, head {k}": head
        for what, heads in model.attention(noisy, sr).items()
        for k, head in enumerate(heads, 1)
    }
    pictures.heat_maps(looks, model.config.hop_length / model.config.sr, path, title=path.stem)


def evaluate(run: "Run", place: Path, workers: int, progress: Told) -> None:
    """Leave scores.csv, per_noise.csv, gains.png, summary.json, report.html, and seen_speakers.csv if there are any.

    Of talkers the table is per_gender.csv.
    """
    section, rows = run.section("evaluate"), run.rows
    task, systems = _task(run, rows), _systems(run, separate=_separates(rows))
    measures, notes = evaluation.choose(section.metrics or None, run.corpus.sr, task)
    result = evaluation.evaluate(
        rows, run.corpus, systems, measures, place, task=task, workers=workers, progress=progress
    )
    if all(score.error for score in result.scores):
        raise InputError(f"no mixture could be scored; the first: {result.scores[0].error}")
    manifest = run.folder / "mix" / "manifest.csv"
    command = ["undin", "run", run.recipe.name]
    about = evaluation.about_run(result, manifest=manifest, data=run.corpus.root, command=command)
    evaluation.write_per_kind(place, result)
    evaluation.write_seen_speakers(place, result)
    evaluation.draw_gains(place / "gains.png", result)
    evaluation.write_summary(place / "summary.json", result, about)
    seed = run.section("experiment").seed
    examples = evaluation.make_examples(result, run.corpus, n=section.examples, seed=seed, progress=None)
    evaluation.write_report(place / "report.html", result, about, examples=examples, notes=notes)


def _separates(rows: Sequence[mixing.MixtureRow]) -> bool:
    return bool(rows) and len(rows[0].speech) > 1


def _task(run: "Run", rows: Sequence[mixing.MixtureRow]) -> evaluation.Task:
    if _separates(rows):
        return evaluation.Separation.of(run.corpus)
    train = run.section("train")
    return evaluation.Enhancement(
        set(train.kinds) or {clip.kind for clip in run.corpus.select(split=train.split).noise}
    )


def _systems(run: "Run", *, separate: bool) -> Sequence[evaluation.System]:
    """The trained variants and what the recipe compares them with, if it does the same."""
    section = run.section("evaluate")
    trained = [f"{name}={path}" for name, path in run.weights.items()]
    if not separate:
        return evaluation.make_systems([*trained, *section.methods], list(section.commands))
    return evaluation.make_systems([*trained, *(name for name in section.methods if methods.load(name).n_src)])


def _seen(run: "Run") -> mixing.Seen | None:
    """The talkers of whom a part was kept aside, and the kinds of noise of the training split."""
    train = run.section("train")
    if not getattr(train, "seen", 0):
        return None
    speakers = frozenset(clip.speaker for clip in run.corpus.select(split="seen").speech)
    return mixing.Seen(speakers, frozenset(clip.kind for clip in run.corpus.select(split=train.split).noise))
