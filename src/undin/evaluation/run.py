"""methods x mixtures -> scores: every mixture is rendered once, processed by every method, and scored."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import undin
from undin.corpora import Corpus
from undin.errors import InputError, UndinError
from undin.evaluation.enhancement import Enhancement
from undin.evaluation.lag import lag_ms
from undin.evaluation.measures import measure_all
from undin.evaluation.recognizer import WER, Recognizer
from undin.evaluation.scores import Score, ScoreFile
from undin.evaluation.systems import INPUT, Answer, Oracle, System
from undin.evaluation.task import Task
from undin.metrics import Metric
from undin.mixing import Mixture, MixtureRow, render
from undin.spectrum import Array
from undin.workers import Executor, Progress, WorkerDied, executor

SCORES = "scores.csv"


@dataclass(frozen=True)
class Failure:
    """What went wrong with a mixture; `method` is "" where the mixture itself is at fault."""

    id: str
    row: int  # of the manifest, whose header is row 1
    method: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """The outcome.

    Attributes:
        task: kind of evaluation.
        scores: in the manifest's order: the input, each system, the task's oracles.
        failures: by row.
        systems: the compared systems.
        measures: the metrics.
        rows: the mixtures, by id.
        n_kept: scores reused from an earlier run.
        n_words: that are spoken in each mixture, by id, where the word error rate is measured.
    """

    task: Task
    scores: list[Score]
    failures: list[Failure]
    systems: Sequence[System]
    measures: list[Metric]
    rows: dict[str, MixtureRow]
    n_kept: int = 0
    n_words: Mapping[str, int] = field(default_factory=dict)

    @property
    def compared(self) -> list[str]:
        """Names of the input and the systems."""
        return [INPUT, *(system.name for system in self.systems)]

    @property
    def methods(self) -> list[str]:
        """Names of all that is scored, the input first."""
        return [*self.compared, *(oracle.name for oracle in self.task.oracles)]


@dataclass(frozen=True)
class Pending:
    """A mixture and the methods that have no score for it yet."""

    number: int  # its row in the manifest
    row: MixtureRow
    keys: dict[str, str]  # method -> key

    def blank(self, task: Task, name: str) -> Score:
        """The score of a method before it is known."""
        row = self.row
        return Score(row.id, name, task.group(row), row.snr_db, row.speaker, task.seen(row), key=self.keys[name])

    def failed(self, task: Task, reason: str) -> list[Score]:
        """The scores of a mixture that cannot be scored."""
        return [replace(self.blank(task, name), error=" ".join(reason.split())) for name in self.keys]


@dataclass(frozen=True)
class Scorer:
    """State for scoring in a process; calling it loads the systems and returns the function that scores one."""

    task: Task
    corpus: Corpus
    systems: Sequence[System]
    measures: Sequence[str]
    recognizer: Recognizer | None = None

    def __call__(self, _: Progress) -> Callable[[Pending], list[Score]]:
        """Load every system."""
        answers = {system.name: system.answer() for system in self.systems}
        return lambda pending: self.score(pending, answers)

    def score(self, pending: Pending, answers: Mapping[str, Answer]) -> list[Score]:
        """Score one mixture by its pending methods; an error is part of the score and never raised."""
        try:
            mixture = render(pending.row, self.corpus)
        except Exception as error:
            return pending.failed(self.task, f"the mixture cannot be rendered: {_one_line(error)}")
        measures = self._metrics(pending.row)
        return [
            self._score(pending.blank(self.task, system.name), mixture, answers[system.name], measures, system.timed)
            for system in self.systems
            if system.name in pending.keys
        ]

    def _score(self, blank: Score, mixture: Mixture, answer: Answer, measures: Sequence[Metric], timed: bool) -> Score:
        sr, ref = self.corpus.sr, self.task.references(mixture)
        score = replace(blank, duration_s=mixture.noisy.shape[-1] / sr)
        start = time.perf_counter()
        try:
            est = answer(mixture, sr)
            seconds = time.perf_counter() - start if timed else 0.0
            _check_output(est, ref, sr)
            values, undefined = measure_all(measures, ref, self.task.matched(ref, est), sr)
            lag = lag_ms(est if est.ndim == 1 else est.sum(0), mixture.noisy, sr)
        except Exception as error:  # whatever a method does, the others are scored
            return replace(score, error=_one_line(error))
        return replace(score, values=values, undefined=undefined, seconds=seconds, lag_ms=lag)

    def words(self, row: MixtureRow) -> dict[str, Any]:
        """What shapes the word error rate of a mixture; empty if it is not measured."""
        if self.recognizer is None:
            return {}
        texts = [self.recognizer.text_of(names) for names in self.task.spoken(row)]
        return {"wer": [self.recognizer.command, texts]}

    def _metrics(self, row: MixtureRow) -> list[Metric]:
        metrics = dict(self.task.metrics)
        if self.recognizer:
            metrics[WER.name] = self.recognizer.metric(self.task.spoken(row))
        return [metrics[name] for name in self.measures]


def evaluate(
    rows: Iterable[MixtureRow | InputError],
    corpus: Corpus,
    systems: Sequence[System],
    measures: Sequence[Metric],
    folder: str | Path,
    *,
    task: Task | None = None,
    recognizer: Recognizer | None = None,
    workers: int | Executor = 1,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Score systems on the mixtures of a manifest; scores in `scores.csv` with the same settings are reused.

    Args:
        rows: of a manifest, in its order; an error takes the place of a row that cannot be read.
        corpus: the one it was made from.
        systems: from `make_systems`, or `Oracle`.
        measures: from `choose`.
        folder: output folder for `scores.csv`.
        task: kind of evaluation; `Enhancement()` when None.
        recognizer: for the word error rate; None if `WER` is not among the measures.
        workers: how many processes, or an `Executor`.
        progress: called with (mixtures done, of all).

    Returns:
        the Evaluation. A mixture that cannot be rendered and a method that fails on one are among its failures; they
        are tried again in the next run.

    Raises:
        InputError: workers is less than 1, or no row of the manifest can be scored.
        OSError: the folder cannot be written.
    """
    pool, task = executor(workers), task or Enhancement()
    compared = [Oracle(INPUT, task.unprocessed), *systems, *task.oracles]
    scorer = Scorer(task, corpus, compared, [measure.name for measure in measures], recognizer)
    mixtures, failures = _pending(rows, scorer)
    if not mixtures:
        why = f"row {failures[0].row}: {failures[0].reason}" if failures else "the manifest has no rows"
        raise InputError(f"nothing to evaluate: {why}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = ScoreFile(folder / SCORES, scorer.measures)
    done, others = _reusable(file.read(), mixtures, task)
    n_kept = len(done)
    file.write([*done.values(), *others])
    for score in _missing(mixtures, done, scorer, file, pool, progress):
        done[score.id, score.method] = score
    ordered = [done[pending.row.id, name] for pending in mixtures for name in pending.keys]
    file.write([*ordered, *others])
    failures = sorted([*failures, *_failures(mixtures, ordered)], key=lambda failure: failure.row)
    by_id = {pending.row.id: pending.row for pending in mixtures}
    n_words = {id: recognizer.n_words(task.spoken(row)) for id, row in by_id.items()} if recognizer else {}
    return Evaluation(task, ordered, failures, systems, list(measures), by_id, n_kept, n_words)


def _missing(
    mixtures: Sequence[Pending],
    done: Mapping[tuple[str, str], Score],
    scorer: Scorer,
    file: ScoreFile,
    pool: Executor,
    progress: Callable[[int, int], object] | None,
) -> Iterator[Score]:
    """Score the remaining mixtures and append each to the file."""
    left = [
        replace(mixture, keys={name: key for name, key in mixture.keys.items() if (mixture.row.id, name) not in done})
        for mixture in mixtures
    ]
    todo = [mixture for mixture in left if mixture.keys]
    with closing(pool.map(scorer, todo)) as outcomes:
        for n_done, (pending, outcome) in enumerate(outcomes, len(mixtures) - len(todo) + 1):
            scores = pending.failed(scorer.task, str(outcome)) if isinstance(outcome, WorkerDied) else outcome
            file.append(scores)
            yield from scores
            if progress:
                progress(n_done, len(mixtures))


def _one_line(error: Exception) -> str:
    """An error in one line; one that is not undin's with its type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UndinError) else f"{type(error).__name__}: {text}"


def _check_output(est: Array, ref: Array, sr: int) -> None:
    if est.shape[:-1] != ref.shape[:-1]:
        got, wanted = (x.shape[0] if x.ndim > 1 else 1 for x in (est, ref))
        raise InputError(f"returned {got} signals; expected {wanted}, one per reference")
    if est.shape != ref.shape:
        got, wanted = est.shape[-1], ref.shape[-1]
        raise InputError(
            f"returned {got} samples for {wanted} ({1000 * (got - wanted) / sr:+.1f} ms): the output must have "
            "the length of the input and be aligned with it"
        )
    if not np.isfinite(est).all():
        raise InputError("returned NaN or infinite samples")


def _pending(rows: Iterable[MixtureRow | InputError], scorer: Scorer) -> tuple[list[Pending], list[Failure]]:
    """Every mixture with the key of every score; rows that cannot be scored are failures."""
    task = scorer.task
    shape = {"metrics": list(scorer.measures), "corpus": str(scorer.corpus.root), "undin": undin.__version__}
    about = {system.name: {**shape, **task.describe(), **system.describe()} for system in scorer.systems}
    mixtures: dict[str, Pending] = {}
    failures: list[Failure] = []
    for number, row in enumerate(rows, 2):
        if isinstance(row, InputError):
            failures.append(Failure("", number, "", str(row).partition(f"row {number}: ")[2] or str(row)))
        elif reason := _refusal(row, mixtures, task):
            failures.append(Failure(row.id, number, "", reason))
        else:
            about_row = {"row": asdict(row), **scorer.words(row)}
            keys = {name: _digest({**facts, **about_row}) for name, facts in about.items()}
            mixtures[row.id] = Pending(number, row, keys)
    return list(mixtures.values()), failures


def _refusal(row: MixtureRow, mixtures: Mapping[str, Pending], task: Task) -> str:
    """Why a row is not scored; "" where it is."""
    if row.id in mixtures:
        return f"row {mixtures[row.id].number} has the same id: give every row a unique id"
    return task.refusal(row)


def _digest(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _reusable(
    scores: Sequence[Score], mixtures: Sequence[Pending], task: Task
) -> tuple[dict[tuple[str, str], Score], list[Score]]:
    """Scores with the same settings, and those of methods and mixtures that are not in this run."""
    by_id = {pending.row.id: pending for pending in mixtures}
    done: dict[tuple[str, str], Score] = {}
    others: dict[tuple[str, str], Score] = {}
    for score in scores:
        pending = by_id.get(score.id)
        if pending is None or score.method not in pending.keys:
            others[score.id, score.method] = score
        elif score.key == pending.keys[score.method] and not score.error:
            done[score.id, score.method] = replace(score, kind=task.group(pending.row), seen=task.seen(pending.row))
    return done, list(others.values())


def _failures(mixtures: Sequence[Pending], scores: Iterable[Score]) -> Iterator[Failure]:
    """One failure per method and mixture, but only one where the input fails too: then the mixture is at fault."""
    numbers = {pending.row.id: pending.number for pending in mixtures}
    errors: dict[str, dict[str, list[str]]] = {}
    for score in scores:
        if score.error:
            errors.setdefault(score.id, {}).setdefault(score.error, []).append(score.method)
    for id, reasons in errors.items():
        for reason, methods in reasons.items():
            if INPUT in methods:
                yield Failure(id, numbers[id], "", reason)
            else:
                yield from (Failure(id, numbers[id], method, reason) for method in methods)
