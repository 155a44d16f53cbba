"""Processing time per packet of 20 ms, with onnxruntime and compiled: python -m benchmarks.speed.packets

Batches of packets (`lull`, 16 kHz mono, s16le) as `undin serve` processes them, without its event loop. Both engines
alternate in one run, and times are those of the processor; the ratio is the median over the rounds. Rows go to
results/packets.csv.
"""

import csv
import statistics
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.launch import parser
from benchmarks.scoring import RESULTS
from benchmarks.speed.methods import machine
from undin.methods import load
from undin.native import Compiled, CompiledPackets
from undin.packets import Packets, process_packets

SR, N, ROUNDS = 16000, 320, 200
SIZES = (1, 4, 8, 16)  # packets in a batch
COLUMNS = ["batch", "onnxruntime_ms", "compiled_ms", "ratio", "machine"]


def cost(signals: Sequence[Packets], packets: Sequence[bytes]) -> float:
    """Milliseconds per packet, over four batches, in which there are five frames for each signal."""
    start = time.thread_time()
    for _ in range(4):
        process_packets(signals, packets)
    return 1e3 * (time.thread_time() - start) / 4 / len(signals)


def measure(n: int, compiled: Compiled) -> dict[str, object]:
    engines = [
        [Packets(compiled.method, SR) for _ in range(n)],
        [CompiledPackets(compiled, SR, limit_db=None) for _ in range(n)],
    ]
    rng = np.random.default_rng(0)
    packets = [(1000 * rng.standard_normal(N)).astype("<i2").tobytes() for _ in range(n)]
    for signals in engines:  # frames are due at different packets
        process_packets(signals, [packet[: 2 * (N * i // n)] for i, packet in enumerate(packets)])
    times = [[cost(signals, packets) for signals in engines] for _ in range(ROUNDS)]
    ort_ms, compiled_ms = (round(statistics.median(column), 3) for column in zip(*times, strict=True))
    ratio = round(statistics.median(b / a for a, b in times), 2)
    return dict(zip(COLUMNS, (n, ort_ms, compiled_ms, ratio, machine()), strict=True))


def main() -> None:
    parser(__doc__).parse_args()
    compiled = Compiled(load("lull"), say=print)
    rows = [measure(n, compiled) for n in SIZES]
    print(*rows, sep="\n")
    with (RESULTS / "packets.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
