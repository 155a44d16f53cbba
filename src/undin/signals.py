"""Interruptions that take effect, and take unfinished files away."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
RETRY_S = 0.005


@contextmanager
def graceful_signals() -> Iterator[None]:
    """Make Ctrl-C raise KeyboardInterrupt, and a request to end or a closed terminal SystemExit.

    libsndfile writes through callbacks into Python. An exception raised inside one is printed and dropped, and
    libsndfile continues with a wrong result: the interruption is lost and the file may be broken. There, the signal is
    sent once more a little later.
    """
    before = {number: signal.getsignal(number) for number in NUMBERS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def first_interrupt(do: Callable[[], object]) -> Iterator[None]:
    """Have the first Ctrl-C do something gentle; the second is what it was before.

    Args:
        do: called by the signal.
    """
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before)
        do()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _handle(number: int, frame: FrameType | None) -> None:
    if _in_callback(frame):
        again = threading.Timer(RETRY_S, _send, [number])
        again.daemon = True
        again.start()
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        sys.exit(128 + number)


def _in_callback(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name.startswith("vio_"):  # soundfile's names for them
            return True
        frame = frame.f_back
    return False


def _send(number: int) -> None:
    if os.name == "posix":
        signal.pthread_kill(threading.main_thread().ident or 0, number)  # wakes it if it waits for a pipe
    else:
        signal.raise_signal(signal.Signals(number))
