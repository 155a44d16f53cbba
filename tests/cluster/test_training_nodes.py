"""Training on two machines, as processes that meet at a socket as under torchrun: one is killed, both resume."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")
snapshot = pytest.importorskip("undin.training.snapshot", reason="the extra train is not installed")

TONE = Path(__file__).parents[1] / "training" / "tone.py"
SETTINGS = {"steps": 12, "valid_every": 3, "devices": 1, "nodes": 2, "workers": 0, "accelerator": "cpu", "threads": 1}


@pytest.fixture
def start(tmp_path):
    """Start the processes of two nodes on one folder; a file takes what they say, as a full pipe would stop them."""
    started = []

    def start(folder, **changes):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}
        nodes = []
        for rank in ("0", "1"):
            ranks = {"RANK": rank, "GROUP_RANK": rank, "LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "test"}
            command = [sys.executable, str(TONE), str(folder), json.dumps({**SETTINGS, **changes})]
            env = {**os.environ, **shared, **ranks, "OMP_NUM_THREADS": "1"}
            with (tmp_path / "said.txt").open("a") as said:
                nodes.append(subprocess.Popen(command, env=env, stderr=said))
        started.extend(nodes)
        return nodes

    yield start
    for process in started:
        process.kill()
        process.wait()


def weights_of(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)["weights"]


def test_a_node_that_is_killed_costs_the_steps_since_the_checkpoint_alone(start, tmp_path):
    for node in start(tmp_path / "unbroken"):
        assert node.wait(600) == 0, (tmp_path / "said.txt").read_text()
    first, second = start(tmp_path / "broken", slow=0.05)
    deadline = time.monotonic() + 400
    while not (tmp_path / "broken/last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second.kill()
    assert first.wait(300) not in (0, None)  # it does not go on alone
    assert 3 <= snapshot.read(tmp_path / "broken/last.ckpt")["state"].step < 12
    for node in start(tmp_path / "broken"):
        assert node.wait(600) == 0, (tmp_path / "said.txt").read_text()
    ours, theirs = weights_of(tmp_path / "broken"), weights_of(tmp_path / "unbroken")
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], theirs[name], rtol=0, atol=1e-4) for name in theirs)
