"""The stages after mixing and training: enhanced audio with pictures, and scores with a report."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from undin import audio, evaluation, methods, pictures
from undin.errors import InputError
from undin.experiment import talkers
from undin.experiment.looks import draw_looks
from undin.experiment.mixtures import Mixtures
from undin.experiment.progress import StageProgress
from undin.experiment.recipe import Enhance, Evaluate
from undin.jobs import process_file
from undin.workers import executor


def enhance(
    section: Enhance, mixtures: Mixtures, weights: Mapping[str, Path], place: Path, *, progress: StageProgress
) -> None:
    """Write enhanced_audio/<variant>/enhanced_<name>.wav and plot/<variant>/<name>.png; see `talkers` for several.

    There is <name>_mask.png too where the model applies a mask, <name>_attention.png where it has a memory.

    Args:
        section: how many to write and to draw.
        mixtures: what to enhance.
        weights: the trained variants' files.
        place: the stage's folder.
        progress: called after each mixture of each variant.
    """
    if mixtures.has_talkers:
        return talkers.separate(section, mixtures, weights, place, progress=progress)
    n, sr, done = min(section.audio, len(mixtures.rows)), mixtures.corpus.sr, 0
    for variant, path in weights.items():
        model = methods.load(path)
        for folder in ("enhanced_audio", "plot"):
            (place / folder / variant).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            files = {signal: paths[0] for signal, paths in mixtures.files(i).items() if paths}
            name = files["noisy"].stem
            target = place / "enhanced_audio" / variant / f"enhanced_{name}.wav"
            if not target.exists():
                process_file(model, str(files["noisy"]), str(target))
            picture = place / "plot" / variant / f"{name}.png"
            if i < section.pictures and not picture.exists():
                sounds = {"noisy": files["noisy"], "clean": files["clean"], f"enhanced, {variant}": target}
                signals = {label: audio.read(file)[0] for label, file in sounds.items()}
                signals[f"taken out, {variant}"] = signals["noisy"] - signals[f"enhanced, {variant}"]
                pictures.spectrograms(signals, sr, picture, title=name)
                draw_looks(model, signals["noisy"], sr, f"{picture.with_suffix('')}_")
            done += 1
            progress(done, n * len(weights))


def evaluate(
    section: Evaluate,
    mixtures: Mixtures,
    weights: Mapping[str, Path],
    place: Path,
    *,
    seed: int,
    seen_kinds: Collection[str],
    command: Sequence[str],
    workers: int,
    progress: StageProgress,
) -> None:
    """Write scores.csv, per_noise.csv, gains.png, summary.json, report.html, and seen_speakers.csv if there are any.

    Of talkers the table is per_gender.csv.

    Args:
        section: what to compare with, by which metrics.
        mixtures: what to score on.
        weights: the trained variants' files.
        place: the stage's folder.
        seed: of the examples to listen to.
        seen_kinds: kinds of noise that the variants learned from.
        command: that repeats the run.
        workers: processes.
        progress: called after each mixture of each method.
    """
    corpus = mixtures.corpus
    task = evaluation.Separation.of(corpus) if mixtures.has_talkers else evaluation.Enhancement({*seen_kinds})
    systems = _systems(section, weights, separate=mixtures.has_talkers)
    measures, notes = evaluation.choose(section.metrics or None, corpus.sr, task)
    pool = executor(workers)
    result = evaluation.evaluate(
        mixtures.rows, corpus, systems, measures, place, task=task, workers=pool, progress=progress
    )
    if all(score.error for score in result.scores):
        raise InputError(f"no mixture could be scored; the first: {result.scores[0].error}")
    about = evaluation.about_run(result, manifest=mixtures.manifest, data=corpus.root, command=command)
    evaluation.write_per_kind(place, result)
    evaluation.write_seen_speakers(place, result)
    evaluation.draw_gains(place / "gains.png", result)
    evaluation.write_summary(place / "summary.json", result, about)
    examples = evaluation.make_examples(result, corpus, n=section.examples, seed=seed, workers=pool)
    evaluation.write_report(place / "report.html", result, about, examples=examples, notes=notes, workers=pool)


def _systems(section: Evaluate, weights: Mapping[str, Path], *, separate: bool) -> Sequence[evaluation.System]:
    """The trained variants, and the recipe's other methods with the same task."""
    trained = [f"{name}={path}" for name, path in weights.items()]
    if not separate:
        return evaluation.make_systems([*trained, *section.methods], list(section.commands))
    return evaluation.make_systems([*trained, *(name for name in section.methods if methods.load(name).n_src)])
