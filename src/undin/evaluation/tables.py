"""The tables of a report: rows of cells, as `undin.page.table` takes them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from undin.evaluation.runners import INPUT
from undin.evaluation.statistics import Mean, PairedTest, differences, paired_test
from undin.evaluation.summary import ALL, Table
from undin.metrics import Metric
from undin.page import Cell, Group

Rows = list[Mapping[str, object] | Group]


def number(value: float, digits: int, *, sign: bool = False) -> str:
    """A number with a real minus, and none before zero.

    >>> number(-0.04, 1), number(-1.0, 2), number(1.0, 0, sign=True)
    ('0.0', '−1.00', '+1')
    """
    value = round(value, digits) or 0.0
    return f"{value:{'+' if sign and value else ''}.{digits}f}".replace("-", "−")


def interval(mean: Mean, digits: int, *, sign: bool = False) -> str:
    """Mean ± half of its 95 % interval."""
    half = "" if mean.half is None else f" ± {mean.half:.{digits}f}"
    return number(mean.mean, digits, sign=sign) + half


def overall(table: Table) -> Rows:
    """A row per method: its score by every metric with its gain, its cost, and what failed."""
    evaluation, rows = table.evaluation, Rows()
    failed = Counter(score.method for score in evaluation.scores if score.error)
    for method in evaluation.methods:
        row: dict[str, object] = {"": method}
        for measure in evaluation.measures:
            row[measure.title] = _cell(table, measure, method, with_gain=True)
        factor = table.real_time_factor(method)
        row["real-time factor"] = None if factor is None else f"{factor:.3g}"
        row["failed"] = failed[method]
        rows.append(row)
    return rows


def by_kind_and_snr(table: Table, measure: Metric, kinds: Sequence[str]) -> Rows:
    """A group per kind of noise, in it a row per method, the input first; columns are SNRs.

    The heading of a group gives n; a method that lacks some of these mixtures has an n of its own.
    """
    rows = Rows()
    columns = {**({snr: snr for snr in table.snrs} if len(table.snrs) > 1 else {}), "all SNRs": ALL}
    for kind in kinds:
        n = {name: len(table.values(INPUT, measure.name, kind=kind, snr=snr)) for name, snr in columns.items()}
        heading = "all kinds of noise" if kind == ALL else kind.replace("_", " ")
        rows.append(Group(heading, {name: f"n {count}" for name, count in n.items()}))
        for method in table.evaluation.methods:
            cells = {name: _cell(table, measure, method, kind=kind, snr=snr) for name, snr in columns.items()}
            known = {
                name: replace(cell, note="") if cell and cell.note == f"n {n[name]}" else cell
                for name, cell in cells.items()
            }
            rows.append({"": method, **known})
    return rows


def by_seen(table: Table, measure: Metric) -> Rows:
    """A row per method: its score on noise of kinds that were learned from, and of kinds that were not."""
    columns = {"seen noise": "yes", "unseen noise": "no"}
    return [
        {"": method}
        | {name: _cell(table, measure, method, seen=seen, with_gain=True) for name, seen in columns.items()}
        for method in table.evaluation.methods
    ]


def pair_tests(table: Table, measure: Metric) -> dict[tuple[str, str], PairedTest]:
    """(row, column) -> test, for every two methods, each pair once."""
    methods = table.evaluation.methods
    values = {method: table.values(method, measure.name) for method in methods}
    tests = {(a, b): paired_test(differences(values[a], values[b])) for i, a in enumerate(methods) for b in methods[:i]}
    return {pair: test for pair, test in tests.items() if test}


def pair_matrix(table: Table, measure: Metric) -> Rows:
    """Row minus column, with what chance would make of it; every pair once."""
    methods, tests = table.evaluation.methods, pair_tests(table, measure)
    rows = Rows()
    for i, a in enumerate(methods[1:], 1):
        row: dict[str, object] = {"row minus column": a}
        for b in methods[:-1]:
            test = tests.get((a, b))
            row[b] = _test(test, measure) if test else ("–" if b in methods[:i] else "")
        rows.append(row)
    return rows


def undefined(table: Table) -> Rows:
    """What has no score, counted by reason."""
    counts: Counter[tuple[str, str, str]] = Counter()
    ids: dict[tuple[str, str, str], str] = {}
    titles = {measure.name: measure.label for measure in table.evaluation.measures}
    for score in table.evaluation.scores:
        for metric, reason in score.undefined.items():
            place = (titles.get(metric, metric), score.method, reason)
            counts[place] += 1
            ids.setdefault(place, score.id)
    return [
        {"metric": metric, "method": method, "files": count, "reason": reason, "first": ids[metric, method, reason]}
        for (metric, method, reason), count in counts.items()
    ]


def failed(table: Table) -> Rows:
    """Every mixture and method that failed, with its row and reason."""
    return [
        {"row": str(f.row), "mixture": f.id, "method": f.method or "all", "reason": f.reason}
        for f in table.evaluation.failures
    ]


def _cell(
    table: Table,
    measure: Metric,
    method: str,
    *,
    kind: str = ALL,
    snr: str = ALL,
    seen: str = ALL,
    with_gain: bool = False,
) -> Cell | None:
    """Mean ± interval with n, and bold where no method has a better mean."""
    cells = {m: table.cell(m, measure.name, kind=kind, snr=snr, seen=seen) for m in table.evaluation.methods}
    cell = cells[method]
    if cell.score is None:
        return None
    notes = [f"n {cell.score.n}"]
    if with_gain and cell.gain:
        notes.insert(0, f"({interval(cell.gain, measure.digits, sign=True)})")
    sign = 1 if measure.higher_is_better else -1
    best = max(sign * other.score.mean for other in cells.values() if other.score)
    return Cell(interval(cell.score, measure.digits), "\n".join(notes), best=sign * cell.score.mean == best)


def _test(test: PairedTest, measure: Metric) -> Cell:
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
