import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undin.errors import InputError
from undin.metrics import si_sdr, stoi


def pair_at(db, n_samples=4000, seed=0, rows=()):
    """A zero-mean reference, and the same plus noise orthogonal to it, db below: its SI-SDR is db by construction."""
    ref, noise = np.random.default_rng(seed).standard_normal((2, *rows, n_samples))
    ref -= ref.mean(-1, keepdims=True)
    noise -= noise.mean(-1, keepdims=True)
    noise -= (noise * ref).sum(-1, keepdims=True) / (ref**2).sum(-1, keepdims=True) * ref
    noise *= np.linalg.norm(ref, axis=-1, keepdims=True) / np.linalg.norm(noise, axis=-1, keepdims=True)
    return ref, ref + 10 ** (-np.asarray(db, float)[..., None] / 20) * noise


@pytest.mark.parametrize("db", [-60.0, -5.0, 0.0, 7.25, 40.0, 120.0, 200.0])
def test_gives_the_ratio_the_signals_were_built_with(db):
    ref, est = pair_at(db)
    assert si_sdr(ref=ref, est=est) == pytest.approx(db, abs=1e-6 if db < 150 else 1e-2)


def test_float32_is_scored_in_float64():
    ref, est = pair_at(60.0)
    score = si_sdr(ref=ref.astype(np.float32), est=est.astype(np.float32))
    assert isinstance(score, float)
    assert score == pytest.approx(60, abs=1e-3)


@given(
    gain=st.floats(1e-6, 1e6).flatmap(lambda g: st.sampled_from([g, -g])),
    ref_gain=st.floats(1e-6, 1e6),
    dc=st.floats(-10, 10),
    db=st.floats(-40, 60),
)
def test_gain_and_dc_do_not_matter(gain, ref_gain, dc, db):
    ref, est = pair_at(db, n_samples=500)
    assert si_sdr(ref=ref_gain * (ref - dc), est=gain * (est + dc)) == pytest.approx(db, abs=1e-4)


@given(shape=st.lists(st.integers(0, 3), max_size=3).map(tuple), seed=st.integers(0, 99))
def test_a_batch_scores_like_its_rows(shape, seed):
    db = np.random.default_rng(seed).uniform(-20, 40, shape)
    ref, est = pair_at(db, 200, seed, shape)
    scores = np.asarray(si_sdr(ref=ref, est=est))
    assert scores.shape == shape
    np.testing.assert_allclose(scores, db, atol=1e-6)
    for i in np.ndindex(shape):
        assert scores[i] == pytest.approx(si_sdr(ref=ref[i], est=est[i]), abs=1e-9)


@pytest.mark.parametrize("gain", [1.0, 0.3, -1.7e-9, 1e200])
@pytest.mark.parametrize("dc", [0.0, 0.25])
def test_a_perfect_estimate_scores_infinity_whatever_its_gain(gain, dc):
    ref, _ = pair_at(0.0)
    assert si_sdr(ref=ref + dc, est=gain * (ref + dc)) == np.inf


def test_an_estimate_with_nothing_of_the_reference_scores_minus_infinity():
    ref, est = pair_at(0.0)
    assert si_sdr(ref=ref, est=est - ref) == -np.inf


def test_agrees_with_an_independent_implementation():
    other = pytest.importorskip("fast_bss_eval.numpy")  # its front door needs torch
    ref, est = pair_at(np.array([-7.0, 0.0, 12.0]), rows=(3,))
    theirs = [other.si_sdr(r[None], e[None], zero_mean=True)[0] for r, e in zip(ref, est + 0.1, strict=True)]
    np.testing.assert_allclose(si_sdr(ref=ref, est=est + 0.1), theirs, atol=1e-6)


def test_agrees_with_torchmetrics():
    other = pytest.importorskip("torchmetrics.functional.audio", reason="torchmetrics is not installed")
    torch = pytest.importorskip("torch")
    ref, est = pair_at(np.array([-7.0, 0.0, 12.0]), rows=(3,))
    theirs = other.scale_invariant_signal_distortion_ratio(torch.tensor(est), torch.tensor(ref), zero_mean=True)
    np.testing.assert_allclose(si_sdr(ref=ref, est=est), theirs.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("ref", "est", "message"),
    [
        (np.zeros(9), np.arange(9.0), "SI-SDR is undefined: ref is silent$"),
        (np.arange(9.0), np.full(9, 0.1), "SI-SDR is undefined: est is silent$"),
        (0.1 + 1.4e-17 * (np.arange(9) % 2), np.arange(9.0), "SI-SDR is undefined: ref is silent$"),
        (np.eye(2), np.array([[1.0, 2.0], [0.0, 0.0]]), r"est is silent \(at index \[1\]\)"),
        (np.zeros(0), np.zeros(0), r"SI-SDR is undefined: ref and est are empty, shape \(0,\)"),
        (np.eye(3), np.eye(4), r"same shape; got \(3, 3\) and \(4, 4\)"),
        (np.arange(9), np.arange(9.0), r"ref must be floating point .* got int64 of shape \(9,\)"),
        (np.arange(9.0), np.float64(1), r"est must be floating point of shape .* got float64 of shape \(\)"),
        (np.arange(9.0), np.array([0, 1, np.nan] * 3), r"est must be finite; got nan at \[2\]"),
        (np.array([[1.0, np.inf]]), np.array([[1.0, 2.0]]), r"ref must be finite; got inf at \[0, 1\]"),
    ],
)
def test_what_it_cannot_score_is_an_error_with_the_reason(ref, est, message):
    with pytest.raises(InputError, match=message):
        si_sdr(ref=ref, est=est)


def test_names_are_required_and_inputs_stay_untouched():
    ref, est = pair_at(3.0)
    before = ref.copy(), est.copy()
    si_sdr(ref=ref, est=est)
    np.testing.assert_array_equal((ref, est), before)
    with pytest.raises(TypeError):
        si_sdr(ref, est)


def test_importing_the_metrics_stays_light():
    code = "import sys, undin.metrics; print({'scipy', 'pystoi', 'pesq', 'matplotlib'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"


def test_positional_signals_get_an_error_that_names_the_keywords():
    x = np.ones(100)
    with pytest.raises(TypeError, match=r"si_sdr takes its arguments by keyword: si_sdr\(ref=ref, est=est\)"):
        si_sdr(x, x)
    with pytest.raises(TypeError, match=r"stoi\(ref=ref, est=est, sr=sr\)"):
        stoi(x, x, 16000)
