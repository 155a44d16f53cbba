"""Memory of command and worker from bucket to bucket: python -m benchmarks.speed.cluster_memory [--n N] [--method ID]

N files of 1 s at 16 kHz in a bucket, which a server of S3 (moto) in another process serves, are enhanced into another
folder of it by one worker of Ray; resident memory of both is read after every N / 10 files. Needs the extras `cloud`
and `ray`, and moto[server]; into results/cluster_memory.csv.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.launch import SKIPPED, parser
from benchmarks.scoring import RESULTS
from undin import audio
from undin.cluster import Ray
from undin.errors import MissingExtraError
from undin.jobs import plan_urls, run_urls
from undin.methods import load
from undin.store import Store

PATH = RESULTS / "cluster_memory.csv"
SERVER = """
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
import logging
logging.getLogger("werkzeug").setLevel(logging.ERROR)
made = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(made.server_port, flush=True)
made.serve_forever()
"""


@contextmanager
def server() -> Iterator[None]:
    """S3 in another process."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        if not (port := process.stdout.readline().strip()):
            print("needs moto: pip install 'moto[server]'")
            sys.exit(SKIPPED)
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        os.environ |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", **dict.fromkeys(names, "test")}
        try:
            yield
        finally:
            process.kill()


def fill(bucket: str, n: int) -> None:
    import s3fs

    s3fs.S3FileSystem().mkdir(bucket)
    store = Store(f"{bucket}/in/")
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n):
            file = Path(folder, "x.wav")
            audio.write(file, np.random.default_rng(i).normal(0, 0.1, 16000).astype(np.float32), 16000)
            store.put(f"{i:06}.wav", file)


def megabytes(process: int) -> float:
    """Resident memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def worker() -> int:
    """The process of the actor."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and (entry / "cmdline").read_bytes().startswith(b"ray::Actor"):
                return int(entry.name)
    raise LookupError("no actor is at work")


def measure(bucket: str, n: int, method: str) -> Iterator[dict[str, object]]:
    start, process = time.monotonic(), 0
    results = run_urls(plan_urls([f"{bucket}/in/"], f"{bucket}/out/"), partial(load, method), workers=Ray(n=1))
    for i, result in enumerate(results, 1):
        assert result.status == "done", result.error
        process = process or worker()
        if i == min(50, n) or i % (n // 10) == 0:
            with suppress(FileNotFoundError):  # the worker may have ended with the last file
                about = {"command_mb": round(megabytes(os.getpid()), 1), "worker_mb": round(megabytes(process), 1)}
                yield {"files": i, **about, "seconds": round(time.monotonic() - start)}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--n", type=int, default=3000)
    command.add_argument("--method", default="lull")
    options = command.parse_args()
    try:
        Ray()
        Store("s3://bucket/")
    except MissingExtraError as error:
        print(error)
        sys.exit(SKIPPED)
    rows = []
    with server():
        fill("s3://bucket", options.n)
        for row in measure("s3://bucket", options.n, options.method):
            rows.append(row)
            print(*(f"{name} {value:>7}" for name, value in row.items()), sep="   ", flush=True)
    with PATH.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
