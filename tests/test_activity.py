"""Who talks when, by outputs of a separator whose talkers are known; and that nothing is lost on the way."""

import numpy as np
import pytest

from undin.activity import Activity

SR = 8000


def voice(seconds: float, seed: int) -> np.ndarray:
    """Noise in syllables, four a second."""
    n = round(seconds * SR)
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(n) / SR + seed)
    return (0.1 * syllables * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def spoken(seconds: float, spans: list[tuple[float, float]], seed: int) -> np.ndarray:
    x = np.zeros(round(seconds * SR), np.float32)
    for start, end in spans:
        x[round(start * SR) : round(end * SR)] = voice(end - start, seed)[: round(end * SR) - round(start * SR)]
    return x


def run(y: np.ndarray, parts: int = 1, **options) -> tuple[Activity, np.ndarray]:
    activity = Activity(2, SR, **options)
    z = [activity.process(part) for part in np.array_split(y, parts, -1)]
    return activity, np.concatenate([*z, activity.flush()], -1)


def level_db(x: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-30)


TURNS = [[(1.0, 6.0), (9.0, 22.0)], [(6.5, 8.0), (20.0, 28.0)]]


@pytest.fixture
def leaking() -> np.ndarray:
    """Two talkers in turns, each 20 dB down in the other output too."""
    a, b = (spoken(30, spans, seed) for seed, spans in enumerate(TURNS))
    return np.stack([0.9 * a + 0.1 * b, 0.1 * a + 0.9 * b])


def test_turns_are_found_and_outputs_are_silent_between_them(leaking):
    activity, z = run(leaking)
    assert activity.n_talkers == 2
    for found, spans in zip(activity.turns, TURNS, strict=True):
        np.testing.assert_allclose(found, spans, atol=0.25)
    assert level_db(z[1, round(2 * SR) : round(5.5 * SR)]) < -200  # the first talks alone
    np.testing.assert_allclose(z[0, 2 * SR : 5 * SR], leaking.sum(0)[2 * SR : 5 * SR], atol=1e-6)
    np.testing.assert_allclose(
        z[:, round(20.5 * SR) : round(21.5 * SR)], leaking[:, round(20.5 * SR) : round(21.5 * SR)]
    )
    np.testing.assert_allclose(z.sum(0), leaking.sum(0), atol=1e-6)


@pytest.mark.parametrize("parts", [7, 400])
def test_pieces_change_nothing(leaking, parts):
    (whole, z), (pieces, y) = run(leaking), run(leaking, parts)
    assert whole.turns == pieces.turns
    np.testing.assert_allclose(y, z, atol=1e-6)


@pytest.mark.parametrize("other", [lambda x: 0.7 * x, lambda x: 0.02 * np.roll(x, 100), lambda x: 0 * x])
def test_a_copy_a_residue_and_silence_are_no_second_talker(other):
    x = voice(8, 0)
    activity, z = run(np.stack([other(x), x]))
    assert activity.n_talkers == 1 and not activity.turns[0]
    assert not z[0].any()
    np.testing.assert_allclose(z[1], x + other(x), atol=1e-6)


def test_nobody_talks_in_silence_or_where_all_is_rest():
    assert run(np.zeros((2, 5 * SR), np.float32))[0].n_talkers == 0
    noise, residue = voice(12, 0), 0.01 * voice(12, 1)
    y = np.stack([residue, 0.5 * residue, noise])
    activity, z = run(y, rest=True, apart=True)
    assert activity.n_talkers == 0 and not z[:2].any()
    np.testing.assert_allclose(z[2], y.sum(0), atol=1e-6)
    activity, z = run(y, rest=True)
    assert activity.n_talkers == 0 and not z[1].any()
    np.testing.assert_allclose(z[0], y.sum(0), atol=1e-6)


def test_the_rest_goes_to_those_who_talk_or_talked_last(leaking):
    noise = 0.001 * voice(30, 9)
    y = np.stack([*leaking, noise])
    _, z = run(y, rest=True)
    assert z.shape == leaking.shape
    np.testing.assert_allclose(z.sum(0), y.sum(0), atol=1e-6)
    assert level_db(z[0, 29 * SR :]) < -200 and level_db(z[1, 29 * SR :]) > -100  # the second talked last
    _, apart = run(y, rest=True, apart=True)
    np.testing.assert_allclose(apart.sum(0), y.sum(0), atol=1e-6)
    np.testing.assert_allclose(apart[2, 2 * SR : 5 * SR], noise[2 * SR : 5 * SR], atol=1e-6)


def test_without_judgment_talkers_stay_as_they_are(leaking):
    activity, z = run(leaking, judge=False)
    np.testing.assert_allclose(z, leaking, atol=1e-6)
    assert len(activity.turns[0]) == 2


def test_a_loud_noise_hides_no_talker_for_long():
    x = spoken(700, [(1, 2), (650, 660)], 0)
    x[SR : 2 * SR] *= 100
    activity, _ = run(np.stack([x, 0 * x]))
    assert [round(end) for _, end in activity.turns[0]] == [2, 660]


def test_no_channels_stay_none():
    activity, z = run(np.zeros((3, 0, 100), np.float32), rest=True, apart=True)
    assert z.shape == (3, 0, 100) and activity.n_talkers == 0
