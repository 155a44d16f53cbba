"""Each framework's tests are left out where it is not installed."""

from importlib.util import find_spec

FRAMEWORKS = ("pipecat", "livekit")
missing = [name for name in FRAMEWORKS if find_spec(name) is None]
collect_ignore = [f"test_{name}.py" for name in missing]


def pytest_report_header():
    return f"plugins: {', '.join(missing)} not installed, so not tested" if missing else None
