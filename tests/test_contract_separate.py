"""What every method that separates promises, checked over the whole table: a new one is tested without a line here."""

import numpy as np
import pytest

import undin
from undin.errors import InputError
from undin.methods import LEARNED, METHODS, DeepClustering, Method

SR = 16000


@pytest.fixture(scope="module")
def talkers() -> np.ndarray:
    """Two voices of the mini corpus, (2, n_samples), as loud as each other."""
    corpus = undin.corpora.mini().select(split="test")
    voices = {clip.speaker: corpus.load(clip) for clip in corpus.speech}
    first, second = list(voices.values())[:2]
    n = min(len(first), len(second), 4 * SR)
    return np.stack([x[:n] / np.sqrt(np.mean(x[:n] ** 2)) * 0.05 for x in (first, second)]).astype(np.float32)


SEPARATE = {name: method for name, make in METHODS.items() if (method := make()).n_src}
MASKS, TWAIN = {"n_hidden": 16, "n_layers": 1}, {"channels": 8, "blocks": 1, "scene": 8}
FRESH = {  # small ones that learned nothing, of every kind
    "ff-mask": MASKS,
    "lstm-mask": MASKS,
    "blstm-mask": MASKS,
    "blstm-mask at three speeds": {**MASKS, "speeds": (0.8, 1.3)},
    "blstm-mask with a rest at two speeds": {**MASKS, "rest": True, "speeds": (1.2,), "voice": 4},
    "lstm-mask with a rest": {**MASKS, "rest": True},
    "deep-clustering": MASKS,
    "twain": TWAIN,
    "twain with voices": {**TWAIN, "voice": 8},
    "twain live": {**TWAIN, "causal": True, "heads": 0, "patch_frames": 1},
}


@pytest.fixture(scope="module", params=[*sorted(SEPARATE), *(f"{name}, fresh" for name in FRESH)])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Method:
    if request.param in SEPARATE:
        return SEPARATE[request.param]
    torch = pytest.importorskip("torch")
    from undin.training.checkpoint import Loaded
    from undin.training.export import write_graph
    from undin.training.nets import NETS

    key = request.param.removesuffix(", fresh")
    name = key.split()[0]
    config = LEARNED[name].Config(**FRESH[key])
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("fresh") / f"{name}.onnx"
    return undin.load(write_graph(Loaded(name, config, NETS[name](config).eval()), path, card={}))


@pytest.mark.parametrize("shape", [(9000,), (2, 9000), (3, 2, 900), (0,), (1,), (2, 0), (0, 50)])
def test_a_source_axis_comes_first_and_the_rest_is_kept(model, shape):
    x = (0.1 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    before = x.copy()
    y = model(x, SR)
    assert y.shape == (model.n_src, *shape) and y.dtype == x.dtype
    np.testing.assert_array_equal(x, before)
    assert model(x.astype(np.float64), SR).dtype == np.float64


@pytest.mark.parametrize("sr", [8000, 11025, 16000, 44100, 48000])
def test_the_talkers_sum_to_the_input_at_every_rate(model, talkers, sr):
    x = full_band(talkers, sr)
    np.testing.assert_allclose(model(x, sr).sum(0), x, atol=1e-5)


def full_band(talkers: np.ndarray, sr: int) -> np.ndarray:
    """(4, 2, n_samples): in stereo, signals with sound up to sr / 2, where no method knows the bins."""
    voices = undin.resample(talkers.sum(0)[: SR // 2], SR, sr)
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, len(voices)))
    tone = 0.5 * np.sin(2 * np.pi * 0.49 * np.arange(len(voices)))
    one = np.stack([voices, noise[0], tone, voices + np.diff(noise[0], 3, prepend=[0, 0, 0])])
    return np.stack([one, 0.5 * one + noise[1]], 1).astype(np.float32)


def test_silence_gives_silence_and_every_level_is_finite(model, talkers):
    x = talkers.sum(0)[: 2 * SR]
    assert not model(np.zeros(SR, np.float32), SR).any()
    loud = model(x, SR)
    quiet = model(x * np.float32(1e-4), SR)
    np.testing.assert_allclose(1e4 * quiet, loud, atol=1e-3)


def test_same_input_twice_gives_the_same_bits_and_rows_do_not_see_each_other(model, talkers):
    x = np.stack([talkers.sum(0)[:SR], talkers[0, :SR]])[:, None]
    y = model(x, SR)
    np.testing.assert_array_equal(model(x, SR), y)
    np.testing.assert_allclose(y[:, 1], model(x[1], SR), atol=1e-5)


def test_stereo_is_parted_by_one_mask_so_that_places_stay(model, talkers):
    x = talkers.sum(0)[:SR]
    y = model(np.stack([x, 0.25 * x]), SR)
    np.testing.assert_allclose(y[:, 1], 0.25 * y[:, 0], atol=1e-6)


def test_talkers_keep_their_order_over_chunks_of_a_long_file(model, talkers):
    """Over a minute in chunks, each output is more alike itself in the next chunk than the other."""
    x = np.tile(talkers.sum(0), 60 * SR // talkers.shape[1] + 1)[: 50 * SR]
    y = model(x, SR)
    assert y.shape == (model.n_src, len(x))
    np.testing.assert_allclose(y.sum(0), x, atol=1e-5)
    period = talkers.shape[1]
    n = (len(x) - period) // SR * SR
    later = y[:, period : period + n]
    same = float((y[:, :n] * later).sum())
    crossed = float((y[::-1, :n] * later).sum())
    assert same > crossed


def test_what_it_keeps_apart_and_describes_is_used(model, talkers):
    x = talkers.sum(0)[: 2 * SR]
    three = undin.separate(x, SR, method=model, residual=True)
    assert three.shape == (model.n_src + 1, len(x))
    np.testing.assert_allclose(three.sum(0), x, atol=1e-5)
    if model.has_voice and not model.causal:
        V = model.analyze(np.zeros((3, 257, 41), np.complex64))[1]
        assert V.shape[:2] == (model.n_src, 3) and 0 < V.shape[2] <= 41 and V.shape[3] == model.runner.voice
        y = undin.separate(x, SR, method=model, voice=talkers[0])
        assert y.shape == x.shape
        return
    with pytest.raises(InputError, match="does not recognize voices"):
        undin.separate(x, SR, method=model, voice=talkers[0])


def test_causal_ones_stream(model, talkers):
    if not model.causal:
        with pytest.raises(InputError, match="no live delay"):
            model.stream(SR).latency  # noqa: B018
        return
    x = talkers.sum(0)[:SR]
    stream = model.stream(SR)
    cuts = np.random.default_rng(0).integers(1, 3000, 20).cumsum()
    parts = [stream.process(part) for part in np.split(x, cuts[cuts < len(x)])]
    np.testing.assert_allclose(np.concatenate([*parts, stream.flush()], -1), model(x, SR), atol=1e-5)


def test_what_it_cannot_do_is_said(model):
    x = np.zeros(SR, np.float32)
    with pytest.raises(InputError, match="limit_db and independent apply to enhancement"):
        model(x, SR, limit_db=6)
    with pytest.raises(InputError, match="must be floating point"):
        model(x.astype(np.int16), SR)
    with pytest.raises(InputError, match=r"separates 2 talkers: use separate"):
        undin.enhance(x, SR, method=model.runner.path)
    if isinstance(model, DeepClustering):
        assert undin.separate(x, SR, talkers=3, method=model.runner.path).shape == (3, SR)
        return
    with pytest.raises(
        InputError, match="separates 2 talkers; got talkers=3: use deep-clustering, or a model for 3 talkers"
    ):
        undin.separate(x, SR, talkers=3, method=model.runner.path)


def test_card_is_stated(model):
    assert model.card.kind == "separate" and model.card.summary and model.card.source and model.card.licence
    assert (model.latency_ms is None) != model.causal
