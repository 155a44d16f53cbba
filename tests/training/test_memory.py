"""What a step frees is used by the next one, without asking the kernel again."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys
if sys.argv[1] == "keep":
    from undin.training.memory import keep_freed
    keep_freed()
import numpy as np
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    return float(np.ones(10_000_000, np.float32)[0])  # above the 32 MB up to which glibc learns
step()
before = faults()
for _ in range(20):
    step()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_kept():
    plain, kept = (
        int(subprocess.run([sys.executable, "-c", CODE, word], capture_output=True, text=True, check=True).stdout)
        for word in ("plain", "keep")
    )
    assert kept < plain / 10
