"""A cluster of Ray on this machine, started once for a module of tests."""

import os
import time

import pytest

HEAD = {
    "num_cpus": 2,
    "include_log_monitor": False,
    "object_store_memory": 100 * 2**20,
    "no_monitor": True,
    "include_dashboard": False,
}


@pytest.fixture(scope="module")
def cluster():
    """Ray with one node of two cores; this process is connected to it."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    os.environ["RAY_AUTH_MODE"] = "disabled"
    started = start()
    os.environ["RAY_ADDRESS"] = started.address
    ray.init(started.address, log_to_driver=False, logging_level="ERROR")
    yield started
    ray.shutdown()
    started.shutdown()
    del os.environ["RAY_ADDRESS"]


def start():
    """Start a head node; on a busy machine it may take longer than Ray waits."""
    from ray._private import services
    from ray.cluster_utils import Cluster

    found, get_node = {}, services.get_node

    def patient(*args):
        deadline = time.monotonic() + 120
        while not found.get(args) and time.monotonic() < deadline:
            try:
                found[args] = get_node(*args)
            except RuntimeError:
                time.sleep(1)
        return found.get(args) or get_node(*args)

    services.get_node = patient
    return Cluster(initialize_head=True, head_node_args=HEAD)
