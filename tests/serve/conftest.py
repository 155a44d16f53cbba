"""One server for all tests; without the extra `serve` this folder is left out."""

from importlib.util import find_spec

import pytest

MISSING = [name for name in ("starlette", "uvicorn", "websockets", "httpx") if find_spec(name) is None]
collect_ignore_glob = ["*"] if MISSING else []


@pytest.fixture(scope="session")
def server():
    from serve_running import running

    from undin.serve import Limits

    with running(Limits(threads=64, sockets=64)) as server:  # admission by load has its own test
        yield server


@pytest.fixture(scope="session")
def noisy(tmp_path_factory):
    """A second and a half of noisy voice in a WAV file."""
    from serve_running import signal

    import undin

    path = tmp_path_factory.mktemp("in") / "noisy.wav"
    undin.write(path, signal(16000, 1.5), 16000)
    return path
