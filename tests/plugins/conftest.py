"""Each framework's tests are left out where it is not installed."""

from importlib.util import find_spec

FRAMEWORKS = {"pipecat": "pipecat", "livekit": "livekit.rtc"}  # other packages put theirs beside it, into livekit
missing = [name for name, part in FRAMEWORKS.items() if not (find_spec(name) and find_spec(part))]
collect_ignore = [f"test_{name}.py" for name in missing]


def pytest_report_header():
    return f"plugins: {', '.join(missing)} not installed, so not tested" if missing else None
