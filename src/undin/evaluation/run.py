"""methods x mixtures -> scores: every mixture is made once, enhanced by every method, and scored against its voice."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import undin
from undin.corpora import Corpus
from undin.errors import InputError, UndinError
from undin.evaluation.measures import measure_all
from undin.evaluation.runners import INPUT, Enhance, Runner
from undin.evaluation.scores import Score, ScoreFile
from undin.metrics import METRICS, Metric
from undin.mixing import MixtureRow, render
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
    """The outcome: scores in the manifest's order, the input first, then each method."""

    scores: list[Score]
    failures: list[Failure]
    runners: list[Runner]
    measures: list[Metric]
    rows: dict[str, MixtureRow]  # by id
    n_kept: int = 0  # scores that an earlier run had left

    @property
    def methods(self) -> list[str]:
        """Names, the input first."""
        return [INPUT, *(runner.name for runner in self.runners)]


@dataclass(frozen=True)
class Job:
    """A mixture and the methods that have no score for it yet."""

    number: int  # its row in the manifest
    row: MixtureRow
    keys: dict[str, str] = field(default_factory=dict)  # method -> key
    seen: str = ""


@dataclass(frozen=True)
class Bench:
    """What a process needs to score mixtures; `__call__` makes its function."""

    corpus: Corpus
    runners: Sequence[Runner]
    measures: Sequence[str]

    def __call__(self, _: Progress) -> Callable[[Job], list[Score]]:
        """Load every method."""
        measures = [METRICS[name] for name in self.measures]
        enhance: dict[str, Enhance] = {runner.name: runner.load() for runner in self.runners}
        return lambda job: score_job(job, self.corpus, enhance, measures)

    def __reduce__(self) -> Any:
        return Bench, (self.corpus, self.runners, self.measures)


def evaluate(
    rows: Iterable[MixtureRow | InputError],
    corpus: Corpus,
    runners: Sequence[Runner],
    measures: Sequence[Metric],
    folder: str | Path,
    *,
    workers: int | Executor = 1,
    seen_kinds: Collection[str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Score methods on the mixtures of a manifest; what `scores.csv` in the folder has already is kept.

    Args:
        rows: of a manifest, in its order; an error stands for a row that cannot be read.
        corpus: the one it was made from.
        runners: from `make_runners`.
        measures: from `choose`.
        folder: where `scores.csv` is, or is to be.
        workers: how many processes, or an `Executor`.
        seen_kinds: kinds of noise that the methods learned from, where that is known.
        progress: called with (mixtures done, of all).

    Returns:
        the Evaluation. A mixture that cannot be made and a method that fails on one are among its failures; failed
        scores are tried again in the next run.

    Raises:
        InputError: workers is not at least 1, or the manifest is empty.
        OSError: the folder cannot be written.
    """
    pool = executor(workers)
    jobs, failures = _jobs(rows, runners, measures, corpus, seen_kinds)
    if not jobs and not failures:
        raise InputError("the manifest has no rows: there is nothing to evaluate")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = ScoreFile(folder / SCORES, [measure.name for measure in measures])
    done, others = _standing(file.read(), jobs)
    n_kept = len(done)
    file.write([*done.values(), *others])
    todo = [job for job in (_rest(job, done) for job in jobs) if job.keys]
    n_done = len(jobs) - len(todo)
    bench = Bench(corpus, runners, file.metrics)
    with closing(pool.map(bench, todo)) as outcomes:
        for job, outcome in outcomes:
            scores = _failed(job, str(outcome)) if isinstance(outcome, WorkerDied) else outcome
            file.append(scores)
            done |= {(score.id, score.method): score for score in scores}
            n_done += 1
            if progress:
                progress(n_done, len(jobs))
    ordered = [done[job.row.id, name] for job in jobs for name in _names(runners)]
    file.write([*ordered, *others])
    failures += _failures(jobs, ordered)
    by_id = {job.row.id: job.row for job in jobs}
    return Evaluation(ordered, sorted(failures, key=lambda f: f.row), list(runners), list(measures), by_id, n_kept)


def score_job(job: Job, corpus: Corpus, enhance: dict[str, Enhance], measures: Sequence[Metric]) -> list[Score]:
    """Make one mixture and score what each of its methods makes of it; nothing that goes wrong is raised."""
    try:
        mixture = render(job.row, corpus)
        sr = corpus.sr
    except (UndinError, OSError) as error:
        return _failed(job, f"the mixture cannot be made: {error}")
    return [_score(job, name, mixture.speech, mixture.noisy, sr, enhance.get(name), measures) for name in job.keys]


def _score(
    job: Job, name: str, clean: Array, noisy: Array, sr: int, enhance: Enhance | None, measures: Sequence[Metric]
) -> Score:
    score = replace(_blank(job, name), duration_s=len(noisy) / sr)
    start = time.perf_counter()
    try:
        y = enhance(noisy.copy(), sr) if enhance else noisy
        seconds = time.perf_counter() - start if enhance else 0.0
        _check_output(y, noisy, sr)
        values, undefined = measure_all(measures, clean, y, sr)
    except Exception as error:  # whatever a method does, the others go on
        known = isinstance(error, UndinError)
        return replace(score, error=" ".join(str(error).split()) if known else f"{type(error).__name__}: {error}")
    return replace(score, values=values, undefined=undefined, seconds=seconds, lag_ms=lag_ms(y, noisy, sr))


def lag_ms(y: Array, x: Array, sr: int) -> float:
    """How late y is against x, by the highest cross-correlation within 100 ms; 0 where either is silent.

    >>> x = np.random.default_rng(0).standard_normal(8000)
    >>> lag_ms(np.roll(x, 80), x, 8000)
    10.0
    """
    reach = min(sr // 10, x.shape[-1] - 1)
    n_fft = 1 << (x.shape[-1] + reach).bit_length()
    r = np.fft.irfft(np.conj(np.fft.rfft(x, n_fft)) * np.fft.rfft(y, n_fft), n_fft)
    lags = np.r_[0 : reach + 1, -reach:0] if reach else np.zeros(1, int)
    return 1000 * int(lags[np.argmax(r[lags])]) / sr


def _check_output(y: Array, x: Array, sr: int) -> None:
    if y.shape != x.shape:
        was, now = (f"{a.shape[-1]} samples" + (f" in {len(a)} channels" if a.ndim > 1 else "") for a in (x, y))
        by_ms = f" ({1000 * (y.shape[-1] - x.shape[-1]) / sr:+.1f} ms)" if y.ndim == x.ndim else ""
        raise InputError(f"it gave {now} for {was}{by_ms}: its output must be as long as its input and aligned")
    if not np.isfinite(y).all():
        raise InputError("it gave samples that are no numbers (nan or infinity)")


def _jobs(
    rows: Iterable[MixtureRow | InputError],
    runners: Sequence[Runner],
    measures: Sequence[Metric],
    corpus: Corpus,
    seen_kinds: Collection[str] | None,
) -> tuple[list[Job], list[Failure]]:
    """A job per row with the key of every score; ids that come twice are failures."""
    shape = {"metrics": [measure.name for measure in measures], "corpus": str(corpus.root), "undin": undin.__version__}
    described: dict[str, Any] = {INPUT: {}} | {runner.name: runner.describe() for runner in runners}
    jobs: dict[str, Job] = {}
    failures: list[Failure] = []
    for number, row in enumerate(rows, 2):
        if isinstance(row, InputError):
            failures.append(Failure("", number, "", str(row).partition(f"row {number}: ")[2] or str(row)))
            continue
        if reason := _refusal(row, jobs):
            failures.append(Failure(row.id, number, "", reason))
            continue
        keys = {name: _digest({**shape, **about, "row": asdict(row)}) for name, about in described.items()}
        seen = row.seen if seen_kinds is None else ("yes" if row.kind in seen_kinds else "no")
        jobs[row.id] = Job(number, row, keys, seen)
    return list(jobs.values()), failures


def _refusal(row: MixtureRow, jobs: dict[str, Job]) -> str:
    """Why a row is not taken; "" where it is."""
    if row.id in jobs:
        return f"its id is that of row {jobs[row.id].number} too: give every row an id of its own"
    if not math.isfinite(row.snr_db):
        return "it has no noise, so there is nothing to enhance: leave it out"
    return ""


def _digest(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _standing(scores: Sequence[Score], jobs: Sequence[Job]) -> tuple[dict[tuple[str, str], Score], list[Score]]:
    """What is scored already in the same way, and the scores of methods that this run is not about."""
    by_id = {job.row.id: job for job in jobs}
    done: dict[tuple[str, str], Score] = {}
    others: dict[tuple[str, str], Score] = {}
    for score in scores:
        job = by_id.get(score.id)
        if job is None or score.method not in job.keys:
            others[score.id, score.method] = score
        elif score.key == job.keys[score.method] and not score.error:
            done[score.id, score.method] = replace(score, seen=job.seen)
    return done, list(others.values())


def _rest(job: Job, done: dict[tuple[str, str], Score]) -> Job:
    return replace(job, keys={name: key for name, key in job.keys.items() if (job.row.id, name) not in done})


def _blank(job: Job, name: str) -> Score:
    row = job.row
    return Score(row.id, name, row.kind, row.snr_db, row.speaker, job.seen, key=job.keys[name])


def _failed(job: Job, reason: str) -> list[Score]:
    return [replace(_blank(job, name), error=" ".join(reason.split())) for name in job.keys]


def _failures(jobs: Sequence[Job], scores: Iterable[Score]) -> Iterator[Failure]:
    """One failure per method and mixture, but one only where all fail alike: then it is the mixture."""
    numbers = {job.row.id: job.number for job in jobs}
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


def _names(runners: Sequence[Runner]) -> list[str]:
    return [INPUT, *(runner.name for runner in runners)]
