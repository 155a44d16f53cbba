"""What the fused GRU saves over torch's own: python -m benchmarks.speed.gru [--table]

Forward and backward pass of one layer of each, with the same weights and input, in turn; the ratios are those within a
run, medians of 7, of processor time on one thread. Sizes are those of the networks that train with it. Writes
results/gru_speed.csv. Needs the extra `train` and a C++ compiler.
"""

import csv
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.launch import SKIPPED, parser
from benchmarks.scoring import RESULTS
from benchmarks.speed.methods import machine

RUNS = 7
PATH = RESULTS / "gru_speed.csv"
CASES = {  # T, N, inputs, hidden, both ways; 1 s of each in a batch of 8
    "over time, `lull`": (62, 8 * 32, 64, 64, False),
    "over bands, both ways, `twain`": (32, 8 * 62, 64, 64, True),
    "scene of `lull`": (62, 8, 256, 256, False),
}


def passes(T: int, N: int, inputs: int, hidden: int, both_ways: bool) -> dict[str, Callable[[], None]]:
    """Name -> one forward and backward pass."""
    import torch

    from undin.training.gru import GRU

    torch.manual_seed(0)
    x = torch.randn(T, N, inputs, requires_grad=True)
    nets = {"torch": torch.nn.GRU(inputs, hidden, bidirectional=both_ways)}
    nets["fused"] = GRU(inputs, hidden, bidirectional=both_ways)
    nets["fused"].load_state_dict(nets["torch"].state_dict())
    return {name: lambda net=net: net(x)[0].sum().backward() for name, net in nets.items()}  # type: ignore[misc]


def measure(name: str, half: bool) -> dict[str, object]:
    """Median times of one case in ms, and the ratio."""
    import torch

    torch.set_num_threads(1)
    times: dict[str, list[float]] = {"torch": [], "fused": []}
    calls = passes(*CASES[name])
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        for run in range(RUNS + 1):
            for each, call in calls.items():
                begin = time.process_time()
                call()
                if run:  # the first warms up
                    times[each].append(1e3 * (time.process_time() - begin))
    ratios = [own / fused for own, fused in zip(times["torch"], times["fused"], strict=True)]
    row: dict[str, object] = {"layer": name, "precision": "bf16-mixed" if half else "float32"}
    row |= {f"{each}_ms": f"{statistics.median(values):.1f}" for each, values in times.items()}
    return {**row, "torch_over_fused": f"{statistics.median(ratios):.2f}", "machine": machine()}


def table() -> str:
    """The table of the docs."""
    with PATH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["| layer | precision | torch's own | fused | ratio |", "|---" * 5 + "|"]
    for row in rows:
        facts = [row["layer"], row["precision"], f"{row['torch_ms']} ms", f"{row['fused_ms']} ms"]
        lines.append(f"| {' | '.join(facts)} | {row['torch_over_fused']} x |")
    about = f"in a batch of 8 on one thread of an {rows[0]['machine']}, medians of {RUNS} runs in turn."
    return "\n".join(lines) + f"\n\nForward and backward pass of 1 s {about}"


def main() -> None:
    """Measure and print the table."""
    if not parser(__doc__).parse_args().table:
        from undin.errors import require

        require("torch", extra="train")
        from undin.training import gru

        if gru.kernel() is None:
            print("skipped: the fused GRU needs a C++ compiler", file=sys.stderr)
            sys.exit(SKIPPED)
        rows = [measure(name, half) for half in (False, True) for name in CASES]
        with PATH.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    print(table())


if __name__ == "__main__":
    main()
