"""Mixtures to listen to, spread from the least gain to the most, with the output of every system."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from undin.corpora import Corpus
from undin.evaluation.run import Evaluation
from undin.evaluation.slices import Slices
from undin.evaluation.systems import INPUT, System
from undin.evaluation.task import Task
from undin.mixing import MixtureRow, render
from undin.spectrum import Array
from undin.workers import Executor, Progress, WorkerDied, executor

SECONDS = 12.0  # of an example at most, so that the page can be mailed


@dataclass(frozen=True)
class Example:
    """One mixture with its references and estimates, each (n_samples,), in the order of the player."""

    row: MixtureRow
    sounds: dict[str, Array]
    sr: int


def choose_examples(evaluation: Evaluation, n: int, seed: int) -> list[str]:
    """Choose mixtures: rank them by gain, cut the ranking into n parts, and draw one from each.

    Args:
        evaluation: its first metric ranks; without metrics the first n are chosen.
        n: how many; fewer where there are fewer.
        seed: of the drawing.

    Returns:
        ids, least gain first.
    """
    if n < 1:
        return []
    if not evaluation.measures:
        return [score.id for score in evaluation.scores if score.method == INPUT and not score.error][:n]
    slices, metric = Slices(evaluation), evaluation.measures[0]
    before = slices.values(INPUT, metric.name)
    gains: dict[str, list[float]] = {id: [] for id in before}
    for method in evaluation.compared[1:]:
        for id, value in slices.values(method, metric.name).items():
            if id in gains:
                gains[id].append(value - before[id])
    sign = 1 if metric.higher_is_better else -1
    return _spread({id: sign * float(np.mean(values)) for id, values in gains.items() if values}, n, seed)


def _spread(gains: Mapping[str, float], n: int, seed: int) -> list[str]:
    """Draw one id from each n-th part of their ranking."""
    ranked, rng = sorted(gains, key=lambda id: gains[id]), np.random.default_rng(seed)
    parts = np.array_split(ranked, max(min(n, len(ranked)), 1))
    return [str(part[rng.integers(len(part))]) for part in parts if len(part)]


def make_examples(
    evaluation: Evaluation,
    corpus: Corpus,
    *,
    n: int,
    seed: int,
    workers: int | Executor = 1,
    progress: Callable[[int, int], object] | None = None,
) -> list[Example]:
    """Render the chosen mixtures and process them again; a system that fails on one is left out there.

    Args:
        evaluation: from `evaluate`.
        corpus: that of the mixtures.
        n: how many; fewer where there are fewer.
        seed: of the drawing.
        workers: number of processes, or an `Executor`.
        progress: called with (examples done, of all).
    """
    rows, examples = [evaluation.rows[id] for id in choose_examples(evaluation, n, seed)], list[Example]()
    make = partial(_maker, evaluation.task, corpus, evaluation.systems)
    with closing(executor(workers).map(make, rows, ordered=True)) as outcomes:
        for _, outcome in outcomes:
            if not isinstance(outcome, WorkerDied):  # whatever it died of is among the failures
                examples.append(outcome)
            if progress:
                progress(len(examples), len(rows))
    return examples


def _maker(task: Task, corpus: Corpus, systems: Sequence[System], _: Progress) -> Callable[[MixtureRow], Example]:
    """Load every system; return what makes one example."""
    answers = {system.name: system.answer() for system in systems}

    def example(row: MixtureRow) -> Example:
        mixture, outputs = render(row, corpus), dict[str, Array]()
        for name, answer in answers.items():
            with suppress(Exception):  # it is among the failures
                outputs[name] = task.matched(task.references(mixture), answer(mixture, corpus.sr))
        stop = round(SECONDS * corpus.sr)
        return Example(row, {label: y[:stop] for label, y in task.sounds(mixture, outputs).items()}, corpus.sr)

    return example
