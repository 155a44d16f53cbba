"""What another thread does is waited for, however busy the machine is."""

import time


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)
    return True
