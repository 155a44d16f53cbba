"""report.html: one page with tables, plots, players and all that is needed to repeat the run."""

import json
import shlex
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from undin import page
from undin.checks import counted
from undin.errors import MissingExtraError
from undin.evaluation.report import plots, tables
from undin.evaluation.report.examples import Example
from undin.evaluation.report.gains import figure_of_gains
from undin.evaluation.run import Evaluation
from undin.evaluation.slices import ALL, Slices
from undin.evaluation.statistics import number
from undin.evaluation.systems import INPUT
from undin.metrics import Metric
from undin.player import Codec, player
from undin.workers import Executor

Parts = list[str | page.PictureTask]
LATE_MS = 0.5
FOLD_KINDS = 6  # more kinds of noise than this are folded away
PAIRS = (
    "In the tables of row minus column, a cell is the mean difference over the mixtures that both have a score for, "
    "with its 95 % interval; p is the probability of a difference at least this large if the two were equally good: "
    "{tests} Bold: the row is better and p is below 0.05. With many pairs some p fall below 0.05 by chance. Every "
    "mixture has the same weight, whatever its duration, noise or SNR, and mixtures of one speaker or recording count "
    "as independent."
)
TESTS = "t by the paired t-test, W by Wilcoxon's signed-rank test, which assumes no normal distribution."
TESTS_BARE = (
    "by the sign test, which counts the mixtures on which the row is higher. The t-test and Wilcoxon's test need "
    'scipy: pip install "undin[eval]".'
)
NO_PICTURES = 'Pictures are left out: matplotlib is not installed (pip install "undin[plot]").'


def write_report(
    path: Path,
    evaluation: Evaluation,
    about: dict[str, Any],
    *,
    examples: Sequence[Example] = (),
    notes: Sequence[str] = (),
    title: str | None = None,
    codec: Codec = "flac",
    workers: int | Executor = 1,
) -> Path:
    """Write the report of an evaluation as one self-contained HTML page.

    Args:
        path: the file to write.
        evaluation: from `evaluate`.
        about: from `about_run`.
        examples: from `make_examples`, in the order they are shown.
        notes: sentences to add below the first table, such as which metric is left out.
        title: heading; the names of the methods when None.
        codec: of the players: "flac", or "opus", which is lossy and a fifth of the size.
        workers: how many processes draw the pictures, or an `Executor`.

    Returns:
        The path.

    Raises:
        OSError: it cannot be written.
    """
    slices = Slices(evaluation)
    sections: dict[str, Parts] = {"Result": _result(slices, list(notes))}
    scored = [m for m in evaluation.measures if any(slices.values(method, m.name) for method in evaluation.methods)]
    for measure in scored:
        sections[measure.title] = _metric(slices, measure, explain=measure is scored[0])
    if any(score.seen == "yes" for score in evaluation.scores) and any(s.seen == "no" for s in evaluation.scores):
        sections["Seen and unseen noise"] = _seen(slices)
    if cost := _cost(slices):
        sections["Quality over cost"] = cost
    if can_draw() and (figure := figure_of_gains(evaluation)):
        sections["Gains over the input"] = [page.PictureTask("Gains over the input", figure)]
    for i, example in enumerate(examples, 1):
        name = f"Example {i}: {evaluation.task.title(example.row)}"
        sections[name] = _example(slices, name, example, codec)
    sections["Failures and undefined scores"] = _failed(slices)
    sections["Repeat this run"] = _repeat(about)
    title = title or _title(evaluation.compared[1:])
    intro = _intro(slices)
    return page.write_sections(path, title=title, intro=intro, sections=sections, contents=True, workers=workers)


def _title(names: Sequence[str]) -> str:
    return " against ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _intro(slices: Slices) -> str:
    evaluation = slices.evaluation
    scored = [score for score in evaluation.scores if score.method == INPUT and not score.error]
    minutes = sum(score.duration_s for score in scored) / 60
    return (
        f"{counted(len(evaluation.compared) - 1, 'method')} on {counted(len(scored), 'mixture')} "
        f"({minutes:.1f} minutes): {evaluation.task.contents(scored)}."
        f"\n\n{evaluation.task.meaning} Means are given with their 95 % interval (normal approximation) and n, the "
        "number of mixtures; the unprocessed input is a row like the methods, and the best mean is bold. "
        + ("Higher is better throughout." if all(m.higher_is_better for m in evaluation.measures) else "")
    )


def _result(slices: Slices, notes: list[str]) -> Parts:
    lower = [measure.label for measure in slices.evaluation.measures if not measure.higher_is_better]
    notes += [f"Lower is better for {', '.join(lower)}."] if lower else []
    if not can_draw():
        notes.append(NO_PICTURES)
    if n_failed := len(slices.evaluation.failures):
        were = "1 failure is" if n_failed == 1 else f"{n_failed} failures are"
        notes.append(f"{were} listed below; means exclude them, so compare methods by paired differences.")
    cost = (
        "The real-time factor is processing time divided by duration, on one core of the machine named below with the "
        "other workers running; that of a command includes starting it for every file."
    )
    notes = ["In brackets: the paired change against the input.", *notes, *_late(slices), cost]
    return [page.table("Result", tables.overall(slices)), page.prose("\n\n".join(notes))]


def _late(slices: Slices) -> list[str]:
    """Name the methods whose output is not aligned."""
    notes = []
    for method in slices.evaluation.compared[1:]:
        lags = [score.lag_ms for score in slices.evaluation.scores if score.method == method and not score.error]
        if lags and abs(lag := statistics.median(lags)) >= LATE_MS:
            when = f"{lag:.1f} ms late" if lag > 0 else f"{-lag:.1f} ms early"
            notes.append(
                f"The output of {method} is {when} (median); all metrics except PESQ require alignment, SI-SDR most: "
                "align it before comparing."
            )
    return notes


def _metric(slices: Slices, measure: Metric, *, explain: bool) -> Parts:
    methods, parts = slices.evaluation.methods, Parts()
    if can_draw() and len(slices.snrs) > 1:
        curves = {m: [slices.at(m, measure.name, snr=snr).score for snr in slices.snrs] for m in methods}
        figure = plots.over_snr(curves, slices.snrs, measure.title, plain=INPUT)
        parts.append(page.PictureTask(f"{measure.title} over SNR", figure))
    parts.append(page.table(f"{measure.title} per SNR", tables.by_kind_and_snr(slices, measure, [ALL])))
    if len(slices.kinds) > 1:
        parts += _kinds(slices, measure)
    parts.append(page.table(f"Pairs by {measure.title}", tables.pair_matrix(slices, measure)))
    return [*parts, page.prose(PAIRS.format(tests=TESTS if _has_scipy() else TESTS_BARE))] if explain else parts


def _kinds(slices: Slices, measure: Metric) -> Parts:
    """The plot of gains per group, the largest first, and the table per group."""
    parts, by = Parts(), slices.evaluation.task.by
    if can_draw():
        gains = {
            method: {kind: slices.at(method, measure.name, kind=kind).gain for kind in slices.kinds}
            for method in slices.evaluation.methods[1:]
        }
        sign = 1 if measure.higher_is_better else -1
        most = {k: max((sign * gain.mean for g in gains.values() if (gain := g[k])), default=0.0) for k in slices.kinds}
        kinds = sorted(slices.kinds, key=lambda kind: -most[kind])
        label = f"change of {measure.label}" + (f" ({measure.unit})" if measure.unit == "dB" else "")
        figure = plots.per_kind({method: [g[kind] for kind in kinds] for method, g in gains.items()}, kinds, label)
        parts.append(page.PictureTask(f"Change of {measure.title} per {by}", figure))
    rows = page.table(f"{measure.title} per {by} and SNR", tables.by_kind_and_snr(slices, measure, slices.kinds))
    folded = len(slices.kinds) > FOLD_KINDS
    return [*parts, page.folded(f"{measure.title} per {by} and SNR", rows) if folded else rows]


def _seen(slices: Slices) -> Parts:
    parts: Parts = [
        page.prose(
            "Seen: kinds of noise that the training data contain, in other recordings. The columns are over different "
            "mixtures: compare methods within a column, and the input's scores before comparing columns."
        )
    ]
    for measure in slices.evaluation.measures:
        parts += [page.prose(measure.title), page.table(f"{measure.title} seen", tables.by_seen(slices, measure))]
    return parts


def _cost(slices: Slices) -> Parts:
    if not can_draw():
        return []
    parts: Parts = []
    for measure in slices.evaluation.measures[:1]:
        points = {}
        for method in slices.evaluation.compared[1:]:
            factor, score = slices.real_time_factor(method), slices.at(method, measure.name).score
            if factor and score:
                points[method] = (factor, score)
        if points:
            plain = slices.at(INPUT, measure.name).score
            figure = plots.over_cost(points, plain, measure.title)
            parts.append(page.PictureTask(f"{measure.title} over cost", figure))
    return parts


def _example(slices: Slices, name: str, example: Example, codec: Codec) -> Parts:
    from undin import pictures

    sounds = {label: (y, example.sr) for label, y in example.sounds.items()}
    wet = slices.evaluation.compared[1:]
    parts: Parts = [player(name, sounds, panels=can_draw(), dry=INPUT, wet=wet, codec=codec)]
    if can_draw():
        parts.append(page.PictureTask(name, partial(pictures.overview, example.sounds, example.sr), list(sounds)))
    by_method = {s.method: s for s in slices.evaluation.scores if s.id == example.row.id}
    rows: tables.Rows = [
        {"": method} | {m.title: _value(by_method[method].values.get(m.name), m) for m in slices.evaluation.measures}
        for method in slices.evaluation.methods
        if method in by_method
    ]
    speaker = f", speaker {example.row.speaker}" if example.row.speaker else ""
    return [*parts, page.table(f"Scores of {name}", rows), page.prose(f"Mixture {example.row.id}{speaker}.")]


def _value(value: float | None, measure: Metric) -> str | None:
    return None if value is None else number(value, measure.digits)


def _failed(slices: Slices) -> Parts:
    failed, undefined = tables.failed(slices), tables.undefined(slices)
    parts: Parts = [page.prose("Nothing failed.")]
    if failed:
        parts = [page.table("Failed", failed)]
    if undefined:
        parts.append(page.prose("Means exclude undefined scores; n is the number of scores left."))
        parts.append(page.table("Undefined scores", undefined))
    elif slices.evaluation.measures:
        parts.append(page.prose("Every score is defined where the method ran."))
    return parts


def _repeat(about: dict[str, Any]) -> Parts:
    """How to get the same figures again."""
    machine = about["machine"]
    facts = {
        "command": shlex.join(about["command"]),
        "undin": f"{about['undin']}" + (f", commit {about['commit']}" if about["commit"] else ""),
        "manifest": f"{about['manifest']}, SHA-256 {about['manifest_sha256'][:16]}…, "
        f"seed {', '.join(map(str, about['manifest_seeds'])) or 'unknown'}",
        "data": about["data"],
        "packages": ", ".join(f"{name} {version}" for name, version in about["packages"].items()),
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {about['python']}",
        "time": about["time"],
    }
    methods: tables.Rows = [
        {"method": name, "settings": json.dumps(described, ensure_ascii=False)}
        for name, described in about["methods"].items()
    ]
    return [
        page.table("Run", [{"": name, "value": value} for name, value in facts.items()]),
        page.folded("Settings of the methods", page.table("Methods", methods)),
        page.prose("All scores are in scores.csv and all means in summary.json, in the folder of this page."),
    ]


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    from undin.errors import require

    try:
        require("matplotlib.figure", extra="plot")
    except MissingExtraError:
        return False
    return True


def _has_scipy() -> bool:
    try:
        import scipy.stats  # noqa: F401
    except ImportError:
        return False
    return True
