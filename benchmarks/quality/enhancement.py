"""Our methods against every peer that can be installed, on the same files: python -m benchmarks.quality.enhancement

120 mixtures of test speakers with test recordings of twelve everyday noises at -5 to 15 dB; 80 at 20 and 30 dB and the
40 clean voices of the latter, where a method can only do harm; 24 stretches of noise alone, two of each kind; 40 voices
raised by a third, formants too, as children's are, at 5 and 20 dB. A row per method and file is written as soon as it
is computed, and kept until the method, its weights or the file change: an interrupted run resumes, and new weights are
scored alone.

    NAME=x.onnx     also weights that do not ship yet, any number of them
    --only NAMES    these methods alone, by comma     --workers N    processes, 1 without it
    --table [NAMES] the tables from the results
"""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import undin
from benchmarks.launch import parser
from benchmarks.peers import PEERS, System, digest, find, systems
from benchmarks.quality.classical import EVERYDAY, SNRS_DB
from benchmarks.scoring import MARKED, RESULTS, Scores, gains, interval, mark, real_data
from undin.corpora import Corpus
from undin.methods import LEARNED
from undin.metrics.composite import composite_of
from undin.mixing import MixtureRow, make_manifest, render
from undin.mixing.augment.effects import speed

PATH, FILES = RESULTS / "quality.csv", RESULTS / "quality_files.csv"
SEED, SHIPPED = 6, "hush"
BASELINES = LEARNED.keys() - undin.METHODS.keys()  # in the table of methods alone
METRICS = {
    "pesq_wb": "PESQ-WB", "estoi": "ESTOI", "si_sdr_db": "SI-SDR (dB)", "segsnr_db": "segmental SNR (dB)",
    "csig": "CSIG", "cbak": "CBAK", "covl": "COVL",
}  # fmt: skip
COLUMNS = ["method", "id", "key", *METRICS, "attenuation_db", "error"]
SETTLING_S = 1  # of noise alone, before its attenuation counts
RAISED = 4 / 3  # pitch and formants of a child over those of an adult
MOST_DB = 100.0  # where no noise remains

File = tuple[str, MixtureRow]  # what the method gets of the mixture: "mixture", "clean", "noise" or "raised"
Job = tuple[str, File, dict[str, tuple[str, str]]]  # id; file; method -> (source, key)


def files(corpus: Corpus) -> dict[str, File]:
    """Id -> file, from the seed alone."""
    draw = partial(make_manifest, corpus, kinds=EVERYDAY, split="test")
    high = draw(n=80, seed=SEED + 1, snr_db=[20.0, 30.0])
    clean = [row for row in high if row.snr_db == 30]
    sets = {"mix": draw(n=120, seed=SEED, snr_db=SNRS_DB), "noise": draw(n=24, seed=SEED + 2, snr_db=5.0)}
    sets |= {"high": high, "clean": clean}
    sets["raised"] = draw(n=40, seed=SEED + 3, snr_db=[5.0, 20.0])
    part = {"mix": "mixture", "high": "mixture"}
    return {f"{name}-{i:03d}": (part.get(name, name), row) for name, rows in sets.items() for i, row in enumerate(rows)}


def score(ref: np.ndarray, est: np.ndarray, sr: int) -> Scores:
    """Every metric; the reason for an undefined one is in "error"."""
    pair = {"ref": ref, "est": est, "sr": sr}
    calls: dict[str, Callable[[], float]] = {
        "pesq_wb": lambda: undin.metrics.pesq(**pair),
        "estoi": lambda: undin.metrics.estoi(**pair),
        "si_sdr_db": lambda: undin.metrics.si_sdr(ref=ref, est=est),
        "segsnr_db": lambda: undin.metrics.segmental_snr(**pair),
        "llr": lambda: undin.metrics.llr(**pair),
        "wss": lambda: undin.metrics.wss(**pair),
    }
    scores: Scores = {}
    for name, call in calls.items():
        try:
            scores[name] = call()
        except undin.InputError as error:
            scores["error"] = str(error)
    parts = {name: scores.pop(name, None) for name in ("llr", "wss")}
    if "error" not in scores:  # with the PESQ that is there already
        scores |= composite_of(**parts, mos=scores["pesq_wb"], segsnr_db=scores["segsnr_db"])._asdict()
    return scores


def attenuation_db(x: np.ndarray, y: np.ndarray, sr: int) -> float:
    """How far noise alone is turned down, once the method has settled."""
    before, after = (float(np.square(v[SETTLING_S * sr :], dtype=float).sum()) for v in (x, y))
    return min(10 * math.log10(before / after), MOST_DB) if after else MOST_DB


@cache
def _corpus() -> Corpus:
    return real_data()


def work(job: Job) -> list[Scores]:
    """Score one file by every method that is still to do; errors of a method are in its row."""
    id, (part, row), todo = job
    made, sr = render(row, _corpus()), _corpus().sr
    ref, x = made.speech, {"clean": made.speech, "noise": made.noise}.get(part, made.noisy)
    if part == "raised":
        ref, x = (speed(v, sr, RAISED).astype(np.float32) for v in (ref, x))
    rows = []
    for name, (source, key) in todo.items():
        try:
            y = x if name == "input" else find(name, source).enhance(x.copy(), sr)
            scores = {"attenuation_db": attenuation_db(x, y, sr)} if part == "noise" else score(ref, y, sr)
        except Exception as error:  # one method's failure must not stop the others
            scores = {"error": f"{type(error).__name__}: {error}"}
        rows.append({"method": name, "id": id, "key": key, **{k: _rounded(v) for k, v in scores.items()}})
    return rows


def _rounded(value: float | str) -> float | str:
    if isinstance(value, str):
        return " ".join(value.split())
    return round(value, 4 if abs(value) < 10 else 3) if math.isfinite(value) else ""  # "": clean input's SI-SDR


def run(chosen: Sequence[System], workers: int) -> None:
    """Do all that is missing."""
    every = files(_corpus())
    genders = {clip.speaker: clip.gender for clip in _corpus().speech}
    _write(FILES, [_about(id, *file) | {"gender": genders[file[1].speaker]} for id, file in every.items()])
    done = {(r["method"], r["id"]): r for r in _rows(PATH)} if PATH.exists() else {}
    keys = {"input": ("", "")} | {s.name: (s.source, s.key) for s in chosen}
    jobs: list[Job] = []
    for id, file in every.items():
        wanted = {name: (source, digest(key, file[0], asdict(file[1]))) for name, (source, key) in keys.items()}
        todo = {name: w for name, w in wanted.items() if done.get((name, id), {}).get("key") != w[1]}
        if todo:
            jobs.append((id, file, todo))
    print(f"{sum(len(job[2]) for job in jobs)} scores to make, on {len(jobs)} of {len(every)} files", flush=True)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for n, rows in enumerate(pool.map(work, jobs), 1):
            for row in rows:
                done[row["method"], row["id"]] = row
                if row.get("error"):
                    print(f"  {row['method']} {row['id']}: {row['error']}", flush=True)
            _write(PATH, _ordered(done.values(), list(every)), COLUMNS)
            print(f"{n} of {len(jobs)} files", flush=True)


def _about(id: str, part: str, row: MixtureRow) -> Scores:
    about = {"id": id, "kind": row.kind, "snr_db": row.snr_db, "speaker": row.speaker}
    return about | ({"kind": ""} if part == "clean" else {}) | ({"snr_db": ""} if part in ("clean", "noise") else {})


def _ordered(rows: Sequence[Scores], ids: list[str]) -> list[Scores]:
    methods, places = order({r["method"] for r in rows}), {id: k for k, id in enumerate(ids)}
    kept = [r for r in rows if r["id"] in places]
    return sorted(kept, key=lambda r: (methods.index(r["method"]), places[r["id"]]))


def order(names: set[str]) -> list[str]:
    """The input, ours in the order of `METHODS`, weights that do not ship, the peers."""
    peers = [peer.name for peer in PEERS]
    first = ["input", *undin.METHODS]
    others = sorted(names - set(first) - set(peers))
    return [name for name in [*first, *others, *peers] if name in names]


def _write(path: Path, rows: Sequence[Scores], columns: Sequence[str] = ()) -> None:
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        table = csv.DictWriter(file, columns or list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    part.replace(path)


def _rows(path: Path) -> list[Scores]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read() -> list[Scores]:
    """The scores with the facts about their files; empty cells are left out."""
    about = {row["id"]: row for row in _rows(FILES)}
    numbers = {*METRICS, "attenuation_db", "snr_db"}
    rows = [{**about[row["id"]], **row} for row in _rows(PATH)]
    return [{k: float(v) if k in numbers else v for k, v in row.items() if v != ""} for row in rows]


def of(results: Sequence[Scores], part: str) -> list[Scores]:
    """Those of one set: mix, high, clean or noise."""
    return [r for r in results if r["id"].startswith(f"{part}-")]


def _digits(metric: str) -> int:
    return 1 if metric.endswith("_db") else 3 if metric == "estoi" else 2


def _cell(values: Sequence[float], metric: str, n: int, sign: str = "+") -> str:
    """Mean ± half its interval; n only where a score is missing."""
    if not values:
        return "–"
    (mean, half), digits = interval(values), _digits(metric)
    return f"{mean:{sign}.{digits}f} ± {half:.{digits}f}" + (f" (n = {len(values)})" if len(values) != n else "")


def _markdown(head: Sequence[str], rows: Iterator[Sequence[str]] | list[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines])


def _label(method: str) -> str:
    return "input" if method == "input" else f"`{method}`"


def _values(results: Sequence[Scores], method: str, metric: str) -> list[float]:
    if method != "input":
        return gains(results, method, metric)
    return [r[metric] for r in results if r["method"] == "input" and metric in r]


def gains_table(results: Sequence[Scores]) -> str:
    """What every method changes of every metric."""
    part = of(results, "mix")
    n = len({r["id"] for r in part})
    rows = [
        [_label(m), *(_cell(_values(part, m, k), k, n, "" if m == "input" else "+") + mark(m, k) for k in METRICS)]
        for m in order({r["method"] for r in part})
    ]
    return f"{_markdown(['', *METRICS.values()], rows)}\n\nn = {n} mixtures, -5 to 15 dB; 95 % intervals. {MARKED}"


def by_table(results: Sequence[Scores], key: str, metric: str) -> str:
    """What every method changes of one metric, for each value of `key`."""
    part = of(results, "mix")
    values = sorted({r[key] for r in part})
    parts = {value: [r for r in part if r[key] == value] for value in values}
    ns = {value: len({r["id"] for r in rows}) for value, rows in parts.items()}
    rows = [
        [
            _label(m) + mark(m, metric),
            *(_cell(_values(parts[v], m, metric), metric, ns[v], "" if m == "input" else "+") for v in values),
        ]
        for m in order({r["method"] for r in part})
    ]
    names = [f"{v:g} dB" if key == "snr_db" else v.replace("_", " ") for v in values]
    n = ", ".join(sorted({str(n) for n in ns.values()}))
    return f"{_markdown([METRICS[metric], *names], rows)}\n\nn = {n} mixtures in each column; 95 % intervals. {MARKED}"


def harm_table(results: Sequence[Scores]) -> str:
    """What every method does to speech that needs no help; the input's own scores come first."""
    high = of(results, "high")
    parts = {f"{snr_db:g} dB": [r for r in high if r.get("snr_db") == snr_db] for snr_db in (20, 30)}
    parts["clean"] = of(results, "clean")
    metrics = ["pesq_wb", "estoi", "si_sdr_db", "covl"]
    columns = [(name, metric) for metric in metrics for name in parts]
    n = len({r["id"] for r in parts["clean"]})

    def cell(method: str, name: str, metric: str) -> str:
        if (name, metric) == ("clean", "si_sdr_db"):
            values = [r[metric] for r in parts[name] if r["method"] == method and metric in r]
            return _cell(values, metric, n, "")
        return _cell(_values(parts[name], method, metric), metric, n, "" if method == "input" else "+")

    rows = [[_label(m), *(cell(m, *column) for column in columns)] for m in order({r["method"] for r in high})]
    note = (
        f"n = {n} files in each column; 95 % intervals. SI-SDR of clean input is infinite; shown is that of the "
        "output. `hush` and `lull` were trained toward all of these metrics."
    )
    return _markdown(["", *(f"{METRICS[metric]}, {name}" for name, metric in columns)], rows) + f"\n\n{note}"


def voices_table(results: Sequence[Scores]) -> str:
    """What ours does to voices of several sorts; for clean ones the scores of the output."""
    mine = {"input", SHIPPED}
    sorts = {"librispeech": "English, read", "vctk": "English, read", "emodb": "German, acted emotions"}
    sorts |= {"commonvoice": "Upper Sorbian, read"}
    named = [{**r, "voice": sorts.get(r["speaker"].split("_")[0], "other")} for r in results if r["method"] in mine]
    mixed, clean, raised = (of(named, part) for part in ("mix", "clean", "raised"))
    sets: dict[str, tuple[list[Scores], list[Scores]]] = {}
    for key, values in (("voice", {voice: voice for voice in sorts.values()}), ("gender", {"F": "women", "M": "men"})):
        for value, name in values.items():
            of_mixed, of_clean = ([r for r in part if r.get(key) == value] for part in (mixed, clean))
            sets[f"{name}, -5 to 15 dB"] = (of_mixed, of_clean)
    for snr_db in (5, 20):
        name = f"all, pitch raised by a third, {snr_db} dB"
        sets[name] = ([r for r in raised if r.get("snr_db") == snr_db], [])
    metrics = ["pesq_wb", "estoi", "si_sdr_db"]
    rows: list[Sequence[str]] = []
    for name, (of_mixed, of_clean) in sets.items():
        n = len({r["id"] for r in of_mixed})
        cells = [_cell(_values(of_mixed, SHIPPED, m), m, n) for m in metrics]
        scores = [[r[m] for r in of_clean if r["method"] == SHIPPED and m in r] for m in metrics]
        kept = [_cell(v, m, len({r["id"] for r in of_clean}), "") for v, m in zip(scores, metrics, strict=True)]
        rows.append([name, str(n), *cells, *kept])
    names = [METRICS[m] for m in metrics]
    head = ["voices", "n", *names, *(f"{name}, clean" for name in names)]
    note = (
        f"Change, and for clean input the output's score; 95 % intervals. `{SHIPPED}` was trained toward these metrics."
    )
    return f"{_markdown(head, rows)}\n\n{note}"


def silence_table(results: Sequence[Scores]) -> str:
    """How far every method turns noise alone down."""
    part = of(results, "noise")
    n = len({r["id"] for r in part})
    rows: list[Sequence[str]] = []
    for method in order({r["method"] for r in part} - {"input"}):
        values = [r["attenuation_db"] for r in part if r["method"] == method and "attenuation_db" in r]
        rows.append([_label(method), _cell(values, "attenuation_db", n, ""), f"{min(values):.1f}" if values else "–"])
    note = f"n = {n} stretches, from {SETTLING_S} s on; 95 % intervals."
    return _markdown(["", "attenuation (dB)", "minimum (dB)"], rows) + f"\n\n{note}"


TABLES: dict[str, Callable[[Sequence[Scores]], str]] = {
    "gains": gains_table,
    "snr": partial(by_table, key="snr_db", metric="pesq_wb"),
    "snr-estoi": partial(by_table, key="snr_db", metric="estoi"),
    "kinds": partial(by_table, key="kind", metric="pesq_wb"),
    "harm": harm_table,
    "silence": silence_table,
    "voices": voices_table,
}


def main() -> None:
    words = parser(__doc__)
    words.add_argument("names", nargs="*", help="NAME=weights.onnx, or with --table the tables' names")
    words.add_argument("--only", default="")
    words.add_argument("--workers", type=int, default=1)
    options = words.parse_args()
    if options.table:
        results = [r for r in read() if r["method"] not in BASELINES]
        print("\n\n".join(TABLES[name](results) for name in options.names or TABLES))
    else:
        run(systems(options.names, options.only), options.workers)


if __name__ == "__main__":
    main()
