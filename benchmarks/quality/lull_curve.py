"""How `lull` grew with hours of mixtures: python -m benchmarks.quality.lull_curve -> docs/pictures/lull-hours.png

results/lull_curve.csv keeps what training wrote at each validation: 96 mixtures of voices and recordings held out of
training, -5 to 15 dB. Stages follow one another: "cpu", the preset with a high learning rate; "decay", a rate that
falls to 0; "voices", a short one without synthetic voices; "cpu again"; "decay, PESQ" and the rest, with PESQ in the
loss. Where the learning rate falls, lines are purple. A star is the average of weights that ships.
"""

import csv
from itertools import groupby

from benchmarks.launch import parser
from benchmarks.scoring import PICTURES, RESULTS
from benchmarks.speed.live_cost import OURS, THEIRS

METRICS = {"pesq_wb": "PESQ-WB", "estoi": "ESTOI", "si_sdr_db": "SI-SDR (dB)"}


def main() -> None:
    parser(__doc__).parse_args()
    from matplotlib.figure import Figure

    with (RESULTS / "lull_curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    for axes, (metric, name) in zip(figure.subplots(1, 3), METRICS.items(), strict=True):
        for stage, group in groupby(rows, key=lambda row: row["stage"]):
            part = list(group)
            points = [float(r["hours"]) for r in part], [float(r[metric]) for r in part]
            color = THEIRS if stage.startswith("cpu") else OURS
            marker, size = ("*", 10) if stage == "average" else ("o", 3)
            axes.plot(*points, marker=marker, markersize=size, linewidth=1.5, color=color)
        axes.set(title=name, xlabel="hours of mixtures")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    figure.savefig(PICTURES / "lull-hours.png", dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()
