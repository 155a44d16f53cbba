"""A target that breaks on purpose, in the way that its input says: by it the runner is tested."""

import os
import time
from pathlib import Path

from hypothesis import strategies as st

from undin.errors import InputError

CASES = st.sampled_from(["fine", "rejected", "uncaught", "half-written", "crash", "hang"])


def attempt(case: str, folder: Path) -> None:
    """Do what the input says."""
    if case == "rejected":
        raise InputError("no")
    if case == "uncaught":
        raise KeyError(case)
    if case == "half-written":
        (folder / ".undin-0-1-2.part").write_text("half")
    if case == "crash":
        os.abort()
    if case == "hang":
        time.sleep(60)
