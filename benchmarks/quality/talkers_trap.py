"""Curves of the label-order trap: python -m benchmarks.quality.talkers_trap RUN [--table]

RUN is the folder of `undin train talkers-trap --preset small`. Its validation curves go to results/talkers_trap.csv and
into docs/pictures/talkers-trap.png; --table prints what each network ended with, from the results.
"""

import csv
from pathlib import Path

from benchmarks.launch import parser
from benchmarks.scoring import PICTURES, RESULTS, skip

PATH = RESULTS / "talkers_trap.csv"
PICTURE = PICTURES / "talkers-trap.png"
COLORS = {"ff-fixed": "#c0392b", "lstm-fixed": "#e08e79", "ff-upit": "#7a54c7", "lstm-upit": "#2e7d5b"}
LABELS = {"fixed": "fixed labels", "upit": "the order that suits the utterance"}


def collect(run: Path) -> None:
    """Validation loss and accuracy of every variant."""
    with PATH.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["variant", "step", "hours", "loss", "accuracy", "chance"])
        for log in sorted(run.glob("train/*/log.csv")):
            with log.open(newline="") as lines:
                rows = [row for row in csv.DictReader(lines) if row["valid_loss"]]
            columns = ["step", "hours", "valid_loss", "valid_accuracy", "valid_chance"]
            table.writerows([log.parent.name, *(row[name] for name in columns)] for row in rows)


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

    figure = Figure(figsize=(7.2, 3.1), layout="constrained")
    curves = read()
    one = next(rows[-1]["chance"] for name, rows in curves.items() if name.endswith("upit"))
    for k, (name, chance) in enumerate((("accuracy", 0.5), ("loss", 0.25)), 1):
        panel = figure.add_subplot(1, 2, k)
        for variant, rows in curves.items():
            panel.plot([r["step"] for r in rows], [r[name] for r in rows], color=COLORS.get(variant), label=variant)
        panel.axhline(chance, color="black", lw=0.8, ls=":")
        if name == "accuracy":
            panel.axhline(one, color="black", lw=0.8, ls="--", label="all to one, in the better order")
        panel.set(xlabel="step", title={"accuracy": "bins right", "loss": "squared error"}[name])
        panel.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    words = parser(__doc__)
    words.add_argument("run", nargs="?", type=Path, help="the folder of the training")
    options = words.parse_args()
    if not options.table:
        if options.run is None:
            skip("give RUN, the folder of `undin train talkers-trap --preset small`")
        collect(options.run)
        draw(PICTURE)
    print("| | | hours of mixtures | squared error | bin accuracy | all to one |\n|---|---|---|---|---|---|")
    for variant, rows in read().items():
        kind, _, objective = variant.partition("-")
        last = rows[-1]
        cells = f"{last['loss']:.3f} | {last['accuracy']:.3f} | {last['chance']:.3f}"
        print(f"| {kind} | {LABELS.get(objective, objective)} | {last['hours']:.1f} | {cells} |")


if __name__ == "__main__":
    main()
