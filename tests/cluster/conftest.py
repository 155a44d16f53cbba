"""A cluster of Ray and a server of S3 on this machine, each started once for many tests."""

import os
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

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
    """Ray with one node of two cores, and a port for ray://; this process is connected to it."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    os.environ["RAY_AUTH_MODE"] = "disabled"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])  # of the workers, which take functions of these tests
    started = start()
    os.environ["RAY_ADDRESS"] = started.address
    ray.init(started.address, log_to_driver=False, logging_level="ERROR")
    yield started
    ray.shutdown()
    started.shutdown()
    del os.environ["RAY_ADDRESS"], os.environ["PYTHONPATH"]


def start():
    """Start a head node; on a busy machine it may take longer than Ray waits."""
    from ray._private import services
    from ray.cluster_utils import Cluster

    found, get_node = {}, services.get_node

    def patient(*args):
        deadline = time.monotonic() + 60
        while not found.get(args) and time.monotonic() < deadline:
            try:
                found[args] = get_node(*args)
            except RuntimeError:
                time.sleep(1)
        return found.get(args) or get_node(*args)

    services.get_node = patient
    for _ in range(2):  # its raylet ends itself where a helper has not started in 15 s
        with suppress(Exception):
            return _head(Cluster)
    return _head(Cluster)


def _head(make):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = make(initialize_head=True, head_node_args={**HEAD, "ray_client_server_port": port})
    made.client_port = port
    return made


class Faults:
    """Between client and server: answers 500, cuts bodies off, waits; counts the writes of each key."""

    def __init__(self, app):
        self.app, self.plan, self.seen, self.puts = app, {}, Counter(), Counter()

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        fault = next((how for (verb, part), how in self.plan.items() if verb == method and part in path), None)
        self.seen[method, path] += 1
        first = self.seen[method, path] <= 2  # twice for each file
        if (fault == "500" and first) or fault == "always 500":
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        if fault == "slow" and first:
            time.sleep(1)
        if method == "PUT":
            self.puts[path] += 1
        body = b"".join(self.app(environ, start_response))
        return [body[: len(body) // 2]] if fault == "cut" and first and len(body) > 1000 else [body]


@pytest.fixture(scope="session")  # s3fs keeps connections to the first one that it meets
def server():
    """S3 over a real socket; `plan` says which requests fail how."""
    pytest.importorskip("moto.server", reason="moto[server] is not installed")
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    faults = Faults(DomainDispatcherApplication(create_backend_app))
    made = make_server("127.0.0.1", 0, faults, threaded=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{made.server_port}",
        "AWS_ACCESS_KEY_ID": "key-of-the-test",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    yield faults
    made.shutdown()
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        del os.environ[name]
