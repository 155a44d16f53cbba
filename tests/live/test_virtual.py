"""The virtual microphone with a stand-in for `pactl`."""

import os
import re

import pytest

from undin.errors import InputError
from undin.live import virtual

REFUSAL = "the sound server refused pactl move-sink-input: Failure: No such entity"


@pytest.mark.parametrize("n_gone", [0, 1, 2, 3])
def test_playback_that_becomes_another_input_while_it_is_moved(monkeypatch, n_gone):
    numbers, moved = iter(range(7, 99)), []

    def pactl(command, *arguments):
        if command == "list":
            return f'Sink Input #1\n\tx\nSink Input #{next(numbers)}\n\tapplication.process.id = "{os.getpid()}"'
        moved.append(arguments)
        if len(moved) <= n_gone:
            raise InputError(REFUSAL)

    monkeypatch.setattr(virtual, "_pactl", pactl)
    if n_gone == 3:
        with pytest.raises(InputError, match=re.escape(REFUSAL)):
            virtual.move_playback()
    else:
        assert virtual.move_playback()
    assert moved == [(str(7 + i), "undin") for i in range(min(n_gone + 1, 3))]
