"""Signals as a terminal gives them: a background job or nohup starts the tests with some of them ignored."""

import os
import signal
from contextlib import suppress

# Before numpy and torch are loaded: the arrays of tests are small, and `pytest -n` shares the cores among processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # OpenBLAS and MKL follow it


def pytest_configure() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    with suppress(ImportError):  # environments of plugins and clusters have no Hypothesis
        from hypothesis import settings

        settings.register_profile("patient", settings(), deadline=None)  # examples wait for other processes
        settings.load_profile("patient")
