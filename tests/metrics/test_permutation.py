from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undin.errors import InputError
from undin.metrics import METRICS, best_permutation, lsd, si_sdr
from undin.metrics.permutation import permute_best


def talkers(n_src, n_samples=2000, seed=0, lead=()):
    rng = np.random.default_rng(seed)
    ref = rng.standard_normal((*lead, n_src, n_samples))
    return ref, ref + 0.1 * rng.standard_normal(ref.shape)


@given(order=st.integers(1, 5).flatmap(lambda n: st.permutations(range(n))), seed=st.integers(0, 9))
def test_finds_the_order_and_the_scores_of_the_sources(order, seed):
    ref, est = talkers(len(order), 300, seed)
    scores, found = best_permutation(si_sdr, ref=ref, est=est[order])
    np.testing.assert_array_equal(np.array(order)[found], np.arange(len(order)))
    np.testing.assert_allclose(scores, si_sdr(ref=ref, est=est), atol=1e-9)


@given(scores=st.integers(2, 4).flatmap(lambda n: st.lists(st.floats(-50, 50), min_size=n * n, max_size=n * n)))
def test_no_other_order_is_better(scores):
    n = round(len(scores) ** 0.5)
    table = np.array(scores).reshape(n, n)
    best = table[range(n), permute_best(table)].sum()
    assert best == pytest.approx(max(table[range(n), p].sum() for p in permutations(range(n))))
    least = table[range(n), permute_best(table, higher_is_better=False)].sum()
    assert least == pytest.approx(min(table[range(n), p].sum() for p in permutations(range(n))))


def test_infinite_scores_do_not_hide_the_others():
    table = np.array([[np.inf, -np.inf, 0], [-np.inf, 1.0, 9.0], [0, 9.0, 1.0]])
    assert permute_best(table).tolist() == [0, 2, 1]


def test_a_batch_is_ordered_row_by_row():
    ref, est = talkers(3, lead=(2, 2))
    est[0, 1] = est[0, 1, [2, 0, 1]]
    scores, order = best_permutation(si_sdr, ref=ref, est=est)
    assert scores.shape == order.shape == (2, 2, 3)
    assert order[0, 1].tolist() == [1, 2, 0]
    assert order[1, 1].tolist() == [0, 1, 2]
    assert scores.min() > 15


def test_the_direction_of_a_metric_is_kept():
    ref, est = talkers(2)
    swapped = est[::-1]
    for metric, settings in ((METRICS["lsd_db"], {}), (lsd, {"higher_is_better": False})):
        _, order = best_permutation(metric, ref=ref, est=swapped, sr=8000, **settings)
        assert order.tolist() == [1, 0]
    assert best_permutation(lsd, ref=ref, est=swapped, sr=8000)[1].tolist() == [0, 1]  # taken for higher is better


def test_bad_input_is_an_error_with_the_reason():
    ref, est = talkers(2)
    with pytest.raises(InputError, match=r"must both be \(..., n_src, n_samples\); got \(2, 2000\) and \(2, 1999\)"):
        best_permutation(si_sdr, ref=ref, est=est[:, 1:])
    with pytest.raises(InputError, match=r"must both be .* got \(2000,\)"):
        best_permutation(si_sdr, ref=ref[0], est=est[0])
    with pytest.raises(InputError, match=r"must be in 1 to 8; got 9"):
        best_permutation(si_sdr, ref=np.eye(9, 20), est=np.eye(9, 20))
    with pytest.raises(InputError, match="SI-SDR is undefined: est is silent"):
        best_permutation(si_sdr, ref=ref, est=est * [[0], [1]])
    with pytest.raises(InputError, match=r"without NaN, with n_src in 1 to 8; got \(1, 1\)"):
        permute_best(np.array([[np.nan]]))
