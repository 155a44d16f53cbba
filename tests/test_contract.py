"""What every method promises, checked over the whole table: a new method is tested without a line here."""

import importlib.util
import sys
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import undin
from undin.errors import InputError
from undin.methods import LEARNED, METHODS, Learned, Method
from undin.metrics import si_sdr

SR = 16000
sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))


def causal_nmf() -> Method:
    """NMF with both bases: the form that streams."""
    rng = np.random.default_rng(1)
    return undin.NMF(prior="exponential", n_speech=8, n_noise=4, fit_iter=5).fit(voice(), rng.standard_normal(SR), SR)


def voice(n_samples: int = 3 * SR, sr: int = SR) -> np.ndarray:
    """A voice-like signal: harmonics of a gliding pitch in syllables, with pauses between them."""
    t = np.arange(n_samples) / sr
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / sr
    x = sum(np.cos(k * phase) / k for k in range(1, 20)) * np.maximum(np.sin(2 * np.pi * 2.2 * t), 0) ** 2
    return (0.1 * x).astype(np.float32)


def noisy(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (voice(shape[-1]) + 0.03 * rng.standard_normal(shape)).astype(np.float32)


def fresh(name: str) -> Method:
    """A small network that has learned nothing, of a method without shipped weights."""
    import torch

    from undin.training.checkpoint import Loaded
    from undin.training.export import write_graph
    from undin.training.nets import NETS

    torch.manual_seed(0)
    config = LEARNED[name].Config(n_hidden=16, n_lstm=8, n_cell=8)
    with TemporaryDirectory() as folder:
        path = write_graph(Loaded(name, config, NETS[name](config).eval()), Path(folder, "net.onnx"), card={})
        return undin.load(path)


ALL = {**METHODS, "nmf, causal": causal_nmf}
if importlib.util.find_spec("torch"):
    ALL |= {f"{name}, fresh": partial(fresh, name) for name in ("mann-lstm", "mann-dnn")}
READY: dict[str, Method] = {}


def ready(name: str) -> Method:
    if name not in READY:
        READY[name] = ALL[name]()
    return READY[name]


MODELS = sorted(name for name in ALL if not ready(name).n_src)  # methods that separate have a separate contract


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Method:
    return ready(request.param)


CAUSAL = sorted(name for name in MODELS if ready(name).causal)
N = 2 * SR + 77


@pytest.mark.parametrize(
    "shape", [(N,), (2, N), (3, 2, 9000), (1, N), (0,), (1,), (2, 0), (2, 5), (0, 50), (2, 0, 50), (0, 2, 0)]
)
def test_shape_and_type_are_kept_and_the_input_is_untouched(model, shape):
    x = noisy(*shape)
    before = x.copy()
    y = model(x, SR)
    assert y.shape == x.shape and y.dtype == x.dtype
    np.testing.assert_array_equal(x, before)
    assert model(x.astype(np.float64), SR).dtype == np.float64


def test_output_is_aligned_with_input(model):
    x = noisy(N)
    y = model(x, SR).astype(float)
    correlation = np.fft.irfft(np.fft.rfft(y, 2 * N) * np.conj(np.fft.rfft(x, 2 * N)))
    assert correlation.argmax() == 0


def test_silence_gives_silence(model):
    assert not model(np.zeros(SR, np.float32), SR).any()


@pytest.mark.parametrize("peak", [1e-6, 1.0])
def test_finite_at_every_level(model, peak):
    x = noisy(SR)
    x *= peak / np.abs(x).max()
    y = model(x, SR)
    assert np.isfinite(y).all() and 0 < np.abs(y).max() < 4 * peak


def test_same_input_twice_gives_the_same_bits(model):
    x = noisy(2, SR)
    np.testing.assert_array_equal(model(x, SR), model(x, SR))


def test_limit_of_0_db_gives_the_input_back(model):
    x = noisy(2, N)
    np.testing.assert_allclose(model(x, SR, limit_db=0), x, atol=1e-6)


def test_limit_db_keeps_at_least_that_much(model):
    x = noisy(N)
    y, limited = model(x, SR), model(x, SR, limit_db=6)
    np.testing.assert_allclose(limited, y + 10 ** (-6 / 20) * (x - y), atol=1e-5)


def test_batch_items_do_not_see_each_other(model):
    x = np.stack([noisy(1, 8000, seed=seed) * 0.5**seed for seed in range(3)])
    np.testing.assert_allclose(model(x, SR), np.stack([model(item, SR) for item in x]), atol=1e-5)


def test_channels_get_one_gain(model):
    x = noisy(SR)
    pair = np.stack([x, 0.25 * x])
    y = model(pair, SR)
    np.testing.assert_allclose(y[1], 0.25 * y[0], atol=1e-6)
    apart = model(np.stack([x, noisy(SR, seed=5)]), SR, independent=True)
    np.testing.assert_allclose(apart[0], model(x, SR), atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_a_card_states_the_gain_that_is_measured(name):
    """Of every shipped method: white noise at 5 dB on the mini corpus, or two of its talkers."""
    pytest.importorskip("onnx")
    gain_db = importlib.import_module("ship_weights").gains_db(ALL[name]()).mean()
    stated_db = ALL[name]().card.si_sdr_gain_db
    assert 0 < stated_db <= gain_db + 0.2 and gain_db < stated_db + 0.7  # rounded down to 0.5; machines differ a little


@cache
def enhanced(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Two seconds at 16 kHz, noisy and enhanced."""
    x = voice(2 * SR) + 0.02 * np.random.default_rng(3).standard_normal(2 * SR).astype(np.float32)
    return x, ready(name)(x, SR)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sr", [8000, 11025, 22050, 32000, 44100, 48000, 96000])
def test_every_rate_is_enhanced_like_the_rate_it_is_made_for(name, sr):
    x, y = enhanced(name)
    at_rate = ready(name)(undin.resample(x, SR, sr), sr)
    back = undin.resample(at_rate, sr, SR)[: 2 * SR]
    low = undin.resample(undin.resample(y, SR, sr), sr, SR)[: 2 * SR]
    assert si_sdr(ref=low, est=back) > 10  # the same result but for the rounding of the frame


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("sr", [8000, 16000, 44100, 48000])
def test_chunked_equals_whole(name, sr):
    model = ready(name)
    x = noisy(2, sr)
    whole = model(x, sr)

    @settings(max_examples=8, deadline=None)
    @given(cuts=st.lists(st.integers(0, sr // 4), max_size=8))
    def check(cuts):
        chunks = np.split(x, np.minimum(np.cumsum(cuts), sr), axis=-1) if cuts else [x]
        stream = model.stream(sr)
        y = np.concatenate([*map(stream.process, chunks), stream.flush()], -1)
        np.testing.assert_allclose(y, whole, atol=1e-5)

    check()


@pytest.mark.parametrize("name", CAUSAL)
def test_one_sample_at_a_time_equals_whole(name):
    model, x = ready(name), noisy(900)
    stream = model.stream(SR)
    y = np.concatenate([*(stream.process(x[n : n + 1]) for n in range(900)), stream.flush()])
    np.testing.assert_allclose(y, model(x, SR), atol=1e-5)


@pytest.mark.parametrize("name", CAUSAL)
def test_the_future_changes_nothing_beyond_the_stated_delay(name):
    model, x = ready(name), noisy(SR)
    changed = x.copy()
    changed[8000:] = noisy(SR, seed=9)[8000:]
    difference = np.abs(model(x, SR) - model(changed, SR))
    first = int(np.argmax(difference > 1e-7))
    assert 8000 - model.latency_ms * SR / 1000 <= first


@pytest.mark.parametrize("name", CAUSAL)
@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(0, 2000), min_size=1, max_size=10))
def test_equal_mode_gives_as_many_samples_as_it_takes_at_the_stated_delay(name, sizes):
    model, n = ready(name), sum(sizes)
    x = noisy(n)
    stream = model.stream(SR)
    outs = [stream.process(chunk, equal=True) for chunk in np.split(x, np.cumsum(sizes)[:-1])]
    assert [out.shape[-1] for out in outs] == sizes
    latency = stream.latency
    y = np.concatenate([*outs, stream.flush()])
    assert y.shape[-1] == n + latency and not y[:latency].any()
    np.testing.assert_allclose(y[latency:], model(x, SR), atol=1e-5)


@pytest.mark.parametrize(
    ("x", "sr", "options", "message"),
    [
        (np.zeros(100, np.int16), SR, {}, "must be floating point"),
        (np.array([0.0, np.nan]), SR, {}, "at sample 1"),
        (np.array([0.0, np.inf]), SR, {}, "at sample 1"),
        (np.zeros(100), 16000.5, {}, "sr must be an int"),
        (np.zeros(100), 10, {}, "sr must be an int"),
        (np.zeros(100), SR, {"limit_db": -3}, "limit_db must be 0 or more"),
        (np.zeros(100), SR, {"limit_db": "20"}, "limit_db must be 0 or more"),
        (np.zeros(100), SR, {"nan": "drop"}, "nan must be"),
        (np.full(100, 1e16), SR, {}, "full scale is 1; got a peak of 1e.16"),
        (np.zeros((5000, 2)), SR, {}, "time comes last, so pass x.T"),
    ],
)
def test_bad_input_is_named(model, x, sr, options, message):
    with pytest.raises(InputError, match=message):
        model(x, sr, **options)


def test_nan_is_repaired_on_request(model):
    x = noisy(SR)
    broken = x.copy()
    broken[500] = np.nan
    x[500] = 0
    np.testing.assert_array_equal(model(broken, SR, nan="zero"), model(x, SR))


def test_blocks_of_a_sound_card_are_turned(model):
    if not model.causal:
        pytest.skip("needs the complete signal")
    with pytest.raises(InputError, match=r"got \(480, 2\): time comes last, so pass x.T"):
        model.stream(SR).process(np.zeros((480, 2), np.float32), equal=True)


def test_a_wrong_setting_names_the_nearest(model):
    learned = isinstance(model, Learned) and not model.adjustable  # all is in the weights
    expected = f"unknown setting 'hop_lenght' for {model.id}: it takes none" if learned else "did you mean hop_length"
    with pytest.raises(InputError, match=expected):
        model.with_settings(hop_lenght=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hop_length": 0}, "hop_length must be"),
        ({"n_fft": 512.5}, "n_fft (must|is)"),
        ({"sr": "16k"}, "sr (must|is)"),
        ({"hop_length": 5000}, "hop_length must be in 1 to n_fft"),
        ({"window": "hamm"}, "window must be one of"),
        ({"window": ("kaiser", "a")}, "needs a beta"),
        ({"window": np.full(512, np.nan)}, "finite numbers"),
    ],
)
def test_a_wrong_value_is_refused_when_the_method_is_made(model, settings, message):
    with pytest.raises(InputError, match=message):
        model.with_settings(**settings)


def test_every_number_of_a_config_must_be_one(model):
    numbers = [name for name, kind in get_type_hints(model.Config).items() if kind in (int, float)]
    assert {"sr", "n_fft", "hop_length"} <= set(numbers)
    for name in numbers:
        for value in (np.nan, np.inf, "a", True, None):
            with pytest.raises(InputError, match=name):
                model.with_settings(**{name: value})


def test_card_and_delay_are_stated(model):
    assert model.card.summary and model.card.source and model.card.licence
    assert (model.latency_ms is None) != model.causal
