"""Mixtures to listen to, spread from where least was gained to where most was, and what every method makes of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from undin.corpora import Corpus
from undin.errors import UndinError
from undin.evaluation.run import Evaluation
from undin.evaluation.runners import CLEAN, INPUT
from undin.evaluation.summary import Table
from undin.mixing import MixtureRow, render
from undin.spectrum import Array

SECONDS = 12.0  # of an example at most: a page should stay one that can be mailed


@dataclass(frozen=True)
class Example:
    """One mixture with its voice and its enhanced versions, each (n_samples,)."""

    row: MixtureRow
    sounds: dict[str, Array]  # the input first, the clean voice last
    sr: int


def choose_examples(evaluation: Evaluation, n: int, seed: int) -> list[str]:
    """Choose n mixtures: ranked by what was gained on them, cut into n parts, and one drawn from each.

    Args:
        evaluation: its first metric ranks.
        n: how many; fewer where there are fewer.
        seed: of the drawing.

    Returns:
        ids, least gained first.
    """
    if n < 1:
        return []
    if not evaluation.measures:
        return [score.id for score in evaluation.scores if score.method == INPUT and not score.error][:n]
    table, metric = Table(evaluation), evaluation.measures[0]
    before = table.values(INPUT, metric.name)
    gains: dict[str, list[float]] = {id: [] for id in before}
    for method in evaluation.methods[1:]:
        for id, value in table.values(method, metric.name).items():
            if id in gains:
                gains[id].append(value - before[id])
    sign = 1 if metric.higher_is_better else -1
    return spread({id: sign * float(np.mean(values)) for id, values in gains.items() if values}, n, seed)


def spread(gains: Mapping[str, float], n: int, seed: int) -> list[str]:
    """Draw n ids (fewer where there are fewer), one from each n-th part of their ranking, least gained first."""
    ranked, rng = sorted(gains, key=lambda id: gains[id]), np.random.default_rng(seed)
    return [
        str(part[rng.integers(len(part))]) for part in np.array_split(ranked, max(min(n, len(ranked)), 1)) if len(part)
    ]


def make_examples(
    evaluation: Evaluation,
    corpus: Corpus,
    *,
    n: int,
    seed: int,
    progress: Callable[[int, int], object] | None = None,
) -> list[Example]:
    """Make the chosen mixtures again and enhance them; a method that fails on one is left out there."""
    ids = choose_examples(evaluation, n, seed)
    enhance = {runner.name: runner.load() for runner in evaluation.runners} if ids else {}
    examples = []
    for i, id in enumerate(ids, 1):
        mixture = render(evaluation.rows[id], corpus)
        sounds: dict[str, Array] = {INPUT: mixture.noisy}
        for name, run in enhance.items():
            try:
                sounds[name] = run(mixture.noisy.copy(), corpus.sr)
            except UndinError:
                continue  # it is among the failures
        sounds[CLEAN] = mixture.speech
        stop = round(SECONDS * corpus.sr)
        examples.append(Example(evaluation.rows[id], {name: y[:stop] for name, y in sounds.items()}, corpus.sr))
        if progress:
            progress(i, len(ids))
    return examples
