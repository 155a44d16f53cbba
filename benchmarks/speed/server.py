"""What bad clients and many requests leave in a server: python -m benchmarks.speed.server [--requests 10000]

A real server, whose resident memory, open sockets and files in work are looked at after each ordeal: requests of all
kinds, clients killed with -9 while their packets are on the way, clients that send and never read, and clients that no
longer answer pings (half-open). Rows go to results/server.csv.
"""

import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import httpx
import numpy as np

import undin
from benchmarks.launch import ROOT, parser
from benchmarks.speed.sockets import usage

IDLE_S = 10.0
COLUMNS = ["ordeal", "n", "seconds", "rss_mb", "sockets_open", "files_open"]
CLIENT = """
import sys
from websockets.sync.client import connect
url, n, reads = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "reads"
sockets = [connect(url, compression=None).__enter__() for _ in range(n)]
print("open", flush=True)
while True:
    for socket in sockets:
        socket.send(bytes(640 if reads else 1 << 19))
        if reads:
            socket.recv()
"""


class Server:
    """A server process and what it says of itself."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "undin", "serve", "--port", "0", "--idle", str(IDLE_S)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = self._process.stdout.readline().split()[2]
        self.stream = f"{self.url.replace('http', 'ws')}/v1/stream?method=spectral-gate"
        self.http = httpx.Client(base_url=self.url, timeout=120)

    def figures(self) -> list[float]:
        """Resident MB, open sockets, files in work."""
        lines = dict(line.rsplit(" ", 1) for line in self.http.get("/metrics").text.splitlines() if line[0] != "#")
        return [round(usage(self._process.pid)[1]), int(lines["undin_sockets"]), int(lines["undin_files"])]

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def requests(server: Server, n: int) -> None:
    """Files, methods, metrics, and refusals."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.wav")
        undin.write(path, np.random.default_rng(0).normal(0, 0.05, 4000).astype(np.float32), 16000)
        sound = path.read_bytes()
    wav = {"content-type": "audio/wav"}
    asks: list[Callable[[], httpx.Response]] = [
        lambda: server.http.post("/v1/enhance?method=spectral-gate", content=sound, headers=wav),
        lambda: server.http.post("/v1/enhance", content=b"no sound" * 500, headers=wav),
        lambda: server.http.post("/v1/enhance", content=b"{}", headers={"content-type": "application/json"}),
        lambda: server.http.get("/healthz"),
        lambda: server.http.get("/nothing"),
    ]
    for ask, status in islice(zip(cycle(asks), cycle([200, 422, 415, 200, 404]), strict=False), n):
        assert ask().status_code == status


def clients(server: Server, n: int, reads: str) -> subprocess.Popen[bytes]:
    """A process with n open sockets."""
    command = [sys.executable, "-c", CLIENT, server.stream, str(n), reads]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout and process.stdout.readline() == b"open\n"
    return process


def killed(server: Server, n: int) -> None:
    """Clients killed while they send."""
    for _ in range(n // 8):
        process = clients(server, 8, "reads")
        time.sleep(0.2)
        process.kill()
        process.communicate()
    settle(server)


def slow(server: Server, n: int) -> None:
    """Clients that send and never read."""
    process = clients(server, n, "never")
    settle(server)
    process.kill()
    process.communicate()


def half_open(server: Server, n: int) -> None:
    """Clients that are stopped: they answer no pings and close nothing."""
    process = clients(server, n, "reads")
    os.kill(process.pid, signal.SIGSTOP)
    settle(server)
    process.kill()
    process.communicate()


def settle(server: Server, limit_s: float = 120) -> None:
    """Wait until all sockets are closed."""
    end = time.monotonic() + limit_s
    while server.figures()[1] and time.monotonic() < end:
        time.sleep(0.2)


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--requests", type=int, default=10_000)
    n = words.parse_args().requests
    server = Server()
    requests(server, 100)
    rows: list[list[object]] = [["start", 0, 0, *server.figures()]]
    ordeals = [("requests", n // 4, requests)] * 4
    ordeals += [("killed", 200, killed), ("slow", 8, slow), ("half-open", 8, half_open)]
    for name, count, ordeal in ordeals:
        start = time.monotonic()
        ordeal(server, count)
        rows.append([name, count, round(time.monotonic() - start), *server.figures()])
        print(*rows[-1], flush=True)
    server.stop()
    with (ROOT / "benchmarks/results/server.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
