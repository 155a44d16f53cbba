"""The recognition mode: a limit that was measured, or an error that says what to do."""

from dataclasses import replace

import numpy as np
import pytest

import undin
from undin.errors import InputError
from undin.methods import METHODS
from undin.methods.log_mmse import LogMMSE

SR = 16000


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal(SR).astype(np.float32) / 10


@pytest.fixture
def measured(monkeypatch):
    """A method whose best limit for recognisers is known."""

    class Measured(LogMMSE):
        card = replace(LogMMSE.card, recognition_limit_db=9.0)

    monkeypatch.setitem(METHODS, "measured", Measured)
    return "measured"


def test_recognition_is_the_limit_that_was_measured(x, measured):
    y = undin.enhance(x, SR, method=measured, mode="recognition")
    np.testing.assert_array_equal(y, undin.enhance(x, SR, method=measured, limit_db=9.0))
    assert np.abs(y - undin.enhance(x, SR, method=measured)).max() > 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "recognition", "limit_db": 6}, "brings its own limit_db; got limit_db = 6: leave one out"),
        ({"mode": "music"}, 'mode must be "listening" or "recognition"; got \'music\''),
        ({"mode": "recognition", "method": "spectral-gate"}, "spectral-gate has no recognition mode: give limit_db"),
    ],
)
def test_what_makes_no_sense_is_said(x, measured, settings, message):
    with pytest.raises(InputError, match=message):
        undin.enhance(x, SR, **{"method": measured, **settings})
