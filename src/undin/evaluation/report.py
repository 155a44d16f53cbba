"""report.html: one page with the tables, the pictures, the players and all that is needed to repeat the run."""

import json
import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from undin import page
from undin.errors import MissingExtraError
from undin.evaluation import plots, tables
from undin.evaluation.examples import Example
from undin.evaluation.run import Evaluation
from undin.evaluation.runners import INPUT
from undin.evaluation.summary import ALL, Table
from undin.metrics import Metric

LATE_MS = 0.5
FOLD_KINDS = 6  # more kinds of noise than this are folded away
PAIRS = (
    "Each field is the mean of row minus column over the mixtures that both have a score for, with its 95 % interval; "
    "p is the probability of a difference at least this large if the two were equally good: t by the paired t-test, "
    "W by Wilcoxon's signed-rank test, which asks for no normal distribution. Bold: the row is better and p is below "
    "0.05. With many pairs some p fall below 0.05 by chance; mixtures of one speaker or recording count as independent."
)
PAIRS_BARE = (
    "Each field is the mean of row minus column over the mixtures that both have a score for, with its 95 % interval; "
    "p is that of the sign test, which counts on how many files the row is higher. The t-test and Wilcoxon's test need "
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
) -> Path:
    """Write the report of an evaluation as one self-contained HTML page.

    Args:
        path: the file to write.
        evaluation: from `evaluate`.
        about: from `about_run`.
        examples: from `make_examples`; their order is kept.
        notes: sentences to add to the introduction, such as which metric is left out.
        title: heading; made from the methods when None.

    Returns:
        The path.

    Raises:
        OSError: it cannot be written.
    """
    table = Table(evaluation)
    sections: dict[str, list[str]] = {"Result": _result(table, list(notes))}
    for measure in evaluation.measures:
        if any(table.values(method, measure.name) for method in evaluation.methods):
            sections[measure.title] = _metric(table, measure)
    if any(score.seen == "yes" for score in evaluation.scores) and any(s.seen == "no" for s in evaluation.scores):
        sections["Seen and unseen noise"] = _seen(table)
    if cost := _cost(table):
        sections["Quality over cost"] = cost
    for i, example in enumerate(examples, 1):
        sections[_name(i, example)] = _example(table, _name(i, example), example)
    sections["Failed and without a score"] = _failed(table)
    sections["Repeat this run"] = repeat(about)
    title = title or f"{' against '.join(evaluation.methods[1:3])}" + (
        f" and {len(evaluation.methods) - 3} more" if len(evaluation.methods) > 3 else ""
    )
    return page.write_sections(path, title=title, intro=_intro(table), sections=sections, contents=True)


def _intro(table: Table) -> str:
    evaluation = table.evaluation
    scored = [score for score in evaluation.scores if score.method == INPUT and not score.error]
    minutes = sum(score.duration_s for score in scored) / 60
    speakers = {score.speaker for score in scored} - {""}
    snrs = [score.snr_db for score in scored] or [0.0]
    n_methods = len(evaluation.methods) - 1
    return (
        f"{n_methods} {'method' if n_methods == 1 else 'methods'} on {len(scored)} mixtures ({minutes:.1f} minutes): "
        f"{len(table.kinds)} {'kind' if len(table.kinds) == 1 else 'kinds'} of noise, "
        f"SNR {tables.number(min(snrs), 0)} to {tables.number(max(snrs), 0)} dB, {len(speakers)} speakers.\n\n"
        "Scores compare with the clean voice. Means stand with their 95 % interval (normal approximation) and n, the "
        "number of mixtures; the unprocessed input is a row like the methods, and the best mean is bold. "
        + ("Higher is better throughout." if all(m.higher_is_better for m in evaluation.measures) else "")
    )


def _result(table: Table, notes: list[str]) -> list[str]:
    lower = [measure.label for measure in table.evaluation.measures if not measure.higher_is_better]
    notes += [f"Lower is better for {', '.join(lower)}."] if lower else []
    if not can_draw():
        notes.append(NO_PICTURES)
    if n_failed := len(table.evaluation.failures):
        were = "1 failure is" if n_failed == 1 else f"{n_failed} failures are"
        notes.append(f"{were} listed below; means hold what went well, so compare methods by their pairs.")
    cost = (
        "The real-time factor is seconds of work per second of sound, on the machine named below, on one core beside "
        "the other workers; that of a command includes starting it for every file."
    )
    notes = ["In brackets: the paired change against the input.", *notes, *_late(table), cost]
    return [page.table("Result", tables.overall(table)), page.prose("\n\n".join(notes))]


def _late(table: Table) -> list[str]:
    """Say which methods shift the sound in time: all metrics but PESQ punish that."""
    notes = []
    for method in table.evaluation.methods[1:]:
        lags = [score.lag_ms for score in table.evaluation.scores if score.method == method and not score.error]
        if lags and abs(lag := statistics.median(lags)) >= LATE_MS:
            when = f"{lag:.1f} ms late" if lag > 0 else f"{-lag:.1f} ms early"
            notes.append(
                f"{method} gives its output {when} (median), which all metrics but PESQ punish, SI-SDR most: "
                "make it align its output before you judge it by them."
            )
    return notes


def _metric(table: Table, measure: Metric) -> list[str]:
    methods, parts = table.evaluation.methods, []
    if can_draw() and len(table.snrs) > 1:
        curves = {m: [table.cell(m, measure.name, snr=snr).score for snr in table.snrs] for m in methods}
        figure = plots.over_snr(curves, table.snrs, measure.title, plain=INPUT)
        parts.append(page.picture(f"{measure.title} over SNR", figure))
    parts.append(page.table(f"{measure.title} per SNR", tables.by_kind_and_snr(table, measure, [ALL])))
    if len(table.kinds) > 1:
        parts += _kinds(table, measure)
    parts.append(page.table(f"Pairs by {measure.title}", tables.pair_matrix(table, measure)))
    parts.append(page.prose(PAIRS if _has_scipy() else PAIRS_BARE))
    return parts


def _kinds(table: Table, measure: Metric) -> list[str]:
    """The picture of gains per kind of noise, most gained first, and the table per kind."""
    parts = []
    if can_draw():
        gains = {
            method: {kind: table.cell(method, measure.name, kind=kind).gain for kind in table.kinds}
            for method in table.evaluation.methods[1:]
        }
        sign = 1 if measure.higher_is_better else -1
        most = {k: max((sign * gain.mean for g in gains.values() if (gain := g[k])), default=0.0) for k in table.kinds}
        kinds = sorted(table.kinds, key=lambda kind: -most[kind])
        label = f"change of {measure.label}" + (f" ({measure.unit})" if measure.unit == "dB" else "")
        figure = plots.per_kind({method: [g[kind] for kind in kinds] for method, g in gains.items()}, kinds, label)
        parts.append(page.picture(f"Change of {measure.title} per kind of noise", figure))
    rows = page.table(f"{measure.title} per noise and SNR", tables.by_kind_and_snr(table, measure, table.kinds))
    folded = len(table.kinds) > FOLD_KINDS
    return [*parts, page.folded(f"{measure.title} per kind of noise and SNR", rows) if folded else rows]


def _seen(table: Table) -> list[str]:
    parts = [
        page.prose(
            "Seen: noise of a kind that the methods were trained on, by other recordings. The two columns hold other "
            "mixtures, so compare methods within a column, and the input's rows before you compare the columns."
        )
    ]
    for measure in table.evaluation.measures:
        parts += [page.prose(measure.title), page.table(f"{measure.title} seen", tables.by_seen(table, measure))]
    return parts


def _cost(table: Table) -> list[str]:
    if not can_draw():
        return []
    parts = []
    for measure in table.evaluation.measures[:1]:
        points = {}
        for method in table.evaluation.methods[1:]:
            factor, score = table.real_time_factor(method), table.cell(method, measure.name).score
            if factor and score:
                points[method] = (factor, score)
        if points:
            plain = table.cell(INPUT, measure.name).score
            figure = plots.over_cost(points, plain, measure.title)
            parts.append(page.picture(f"{measure.title} over cost", figure))
    return parts


def _name(i: int, example: Example) -> str:
    return f"Example {i}: {example.row.kind} at {tables.number(example.row.snr_db, 1)} dB"


def _example(table: Table, name: str, example: Example) -> list[str]:
    from undin import pictures

    sounds = {label: (y, example.sr) for label, y in example.sounds.items()}
    parts = [page.player(name, sounds, panels=can_draw())]
    if can_draw():
        parts.append(page.picture(name, pictures.overview(example.sounds, example.sr), list(sounds)))
    by_method = {s.method: s for s in table.evaluation.scores if s.id == example.row.id}
    rows: tables.Rows = [
        {"": method} | {m.title: _value(by_method[method].values.get(m.name), m) for m in table.evaluation.measures}
        for method in table.evaluation.methods
        if method in by_method
    ]
    speaker = f", speaker {example.row.speaker}" if example.row.speaker else ""
    return [*parts, page.table(f"Scores of {name}", rows), page.prose(f"Mixture {example.row.id}{speaker}.")]


def _value(value: float | None, measure: Metric) -> str | None:
    return None if value is None else tables.number(value, measure.digits)


def _failed(table: Table) -> list[str]:
    failed, undefined = tables.failed(table), tables.undefined(table)
    parts = [page.prose("Nothing failed.")]
    if failed:
        parts = [page.table("Failed", failed)]
    if undefined:
        parts.append(page.prose("Scores that are undefined are in no mean; n says how many are left."))
        parts.append(page.table("Undefined scores", undefined))
    elif table.evaluation.measures:
        parts.append(page.prose("Every score is defined where the method ran."))
    return parts


def repeat(about: dict[str, Any]) -> list[str]:
    """The section that says how to get the same figures again."""
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
        page.table("Run", [{"": name, "what": value} for name, value in facts.items()]),
        page.folded("Settings of the methods", page.table("Methods", methods)),
        page.prose("Every score of every file is in scores.csv, every mean in summary.json, beside this page."),
    ]


def can_draw() -> bool:
    """Whether matplotlib is there."""
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
