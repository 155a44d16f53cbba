"""The driver: alignment, look-ahead, rates, channels, whole-signal chunks and the order of sources."""

from dataclasses import dataclass

import numpy as np
import pytest

import undin
from undin.cores import CHUNK_S, OVERLAP_S
from undin.errors import InputError
from undin.methods import Method
from undin.order import source_order
from undin.stream import frame_at

SR = 16000


@dataclass(frozen=True)
class Config:
    sr: int = SR
    n_fft: int = 512
    hop_length: int = 256
    window: str = "sqrt_hann"
    lookahead: int = 0


class Identity(Method):
    """Gives its input back, `lookahead` frames late."""

    id = "identity"
    Config = Config
    bins = "fixed"

    @property
    def lookahead(self):
        return self.config.lookahead

    def initial_state(self, batch):
        return {"held": np.zeros((batch, 257, self.lookahead), np.complex64)}

    def step(self, X, state):
        assert X.shape[1] == 257
        X = np.concatenate([state["held"], X], -1)
        n = X.shape[-1] - self.lookahead
        return X[..., :n], {"held": X[..., n:]}


class Turn(Identity):
    """Turns the phase by 60 degrees and halves the level: a complex mask."""

    def step(self, X, state):
        return X * np.complex64(0.5 * np.exp(1j * np.pi / 3)), state


class Whole(Identity):
    """A whole-signal identity that separates into (3/4 X, 1/4 X), in an order that changes from call to call."""

    calls = 0

    @property
    def causal(self):
        return False

    @property
    def n_src(self):
        return 2

    def estimate(self, X):
        self.calls += 1
        low = X * (np.arange(257) < 60)[:, None]
        return np.stack([low, X - low] if self.calls % 2 else [X - low, low])


def noise(*shape, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("lookahead", [0, 1, 3, 20])
@pytest.mark.parametrize("n_samples", [0, 1, 255, 256, 257, 9999])
def test_lookahead_is_lined_up(lookahead, n_samples):
    x = noise(2, n_samples)
    method = Identity(lookahead=lookahead)
    np.testing.assert_allclose(method(x, SR), x, atol=1e-6)
    assert method.stream(SR).latency == 512 + lookahead * 256
    stream = method.stream(SR)
    y = np.concatenate([*(stream.process(c) for c in np.array_split(x, 7, -1)), stream.flush()], -1)
    np.testing.assert_allclose(y, x, atol=1e-6)


@pytest.mark.parametrize("sr", [4000, 8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_identity_is_identity_at_every_rate(sr):
    x = noise(sr // 4)
    y = Identity()(x, sr)
    # above the known bins the driver extends the gain of the top bins, which is 1 here
    np.testing.assert_allclose(y, x, atol=1e-5)
    n_fft, hop_length = frame_at(Identity().config, sr)
    assert n_fft == 2 * hop_length and abs(n_fft / sr - 0.032) < 0.0002


def test_frames_of_another_rate_agree_with_the_method_s_own():
    """A low-passed signal at 48 kHz shows the method the spectrum it would see at 16 kHz."""

    class Spy(Identity):
        def step(self, X, state):
            self.seen = np.concatenate([getattr(self, "seen", X[..., :0]), X], -1)
            return X, state

    x = undin.resample(undin.resample(noise(SR), SR, 8000), 8000, SR)
    own, high = Spy(), Spy()
    own(x, SR)
    high(undin.resample(x, SR, 48000), 48000)
    own, high = (spy.seen[:, :200, 4:50] for spy in (own, high))
    error_db = 10 * np.log10(np.sum(np.abs(high - own) ** 2) / np.sum(np.abs(own) ** 2))
    assert error_db < -50


@pytest.mark.parametrize("sr", [SR, 48000])
def test_a_complex_mask_reaches_every_channel(sr):
    x = undin.resample(noise(2, SR) * np.array([[1.0], [0.3]], np.float32), SR, sr)
    np.testing.assert_allclose(Turn()(x, sr)[..., 999], Turn()(x, sr, independent=True)[..., 999], atol=2e-3)


@pytest.mark.parametrize("seconds", [1, 19, 45, 70.3])
def test_whole_signal_chunks_leave_no_seams_and_keep_the_order_of_sources(seconds):
    x = noise(int(seconds * SR))
    method = Whole()
    stream = method.stream(SR)
    y = np.concatenate([*(stream.process(c) for c in np.array_split(x, 5)), stream.flush()], -1)
    assert y.shape == (2, x.size)
    assert method.calls == (1 if seconds < 2 * CHUNK_S - OVERLAP_S else {45: 2, 70.3: 3}[seconds])
    once = Whole()
    expected = once.stream(SR)
    expected.core.n_chunk = 10**9
    expected = np.concatenate([expected.process(x), expected.flush()], -1)
    error_db = 10 * np.log10(np.mean((y - expected) ** 2) / np.mean(expected**2) + 1e-20)
    assert error_db < -80  # a linear method: chunks change nothing, whatever the order it gave
    np.testing.assert_allclose(y.sum(0), x, atol=1e-5)


class Voiced(Whole):
    """Bins below 60 and up to 200 as sources, those above as the rest, in a changing order; voices tell them apart."""

    has_rest = has_voice = True

    def analyze(self, X):
        self.calls += 1
        bins = np.arange(257)[:, None]
        Y = np.stack([X * (bins < 60), X * ((bins >= 60) & (bins < 200)), X * (bins >= 200)])
        V = np.zeros((2, len(X), 3, 4), np.float32)
        V[0, ..., 0], V[1, ..., 1] = 1, 1
        return (Y, V) if self.calls % 2 else (Y[[1, 0, 2]], V[::-1])


class Voiceless(Voiced):
    def analyze(self, X):
        return super().analyze(X)[0], None


def whole(method, x, **options):
    stream = method.stream(SR, **options)
    return np.concatenate([stream.process(x), stream.flush()], -1)


@pytest.mark.parametrize("method", [Voiced(), Voiceless()])
def test_voices_keep_the_order_where_nobody_speaks_in_the_overlap(method):
    x = noise(50 * SR)
    x[17 * SR : 21 * SR] = 0  # the chunks overlap from 18 to 20 s
    low = whole(Identity(), np.fft.irfft(np.fft.rfft(x) * (np.arange(25 * SR + 1) < 60 / 256 * 25 * SR)))
    y = whole(method, x, rest="apart")[:, 22 * SR : 40 * SR]
    correlations = [np.corrcoef(row, low[22 * SR : 40 * SR])[0, 1] for row in y]
    assert np.argmax(correlations) == (1 if isinstance(method, Voiceless) else 0)


def test_rows_of_a_batch_are_ordered_on_their_own():
    class Once(Voiced):
        """Changes the order of the first row only."""

        def analyze(self, X):
            Y, V = super().analyze(X)
            if self.calls % 2 == 0:
                Y[:2, 1:], V = Y[[1, 0], 1:], np.stack([V[:, 0], V[::-1, 1]], 1)
            return Y, V

    x = noise(2, 1, 45 * SR)
    y = whole(Once(), x)
    for row in range(2):
        np.testing.assert_allclose(y[:, row], whole(Voiced(), x[row]), atol=1e-5)


@pytest.mark.parametrize("is_causal", [True, False])
def test_the_rest_is_shared_or_comes_apart(is_causal):
    class Rest(Voiced):
        causal = is_causal

        def initial_state(self, batch):
            return {}

        def step(self, X, state):
            return np.stack([0.5 * X, 0.25 * X, 0.25 * X]), state

    x = noise(2, SR)
    apart = whole(Rest(), x, rest="apart")
    assert apart.shape == (3, 2, SR)
    np.testing.assert_allclose(apart.sum(0), x, atol=1e-5)
    np.testing.assert_allclose(Rest()(x, SR), apart[:2] + apart[2] / 2, atol=1e-5)
    with pytest.raises(InputError, match="identity assigns noise to the talkers: remove it with undin enhance"):
        Whole().stream(SR, rest="apart")


def test_source_order_undoes_a_shuffle():
    Y = np.stack([noise(5, 9, seed=s) for s in range(3)]).astype(np.complex64)
    assert source_order(Y, Y[[2, 0, 1]]) == [1, 2, 0]


def test_streams_refuse_what_they_cannot_do():
    stream = Identity().stream(SR)
    stream.process(noise(2, 10))
    with pytest.raises(InputError, match=r"same leading axes, \(2,\) so far; got \(\)"):
        stream.process(noise(10))
    with pytest.raises(InputError, match="equal must not change"):
        stream.process(noise(2, 10), equal=True)
    bad = noise(2, 10)
    bad[1, 3] = np.nan
    with pytest.raises(InputError, match="at sample 13 "):
        stream.process(bad)
    with pytest.raises(InputError, match="no live delay"):
        _ = Whole().stream(SR).latency
    with pytest.raises(InputError, match="apply to enhancement"):
        Whole().stream(SR, limit_db=6)


@pytest.mark.parametrize("bad", [np.nan, 1e30])
def test_a_first_chunk_that_is_refused_changes_nothing(bad):
    stream = Identity().stream(SR)
    with pytest.raises(InputError):
        stream.process(np.full((2, 300), bad, np.float32), equal=True)
    assert stream.flush().shape == (0,)
    x = noise(999).astype(np.float64)
    y = np.concatenate([stream.process(x), stream.flush()])
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, x, atol=1e-6)


def test_samples_beyond_the_largest_level_are_repaired_as_infinite_ones():
    x = noise(2, 900)
    bad, clean = x.copy(), x.copy()
    bad[1, 500:503], clean[1, 500:503] = [np.inf, 1e30, -1e16], 0
    stream = Identity().stream(SR, nan="zero")
    y = np.concatenate([stream.process(bad), stream.flush()], -1)
    np.testing.assert_allclose(y, clean, atol=1e-6)
    assert bad[1, 501] == np.float32(1e30)


def test_many_channels_may_come_in_short_chunks():
    x = np.random.default_rng(0).normal(0, 0.1, (40, 2000)).astype(np.float32)
    stream = undin.load("log-mmse").stream(SR)
    y = np.concatenate([stream.process(x[:, :20]), stream.process(x[:, 20:]), stream.flush()], -1)
    np.testing.assert_allclose(y, undin.load("log-mmse")(x, SR), atol=1e-6)


def test_a_stream_starts_anew_after_flush_and_reset():
    x, stream = noise(3000), undin.load("log-mmse").stream(SR)
    first = np.concatenate([stream.process(x), stream.flush()])
    stream.process(noise(999, seed=4))
    stream.reset()
    np.testing.assert_array_equal(np.concatenate([stream.process(x), stream.flush()]), first)


def test_frames_are_worked_off_in_pieces(monkeypatch):
    x = noise(9000)
    whole = undin.load("log-mmse")(x, SR)
    monkeypatch.setattr("undin.stream.PIECE_S", 0.1)
    np.testing.assert_allclose(undin.load("log-mmse")(x, SR), whole, atol=1e-6)


def test_it_says_what_it_is_and_how_far():
    stream = Identity().stream(SR)
    stream.process(np.zeros(1024, np.float32))
    assert repr(stream).startswith("<undin stream of identity at 16000 Hz, 1024 samples in, ")
