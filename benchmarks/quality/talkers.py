"""How well two unseen talkers come apart: python -m benchmarks.quality.talkers [NAME=x.onnx ...] [--table]

120 mixtures of two test speakers, as loud as each other within 2.5 dB, no noise, as long as the shorter utterance; the
shipped methods that separate, weights that do not ship (NAME=x.onnx), and the masks that know the talkers. Then one
talker alone, 40 recordings: level of the second output below the first. Nothing is chosen on these.

Names of `GROWTH` are `blstm-mask` with fewer voices or hours, of which there is a table by itself.

    --only NAMES    these methods alone, by comma; results of other methods are kept
"""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import undin
from benchmarks.launch import parser
from benchmarks.scoring import RESULTS, evaluated, methods, real_data
from undin.corpora import Corpus
from undin.evaluation import Evaluation, Mean, Separation, mean_of
from undin.evaluation.separation import DIFFERENT, IDEAL, SAME
from undin.evaluation.slices import Slices
from undin.methods import METHODS, Method
from undin.mixing import make_manifest

PATH, ALONE = RESULTS / "talkers.csv", RESULTS / "talkers_alone.csv"
SEED, N, N_ALONE = 2017, 120, 40
# Name -> voices (301 with some 50 of a crowd), hours of them, hours of mixtures: of preset `growth`, then on the way to
# what ships.
GROWTH = {
    "voices-15": (15, 0.7, 10.7),
    "voices-142": (142, 0.9, 10.7),
    "voices-251": (251, 5.0, 10.7),
    "hours-32": (251, 5.0, 32),
    "hours-85": (251, 5.0, 85),
    "hours-285": (251, 5.0, 285),
    "hours-498": (301, 6.0, 498),
    "one-speed": (301, 6.0, "738, one speed only"),
    "wide-band": (301, 6.0, 738),
    "blstm-mask": (301, 6.0, "839, half of the last 102 of a limited band"),
}
TEXT = ("id", "method", "genders", "error")
COLUMNS = {
    "si_sdr_gain_db": "SI-SDRi (dB)", "sdr_gain_db": "SDRi (dB)", "si_sdr_db": "SI-SDR (dB)",
    "mixture_si_sdr_db": "mixture's (dB)", "accuracy": "bin accuracy", "chance": "all to one",
}  # fmt: skip
SLICES = {"all": "all", "different": "of different gender", "same": "of the same gender"}
GENDERS = {DIFFERENT: "different", SAME: "same"}
Score = dict[str, Any]  # a row of PATH
STEPS = GROWTH.keys() - METHODS.keys()


def measure(sources: dict[str, str], corpus: Corpus) -> None:
    """Score methods, name -> source, and write; rows of other methods stay."""
    rows = make_manifest(corpus, n=N, seed=SEED, talkers=2, talker_db=(-2.5, 2.5), split="test")
    found = evaluated(rows, corpus, methods(sources), PATH, metrics=None, task=Separation.of(corpus))
    scores = _flat(found)
    made, ids = {score["method"] for score in scores}, {row.id for row in rows}
    kept = read() if PATH.exists() else []
    scores += [score for score in kept if score["method"] not in made and score["id"] in ids]
    order = [*METHODS, *sorted({score["method"] for score in scores} - {*METHODS, *IDEAL}), *IDEAL]
    scores.sort(key=lambda score: order.index(score["method"]))
    _write(PATH, scores)


def _flat(found: Evaluation) -> list[Score]:
    """A row per method and mixture, with the input's scores."""
    slices = Slices(found)
    values = {m: {k: slices.values(m, k) for k in slices.metrics} for m in found.methods}
    gains = {
        (m, k): {id: v - values["input"][k][id] for id, v in values[m][k].items() if id in values["input"][k]}
        for m in found.methods
        for k in slices.metrics
    }
    return [
        {
            "id": score.id,
            "method": score.method,
            "genders": GENDERS.get(score.kind, ""),
            "si_sdr_gain_db": gains[score.method, "si_sdr_db"].get(score.id, math.nan),
            "sdr_gain_db": gains[score.method, "sdr_db"].get(score.id, math.nan),
            "si_sdr_db": score.values.get("si_sdr_db", math.nan),
            "mixture_si_sdr_db": values["input"]["si_sdr_db"].get(score.id, math.nan),
            "accuracy": score.values.get("accuracy", math.nan),
            "chance": values["input"]["accuracy"].get(score.id, math.nan),
            "error": score.error,
        }
        for score in found.scores
        if score.method != "input"
    ]


def measure_alone(methods: dict[str, Method], corpus: Corpus) -> None:
    """Level of the quieter output below the louder one when one talker speaks."""
    clips = [clip for clip in corpus.select(split="test").speech if clip.duration_s >= 2.5]
    clips = [clips[k] for k in np.random.default_rng(SEED).permutation(len(clips))[:N_ALONE]]
    rows = [row for row in _rows(ALONE) if row["method"] not in methods] if ALONE.exists() else []
    for name, method in methods.items():
        for clip in clips:
            energy = np.square(method(corpus.load(clip), corpus.sr), dtype=float).sum(-1)
            below = 10 * np.log10(energy.max() / max(energy.min(), 1e-12))
            rows.append({"method": name, "path": clip.path, "offset_s": clip.offset_s, "below_db": round(below, 2)})
    order = [*METHODS, *dict.fromkeys(row["method"] for row in rows if row["method"] not in METHODS)]
    rows.sort(key=lambda row: order.index(row["method"]))
    if rows:
        _write(ALONE, rows)


def read() -> list[Score]:
    """The scores."""
    return [{k: v if k in TEXT else float(v or "nan") for k, v in row.items()} for row in _rows(PATH)]


def summarize(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Means with intervals: a row per method and slice (all, different and same gender)."""
    table = []
    for method in dict.fromkeys(score["method"] for score in scores):
        for part in SLICES:
            own = [s for s in scores if s["method"] == method and part in ("all", s["genders"])]
            means = {name: mean_of(s[name] for s in own if math.isfinite(s[name])) for name in COLUMNS}
            if any(means.values()):
                table.append({"method": method, "talkers": part, **means})
    return table


def markdown(table: Sequence[Mapping[str, Any]]) -> str:
    """The summary as a table: means ± half of the 95 % interval."""
    lines = ["| | talkers | n | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 3) + "|"]
    for row in table:
        n = max(mean.n for name in COLUMNS if (mean := row[name]))
        cells = [row["method"], SLICES[row["talkers"]], str(n), *(_cell(row[name], name) for name in COLUMNS)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(mean: Mean | None, name: str) -> str:
    digits = 2 if name.endswith("_db") else 3
    return "–" if mean is None or mean.half is None else f"{mean.mean:.{digits}f} ± {mean.half:.{digits}f}"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[dict]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def show() -> None:
    """The tables."""
    summary = summarize(read())
    shown = [row for row in summary if row["method"] not in STEPS]
    print(f"**Two talkers**, {N} mixtures, means with 95 % intervals\n\n{markdown(shown)}")
    print("**Voices and hours**: SI-SDRi (dB) of `blstm-mask`\n")
    print("| voices | hours of them | hours of mixtures | all | of different gender | of the same gender |")
    print("|---" * 6 + "|")
    for name, amounts in GROWTH.items():
        gains = [row["si_sdr_gain_db"] for row in summary if row["method"] == name]
        cells = [_cell(gain, "_db") for gain in gains]
        if cells:
            print(f"| {' | '.join([*map(str, amounts), *cells])} |")
    print()
    print("**One talker**: level of the second output below the first\n")
    print("| | n | mean (dB) | minimum (dB) |\n|---|---|---|---|")
    rows = _rows(ALONE)
    for name in dict.fromkeys(row["method"] for row in rows if row["method"] not in STEPS):
        values = [float(row["below_db"]) for row in rows if row["method"] == name]
        mean = mean_of(values)
        assert mean is not None and mean.half is not None
        print(f"| {name} | {mean.n} | {mean.mean:.1f} ± {mean.half:.1f} | {min(values):.1f} |")


def main() -> None:
    words = parser(__doc__)
    words.add_argument("weights", nargs="*", metavar="NAME=FILE", help="weights that do not ship")
    words.add_argument("--only", type=lambda text: text.split(","), help="these methods, by comma")
    options = words.parse_args()
    if not options.table:
        sources = {name: name for name in METHODS if undin.load(name).n_src}
        sources |= {name: path for name, _, path in (word.partition("=") for word in options.weights)}
        sources = {name: source for name, source in sources.items() if options.only is None or name in options.only}
        corpus = real_data()
        measure(sources, corpus)
        measure_alone({name: undin.load(x) for name, x in sources.items() if name not in STEPS}, corpus)
    show()


if __name__ == "__main__":
    main()
