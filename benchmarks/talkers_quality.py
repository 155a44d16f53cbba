"""How well two unseen talkers come apart: python -m benchmarks.talkers_quality [NAME=x.onnx ...] [--table]

120 mixtures of two test speakers, as loud as each other within 2.5 dB, no noise, as long as the shorter utterance; the
shipped methods that separate, weights that do not ship (NAME=x.onnx), and the masks that know the talkers. Then one
talker alone, 40 recordings: how far the second output lies below the first. Nothing is chosen on these.

Names of `GROWTH` are `blstm-mask` with fewer voices or hours, of which there is a table by itself.

    --only NAMES    these methods alone, by comma ("" for the ideal masks); what the results hold of others is kept
"""

import csv
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np

import undin
from benchmarks.scoring import RESULTS, real_data
from undin.corpora import Corpus
from undin.evaluation.separation import IDEAL, TalkerScore, evaluate_talkers, markdown, summarise
from undin.evaluation.statistics import mean_of
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
    "one-speed": (301, 6.0, "738, heard at its own speed alone"),
    "wide-band": (301, 6.0, 738),
    "blstm-mask": (301, 6.0, "839, half of the last 102 of a limited band"),
}
STEPS = GROWTH.keys() - METHODS.keys()


def measure(methods: dict[str, Method], corpus: Corpus) -> None:
    """Score and write; rows of other methods stay."""
    rows = make_manifest(corpus, n=N, seed=SEED, talkers=2, talker_db=(-2.5, 2.5), split="test")
    kept = read() if PATH.exists() else []
    calls = {name: partial(_separate, method) for name, method in methods.items()}
    known = {score.id for score in kept if score.method in IDEAL} == {row.id for row in rows}
    scores = evaluate_talkers(rows, corpus, calls, RESULTS / "talkers.part", ideal=not known, progress=_tell)
    made = {score.method for score in scores}
    ids = {row.id for row in rows}
    scores += [score for score in kept if score.method not in made and score.id in ids]
    order = [*METHODS, *sorted({s.method for s in scores} - {*METHODS, *IDEAL}), *IDEAL]
    scores.sort(key=lambda score: order.index(score.method))
    _write(PATH, [{f.name: getattr(score, f.name) for f in fields(TalkerScore)} for score in scores])
    for path in (RESULTS / "talkers.part").iterdir():
        path.unlink()
    (RESULTS / "talkers.part").rmdir()


def measure_alone(methods: dict[str, Method], corpus: Corpus) -> None:
    """How far the quieter output lies below the louder one when one talker speaks."""
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


def _separate(method: Method, x: np.ndarray, sr: int) -> np.ndarray:
    return method(x, sr)


def _tell(done: int, of: int) -> None:
    if done % 20 == 0:
        print(f"{done} of {of}", flush=True)


def read() -> list[TalkerScore]:
    """The scores."""
    text = {"id", "method", "genders", "error"}
    return [
        TalkerScore(**{k: v if k in text else float(v or "nan") for k, v in row.items()})  # type: ignore[arg-type]
        for row in _rows(PATH)
    ]


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
    summary = summarise(read())
    shown = [row for row in summary if row["method"] not in STEPS]
    print(f"**Two talkers**, {N} mixtures, means with 95 % intervals\n\n{markdown(shown)}")
    print("**Voices and hours**: SI-SDRi (dB) of `blstm-mask`\n")
    print("| voices | hours of them | hours of mixtures | all | of different gender | of the same gender |")
    print("|---" * 6 + "|")
    for name, amounts in GROWTH.items():
        gains = [row["si_sdr_gain_db"] for row in summary if row["method"] == name]
        cells = [f"{gain['mean']:.2f} ± {gain['half']:.2f}" for gain in gains]
        if cells:
            print(f"| {' | '.join([*map(str, amounts), *cells])} |")
    print()
    print("**One talker**: how far the second output lies below the first\n")
    print("| | n | mean (dB) | least (dB) |\n|---|---|---|---|")
    rows = _rows(ALONE)
    for name in dict.fromkeys(row["method"] for row in rows if row["method"] not in STEPS):
        values = [float(row["below_db"]) for row in rows if row["method"] == name]
        mean = mean_of(values)
        assert mean is not None and mean.half is not None
        print(f"| {name} | {mean.n} | {mean.mean:.1f} ± {mean.half:.1f} | {min(values):.1f} |")


def main() -> None:
    if "--table" not in sys.argv:
        words = [word for word in sys.argv[1:] if "=" in word]
        only = next((b.split(",") for a, b in zip(sys.argv, sys.argv[1:], strict=False) if a == "--only"), None)
        methods = {name: method for name in METHODS if (method := undin.load(name)).n_src}
        methods |= {name: undin.load(path) for name, _, path in (word.partition("=") for word in words)}
        methods = {name: method for name, method in methods.items() if only is None or name in only}
        corpus = real_data()
        measure(methods, corpus)
        measure_alone({name: method for name, method in methods.items() if name not in STEPS}, corpus)
    show()


if __name__ == "__main__":
    main()
