"""report.html of talkers pulled apart: the table, who gains how much, each voice to listen to, and how to repeat it."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from undin import page
from undin.corpora import Corpus
from undin.errors import UndinError
from undin.evaluation import plots, report, tables
from undin.evaluation.examples import SECONDS, Example, spread
from undin.evaluation.separation import COLUMNS, IDEAL, SLICES, TalkerScore
from undin.evaluation.statistics import Mean, mean_of
from undin.evaluation.summary import facts_of_run
from undin.methods import Method
from undin.metrics import best_permutation, si_sdr
from undin.mixing import MixtureRow, render
from undin.provenance import fingerprint

MIXTURE = "mixture"
SHOWN = {name: words for name, words in COLUMNS.items() if name not in ("si_sdr_db", "mixture_si_sdr_db")}
WORDS = """Scores compare with each talker's own recording, in the order of the outputs that suits them best. SI-SDRi \
and SDRi are gained over the mixture. "Bins right" is the share of the mixture's energy in bins that were given to the \
talker who is loudest there, "all to one" what giving every bin to one talker reaches. Ideal masks know the talkers: \
what a mask of that kind reaches at most, with the phase of the mixture. Means stand with their 95 % interval (normal \
approximation)."""


def about_talkers(
    rows: Sequence[MixtureRow],
    methods: Mapping[str, Method],
    *,
    manifest: Path,
    data: Path,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """Say all that is needed to repeat an evaluation of talkers, as `about_run` does of others."""
    described = {name: fingerprint(method) for name, method in methods.items()}
    return facts_of_run(rows, described, list(COLUMNS), manifest=manifest, data=data, command=command)


def make_talker_examples(
    scores: Sequence[TalkerScore],
    rows: Sequence[MixtureRow],
    corpus: Corpus,
    methods: Mapping[str, Method],
    *,
    n: int,
    seed: int,
) -> list[Example]:
    """Separate n mixtures again to listen to, spread from where least was gained to where most was.

    Args:
        scores: from `evaluate_talkers`; those of the methods rank.
        rows: of the mixtures.
        corpus: the one they were made from.
        methods: by name; one that fails on a mixture is left out there.
        n: how many; fewer where there are fewer.
        seed: of the drawing.

    Returns:
        mixtures with each talker's recording and, below it, what each method took for it.
    """
    gains = defaultdict[str, list[float]](list)
    for score in scores:
        if score.method in methods and not score.error:
            gains[score.id].append(score.si_sdr_gain_db)
    ranked = {id: float(np.mean(values)) for id, values in gains.items()}
    by_id = {row.id: row for row in rows}
    return [_example(by_id[id], corpus, methods) for id in (spread(ranked, n, seed) if n else [])]


def _example(row: MixtureRow, corpus: Corpus, methods: Mapping[str, Method]) -> Example:
    made, found = render(row, corpus), dict[str, Any]()
    for name, method in methods.items():
        try:
            est = method(made.noisy, corpus.sr)
            found[name] = est[best_permutation(si_sdr, ref=made.sources, est=est)[1]]
        except UndinError:
            continue  # it is among the failures
    sounds = {MIXTURE: made.noisy}
    for k, ref in enumerate(made.sources):
        sounds[f"talker {k + 1}"] = ref
        sounds |= {f"talker {k + 1}, {name}": est[k] for name, est in found.items()}
    stop = round(SECONDS * corpus.sr)
    return Example(row, {label: y[:stop] for label, y in sounds.items()}, corpus.sr)


def write_talkers_report(
    path: Path, scores: Sequence[TalkerScore], about: dict[str, Any], *, examples: Sequence[Example] = ()
) -> Path:
    """Write the page, one self-contained file.

    Args:
        path: the file to write.
        scores: from `evaluate_talkers`.
        about: from `about_talkers`.
        examples: from `make_talker_examples`.

    Returns:
        The path.

    Raises:
        OSError: it cannot be written.
    """
    methods = [name for name in dict.fromkeys(score.method for score in scores) if name not in IDEAL]
    sections = {"Result": _result(scores)}
    if report.can_draw() and any(not score.error for score in scores):
        sections["Gains"] = _gains(scores, methods)
    for i, example in enumerate(examples, 1):
        name = f"Example {i}: {' and '.join(source.label or 'somebody' for source in example.row.speech)}"
        sections[name] = _heard(scores, name, example)
    sections["Failed"] = _failed(scores)
    sections["Repeat this run"] = report.repeat(about)
    n, n_methods = len({score.id for score in scores}), len(methods)
    intro = (
        f"{n_methods} {'method' if n_methods == 1 else 'methods'} on {n} {'mixture' if n == 1 else 'mixtures'} of "
        f"talkers who speak at once.\n\n{WORDS}"
    )
    title = f"{' against '.join(methods[:2])}" + (f" and {n_methods - 2} more" if n_methods > 2 else "")
    return page.write_sections(path, title=title, intro=intro, sections=sections, contents=True)


def _means(scores: Sequence[TalkerScore], method: str, part: str) -> dict[str, Mean | None]:
    of = [score for score in scores if score.method == method and part in ("all", score.genders)]
    return {name: mean_of(v for score in of if math.isfinite(v := getattr(score, name))) for name in COLUMNS}


def _result(scores: Sequence[TalkerScore]) -> list[str]:
    """A group per slice, whose heading gives n; a method that lacks some of these mixtures has an n of its own."""
    rows, first = tables.Rows(), next(iter(SHOWN.values()))
    for part, words in SLICES.items():
        of = [score for score in scores if part in ("all", score.genders)]
        n = len({score.id for score in of})
        if n:
            rows.append(page.Group(words, {first: f"n {n}"}))
        for method in dict.fromkeys(score.method for score in of):
            cells = _cells(_means(scores, method, part))
            n_own = sum(score.method == method and not score.error for score in of)
            cells[first] = cells[first] if n_own == n else page.Cell(cells[first] or "–", note=f"n {n_own}")
            rows.append({"": method, **cells})
    mixtures = {score.id: score.mixture_si_sdr_db for score in scores if math.isfinite(score.mixture_si_sdr_db)}
    mixed = mean_of(mixtures.values())
    notes = [f"The mixtures have an SI-SDR of {tables.interval(mixed, 2)} dB."] if mixed else []
    if n_failed := sum(bool(score.error) for score in scores):
        were = "1 failure is" if n_failed == 1 else f"{n_failed} failures are"
        notes.append(f"{were} listed below; means hold what went well.")
    notes += [] if report.can_draw() else [report.NO_PICTURES]
    return [page.table("Result", rows), *([page.prose("\n\n".join(notes))] if notes else [])]


def _cells(means: Mapping[str, Mean | None]) -> dict[str, object]:
    return {
        words: tables.interval(mean, 2 if name.endswith("_db") else 3, sign="gain" in name) if mean else None
        for name, words in SHOWN.items()
        for mean in [means[name]]
    }


def _gains(scores: Sequence[TalkerScore], methods: list[str]) -> list[str]:
    parts = [part for part in SLICES if any(part in ("all", score.genders) for score in scores)]
    shown = dict.fromkeys([*methods, *(score.method for score in scores)])
    shown = {name: None for name in shown if any(score.method == name and not score.error for score in scores)}
    means = {name: [_means(scores, name, part)["si_sdr_gain_db"] for part in parts] for name in shown}
    figure = plots.per_kind(means, [SLICES[part] for part in parts], "gain in SI-SDR (dB)")
    each = {name: [s.si_sdr_gain_db for s in scores if s.method == name and not s.error] for name in methods}
    each = {name: values for name, values in each.items() if values}
    drawn = [page.picture("Gain in SI-SDR by gender", figure)]
    if each:
        drawn.append(page.picture("Gain in SI-SDR, mixtures", plots.histograms({"SI-SDR (dB)": each})))
    return drawn


def _heard(scores: Sequence[TalkerScore], name: str, example: Example) -> list[str]:
    from undin import pictures

    sounds = {label: (y, example.sr) for label, y in example.sounds.items()}
    parts = [page.player(name, sounds, panels=report.can_draw())]
    if report.can_draw():
        parts.append(page.picture(name, pictures.overview(example.sounds, example.sr), list(sounds)))
    rows: tables.Rows = []
    for score in (score for score in scores if score.id == example.row.id and not score.error):
        rows.append({"": score.method, **_cells(_means([score], score.method, "all"))})
    return [*parts, page.table(f"Scores of {name}", rows), page.prose(f"Mixture {example.row.id}.")]


def _failed(scores: Sequence[TalkerScore]) -> list[str]:
    rows: tables.Rows = [{"mixture": s.id, "method": s.method, "why": s.error} for s in scores if s.error]
    return [page.table("Failed", rows)] if rows else [page.prose("Nothing failed.")]
