"""Memory of training: memory freed by a step is kept for the next one.

glibc returns large blocks to the kernel, which hands them out again page by page, each cleared first; every step would
pay for that. torch asks for pages of 2 MB where a variable says so, read when it allocates for the first time.
"""

import ctypes
import os
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def keep_freed() -> None:
    """Set this up for the process, best before torch is imported; has no effect without glibc."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
