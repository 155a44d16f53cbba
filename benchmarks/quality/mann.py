"""How much `mann` helps, and whether its memory does: python -m benchmarks.quality.mann [PART [RUN]] [--table | --plot]

The mixtures of `classical_quality`: 100 of test speakers with test recordings of twelve everyday noises, and 100 with
every kind of noise, at -5, 0, 5, 10 and 15 dB. PART is one of

    shipped      the shipped weights, on both, and with the memory cleared before every frame
    comparison   what `undin train mann-tsou2017 --preset comparison -o RUN` left: layers, three seeds each
    memory       what `--preset memory` left
    speakers     what `undin run mann-tsou2017 --preset speakers -o RUN` left
    kinds        the shipped weights by kind of noise, on speakers of the training split and of the test split
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import undin
from benchmarks.launch import parser
from benchmarks.quality.classical import EVERYDAY, SETS, SNRS_DB
from benchmarks.scoring import (
    PICTURES,
    RESULTS,
    Scores,
    gains,
    interval,
    methods,
    read,
    real_data,
    run,
    table,
    table_by,
)
from undin.cores import State
from undin.corpora import Corpus
from undin.errors import require
from undin.evaluation.report.plots import bars
from undin.evaluation.statistics import Mean, mean_of
from undin.evaluation.systems import Answer, System
from undin.methods import MANN
from undin.mixing import MixtureRow, make_manifest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = {"log-mmse": "log-mmse", "dnn": "dnn", "mann": "mann"}
LAYERS, SEEDS = ("mann", "mann-lstm", "mann-dnn"), (1, 2, 3)
SIDES = ("seen", "unseen")
T_975 = 4.303  # of Student's distribution with two degrees of freedom: an interval from three seeds
EMPTIED = "mann, memory cleared"


class Emptied(MANN):
    """`mann` that finds nothing in its memory but what it was when it started."""

    def step(self, X: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """As ever, frame by frame."""
        parts = []
        for t in range(X.shape[-1]):
            state = {name: 0 * s if name in ("layer_memory", "layer_r") else s for name, s in state.items()}
            Y, state = super().step(X[..., t : t + 1], state)
            parts.append(Y)
        return np.concatenate(parts, -1), state


@dataclass(frozen=True)
class WithoutMemory(System):
    """`Emptied`, to be evaluated."""

    def answer(self) -> Answer:
        """Process the noisy signal."""
        method = Emptied(undin.load("mann").runner)
        return lambda mixture, sr: method(mixture.noisy, sr)

    def describe(self) -> dict[str, str]:
        """Its name."""
        return {"method": self.name}


def measure(kinds: list[str] | None, systems: list[System], path: Path) -> list[Scores]:
    corpus = real_data()
    rows = make_manifest(corpus, n=100, seed=2026, snr_db=SNRS_DB, kinds=kinds, split="test")
    return run(rows, corpus, systems, path)


def shipped(show: bool, _: Path | None) -> None:
    for name, kinds in SETS.items():
        path = RESULTS / f"mann_{name}.csv"
        results = read(path) if show else measure(kinds, [*methods(METHODS), WithoutMemory(EMPTIED)], path)
        print(f"\n**{name} noise**, 100 mixtures, -5 to 15 dB\n\n{table(results)}")
        print(f"\nSTOI per SNR\n\n{table_by(results, 'snr_db', [*METHODS], 'stoi', digits=3)}")


def variants(part: str, show: bool, run_folder: Path | None) -> list[Scores]:
    path = RESULTS / f"mann_{part}.csv"
    if show or run_folder is None:
        return read(path)
    found = {file.stem: str(file) for file in sorted((run_folder / "train").glob("*.onnx"))}
    return measure(None, methods(found), path)


def comparison(show: bool, run_folder: Path | None) -> None:
    results = variants("comparison", show, run_folder)
    print(f"{table(results)}\n")
    print("| difference | STOI, each seed | mean over seeds | over mixtures | ESTOI, mean over seeds | over mixtures |")
    print("|---|---|---|---|---|---|")
    for a, b in (("mann", "mann-lstm"), ("mann", "mann-dnn"), ("mann-lstm", "mann-dnn")):
        cells = []
        for metric in ("stoi", "estoi"):
            each = [difference(results, f"{a}-{seed}", f"{b}-{seed}", metric) for seed in SEEDS]
            seeds = [float(np.mean(values)) for values in each]
            half = T_975 * float(np.std(seeds, ddof=1)) / len(seeds) ** 0.5
            mean, of_mixtures = interval(list(np.mean(each, 0)))
            if metric == "stoi":
                cells.append(", ".join(f"{value:+.4f}" for value in seeds))
            cells += [f"{np.mean(seeds):+.4f} ± {half:.4f}", f"{mean:+.4f} ± {of_mixtures:.4f}"]
        print(f"| `{a}` - `{b}` | {' | '.join(cells)} |")


def difference(results: Sequence[Scores], a: str, b: str, metric: str) -> np.ndarray:
    """Of one method and another, mixture by mixture."""
    return np.array(gains(results, a, metric)) - np.array(gains(results, b, metric))


def memory(show: bool, run_folder: Path | None) -> None:
    print(table(variants("memory", show, run_folder)))


def kinds(show: bool, _: Path | None) -> None:
    """Table and docs/pictures/mann-kinds.png: test recordings of noise, speakers of the training and the test split."""
    found = {}
    for side in SIDES:
        path = RESULTS / f"mann_kinds_{side}.csv"
        found[side] = read(path) if show else run(*voices_of(side), methods(["mann"]), path, metrics=["stoi"])
    groups: dict[str, dict[str, Mean | None]] = {}
    print(
        "| kind | "
        + " | ".join(f"input, {side} | `mann`, {side}" for side in SIDES)
        + " | n |\n|---|---|---|---|---|---|"
    )
    for kind in sorted({row["kind"] for row in found["seen"]}):
        cells = []
        for side, rows in found.items():
            of_kind = [row for row in rows if row["kind"] == kind]
            scores = {name: [r["stoi"] for r in of_kind if r["method"] == name] for name in ("input", "mann")}
            before, (mean, half) = np.mean(scores["input"]), interval(gains(of_kind, "mann", "stoi"))
            cells.append(f"{before:.3f} | {mean:+.3f} ± {half:.3f}")
            groups.setdefault(str(kind).replace("_", " "), {}).update(
                {f"{name}, {side}": mean_of(values) for name, values in scores.items()}
            )
        print(f"| {str(kind).replace('_', ' ')} | " + " | ".join(cells) + f" | {len(scores['input'])} each |")
    plot_kinds(groups)


def voices_of(side: str) -> tuple[list[MixtureRow], Corpus]:
    """120 mixtures of LibriSpeech, of the training or the test split, with the noise of the test split."""
    corpus = real_data()
    split = {"seen": "train", "unseen": "test"}[side]
    clips = [clip for clip in corpus.rows if clip.split == ("test" if clip.kind else split)]
    corpus = corpus.with_rows(replace(clip, split="test") for clip in clips)
    settings = {"snr_db": [-5.0, 0.0, 5.0], "kinds": EVERYDAY, "speech_from": ["librispeech"]}
    return make_manifest(corpus, n=120, seed=2026, **settings), corpus


def plot_kinds(groups: dict[str, dict[str, Mean | None]]) -> None:
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=(8, 4.2), layout="constrained")
    for axes, side in zip(figure.subplots(1, 2, sharex=True, sharey=True), SIDES, strict=True):
        for name, color in (("input", "0.6"), ("mann", "tab:blue")):
            means = [group[f"{name}, {side}"] for group in groups.values()]
            values, halves = zip(*((m.mean, m.half or 0.0) for m in means if m), strict=True)
            y = [i + (0.15 if name == "input" else -0.15) for i in range(len(groups))]
            axes.errorbar(values, y, xerr=halves, fmt="o", color=color, label=name, capsize=2)
        axes.set(title=f"{side} speakers", xlabel="STOI")
        axes.set_yticks(range(len(groups)), list(groups))
        axes.grid(axis="x", color="0.9")
    axes.legend(loc="lower left", fontsize=8)
    figure.savefig(PICTURES / "mann-kinds.png", dpi=110, metadata={"Software": None})


WORDS = {"known": "seen", "unknown": "unseen"}  # in the CSV: in words


def speakers(show: bool, run_folder: Path | None) -> None:
    path = RESULTS / "mann_speakers.csv"
    if run_folder and not show:
        with (run_folder / "mix/manifest.csv").open(newline="") as file:
            sides = {row["id"]: "known" if row["speaker_seen"] == "yes" else "unknown" for row in csv.DictReader(file)}
        with (run_folder / "evaluate/scores.csv").open(newline="") as file:
            rows = [{**row, "speakers": sides[row["id"]]} for row in csv.DictReader(file)]
        with path.open("w", newline="") as file:
            columns = ["speakers", "id", "method", "snr_db", "stoi"]
            table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            table.writeheader()
            table.writerows({**row, "stoi": f"{float(row['stoi']):.5f}"} for row in rows)
    sides = {side: [row for row in read(path) if row["speakers"] == side] for side in WORDS}
    names = dict.fromkeys(row["method"] for row in sides["known"])
    snrs = sorted({row["snr_db"] for row in sides["known"]})
    parts = {WORDS[side]: rows for side, rows in sides.items()}
    parts |= {f"unseen, {snr:g} dB": [row for row in sides["unknown"] if row["snr_db"] == snr] for snr in snrs}
    print("| speakers | " + " | ".join(parts) + " |")
    print("|---" * (len(parts) + 1) + "|")
    for method in names:
        cells = []
        for rows in parts.values():
            values = [row["stoi"] for row in rows if row["method"] == "input"]
            mean, half = interval(values if method == "input" else gains(rows, method, "stoi"))
            cells.append(f"{mean:{'' if method == 'input' else '+'}.3f} ± {half:.3f}")
        print(f"| {'input' if method == 'input' else f'`{method}`'} | {' | '.join(cells)} |")
    print("\n| difference | seen | unseen |\n|---|---|---|")
    pairs = [(f"{layer}-77", f"{layer}-6") for layer in LAYERS] + [(f"mann-{n}", f"mann-lstm-{n}") for n in (6, 77)]
    for a, b in pairs:
        means = [interval(list(difference(rows, a, b, "stoi"))) for rows in sides.values()]
        print(f"| `{a}` - `{b}` | " + " | ".join(f"{mean:+.4f} ± {half:.4f}" for mean, half in means) + " |")


def plot() -> None:
    """docs/pictures/mann-speakers.png, of the same."""
    groups: dict[str, dict[str, Mean | None]] = {}
    results = read(RESULTS / "mann_speakers.csv")
    for side, snr, method in dict.fromkeys((row["speakers"], row["snr_db"], row["method"]) for row in results):
        values = [r["stoi"] for r in results if (r["speakers"], r["snr_db"], r["method"]) == (side, snr, method)]
        groups.setdefault(f"{WORDS[side]}, {snr:g} dB", {})[method] = mean_of(values)
    order = sorted(groups, key=lambda name: (name.startswith("unseen"), float(name.split()[1])))
    figure = bars({name: groups[name] for name in order}, "STOI")
    figure.savefig(PICTURES / "mann-speakers.png", dpi=120, metadata={"Software": None})


PARTS = {"shipped": shipped, "comparison": comparison, "memory": memory, "speakers": speakers, "kinds": kinds}


def main() -> None:
    words = parser(__doc__)
    words.add_argument("part", nargs="?", choices=list(PARTS), default="shipped")
    words.add_argument("run", nargs="?", type=Path, help="the folder of a run, where the part needs one")
    words.add_argument("--plot", action="store_true", help="draw the picture from the results")
    options = words.parse_args()
    if options.plot:
        return plot()
    PARTS[options.part](options.table, options.run)


if __name__ == "__main__":
    main()
