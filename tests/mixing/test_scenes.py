"""Scenes: the shares asked for, everyone's stretches as they should be, and mixtures that are still exact sums."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz

from undin import corpora
from undin.audio import active_level_db
from undin.errors import InputError
from undin.mixing import Examples, Settings
from undin.mixing.augment import Augment
from undin.mixing.scenes import act, alone, in_turns, overlapping

SR, N = 16000, 64000
GAP_S = (-0.3, 1.0)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "mini.pack"
    corpora.pack(corpora.mini(), path)
    return corpora.open(path)


def speaking(scene):
    """(n_talkers, N): who speaks when."""
    active = np.zeros((len(scene), N), bool)
    for row, spans in zip(active, scene, strict=True):
        for start, stop in spans:
            assert 0 <= start < stop <= N
            row[start:stop] = True
    return active


@pytest.mark.parametrize("n_talkers", [2, 3])
def test_talkers_who_overlap_share_a_moment(n_talkers):
    shares = []
    for seed in range(200):
        active = speaking(overlapping(n_talkers, N, SR, GAP_S, np.random.default_rng(seed)))
        assert active.all(0)[N // 4 : 3 * N // 4].any()
        shares.append(active.all(0).mean() / active.any(0).mean())
    assert min(shares) < 0.2 and max(shares) > 0.6  # from hardly at all to most of the time


@pytest.mark.parametrize("n_talkers", [2, 3])
def test_talkers_take_turns(n_talkers):
    overlap, starters = [], Counter()
    for seed in range(200):
        scene = in_turns(n_talkers, N, SR, GAP_S, np.random.default_rng(seed))
        assert all(scene), "everyone has a turn"
        turns = sorted((start, k) for k, spans in enumerate(scene) for start, _ in spans)
        assert all(a != b for (_, a), (_, b) in itertools.pairwise(turns))
        starters[turns[0][1]] += 1
        overlap.append((speaking(scene).sum(0) > 1).mean())
    assert 0 < np.mean(overlap) < 0.1 and len(starters) == n_talkers
    apart = [in_turns(2, N, SR, (0.1, 0.1), np.random.default_rng(seed)) for seed in range(20)]
    for scene in apart:
        active = speaking(scene)
        assert not active.all(0).any()
        edges = np.flatnonzero(np.diff(active.any(0).astype(int)))  # where sound stops and starts, in turn
        pauses = np.diff(edges)[int(not active[:, 0].any()) :: 2]
        assert all(abs(n - 0.1 * SR) <= 2 for n in pauses)


def test_one_alone_leaves_the_others_digitally_silent():
    talkers = [np.full(N, 0.1, np.float32)] * 3
    kept = act("alone", talkers, SR, GAP_S, np.random.default_rng(0))
    assert kept[0][N // 2] == np.float32(0.1) and not np.any(kept[1:])
    assert alone(2, N, SR, GAP_S, np.random.default_rng(0)) == [[(0, N)], []]


def test_a_talker_with_sound_only_in_a_pause_keeps_all_of_it():
    late = np.zeros(N, np.float32)
    late[-1] = 0.5  # no scene that mutes the very end keeps it
    rng = np.random.default_rng(3)
    kept = [act("turns", [np.ones(N, np.float32), late], SR, (0.5, 0.5), rng) for _ in range(20)]
    assert all(talkers[1].any() for talkers in kept)


def test_shares_of_scenes_and_noise_are_those_asked_for(packed):
    settings = Settings(split="train", talkers=2, noises=1, duration_s=2.0, level_db=(-30.0, -20.0))
    augment = Augment(partial=0.25, turns=0.2, alone=0.15, noise_only=0.1, clean=0.6)
    examples, n, found = Examples(packed, settings, augment, seed=0), 200, Counter()
    for i in range(n):
        m = examples[i]
        active = np.abs(m.sources) > 0
        found["nobody"] += not m.speech.any()
        found["alone"] += m.sources[0].any() and not m.sources[1].any()
        found["noisy"] += m.noise.any() and m.speech.any()
        ends = active[:, [0, -1]].all() and active[:, 8000:-8000].mean() > 0.9
        found["full"] += bool(m.speech.any() and ends)
        np.testing.assert_array_equal(m.speech, m.sources.sum(0, dtype=np.float32))
        np.testing.assert_array_equal(m.noisy, m.speech + m.noise)
        assert m.sources.shape == (2, 32000)
    expected = {"nobody": 0.1, "alone": 0.9 * 0.15, "noisy": 0.3}
    for name, share in expected.items():
        assert abs(found[name] / n - share) < 4 * np.sqrt(share * (1 - share) / n), name


def test_scenes_follow_from_seed_and_number_and_leave_other_augmentations_as_they_were(packed):
    settings = Settings(split="train", talkers=2, noises=0, duration_s=2.0)
    a, b = (Examples(packed, settings, Augment(partial=0.5, turns=0.5), seed=4) for _ in range(2))
    for i in (7, 3, 7):
        np.testing.assert_array_equal(a[i].sources, b[i].sources)
    plain = Examples(packed, settings, Augment(eq=0.5), seed=4)
    zero = Examples(packed, settings, Augment(eq=0.5, partial=0.0, gap_s=(0.0, 0.1)), seed=4)
    np.testing.assert_array_equal(plain[1].noisy, zero[1].noisy)


def test_levels_of_talkers_hold_over_what_they_say(packed):
    """A talker who speaks briefly is not made louder for it, as the level is that of the active parts."""
    settings = Settings(split="train", talkers=2, noises=0, duration_s=3.0, talker_db=(3.0, 3.0), snr_over="active")
    examples = Examples(packed, settings, Augment(turns=1.0), seed=1)
    for i in range(10):
        one, two = (active_level_db(x, SR) for x in examples[i].sources)
        assert one - two == pytest.approx(3, abs=0.01)


def unexplained(y, x):
    """Share of the energy of y that no filter of 50 ms makes out of x: 1 - h'X'y / y'y with X'X h = X'y.

    X'X counts the tail of the filtered x that y was cut from: up to 2 % is left of a y that was made from x.
    """
    n, n_fft = round(0.05 * SR), 2 * N
    X, Y = np.fft.rfft(x.astype(float), n_fft), np.fft.rfft(y.astype(float), n_fft)
    autocorrelation, cross = (np.fft.irfft(P, n_fft)[:n] for P in (np.abs(X) ** 2, np.conj(X) * Y))
    autocorrelation[0] *= 1 + 1e-9
    return 1 - solve_toeplitz(autocorrelation, cross) @ cross / np.square(y, dtype=float).sum()


def test_references_in_a_room_are_each_talkers_own(packed):
    settings = Settings(split="train", talkers=2, noises=0, duration_s=2.0, talker_db=(0.0, 0.0))
    dry = Examples(packed, settings, Augment(), seed=2)
    wet = Examples(packed, settings, Augment(rooms=1.0, rt60_s=(0.4, 0.4)), seed=2)
    for i in range(2):
        for y, own, other in zip(wet[i].sources, dry[i].sources, dry[i].sources[::-1], strict=True):
            assert unexplained(y, own) < 0.05 and unexplained(y, other) > 0.5
        late = wet[i].noisy - wet[i].speech  # what the room adds after 50 ms belongs to no reference
        assert 0 < np.abs(late).max() < 1


def test_scenes_that_exceed_one_are_refused():
    with pytest.raises(InputError, match="scenes must sum to 1 or less"):
        Augment(partial=0.6, turns=0.6)
    examples = Augment(partial=0.5)
    assert len(examples.scene([np.ones(10, np.float32)], SR, np.random.default_rng(0))) == 1
    assert replace(examples, partial=0.0).scene([1, 2], SR, np.random.default_rng(0)) == [1, 2]
