"""What every learned method shares: planes, delay, masks and spectra, cards, and settings that cannot change."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from graph_files import HIGH, LOW, N_BANDS, Hand, power_ratio, write_both_ways, write_hand, write_talkers

import undin
from undin.errors import InputError, WeightsError
from undin.methods import LEARNED
from undin.provenance import fingerprint
from undin.spectrum import istft, stft

SR = 16000


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(LEARNED, "hand", Hand)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def answer(x: np.ndarray, lookahead: int) -> np.ndarray:
    """By definition: the mask of frame t + lookahead applied to frame t, zeros behind the end."""
    X = stft(x, 512, 256)
    late = np.concatenate([X, np.zeros((*X.shape[:-1], lookahead), X.dtype)], -1)
    M = power_ratio(late, np.zeros((*X.shape[:-1], 1)))[..., lookahead:]
    return istft((M * X).astype(np.complex64), 512, 256, length=x.shape[-1])


@pytest.mark.parametrize("lookahead", [0, 1, 3])
def test_a_mask_meets_the_frame_that_it_answers(tmp_path, lookahead):
    model = undin.load(write_hand(tmp_path / "hand.onnx", lookahead=lookahead))
    assert isinstance(model, Hand) and model.lookahead == lookahead
    assert model.latency_ms == 32 + 16 * lookahead
    x = noise(10000)
    np.testing.assert_allclose(model(x, SR), answer(x, lookahead), atol=1e-5)
    for size in (1, 100, 256, 1000):
        stream = model.stream(SR)
        parts = [stream.process(x[i : i + size]) for i in range(0, len(x), size)] if size > 1 else [stream.process(x)]
        np.testing.assert_allclose(np.concatenate([*parts, stream.flush()]), model(x, SR), atol=1e-6)


@pytest.mark.parametrize("lookahead", [0, 3])
def test_the_mask_can_be_looked_at(tmp_path, lookahead):
    model, x = undin.load(write_hand(tmp_path / "hand.onnx", lookahead=lookahead)), noise(9000)
    y = istft((model.mask(x) * stft(x, 512, 256)).astype(np.complex64), 512, 256, length=len(x))
    np.testing.assert_allclose(y, model(x, SR), atol=1e-6)
    with pytest.raises(InputError, match="returns a spectrum"):
        undin.load(write_hand(tmp_path / "s.onnx", output="spectrum")).mask(x)


@pytest.mark.parametrize("name", ["lstm-mask", "blstm-mask"])
def test_masks_of_talkers_are_one_for_each(name):
    model, x = undin.load(name), noise(5000)
    M = model.mask(x)
    assert M.shape == (2, *stft(x, 512, 256).shape) and M.dtype == np.float32
    y = istft((M * stft(x, 512, 256)).astype(np.complex64), 512, 256, length=len(x))
    np.testing.assert_allclose(y, model(x, SR), atol=1e-5 if model.causal else 1e-3)


def test_a_spectrum_is_used_unchanged(tmp_path):
    spectrum = undin.load(write_hand(tmp_path / "a.onnx", output="spectrum"))
    mask = undin.load(write_hand(tmp_path / "b.onnx"))
    np.testing.assert_allclose(spectrum(noise(2, 9000), SR), mask(noise(2, 9000), SR), atol=1e-6)


def test_a_graph_that_looks_both_ways_takes_whole_signals(tmp_path):
    model = undin.load(write_both_ways(tmp_path / "hand.onnx"))
    assert not model.causal and model.latency_ms is None
    x = noise(20000)
    X = stft(x, 512, 256)
    P = np.abs(X) ** 2
    y = istft((P / P.sum(-1, keepdims=True) * X).astype(np.complex64), 512, 256, length=len(x))
    np.testing.assert_allclose(model(x, SR), y, atol=1e-6)
    np.testing.assert_allclose(model(np.stack([x, x]), SR)[1], y, atol=1e-5)
    with pytest.raises(InputError, match="needs the complete signal and has no state"):
        model.initial_state(1)
    with pytest.raises(InputError, match="needs the complete signal and cannot run frame by frame"):
        model.step(X[None], {})
    with pytest.raises(InputError, match="runs frame by frame: use step"):
        undin.load(write_hand(tmp_path / "b.onnx")).estimate(X[None])


def test_blocks_in_any_cut_carry_their_state(tmp_path):
    model = undin.load(write_hand(tmp_path / "hand.onnx", lookahead=2))
    rng = np.random.default_rng(1)
    X = (rng.standard_normal((3, 257, 20)) + 1j * rng.standard_normal((3, 257, 20))).astype(np.complex64)
    whole, last = model.step(X, model.initial_state(3))
    assert whole.shape == X.shape and whole.dtype == np.complex64
    state, parts = model.initial_state(3), []
    for block in np.split(X, [1, 2, 9], -1):
        Y, state = model.step(block, state)
        parts.append(Y)
    np.testing.assert_allclose(np.concatenate(parts, -1), whole, atol=1e-6)
    assert state.keys() == last.keys() and all(len(value) == 3 for value in state.values())
    assert not whole[..., :2].any()  # they would answer frames before the first


def test_the_card_is_the_method_s_with_what_the_file_says(tmp_path):
    model = undin.load(write_hand(tmp_path / "hand.onnx", parameters=123))
    card = replace(Hand.card, data="nothing", licence="MIT", parameters=123)
    assert model.card == card
    unstated = undin.load(write_hand(tmp_path / "hand.onnx", card={}))
    assert (unstated.card.data, unstated.card.licence) == ("not stated", "not stated")


def test_new_weights_of_the_same_settings_are_noticed(tmp_path):
    one = fingerprint(undin.load(write_hand(tmp_path / "a.onnx")))
    assert one == fingerprint(undin.load(write_hand(tmp_path / "b.onnx")))
    other = fingerprint(undin.load(write_hand(tmp_path / "a.onnx", commit="abc")))
    assert one["config"] == other["config"] and one["weights"] != other["weights"]


def test_settings_that_made_the_graph_cannot_change(tmp_path):
    path = write_hand(tmp_path / "hand.onnx")
    model = undin.load(path)
    with pytest.raises(
        InputError, match=r"n_fft is 512 in these weights and cannot become 1024: its settings are fixed by training"
    ):
        model.with_settings(n_fft=1024)
    with pytest.raises(InputError, match="hop_length is 256"):
        undin.load(path, hop_length=128)
    with pytest.raises(InputError, match="unknown setting 'hop_lenght' for hand: it takes none"):
        undin.load(path, hop_lenght=128)
    assert model.with_settings(n_fft=512).config == model.config


def test_settings_that_the_graph_does_not_see_can(tmp_path, monkeypatch):
    monkeypatch.setattr(Hand, "adjustable", frozenset({"sharpness"}))
    path = write_hand(tmp_path / "hand.onnx")
    assert undin.load(path, sharpness=2.0).config.sharpness == 2.0
    assert undin.load(path).config.sharpness == 1.0
    with pytest.raises(InputError, match="cannot become 128: settings that can change: sharpness"):
        undin.load(path, hop_length=128)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"method": "hant"},
            r"the method 'hant', unknown to this version \(did you mean hand\?\): upgrade",
        ),
        ({"method": "dnn"}, "does not fit this version of dnn .*: upgrade undin"),
        ({"config": {"n_fft": 512, "colour": 3}}, "does not fit this version of hand .*'colour'"),
        ({"config": {"n_fft": 1024}}, "its graph has 257 bins .*, its config 513"),
        ({"config": {"lookahead": 2}}, "a look-ahead of 0 frames, its config 257 and 2"),
        ({"config": {"n_fft": "many"}}, "n_fft must be a whole number"),
    ],
)
def test_files_of_other_methods_or_versions_are_named(tmp_path, changes, message):
    with pytest.raises(WeightsError, match=message):
        undin.load(write_hand(tmp_path / "hand.onnx", **changes))


def test_a_class_refuses_the_file_of_another(tmp_path):
    with pytest.raises(WeightsError, match=r"holds 'other', not 'hand': use undin\.load"):
        Hand.load(write_hand(tmp_path / "hand.onnx", method="other"))


def test_it_goes_to_other_processes(tmp_path):
    model = undin.load(write_hand(tmp_path / "hand.onnx", lookahead=1))
    same = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(same(noise(5000), SR), model(noise(5000), SR))
    assert fingerprint(same) == fingerprint(model) and same.card == model.card


def test_a_rest_is_a_source_of_its_own_and_voices_are_described(tmp_path):
    model = undin.load(write_talkers(tmp_path / "talkers.onnx"))
    assert model.n_src == 2 and model.has_rest and model.has_voice
    X = stft(noise(2, 9000), 512, 256).astype(np.complex64)
    Y, V = model.analyze(X)
    np.testing.assert_allclose(Y.sum(0), X, atol=1e-6)
    np.testing.assert_array_equal(Y, model.estimate(X))
    assert not Y[0, :, HIGH].any() and not Y[1, :, LOW].any() and not Y[2, :, :200].any()
    assert V.shape == (2, 2, X.shape[-1], N_BANDS)
    plain = undin.load(write_talkers(tmp_path / "plain.onnx", rest=False, voice=None))
    assert not plain.has_rest and not plain.has_voice and plain.analyze(X)[1] is None
