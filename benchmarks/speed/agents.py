"""CPU of the filters for voice agents: python -m benchmarks.speed.agents (needs pipecat-ai[rnnoise] and livekit).

Packets of 20 ms of noisy sound, one after another on one core; the median of five runs of 200 packets, in CPU time of
the process, which other programs change little. Rows go to results/agents.csv.
"""

import asyncio
import csv
import sys
import time

import numpy as np

from benchmarks.launch import ROOT, SKIPPED, parser
from benchmarks.speed.methods import machine

try:
    from livekit import rtc
    from pipecat.audio.filters.rnnoise_filter import RNNoiseFilter
except ImportError as error:
    print(f"pip install pipecat-ai[rnnoise] livekit ({error})", file=sys.stderr)
    sys.exit(SKIPPED)
from undin.plugins.livekit import UndinProcessor
from undin.plugins.pipecat import UndinFilter

RESULTS = ROOT / "benchmarks/results"
RATES, RUNS, PACKETS = (8000, 16000, 24000, 48000), 5, 200


def sound(sr: int) -> list[bytes]:
    q = np.random.default_rng(0).normal(0, 2000, (PACKETS, sr // 50)).clip(-32768, 32767).astype("<i2")
    return [packet.tobytes() for packet in q]


async def pipecat_ms(filter, sr: int) -> float:
    await filter.start(sr)
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        for packet in sound(sr):
            await filter.filter(packet)
        times.append(time.process_time() - start)
    return 1e3 * float(np.median(times)) / PACKETS


def livekit_ms(sr: int) -> float:
    processor, times = UndinProcessor(), []
    for _ in range(RUNS):
        frames = [rtc.AudioFrame(packet, sr, 1, sr // 50) for packet in sound(sr)]
        start = time.process_time()
        for frame in frames:
            processor._process(frame)
        times.append(time.process_time() - start)
    return 1e3 * float(np.median(times)) / PACKETS


def main() -> None:
    parser(__doc__).parse_args()
    rows = []
    for sr in RATES:
        undin_ms, rnnoise_ms = (asyncio.run(pipecat_ms(make(), sr)) for make in (UndinFilter, RNNoiseFilter))
        figures = [f"{value:.2f}" for value in (undin_ms, livekit_ms(sr), rnnoise_ms)]
        rows.append([sr, *figures, machine()])
        print(*rows[-1], flush=True)
    with (RESULTS / "agents.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["sr", "pipecat_ms", "livekit_ms", "rnnoise_ms", "machine"], *rows])


if __name__ == "__main__":
    main()
