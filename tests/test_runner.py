"""The runner: states carried, frames looped, and whatever is wrong with a file named in one line."""

import pickle
import subprocess
import sys
import threading

import numpy as np
import onnx
import onnxruntime
import pytest
from graph_files import N_BANDS, power_ratio, write_hand, write_talkers

from undin.errors import InputError, WeightsError
from undin.runner import LIVE, USE_GPU, Runner

CPU, GPU = "CPUExecutionProvider", "CUDAExecutionProvider"


def planes(n_frames: int, batch: int = 2) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((batch, 2, n_frames, 257)).astype(np.float32)


@pytest.mark.parametrize("wanted", ["", "1"])
@pytest.mark.parametrize("there", [[CPU], [GPU, CPU], ["TensorrtExecutionProvider", GPU, CPU]])
def test_it_runs_on_the_gpu_where_that_is_wanted_and_onnxruntime_can(tmp_path, monkeypatch, wanted, there):
    asked, session = [], onnxruntime.InferenceSession

    def opened(model, options, providers):
        asked.extend(providers)
        return session(model, options, providers=[CPU])  # this one has no GPU

    monkeypatch.setenv(USE_GPU, wanted)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    runner = Runner(write_hand(tmp_path / "hand.onnx"))
    assert asked == ([GPU, CPU] if wanted and GPU in there else [CPU])
    assert np.isfinite(runner.run(planes(3), runner.initial_state(2))[0]).all()


@pytest.mark.parametrize("frames", ["any", 1])
@pytest.mark.parametrize("batch", [1, 3])
def test_it_runs_blocks_of_any_length_and_batch(tmp_path, frames, batch):
    runner = Runner(write_hand(tmp_path / "hand.onnx", frames=frames))
    X = planes(9, batch)
    state, outs = runner.initial_state(batch), []
    for block in np.split(X, [1, 2, 6], 2):
        out, state = runner.run(block, state)
        outs.append(out)
    Z = np.swapaxes(X[:, 0] + 1j * X[:, 1], 1, 2)  # (batch, n_freq, T)
    ref = power_ratio(Z, np.zeros((batch, 257, 1)))
    np.testing.assert_allclose(np.concatenate(outs, 2)[:, 0], np.swapaxes(ref, 1, 2), rtol=1e-5)
    np.testing.assert_allclose(state["past"][:, 0, 0], np.abs(Z[..., -1]) ** 2, rtol=1e-5)


@pytest.mark.parametrize("fate", ["kept", "replaced", "removed"])
def test_many_single_frames_get_a_session_of_their_own(tmp_path, monkeypatch, fate):
    path, opened = write_hand(tmp_path / "hand.onnx"), []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **k: opened.append(a) or session(*a, **k))
    runner = Runner(path)
    X = planes(LIVE + 9, 1)
    ref, after = runner.run(X, runner.initial_state(1))
    if fate == "replaced":
        write_hand(path, card={"data": "other"})
    elif fate == "removed":
        path.unlink()
    state, outs = runner.initial_state(1), []
    for frame in np.split(X, X.shape[2], 2):
        out, state = runner.run(frame, state)
        outs.append(out)
        for thread in threading.enumerate():  # opens beside; the frames after it are its own
            if thread.name == "undin-session":
                thread.join()
    np.testing.assert_allclose(np.concatenate(outs, 2), ref, rtol=1e-6)
    np.testing.assert_allclose(state["past"], after["past"], rtol=1e-6)
    assert len(opened) == (2 if fate == "kept" else 1)
    two = planes(1)
    assert runner.run(two, runner.initial_state(2))[0].shape[0] == 2


def test_it_takes_any_memory_layout_and_type(tmp_path):
    runner = Runner(write_hand(tmp_path / "hand.onnx"))
    X = planes(5)
    ref, _ = runner.run(X, runner.initial_state(2))
    for other in (np.asfortranarray(X), X.astype(np.float64), np.ascontiguousarray(X[..., ::-1])[..., ::-1]):
        np.testing.assert_array_equal(runner.run(other, runner.initial_state(2))[0], ref)


def test_it_pickles_as_its_path_and_refuses_another_file_there(tmp_path):
    path = write_hand(tmp_path / "hand.onnx")
    runner = Runner(path)
    packed = pickle.dumps(runner)
    assert len(packed) < 2000
    X = planes(3)
    same = pickle.loads(packed)
    np.testing.assert_array_equal(same.run(X, same.initial_state(2))[0], runner.run(X, runner.initial_state(2))[0])
    assert same.digest == runner.digest
    write_hand(path, card={"data": "other"})
    assert Runner(path).digest != runner.digest
    with pytest.raises(WeightsError, match="was replaced while in use"):
        pickle.loads(packed)
    path.unlink()
    with pytest.raises(WeightsError, match="was removed while in use"):
        pickle.loads(packed)


def test_a_file_that_is_not_there_or_whole_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.onnx: no such file; expected a model written by `undin export`"):
        Runner(tmp_path / "none.onnx")
    path = write_hand(tmp_path / "hand.onnx")
    whole = path.read_bytes()
    for broken in (b"", b"not a graph", whole[: len(whole) // 2], whole[:-40], b"\x00" * 300):
        path.write_bytes(broken)
        with pytest.raises(WeightsError, match=rf"{path.name}.* (get a new copy|undin export|export it again)"):
            Runner(path)


def test_a_graph_of_others_is_named(tmp_path):
    path = write_hand(tmp_path / "hand.onnx")
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(WeightsError, match="not one that undin exported: use undin export"):
        Runner(path)


def test_metadata_that_are_no_text_are_named(tmp_path):
    path = write_hand(tmp_path / "hand.onnx")
    path.write_bytes(path.read_bytes().replace(b'"method"', b'"me\xffhod"'))
    with pytest.raises(WeightsError, match=r"damaged in its metadata"):
        Runner(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, r"written by a newer undin \(format 3; this one reads 2\): upgrade undin"),
        ({"format": "x"}, "damaged in its metadata"),
        ({"method": None}, "its method must be a str; got None"),
        ({"states": [1]}, "its states must be a dict"),
        ({"lookahead": -1}, r"its lookahead must be 0 to 1024; got -1"),
        ({"output": "gain"}, "its output must be"),
        ({"frames": 2}, "its frames"),
        ({"states": {}}, "its graph takes .* but its metadata say"),
        ({"states": {"past": [1, 1, 129]}}, "its graph takes .* but its metadata say"),
        ({"states": {"past": [1, 1, 257], "more": [3]}}, "its graph takes .* but its metadata say"),
    ],
)
def test_metadata_that_do_not_fit_are_named(tmp_path, changes, message):
    with pytest.raises(WeightsError, match=message):
        Runner(write_hand(tmp_path / "hand.onnx", **changes))


def test_an_output_that_is_promised_and_missing_is_named(tmp_path):
    path = write_hand(tmp_path / "hand.onnx", output="spectrum")
    model = onnx.load(path)
    props = model.metadata_props[0]
    props.value = props.value.replace('"spectrum"', '"mask"')
    onnx.save(model, path)
    with pytest.raises(WeightsError, match=r"outputs \['mask', 'past_out'\]"):
        Runner(path)


def test_a_voice_comes_with_the_state(tmp_path):
    runner = Runner(write_talkers(tmp_path / "talkers.onnx"))
    out, state = runner.run(planes(9, 3), {})
    assert out.shape == (3, 6, 9, 257) and state["voice"].shape == (3, 2, 9, N_BANDS) and runner.voice == N_BANDS
    silent = Runner(write_talkers(tmp_path / "silent.onnx", voice=None))
    assert silent.run(planes(9), {})[1] == {} and silent.voice == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"voice": -1}, "its voice must be 0 to 256, and 0 without n_src; got -1"),
        ({"voice": "8"}, "its voice must be"),
        ({"voice": 8, "n_src": None, "output": "mask"}, "its voice must be"),
    ],
)
def test_metadata_of_a_voice_that_do_not_fit_are_named(tmp_path, changes, message):
    with pytest.raises(WeightsError, match=message):
        Runner(write_talkers(tmp_path / "talkers.onnx", **changes))


def test_a_voice_of_another_size_is_named(tmp_path):
    runner = Runner(write_talkers(tmp_path / "talkers.onnx", voice=N_BANDS + 1))
    with pytest.raises(WeightsError, match=r"its voice has NaN or the shape \(2, 2, 9, 8\)"):
        runner.run(planes(9), {})


def test_more_descriptions_of_a_voice_than_frames_are_refused(tmp_path):
    runner = Runner(write_talkers(tmp_path / "talkers.onnx", steps=2))
    with pytest.raises(WeightsError, match=r"its voice has NaN or the shape \(2, 2, 18, 8\)"):
        runner.run(planes(9), {})


def test_onnxruntime_is_loaded_by_the_first_graph_alone():
    code = "import sys, undin, undin.runner, undin.methods; assert 'onnxruntime' not in sys.modules, 'loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)
