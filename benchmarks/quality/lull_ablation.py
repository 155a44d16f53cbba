"""What was tried on the way to `lull`: python -m benchmarks.quality.lull_ablation --table

The runs are of the time when the network was found; results/lull_ablation.csv keeps what they gave.
"""

import csv

from benchmarks.launch import parser
from benchmarks.scoring import RESULTS


def main() -> None:
    parser(__doc__).parse_args()
    with (RESULTS / "lull_ablation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    print("| stage | idea | parameters | steps | loss | PESQ-WB | ESTOI | SI-SDR | kept | |\n" + "|---" * 10 + "|")
    for row in rows:
        print(f"| {' | '.join(row.values())} |")


if __name__ == "__main__":
    main()
