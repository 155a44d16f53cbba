"""Talkers stay on their outputs: within a chunk and from chunk to chunk, where their voices are known."""

import numpy as np
import pytest

from undin.order import in_order, source_path

T, F, D = 600, 30, 32
RATE = 62.5  # frames a second


def talk(
    swaps: list[tuple[int, int]], *, noise: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Talkers in turns of a second; both outputs change talkers within the swaps; truth, Y, V with unsure voices."""
    rng = np.random.default_rng(seed)
    turn = np.arange(T) // 62 % 3  # the first, the second, both
    level = np.stack([turn != 1, turn != 0]) * rng.uniform(0.5, 1.5, (2, T))
    truth = (level[:, None] * rng.standard_normal((2, F, T))).astype(np.complex64)
    V = np.eye(2, D)[:, None] + noise * rng.standard_normal((2, T // 2, D))
    Y = truth.copy()
    for start, end in swaps:
        Y[..., start:end] = Y[::-1, :, start:end]
        V[:, start // 2 : end // 2] = V[::-1, start // 2 : end // 2]
    return [truth, Y, V]


def share_right(Y: np.ndarray, truth: np.ndarray) -> float:
    return float((np.abs(Y - truth).sum((0, 1)) < 1e-6).mean())


def test_an_output_that_changes_talkers_is_followed():
    truth, Y, V = talk([(250, 400)])
    found, voices = in_order(Y, V, frames_per_s=RATE)
    assert share_right(Y, truth) == 0.75 and share_right(found, truth) > 0.97
    assert np.argmax(voices, 1).tolist() == [0, 1]


def test_voices_before_say_which_talker_is_first():
    truth, Y, V = talk([(0, 350)], seed=1)
    for voices, known in ((9 * np.eye(2, D)[::-1], None), (None, np.eye(D)[1])):
        found, total = in_order(Y, V, voices=voices, known=known, frames_per_s=RATE)
        assert share_right(found, truth[::-1]) > 0.97
        assert np.argmax(total, 1).tolist() == [1, 0]


@pytest.mark.parametrize("has_voice", [True, False])
def test_the_overlap_says_it_too(has_voice):
    truth, Y, V = talk([(0, T)], noise=20.0)  # voices that say nothing
    voices = 1e6 * np.random.default_rng(9).standard_normal((2, D))
    found, _ = in_order(Y, V if has_voice else None, truth[..., :100], voices, frames_per_s=RATE)
    assert share_right(found, truth) == 1


def test_silence_keeps_the_order():
    Y, V = np.zeros((2, F, T), np.complex64), np.zeros((2, 50, D))
    assert not in_order(Y, V, tail=Y[..., :9], frames_per_s=RATE)[1].any()
    assert source_path(np.zeros((3, 3, 5)), 1.0).tolist() == [[0] * 5, [1] * 5, [2] * 5]


def test_a_change_must_pay():
    S = np.zeros((2, 2, 9))
    S[0, 0], S[1, 0, 4] = 0.1, 0.8
    assert source_path(S, 1.0)[0].tolist() == [0] * 9
    assert source_path(S, 0.2)[0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
