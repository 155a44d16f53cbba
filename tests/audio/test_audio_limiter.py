import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undin.audio import Limiter
from undin.errors import InputError


def run(x, sizes, **settings):
    limiter = Limiter(**settings)
    parts, n = [], 0
    for size in sizes:
        parts.append(limiter.process(x[..., n : n + size]))
        n += size
    parts += [limiter.process(x[..., n:]), limiter.flush()]
    return np.concatenate(parts, -1), limiter.limited_db


def literal(x, ceiling, lookahead, hold):
    """The formula of the class, sample by sample."""
    peak = np.abs(x).max(0)
    a = np.maximum(0, 1 - ceiling / np.maximum(peak, 1e-30))
    w = np.hanning(lookahead + 3)[1:-1]
    w /= w.sum()
    g = np.ones(len(a))
    for n in range(len(a)):
        for k in range(lookahead + 1):
            near = a[max(n - k - hold, 0) : max(n - k + lookahead + 1, 0)]
            g[n] -= w[k] * (near.max() if len(near) else 0)
    return x * g


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    sizes=st.lists(st.integers(0, 80), max_size=8),
    lookahead=st.integers(0, 12),
    hold=st.integers(0, 9),
    level=st.sampled_from([0.2, 0.5, 3.0]),
)
def test_ceiling_holds_and_chunks_equal_the_formula(seed, sizes, lookahead, hold, level):
    x = level * np.random.default_rng(seed).standard_normal((2, 300))
    y, limited_db = run(x, sizes, ceiling=1.0, lookahead=lookahead, hold=hold)
    assert y.shape == x.shape and np.abs(y).max() <= 1
    np.testing.assert_allclose(y, literal(x, 1.0, lookahead, hold), atol=1e-12)
    assert (limited_db > 0) == (np.abs(x).max() > 1)


def test_untouched_samples_are_bit_exact():
    x = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    x[2500] = -2
    y, limited_db = run(x, [1000, 1, 1499], lookahead=100, hold=50)
    assert y.dtype == np.float32
    near = np.flatnonzero(y != x)
    assert near.min() > 2500 - 101 and near.max() < 2500 + 50 + 101
    assert limited_db == pytest.approx(6.02, abs=0.01) and y[2500] == -1


def test_one_gain_for_all_channels():
    x = np.ones((2, 3, 100)) * 0.5
    x[1, 2, 50] = 4
    y, _ = run(x, [], lookahead=20, hold=0)
    g = y / x
    np.testing.assert_allclose(g, np.broadcast_to(g[:1, :1], g.shape), rtol=1e-12)
    assert g[0, 0, 50] == pytest.approx(0.25)


def test_nothing_in_nothing_out_and_it_starts_over():
    limiter = Limiter(lookahead=10, hold=5)
    assert limiter.flush().shape == (0,)
    x = np.full((1, 4), 0.5, np.float32)
    assert limiter.process(x).shape == (1, 0)
    np.testing.assert_array_equal(limiter.flush(), x)
    assert limiter.limited_db == 0.0
    y = limiter.process(np.full((2, 30), 0.25))
    assert y.shape == (2, 20)


def test_bad_settings():
    with pytest.raises(InputError, match="ceiling must be > 0"):
        Limiter(0)
    with pytest.raises(InputError, match="lookahead"):
        Limiter(lookahead=-1)
