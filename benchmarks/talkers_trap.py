"""Curves of the label-order trap: python -m benchmarks.talkers_trap RUN [--table]

RUN is the folder of `undin train talkers-trap --preset small`. Its validation curves go to results/talkers_trap.csv and
into docs/pictures/talkers-trap.png; --table prints what each network ended with, from the results.
"""

import csv
import sys
from pathlib import Path

from benchmarks.scoring import RESULTS

PATH = RESULTS / "talkers_trap.csv"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "talkers-trap.png"
COLOURS = {"ff-fixed": "#c0392b", "lstm-fixed": "#e08e79", "ff-upit": "#7a54c7", "lstm-upit": "#2e7d5b"}
LABELS = {"fixed": "fixed labels", "upit": "the order that suits the utterance"}


def collect(run: Path) -> None:
    """Validation loss and accuracy of every variant."""
    with PATH.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["variant", "step", "loss", "accuracy"])
        for log in sorted(run.glob("train/*/log.csv")):
            with log.open(newline="") as lines:
                rows = [row for row in csv.DictReader(lines) if row["valid_loss"]]
            table.writerows([log.parent.name, r["step"], r["valid_loss"], r["valid_accuracy"]] for r in rows)


def read() -> dict[str, list[dict[str, float]]]:
    """Variant -> its rows."""
    found: dict[str, list[dict[str, float]]] = {}
    with PATH.open(newline="") as file:
        for row in csv.DictReader(file):
            name = row.pop("variant")
            found.setdefault(name, []).append({k: float(v) for k, v in row.items()})
    return found


def draw(path: Path) -> None:
    """Accuracy and error over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    curves = read()
    for k, (name, chance) in enumerate((("accuracy", 0.5), ("loss", 0.25)), 1):
        panel = figure.add_subplot(1, 2, k)
        for variant, rows in curves.items():
            panel.plot([r["step"] for r in rows], [r[name] for r in rows], color=COLOURS.get(variant), label=variant)
        panel.axhline(chance, color="black", lw=0.8, ls=":")
        panel.set(xlabel="step", title={"accuracy": "bins right", "loss": "squared error"}[name])
        panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    if "--table" not in sys.argv:
        collect(Path(sys.argv[1]))
        draw(PICTURE)
    print("| | | step | squared error | bins right |\n|---|---|---|---|---|")
    for variant, rows in read().items():
        kind, _, objective = variant.partition("-")
        last = rows[-1]
        told = f"{last['loss']:.3f} | {last['accuracy']:.3f}"
        print(f"| {kind} | {LABELS.get(objective, objective)} | {last['step']:.0f} | {told} |")


if __name__ == "__main__":
    main()
