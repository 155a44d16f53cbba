"""Three machines as nodes of Ray: a worker killed, a node removed, the driver killed; every output exactly once."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from undin import audio
from undin.cluster import Ray
from undin.jobs import NOTES, plan, run
from undin.methods import LogMMSE
from undin.runner import USE_GPU

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.usefixtures("cluster"), pytest.mark.filterwarnings("ignore::ResourceWarning")]
N = 24

DRIVER = """
import sys
from functools import partial
import ray
from undin.cluster import Ray
from undin.jobs import plan, run
from tests.cluster.test_nodes import slow
ray.init(log_to_driver=False, logging_level="ERROR")
for result in run(plan(["in"], "there/"), slow, workers=Ray(n=int(sys.argv[1]) if sys.argv[1:] else None)):
    print(result.status, flush=True)
"""


class Slow(LogMMSE):
    """Takes long enough for something to happen meanwhile."""

    def step(self, X, state):
        time.sleep(0.2)
        return super().step(X, state)


slow = partial(Slow)


@pytest.fixture(scope="module")
def nodes(cluster):
    """Two more nodes, of one core each."""
    about = {"num_cpus": 1, "include_log_monitor": False, "object_store_memory": 100 * 2**20}
    return [cluster.add_node(**about) for _ in range(2)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i in range(N):
        audio.write(Path("in", f"{i:02}.wav"), np.random.default_rng(i).uniform(-0.3, 0.3, 32000), 16000)
    assert [result.status for result in run(plan(["in"], "serial/"), LogMMSE)] == ["done"] * N
    return tmp_path


def check_outputs():
    """All outputs are there, once, to the bit those of one process, and nothing else is."""
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(name).glob("*.wav")}
        for name in ("serial", "there")
    ]
    assert digests[0] == digests[1] and len(digests[1]) == N
    assert {path.name for path in Path("there").iterdir()} == {*digests[1], NOTES}


def test_a_driver_that_is_killed_is_rerun(nodes, folder):
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True)
    assert [driver.stdout.readline() for _ in range(3)] == ["done\n"] * 3
    driver.kill()
    driver.communicate()
    time.sleep(3)  # Ray ends its workers
    left = len(list(Path("there").glob("*.wav")))
    assert 3 <= left < N
    statuses = [result.status for result in run(plan(["in"], "there/"), slow, workers=Ray())]
    assert statuses.count("skipped") >= 3 and statuses.count("done") + statuses.count("skipped") == N
    check_outputs()


def test_two_drivers_on_one_folder_do_each_file_once_also_when_one_is_killed(nodes, folder):
    command = [sys.executable, "-c", DRIVER, "1"]
    drivers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert drivers[0].stdout.readline() == "done\n"
    drivers[0].kill()
    drivers[0].communicate()
    statuses = drivers[1].communicate()[0].split()
    assert len(statuses) == N and set(statuses) == {"done", "skipped"} and drivers[1].returncode == 0
    check_outputs()
    assert len(notes()) == len(set(notes())) == N


def test_a_worker_killed_and_a_node_removed_lose_nothing(cluster, nodes, folder):
    results = run(plan(["in"], "there/"), slow, workers=Ray())
    statuses = [next(results).status for _ in range(2)]
    os.kill(_a_worker(), signal.SIGKILL)
    statuses.append(next(results).status)
    cluster.remove_node(nodes.pop(), allow_graceful=False)
    statuses += [result.status for result in results]
    assert statuses == ["done"] * N
    check_outputs()
    assert set(notes()) == {f"{i:02}.wav" for i in range(N)}


def notes():
    return [json.loads(line)["output"] for line in Path("there", NOTES).read_text().splitlines() if line]


def gpu(progress):
    return lambda _: (os.environ.get(USE_GPU), os.environ.get("CUDA_VISIBLE_DEVICES"))


def test_a_worker_with_a_part_of_a_gpu_uses_it_and_one_without_does_not(cluster, nodes):
    node = cluster.add_node(num_cpus=1, num_gpus=1, include_log_monitor=False, object_store_memory=100 * 2**20)
    found = dict(Ray(n=2, num_cpus=0, num_gpus=0.5).map(gpu, range(4)))
    cluster.remove_node(node, allow_graceful=False)
    assert set(found.values()) == {("1", "0")}
    assert {wanted for _, (wanted, _) in Ray(n=1).map(gpu, range(2))} == {None}


def _a_worker():
    """The process of one of the actors."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            if entry.name.isdecimal() and (entry / "cmdline").read_bytes().startswith(b"ray::Actor"):
                return int(entry.name)
    raise LookupError("no actor is at work")
