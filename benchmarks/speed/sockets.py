"""How many live sockets a server carries: python -m benchmarks.speed.sockets [--compiled] [--counts 8 16 24] [--runs 3]

A server process on one core, and a client process on another, which opens n sockets and sends each a packet of 20 ms
every 20 ms of the clock, 16 kHz mono, staggered. The delay of a packet runs from when it was due to its answer, so
that a client which falls behind is not kinder to the server. The first 4 s, in which the server may still close sockets
that it cannot carry, do not count. Both processes get real-time priority where this is permitted, so that other work on
the machine disturbs less. Of several runs the one with the median of the 99th percentile counts. Rows go to
results/sockets.csv, with --compiled to results/sockets_compiled.csv.
"""

import asyncio
import csv
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.launch import parser
from benchmarks.scoring import RESULTS
from benchmarks.speed.methods import machine

PACKET_S, SECONDS, WARM_S = 0.02, 10.0, 4.0
REST_S = 6.0  # in which the server forgets late packets
FIGURES = ["admitted", "p50_ms", "p99_ms", "max_ms", "cpu_ms_per_packet", "server_cpu", "rss_mb", "load"]


async def talk(url: str, start: float, delays: list[float]) -> bool:
    """One client; whether it was admitted."""
    mine: list[float] = []
    packets = np.random.default_rng(0).integers(-3000, 3000, (50, 320)).astype("<i2")
    try:
        async with connect(url, compression=None) as socket:
            begin = max(start, time.monotonic())
            for i in range(round(SECONDS / PACKET_S)):
                due = begin + i * PACKET_S
                await asyncio.sleep(max(due - time.monotonic(), 0))
                await socket.send(packets[i % 50].tobytes())
                await socket.recv()
                mine.append(time.monotonic() - due)
        delays += mine[round(WARM_S / PACKET_S) :]
        return True
    except ConnectionClosed as end:
        assert end.rcvd is not None and end.rcvd.code == 1013, end
        return False


async def measure(url: str, n: int) -> tuple[int, list[float]]:
    """Open n sockets; how many were admitted, and the delays of all their packets in s."""
    delays: list[float] = []
    start = time.monotonic() + 1.0
    admitted = await asyncio.gather(*(talk(url, start + i / n * PACKET_S, delays) for i in range(n)))
    return sum(admitted), delays


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds and resident MB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    memory = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]
    return (int(fields[11]) + int(fields[12])) / ticks, memory / 1e3


def figures(url: str, pid: int, n: int) -> list[str]:
    """A row for n sockets."""
    time.sleep(REST_S)
    before, _ = usage(pid)
    begin = time.monotonic()
    admitted, delays = asyncio.run(measure(url, n))
    cpu, memory = usage(pid)
    p50, p99, top = 1e3 * np.percentile(delays, [50, 99, 100])
    share = (cpu - before) / (time.monotonic() - begin)
    each = 1e3 * (cpu - before) / (admitted * SECONDS / PACKET_S)
    return [
        str(n),
        str(admitted),
        *(f"{ms:.1f}" for ms in (p50, p99, top)),
        f"{each:.2f}",
        f"{share:.2f}",
        f"{memory:.0f}",
    ]


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--counts", type=int, nargs="+", default=[1, 8, 16, 24, 32, 48])
    words.add_argument("--runs", type=int, default=3)
    words.add_argument("--compiled", action="store_true", help="start the server with --compiled")
    given = words.parse_args()
    command = [sys.executable, "-m", "undin", "serve", "--port", "0", *["--compiled"] * given.compiled]
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    os.sched_setaffinity(0, {0})
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(0, {1})
    assert server.stdout
    url = server.stdout.readline().split()[2].replace("http", "ws") + "/v1/stream"
    rows = []
    asyncio.run(measure(url, 1))  # loads the method and measures its cost
    for n in given.counts:
        runs = sorted((figures(url, server.pid, n) for _ in range(given.runs)), key=lambda run: float(run[3]))
        rows.append([*runs[len(runs) // 2], f"{os.getloadavg()[0]:.1f}", machine()])
        print(*rows[-1], flush=True)
    server.terminate()
    path = RESULTS / ("sockets_compiled.csv" if given.compiled else "sockets.csv")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["sockets", *FIGURES, "machine"], *rows])


if __name__ == "__main__":
    main()
