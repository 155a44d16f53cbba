"""A real server on loopback, in a thread of this process, so that its objects can be looked at."""

import threading
import time
from contextlib import contextmanager
from typing import NamedTuple

import httpx
import numpy as np
import uvicorn

from undin.serve import listen, make_app
from undin.serve.run import config

SLOW_S = 60.0  # patience on a busy machine


class Server(NamedTuple):
    url: str
    ws: str
    app: object
    http: httpx.Client

    def post(self, path, body, **params):
        headers = params.pop("headers", {"content-type": "audio/wav"})
        return self.http.post(path, content=body, params=params, headers=headers)


@contextmanager
def running(limits=None, token=None, compiled=()):
    listening = listen("127.0.0.1", 0)
    app = make_app(limits, token, compiled=compiled)
    server = uvicorn.Server(config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    host = f"127.0.0.1:{listening.getsockname()[1]}"
    with httpx.Client(base_url=f"http://{host}", timeout=SLOW_S) as client:
        yield Server(f"http://{host}", f"ws://{host}", app, client)
    server.should_exit = True
    thread.join(SLOW_S)
    listening.close()
    assert not thread.is_alive()


def signal(sr, seconds, n_channels=None):
    """A swept harmonic tone with pauses, in noise: float32 on the grid of s16."""
    rng, t = np.random.default_rng(0), np.arange(round(sr * seconds)) / sr
    tone = sum(np.sin(2 * np.pi * k * (150 * t + 20 * t**2)) / k for k in range(1, 8)) * (np.sin(9 * t) > 0)
    x = np.stack([0.1 * tone / (c + 1) + 0.02 * rng.standard_normal(t.size) for c in range(n_channels or 1)])
    x = (np.rint(x * 32768) / 32768).astype(np.float32)
    return x if n_channels else x[0]


def eventually(condition, seconds=SLOW_S):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
