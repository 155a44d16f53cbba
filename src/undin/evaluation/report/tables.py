"""The tables of a report: rows of cells, as `undin.page.table` takes them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from undin.evaluation.slices import ALL, Slices
from undin.evaluation.statistics import PairedTest, differences, interval, paired_test
from undin.evaluation.systems import INPUT
from undin.metrics import Metric
from undin.page import Cell, Group

Rows = list[Mapping[str, object] | Group]


def overall(slices: Slices) -> Rows:
    """A row per method: its score by every metric with its gain, its cost, and failures."""
    evaluation, rows = slices.evaluation, Rows()
    failed = Counter(score.method for score in evaluation.scores if score.error)
    for method in evaluation.methods:
        row: dict[str, object] = {"": method}
        for measure in evaluation.measures:
            row[measure.title] = _mean_cell(slices, measure, method, with_gain=True)
        factor = slices.real_time_factor(method)
        row["real-time factor"] = None if factor is None else f"{factor:#.3g}".rstrip(".")
        row["failed"] = failed[method]
        rows.append(row)
    return rows


def by_kind_and_snr(slices: Slices, measure: Metric, kinds: Sequence[str]) -> Rows:
    """A heading per group with n, below it a row per method, the input first; columns are SNRs.

    Args:
        slices: of the evaluation.
        measure: the metric.
        kinds: groups, or ALL; a method that lacks some of their mixtures shows its own n.
    """
    rows = Rows()
    columns = {**({snr: snr for snr in slices.snrs} if len(slices.snrs) > 1 else {}), "all SNRs": ALL}
    for kind in kinds:
        n = {name: len(slices.values(INPUT, measure.name, kind=kind, snr=snr)) for name, snr in columns.items()}
        heading = "all mixtures" if kind == ALL else kind.replace("_", " ")
        rows.append(Group(heading, {name: f"n {count}" for name, count in n.items()}))
        for method in slices.evaluation.methods:
            cells = {
                name: _mean_cell(slices, measure, method, kind=kind, snr=snr, with_gain=len(columns) == 1)
                for name, snr in columns.items()
            }
            known = {
                name: cell and replace(cell, note=cell.note.removesuffix(f"n {n[name]}").rstrip())
                for name, cell in cells.items()
            }
            rows.append({"": method, **known})
    return rows


def by_seen(slices: Slices, measure: Metric) -> Rows:
    """A row per method: its score on kinds of noise that were seen in training, and on others."""
    columns = {"seen noise": "yes", "unseen noise": "no"}
    return [
        {"": method}
        | {name: _mean_cell(slices, measure, method, seen=seen, with_gain=True) for name, seen in columns.items()}
        for method in slices.evaluation.methods
    ]


def pair_tests(slices: Slices, measure: Metric) -> dict[tuple[str, str], PairedTest]:
    """(row, column) -> test, for every two methods, each pair once."""
    methods = slices.evaluation.compared
    values = {method: slices.values(method, measure.name) for method in methods}
    pairs = {(a, b): differences(values[a], values[b]) for i, a in enumerate(methods) for b in methods[:i]}
    tests = {pair: paired_test([*d.values()], slices.weights(measure.name, d)) for pair, d in pairs.items()}
    return {pair: test for pair, test in tests.items() if test}


def pair_matrix(slices: Slices, measure: Metric) -> Rows:
    """Row minus column with its significance; every pair once."""
    methods, tests = slices.evaluation.compared, pair_tests(slices, measure)
    rows = Rows()
    for i, a in enumerate(methods[1:], 1):
        row: dict[str, object] = {"row minus column": a}
        for b in methods[:-1]:
            test = tests.get((a, b))
            row[b] = _test_cell(test, measure) if test else ("–" if b in methods[:i] else "")
        rows.append(row)
    return rows


def undefined(slices: Slices) -> Rows:
    """Undefined scores, counted by reason."""
    counts: Counter[tuple[str, str, str]] = Counter()
    ids: dict[tuple[str, str, str], str] = {}
    titles = {measure.name: measure.label for measure in slices.evaluation.measures}
    for score in slices.evaluation.scores:
        for metric, reason in score.undefined.items():
            place = (titles.get(metric, metric), score.method, reason)
            counts[place] += 1
            ids.setdefault(place, score.id)
    return [
        {"metric": metric, "method": method, "files": count, "reason": reason, "first": ids[metric, method, reason]}
        for (metric, method, reason), count in counts.items()
    ]


def failed(slices: Slices) -> Rows:
    """Every mixture and method that failed, with its row and reason."""
    return [
        {"row": str(f.row), "mixture": f.id, "method": f.method or "all", "reason": f.reason}
        for f in slices.evaluation.failures
    ]


def _mean_cell(
    slices: Slices,
    measure: Metric,
    method: str,
    *,
    kind: str = ALL,
    snr: str = ALL,
    seen: str = ALL,
    with_gain: bool = False,
) -> Cell | None:
    """Mean ± interval with n; bold where neither the input nor a system has a better mean."""
    cell = slices.at(method, measure.name, kind=kind, snr=snr, seen=seen)
    if cell.score is None:
        return None
    notes = [f"n {cell.score.n}"]
    if with_gain and cell.gain:
        notes.insert(0, f"({interval(cell.gain, measure.digits, sign=True)})")
    sign = 1 if measure.higher_is_better else -1
    rivals = [slices.at(m, measure.name, kind=kind, snr=snr, seen=seen).score for m in slices.evaluation.compared]
    best = method in slices.evaluation.compared and all(
        sign * cell.score.mean >= sign * score.mean for score in rivals if score
    )
    return Cell(interval(cell.score, measure.digits), "\n".join(notes), best=best)


def _test_cell(test: PairedTest, measure: Metric) -> Cell:
    better = test.difference.mean * (1 if measure.higher_is_better else -1) > 0
    notes = [f"{name} {probability(p)}" for name, p in (("t", test.p_t), ("W", test.p_wilcoxon)) if p is not None]
    if test.p_t is None:
        notes.append(f"sign {probability(test.p_sign)}")
    p = test.p_sign if test.p_t is None else test.p_t
    text = interval(test.difference, measure.digits, sign=True)
    return Cell(text, "\n".join([*notes, f"n {test.difference.n}"]), best=better and p < 0.05)


def probability(p: float) -> str:
    """p to two digits, and never zero.

    >>> probability(0.0), probability(0.0312)
    ('p < 0.001', 'p 0.031')
    """
    return "p < 0.001" if p < 0.001 else f"p {p:.2g}"
