"""The loop of `undin live` with a stand-in for the sound card."""

import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from live_waiting import until
from rich.console import Console

import undin
from undin.errors import InputError
from undin.live.devices import Device, DeviceLostError, find
from undin.live.line import Controls, Status
from undin.live.loop import Quiet, run
from undin.live.screen import Meters, decibels, meter


class FakeCard:
    """Calls both callbacks from a thread; `plugs` says which openings work, and each lasts until unplugged."""

    sr, n_channels, delay_s, text = 16_000, 1, 0.01, "fake microphone -> fake speaker"

    def __init__(self, plugs=(True,)):
        self.plugs, self.n_opened, self.n_refreshed, self.unplugged = list(plugs), 0, 0, threading.Event()
        self.x = np.full((160, 1), 0.1, np.float32)

    def refresh(self):
        self.n_refreshed += 1

    @contextmanager
    def open(self, line):
        if not self.plugs.pop(0):
            raise DeviceLostError("no input device")
        self.n_opened += 1
        self.unplugged.clear()
        stop = threading.Event()
        thread = threading.Thread(target=self._call, args=(line, stop))
        thread.start()
        try:
            yield lambda: not self.unplugged.is_set() and line.is_alive()
        finally:
            stop.set()
            thread.join()

    def _call(self, line, stop):
        while not stop.is_set():
            line.capture(self.x)
            line.play(np.zeros_like(self.x))
            time.sleep(0.002)


class Script(Quiet):
    """A screen that collects lines, and presses keys one look after another."""

    def __init__(self, *keys):
        self.lines, self.seen, self._keys = [], [], list(keys)
        super().__init__(self.lines.append)

    def show(self, status, controls):
        self.seen.append((controls.muted, controls.raw))

    def keys(self):
        key = self._keys.pop(0) if self._keys else "q"
        return key() or "" if callable(key) else key


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    monkeypatch.setattr("undin.live.loop.RETRY_S", 0.01)


@pytest.fixture(scope="module")
def method():
    return undin.load("spectral-gate")


def test_a_device_that_sends_huge_samples_is_named_once(method):
    screen, controls = Script(*["x"] * 20), Controls()
    card = FakeCard((True, True))
    card.x = np.full((160, 1), 1e20, np.float32)
    screen._keys[8:10] = lambda: until(lambda: controls.repaired) and "x", card.unplugged.set
    run(card, method, controls, screen, keys=screen.keys)
    assert card.n_opened == 2 and controls.repaired
    assert ["which are replaced with zeros" in line for line in screen.lines].count(True) == 1


def test_keys_mute_compare_and_quit(method):
    screen, controls = Script("m", " ", "m", "x"), Controls()
    run(FakeCard(), method, controls, screen, keys=screen.keys)
    assert screen.seen == [(True, False), (True, True), (False, True), (False, True)]
    assert screen.lines == ["spectral-gate: fake microphone -> fake speaker, delay 62 ms"]


def test_an_unplugged_device_is_waited_for_and_settings_stay(method):
    card = FakeCard([True, False, False, True])
    screen, controls, opened = Script(" ", card.unplugged.set), Controls(), []
    run(card, method, controls, screen, keys=screen.keys, opened=lambda: opened.append(1))
    assert (card.n_opened, len(opened), card.n_refreshed, controls.raw) == (2, 2, 3, True)
    assert [line.split(":")[0] for line in screen.lines] == ["spectral-gate", "the device stopped", "spectral-gate"]


def test_a_device_that_never_worked_is_an_error(method):
    with pytest.raises(InputError, match="no input device"):
        run(FakeCard([False]), method, Controls(), Script())


def test_an_interruption_closes_the_devices(method):
    def interrupt():
        raise KeyboardInterrupt

    card, screen = FakeCard(), Script(interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(card, method, Controls(), screen, keys=screen.keys)
    assert not [thread for thread in threading.enumerate() if thread.name == "undin-live"]


def test_drop_outs_are_reported_without_meters(monkeypatch):
    lines, clock = [], SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("undin.live.loop.time", clock)
    screen = Quiet(lines.append)
    for drop_outs in (0, 2, 2, 3, 4):
        screen.show(Status(0, 0, 0.125, drop_outs), Controls())
        clock.now += 0.3
    assert lines == ["dropouts: 2, load 12%"]
    clock.now += 0.3
    screen.show(Status(0, 0, 0.125, 4), Controls())
    assert lines[1:] == ["dropouts: 4, load 12%"]


KNOWN = [
    Device(0, "USB Microphone", "ALSA", 1, 0, 48000, (True, False)),
    Device(1, "USB Headset", "ALSA", 1, 2, 44100),
    Device(2, "Speakers", "ALSA", 0, 2, 48000, (False, True)),
]


@pytest.mark.parametrize(
    "name, side, index",
    [(None, "input", 0), (None, "output", 2), ("1", "input", 1), ("headset", "output", 1), ("USB Headset", "input", 1)],
)
def test_devices_are_found_by_number_name_or_default(name, side, index):
    assert find(name, side, KNOWN).index == index


@pytest.mark.parametrize(
    "name, words",
    [("usb", "2 input devices fit 'usb'"), ("2", "no input device is called '2'"), ("radio", "undin live --list")],
)
def test_devices_that_are_not_found_are_named(name, words):
    with pytest.raises(DeviceLostError, match=words):
        find(name, "input", KNOWN)


def test_meters_show_levels_load_drop_outs_and_state():
    console = Console(record=True, width=80, force_terminal=True)
    with Meters(console) as meters:
        meters.say("[not markup]")
        meters.show(Status(1.0, 0.1, 0.25, 3), Controls(raw=True))
    console.print(meters._table(Status(1.0, 0.1, 0.25, 3), Controls(raw=True)))
    text = console.export_text()
    for words in ("[not markup]", "raw", "load 25%", "dropouts 3", "  0 dB", "-20 dB", "█"):
        assert words in text
    assert meter(-60).count("█") == 0 and meter(0).count("█") == 40 and decibels(0) == -60
