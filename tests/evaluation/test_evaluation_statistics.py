import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undin.evaluation.statistics import differences, mean_of, paired_test, sign_test


def test_the_interval_holds_the_mean_in_95_of_100_draws():
    rng = np.random.default_rng(0)
    means = [mean_of(rng.standard_normal(50) + 3) for _ in range(2000)]
    assert np.mean([abs(m.mean - 3) < m.half for m in means]) == pytest.approx(0.945, abs=0.012)


def test_the_weighted_interval_holds_the_ratio_of_sums_in_95_of_100_draws():
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(1000):
        words = rng.integers(5, 40, 60)
        rates = rng.binomial(words, 0.2) / words
        found = mean_of(rates, words)
        assert found.mean == pytest.approx((rates * words).sum() / words.sum())
        hits.append(abs(found.mean - 0.2) < found.half)
    assert np.mean(hits) == pytest.approx(0.945, abs=0.02)


def test_few_values():
    assert mean_of([]) is None and paired_test([]) is None
    assert mean_of([2.0]).half is None
    one = paired_test([1.0])
    assert (one.p_t, one.p_wilcoxon, one.p_sign) == (None, None, 1.0)
    assert paired_test([0.5] * 4).p_t is None


def test_pairs_are_files_that_both_have():
    assert differences({"a": 3.0, "b": 1.0, "c": 9.0}, {"b": 2.0, "a": 1.0}) == {"a": 2.0, "b": -1.0}


def test_against_scipy_and_by_counting():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 30))
    test = paired_test(list(a - b))
    assert test.p_t == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert test.p_wilcoxon == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert test.p_sign == pytest.approx(stats.binomtest(test.n_higher, 30).pvalue)
    assert test.n_higher + test.n_lower == test.difference.n == 30


def test_without_scipy_the_sign_test_is_left(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy", None)
    test = paired_test([1.0, 2.0, 3.0, -1.0])
    assert test.p_t is None and test.p_wilcoxon is None and test.p_sign == 0.625


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_a_probability_and_fair(a, b):
    assert 0 < sign_test(a, b) <= 1
    assert sign_test(a, b) == sign_test(b, a)
    if a == b:
        assert sign_test(a, b) == 1
