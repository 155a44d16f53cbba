import signal
import time

import pytest

from undin.signals import first_interrupt, graceful_signals

CASES = [("SIGINT", KeyboardInterrupt), ("SIGTERM", SystemExit), ("SIGHUP", SystemExit)]


@pytest.mark.parametrize(("name", "error"), [case for case in CASES if hasattr(signal, case[0])])
def test_a_signal_is_handled_at_once(name, error):
    with graceful_signals(), pytest.raises(error):
        signal.raise_signal(getattr(signal, name))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_inside_a_callback_of_libsndfile_is_handled_after_it():
    behind = False

    def vio_write():
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.02)  # the second one comes in here as well
        return 1

    with graceful_signals(), pytest.raises(KeyboardInterrupt):
        behind = vio_write() == 1
        time.sleep(5)
    assert behind


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with graceful_signals():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_first_interrupt_may_be_gentle():
    said = []
    with pytest.raises(KeyboardInterrupt), first_interrupt(lambda: said.append("gently")):
        signal.raise_signal(signal.SIGINT)
        assert said == ["gently"]
        signal.raise_signal(signal.SIGINT)
    assert said == ["gently"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
