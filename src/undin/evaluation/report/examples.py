"""Mixtures to listen to, spread from the least gain to the most, with the output of every system."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

import numpy as np

from undin.corpora import Corpus
from undin.evaluation.run import Evaluation
from undin.evaluation.slices import Slices
from undin.evaluation.systems import INPUT, Answer, System
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


@dataclass(frozen=True)
class ExampleMaker:
    """State for making examples in a process; calling it loads the systems and returns the function that makes one."""

    task: Task
    corpus: Corpus
    systems: Sequence[System]

    def __call__(self, _: Progress) -> Callable[[MixtureRow], Example]:
        """Load every system."""
        answers = {system.name: system.answer() for system in self.systems}
        return lambda row: self.example(row, answers)

    def example(self, row: MixtureRow, answers: Mapping[str, Answer]) -> Example:
        """Render and process one mixture; a system that fails is left out."""
        mixture, outputs, sr = render(row, self.corpus), dict[str, Array](), self.corpus.sr
        for name, answer in answers.items():
            with suppress(Exception):  # it is among the failures
                outputs[name] = self.task.matched(self.task.references(mixture), answer(mixture, sr))
        sounds = {label: y[: round(SECONDS * sr)] for label, y in self.task.sounds(mixture, outputs).items()}
        return Example(row, sounds, sr)


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
    rows = [evaluation.rows[id] for id in choose_examples(evaluation, n, seed)]
    maker, examples = ExampleMaker(evaluation.task, corpus, evaluation.systems), []
    with closing(executor(workers).map(maker, rows, ordered=True)) as outcomes:
        for _, outcome in outcomes:
            if not isinstance(outcome, WorkerDied):  # whatever it died of is among the failures
                examples.append(outcome)
            if progress:
                progress(len(examples), len(rows))
    return examples
