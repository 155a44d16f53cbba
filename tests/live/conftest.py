"""Without the extra `live` and its library PortAudio, what opens devices is left out."""

from ctypes.util import find_library
from importlib.util import find_spec

import pytest

missing = find_spec("sounddevice") is None or find_library("portaudio") is None
collect_ignore = ["test_pulse.py"] if missing else []


def pytest_report_header():
    return "live: sounddevice or PortAudio is not installed, so no device is opened" if missing else None


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Devices of these tests are stand-ins that need not settle, and are not lost when a busy machine pauses them."""
    monkeypatch.setattr("undin.live.line.SETTLE_S", 0.0)
    monkeypatch.setattr("undin.live.line.STALL_S", 60.0)
