"""Rooms: speech arrives at its time and level, followed by reflections."""

import numpy as np
import pytest

from undin import mixing
from undin.audio import rms_db
from undin.errors import InputError
from undin.mixing import Drawing, Settings
from undin.mixing.rooms import Room, draw_room

ROOM = Room((5.0, 4.0, 3.0), 0.35, (2.0, 1.5, 1.2), ((3.1, 2.6, 1.7), (1.0, 3.0, 1.5)))


def test_text_comes_back():
    assert Room.parse(ROOM.text, 2) == ROOM
    for k in range(20):
        room = draw_room(np.random.default_rng(k), 3, (0.2, 0.6))
        assert Room.parse(room.text, 3) == room
        assert min(np.linalg.norm(np.subtract(place, room.mic)) for place in room.places) >= 0.49


@pytest.mark.parametrize(
    "text", ["", "5 4 3 0.3 1 1 1", "5 4 3 0.3 1 1 1 1 1 x", "5 4 3 0.3 1 1 1 6 1 1", "5 4 3 0 1 1 1 2 2 2"]
)
def test_invalid_rooms_are_rejected(text):
    with pytest.raises(InputError, match="room must"):
        Room.parse(text, 1)


def test_a_click_has_no_delay_and_decays():
    pytest.importorskip("pyroomacoustics")
    for response in ROOM.responses(16000):
        h = response.h
        assert h[0] == 1 and np.abs(h[1:20]).max() < 0.1  # the first reflection comes later
        decay_db = 10 * np.log10(np.cumsum(h[::-1] ** 2)[::-1] / np.sum(h**2))
        rt60_s = 2 * np.argmax(decay_db < -35) / 16000 - 2 * np.argmax(decay_db < -5) / 16000
        assert rt60_s == pytest.approx(0.35, abs=0.12)
        click = np.zeros(8000, np.float32)
        click[100] = 0.5
        early = response.early(click)
        np.testing.assert_allclose(early[100 : 100 + 800], 0.5 * h[:800], atol=1e-6)
        assert np.abs(early[901:]).max() < 1e-6 and np.abs(response.wet(click)[901:]).max() > 1e-4


def test_mixtures_in_rooms_come_back(shared):
    pytest.importorskip("pyroomacoustics")
    for reference in ("early", "dry"):
        drawing = Drawing(shared, Settings(rooms=1.0, reference=reference, talkers=2, noises=1, snr_db=5.0), seed=2)
        made = drawing.mixture(0)
        again = mixing.render(made.row, shared)
        np.testing.assert_array_equal(made.noisy, again.noisy)
        np.testing.assert_array_equal(made.sources, again.sources)
        assert made.row.reference == reference and len(made.row.room.split()) == 7 + 9
        # the SNR is that at the microphone, and no reference contains the rest of the room
        assert rms_db(made.noisy - made.noise) - rms_db(made.noise) == pytest.approx(5, abs=1e-3)
        assert np.abs(made.noisy - made.noise - made.speech).max() > 1e-4
        lags = np.correlate((made.noisy - made.noise)[50:-50], made.speech, "valid")
        assert np.argmax(lags) == 50  # reference and reverberant speech lie on each other
    plain = Drawing(shared, Settings(talkers=2, noises=1), seed=2).mixture(0)
    assert plain.row.room == plain.row.reference == ""


def test_a_share_of_rooms(shared):
    rows = [Drawing(shared, Settings(rooms=0.5)).sketch(i)[0] for i in range(100)]
    assert 30 < sum(bool(row.room) for row in rows) < 70


def test_an_impossible_room(shared):
    pytest.importorskip("pyroomacoustics")
    with pytest.raises(InputError, match=r"cannot have an RT60 as short as 0.01 s"):
        Room((8.0, 6.0, 3.5), 0.01, (1.0, 1.0, 1.0), ((2.0, 2.0, 2.0),)).responses(8000)
