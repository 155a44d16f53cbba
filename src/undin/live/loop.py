"""The loop of `undin live`: open the devices, follow keys, show figures, and wait for devices that went away."""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from undin.live.devices import DeviceLostError
from undin.live.line import Alive, Controls, Line, Status
from undin.stream import Startable

SHOW_S, RETRY_S = 0.05, 1.0


class Card(Protocol):
    """A pair of devices, or a test's stand-in; `SoundCard` says what each member means."""

    sr: int
    n_channels: int
    delay_s: float

    @property
    def text(self) -> str:
        """The devices in words."""

    def refresh(self) -> None:
        """Find the devices."""

    def open(self, line: Line) -> AbstractContextManager[Alive]:
        """Let sound run through a line."""


class Screen(Protocol):
    """Where figures are shown."""

    def show(self, status: Status, controls: Controls) -> None:
        """Show figures of the last moment."""

    def say(self, text: str) -> None:
        """Print a permanent line."""


class Quiet:
    """A screen without meters; dropouts are reported once a second at most.

    Args:
        print: where lines go.
    """

    def __init__(self, print: Callable[[str], object]) -> None:
        self._print = print
        self._drop_outs, self._at = 0, 0.0

    def say(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def show(self, status: Status, controls: Controls) -> None:
        """Report new dropouts."""
        now = time.monotonic()
        if status.drop_outs != self._drop_outs and now > self._at + 1:
            self._drop_outs, self._at = status.drop_outs, now
            self.say(f"dropouts: {status.drop_outs}, load {status.load:.0%}")


def run(
    card: Card,
    method: Startable,
    controls: Controls,
    screen: Screen,
    *,
    keys: Callable[[], Iterable[str]] = tuple,
    opened: Callable[[], object] = lambda: None,
    reserve_s: float = 0.02,
) -> None:
    """Run until the key q, or an exception such as KeyboardInterrupt.

    Args:
        card: the devices, which have been found.
        method: a causal method that enhances.
        controls: what keys change.
        screen: where figures are shown.
        keys: gives the keys pressed since the last call.
        opened: called when sound runs, at the start and after an interruption.
        reserve_s: see `Line`.

    Raises:
        DeviceLostError: the devices cannot be opened at the start; later they are waited for.
    """
    started = False
    while True:
        try:
            if started:
                card.refresh()
            with (
                Line(method, card.sr, card.n_channels, controls, reserve_s=reserve_s) as line,
                card.open(line) as alive,
            ):
                started = True
                opened()
                delay_ms = 1e3 * (line.delay_s + card.delay_s)
                screen.say(f"{method.id}: {card.text}, delay {delay_ms:.0f} ms")
                if not _watch(line, alive, controls, screen, keys):
                    return
            screen.say("the device stopped: waiting for it to come back")
        except DeviceLostError:
            if not started:
                raise
        time.sleep(RETRY_S)


def _watch(line: Line, alive: Alive, controls: Controls, screen: Screen, keys: Callable[[], Iterable[str]]) -> bool:
    """Follow keys and show figures while sound runs; whether to open the devices again."""
    while alive():
        if controls.repaired and not controls.reported:
            screen.say("the input device sends NaN or huge samples, which are replaced with zeros")
            controls.reported = True
        for key in keys():
            if key == "q":
                return False
            controls.muted ^= key == "m"
            controls.raw ^= key == " "
        screen.show(line.status(), controls)
        time.sleep(SHOW_S)
    return True
