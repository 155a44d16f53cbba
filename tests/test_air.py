"""The air above what a method knows: steady over noise, open for the voice, the same in any chunks."""

import numpy as np
import pytest

import undin
from undin.air import FLOOR, Air

SR = 48000
FRAMES_PER_S, BIN_HZ, N = 62.5, 31.25, 512
RNG = np.random.default_rng(0)


def gains(power: np.ndarray, below: np.ndarray) -> np.ndarray:
    air = Air(N, BIN_HZ, FRAMES_PER_S)
    return air.gains(power, below, air.initial_state(len(power)))[0]


def noise_power(n_frames: int, level: float = 1.0) -> np.ndarray:
    return np.float32(level) * RNG.exponential(1.0, (1, N, n_frames)).astype(np.float32)


def words(n_frames: int) -> np.ndarray:
    """The gain of a method whose top opens for words of a second, (1, n_frames)."""
    return np.where(np.arange(n_frames) // 62 % 2, 0.8, 0.01).astype(np.float32)[None]


def test_noise_keeps_one_gain_through_words() -> None:
    G = gains(noise_power(600), words(600))[..., 60:]
    low, high = np.percentile(20 * np.log10(G), [5, 95])
    assert high - low < 1
    assert low == pytest.approx(-15, abs=0.1)


def test_a_voice_above_its_noise_passes() -> None:
    power, below = noise_power(600), words(600)
    speaks = below[0] > 0.5
    power[:, :128, speaks] *= 100  # 20 dB above the noise, in four of sixteen bands
    G = gains(power, below)
    inside = speaks & np.roll(speaks, 3) & np.roll(speaks, -3)
    inside[:60] = False
    assert 20 * np.log10(G[:, :128, inside]).min() > -1
    assert 20 * np.log10(G[:, 128:, inside]).max() < -14


def test_a_recording_that_starts_with_speech_is_not_taken_for_noise_for_long() -> None:
    power = noise_power(300, 1e-6)
    power[..., :60] = 1e-2
    power[..., 120:180] = 1e-2
    below = np.where(power[:, 0] > 1e-3, 0.9, 0.01).astype(np.float32)
    G = gains(power, below)
    assert 20 * np.log10(G[..., 123:178]).min() > -1


def test_frames_may_come_in_any_portions() -> None:
    power, below = noise_power(50), words(50)
    whole = gains(power, below)
    air = Air(N, BIN_HZ, FRAMES_PER_S)
    parts, state = [], air.initial_state(1)
    for a, b in ((0, 1), (1, 2), (2, 30), (30, 50)):
        part, state = air.gains(power[..., a:b], below[:, a:b], state)
        parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts, -1), whole)
    assert whole.shape == power.shape
    assert FLOOR * 0.999 <= whole.min() <= whole.max() <= 1


def test_rows_of_a_batch_are_independent() -> None:
    power = np.concatenate([noise_power(40), noise_power(40, 1e-3)])
    below = np.concatenate([words(40), 1 - words(40)])
    together = gains(power, below)
    apart = [gains(power[k : k + 1], below[k : k + 1]) for k in range(2)]
    np.testing.assert_allclose(together, np.concatenate(apart), rtol=1e-6)


@pytest.mark.parametrize("method", ["cmask", "dnn"])
def test_hiss_above_8_khz_does_not_follow_the_syllables(method: str) -> None:
    corpus = undin.corpora.mini().select(split="test")
    speech = undin.resample(np.concatenate([corpus.load(clip) for clip in corpus.speech[:3]]), 16000, SR)
    hiss = RNG.standard_normal(len(speech)).astype(np.float32) * np.float32(np.std(speech) * 10 ** (-10 / 20))
    x = speech + hiss
    X, Y = (np.abs(undin.stft(v, 960, 480)) ** 2 for v in (x, undin.enhance(x, SR, method=method)))
    above = slice(164, None)  # 8.2 kHz: the voice has nothing there
    gain_db = 10 * np.log10(Y[above, 50:].sum(0) / X[above, 50:].sum(0))
    low, high = np.percentile(gain_db, [5, 95])
    assert high - low < 6  # 31 dB with the gain of the method's top
    assert high < -12


def test_sound_of_any_level_has_finite_gains() -> None:
    power = np.zeros((1, 40, 30), np.float32)
    power[:, :, 10:20] = 1e30  # the square of the highest level that a stream takes
    air = Air(40, 31.25, 62.5)
    gains, _ = air.gains(power, np.ones((1, 30), np.float32), air.initial_state(1))
    assert np.isfinite(gains).all() and np.allclose(gains[..., 10:20], 1)


def test_noise_is_known_after_a_quarter_of_a_second() -> None:
    power, below = np.ones((1, N, 60), np.float32), np.full((1, 60), 0.2, np.float32)
    G = gains(power, below)
    assert 20 * np.log10(G[..., 16:]).max() < -14  # with its later time constant alone it is -4 dB there


@pytest.mark.parametrize(("below", "closes"), [(0.5, True), (1.0, False)])
def test_noise_that_grew_is_learned_where_the_method_leaves_noise_and_speech_stays_open(below, closes) -> None:
    power = np.ones((1, N, 1200), np.float32)
    power[..., 120:] = 10
    given = np.full((1, 1200), below, np.float32)
    given[:, :120] = 0.01
    G = gains(power, given)
    assert G[..., 150:180].min() > 0.8
    assert (G[..., -60:].max() < 0.3) if closes else (G[..., -60:].min() > 0.8)
