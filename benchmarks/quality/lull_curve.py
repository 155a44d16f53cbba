"""How `lull` grew with hours of mixtures: python -m benchmarks.quality.lull_curve -> docs/pictures/lull-hours.png

results/lull_curve.csv keeps what its training wrote at each validation: 40 mixtures of speakers and recordings held out
of training, -5 to 15 dB. Stages 1 to 6 followed one another, with changes of loss and length of crop; "cpu" is the
preset, one run from nothing. Crops of one length share the mixtures.
"""

import csv
from itertools import groupby

from benchmarks.launch import parser
from benchmarks.scoring import PICTURES, RESULTS
from benchmarks.speed.live_cost import OURS, THEIRS, WHOLE

METRICS = {"pesq_wb": "PESQ-WB", "estoi": "ESTOI", "si_sdr_db": "SI-SDR (dB)"}
SHADES = {"2": WHOLE, "3": THEIRS}  # of the stages, by seconds of crop


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
            color = OURS if stage == "cpu" else SHADES[part[0]["crop_s"]]
            axes.plot(*points, marker="o", markersize=3, linewidth=1.5, color=color)
        axes.set(title=name, xlabel="hours of mixtures")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    figure.savefig(PICTURES / "lull-hours.png", dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()
