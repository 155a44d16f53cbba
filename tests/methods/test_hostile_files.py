"""Damaged and crafted model files: each loads to the same answers or gives one WeightsError, in bounded memory."""

import io
import json
import tracemalloc
import zipfile

import numpy as np
import onnx
import pytest
from graph_files import TWISTS, Hand, write_hand
from onnx import helper

import undin
from undin.errors import WeightsError
from undin.methods import LEARNED, NMF
from undin.methods import WEIGHTS as SHIPPED
from undin.runner import UNSEALED, Runner

SR = 16000
N_DAMAGED = 50  # of each file


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(LEARNED, "hand", Hand)


def noise(n_samples: int = 3000) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(n_samples)).astype(np.float32)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to three changes: a bit flipped, a span cut, doubled or set to zero, or the end lost."""
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(len(content)))
        end = start + int(rng.integers(1, 64))
        head, part, tail = content[:start], content[start:end], content[end:]
        flipped = bytes([part[0] ^ (1 << int(rng.integers(8)))]) + part[1:]
        content = [head + flipped + tail, head + tail, head + 2 * part + tail, head + bytes(len(part)) + tail][
            int(rng.integers(4))
        ]
    return content


@pytest.fixture(scope="module")
def nmf(tmp_path_factory):
    """Bases of two sources, saved."""
    path = tmp_path_factory.mktemp("nmf") / "m.npz"
    rng = np.random.default_rng(1)
    NMF(n_fft=256, hop_length=64, n_speech=4, n_noise=3, fit_iter=3).fit(*rng.standard_normal((2, SR)), SR).save(path)
    return path


@pytest.mark.parametrize("name", ["hand.onnx", "lull.onnx", "lstm-mask.onnx", "m.npz"])
def test_a_damaged_file_answers_the_same_or_is_refused(tmp_path, nmf, name):
    path = tmp_path / name
    if name == "hand.onnx":
        write_hand(path, checksum=UNSEALED, format=2)
    else:
        path.write_bytes((nmf if name == "m.npz" else SHIPPED / name).read_bytes())
    content, x, rng = path.read_bytes(), noise(), np.random.default_rng(2)
    answer, refused = undin.load(path)(x, SR), 0
    for _ in range(N_DAMAGED):
        path.write_bytes(damaged(content, rng))
        try:
            model = undin.load(path)
        except WeightsError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
            continue
        np.testing.assert_array_equal(model(x, SR), answer)
    assert refused > 0.8 * N_DAMAGED


def test_a_file_without_a_checksum_loads_and_one_that_has_lost_it_does_not(tmp_path, nmf):
    path = write_hand(tmp_path / "hand.onnx")
    assert "checksum" not in Runner(path).meta
    with pytest.raises(WeightsError, match="its checksum is missing"):
        Runner(write_hand(path, format=2))
    sealed = write_hand(path, checksum=UNSEALED, format=2)
    assert Runner(sealed).meta["checksum"] != UNSEALED
    model = onnx.load(sealed)
    model.producer_name = "another program"
    onnx.save(model, sealed)
    with pytest.raises(WeightsError, match=r"was modified \(checksum mismatch\)"):
        Runner(sealed)
    with np.load(nmf) as file:
        arrays = dict(file)
    meta = json.loads(str(arrays["meta"]))
    for version, loads in ((1, True), (2, False)):
        arrays["meta"] = np.array(json.dumps({**meta, "checksum": None, "version": version}))
        np.savez(tmp_path / "m.npz", **arrays)
        if loads:
            np.testing.assert_array_equal(NMF.load(tmp_path / "m.npz").bases[0].W, NMF.load(nmf).bases[0].W)
        else:
            with pytest.raises(WeightsError, match="its checksum does not match"):
                NMF.load(tmp_path / "m.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"states": {"past": 5}}, "each of its states must be a list of non-negative integers"),
        ({"states": {"past": [1, 1, "257"]}}, "each of its states must be a list of non-negative integers"),
        ({"states": {"past": [1, 1, -257]}}, "each of its states must be a list of non-negative integers"),
        ({"states": {"past": [1, 1, 10**12]}}, "its states must have at most"),
        ({"states": {"past": [1, 1, float("inf")]}}, "each of its states must be a list of non-negative integers"),
        ({"format": float("inf")}, "written by a newer undin"),
        ({"format": float("nan")}, "its checksum is missing"),
        ({"lookahead": float("inf")}, "its lookahead must be a int"),
        ({"lookahead": True}, "its lookahead must be a int"),
        ({"lookahead": 10**9}, "its lookahead must be 0 to 1024"),
        ({"parameters": float("inf")}, "its parameters must be a int"),
        ({"config": {"sharpness": float("inf")}}, "sharpness must be a finite number"),
        ({"config": {"sr": 10**400}}, "does not fit this version of hand"),
        ({"config": {"sr": 1}}, "sr must be an int in 1000"),
        ({"config": {"n_fft": 2**40}}, "n_fft must be at most 65536"),
        ({"config": {"window": {"a": 1}}}, "window"),
        ({"card": {"data": {"a": 5}}}, "data of its card cannot be"),
        ({"card": {"si_sdr_gain_db": "much"}}, "si_sdr_gain_db of its card cannot be"),
    ],
)
def test_crafted_metadata_are_refused(tmp_path, changes, message):
    with pytest.raises(WeightsError, match=message):
        undin.load(write_hand(tmp_path / "hand.onnx", **changes))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": 1, "config": ' + '{"a":' * 100_000, "1", "[1]", '{"format": 1e999}']
)
def test_metadata_that_are_nested_or_no_object_are_refused(tmp_path, text):
    model = onnx.load(write_hand(tmp_path / "hand.onnx"))
    helper.set_model_props(model, {"undin": text})
    onnx.save(model, tmp_path / "hand.onnx")
    with pytest.raises(WeightsError, match=r"damaged in its metadata|written by a newer undin"):
        undin.load(tmp_path / "hand.onnx")


@pytest.mark.parametrize("twist", TWISTS)
def test_a_wrong_answer_is_an_error_and_not_sound(tmp_path, twist):
    model = undin.load(write_hand(tmp_path / "hand.onnx", twist=twist))
    message = "has NaN or values above" if twist in ("nan", "huge") else "has the shape|cannot be used"
    for run in (lambda: model(noise(), SR), lambda: model.stream(SR).process(noise())):
        with pytest.raises(WeightsError, match=message):
            run()


def npz(path, meta, compression=zipfile.ZIP_DEFLATED, **members):
    """An archive with these members as they are, bytes or arrays."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in {"meta": np.array(meta if isinstance(meta, str) else json.dumps(meta)), **members}.items():
            if not isinstance(content, bytes):
                np.lib.format.write_array(held := io.BytesIO(), np.asarray(content))
                content = held.getvalue()
            archive.writestr(f"{name}.npy", content)
    return path


META = {"format": "undin-nmf", "version": 1, "config": {"n_fft": 8, "hop_length": 4}, "n_sources": 1}
GOOD = {"W0": np.full((5, 2), 0.2), "mean0": np.ones(2), "shape0": np.ones(2), "scale0": np.ones(2)}


def declares(shape: tuple[int, ...], n_bytes: int) -> bytes:
    """An array that says it is larger than it is."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.getvalue() + bytes(n_bytes)


@pytest.mark.parametrize(
    ("changes", "members", "message"),
    [
        ({}, {"W0": declares((257, 10**9), 64)}, "cannot reshape"),
        ({}, {"W0": declares((2**62, 2**62), 64)}, "damaged"),
        ({}, {"W0": declares((5, 2), 2**26)}, "W0 has more than 67108864 bytes"),
        ({}, {"W0": b"\x93NUMPY\x03\x00"}, "unsupported array format"),
        ({}, {"W0": np.zeros((5, 2))}, "must be in 0"),
        ({}, {"W0": np.full((5, 2), 1e38)}, "do not sum to 1"),
        ({}, {"mean0": np.zeros(2)}, "never active"),
        ({}, {"shape0": np.full(2, 1e30)}, "must be in 0"),
        ({}, {"scale0": np.array(["a", "b"])}, "damaged"),
        ({"n_sources": 10**9}, {}, "n_sources must be 1 ... 8"),
        ({"n_sources": 0}, {}, "n_sources must be 1 ... 8"),
        ({"n_sources": True}, {}, "n_sources must be 1 ... 8"),
        ({"talkers": True}, {}, "2 or more for talkers"),
        ({"version": float("inf")}, {}, "upgrade undin"),
        ({"version": None}, {}, "damaged"),
        ({"config": {"n_fft": 8, "hop_length": 4, "n_iter": 10**12}}, {}, "n_iter must be a whole number, 1 to 10000"),
        ({"config": {"n_fft": 8, "hop_length": 4, "n_free": 10**12}}, {}, "n_free must be a whole number, 1 to 10000"),
        ({"config": {"n_fft": 8, "hop_length": 4, "tol": float("inf")}}, {}, "tol must be a finite number"),
        ({"config": {"n_fft": 10**30}}, {}, "damaged"),
        ({"config": [1]}, {}, "damaged"),
    ],
)
def test_crafted_bases_are_refused_in_little_memory(tmp_path, changes, members, message):
    path = npz(tmp_path / "m.npz", {**META, **changes}, **{**GOOD, **members})
    tracemalloc.start()
    with pytest.raises(WeightsError, match=message):
        undin.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**26


def test_the_archive_that_these_are_made_from_is_sound(tmp_path):
    assert np.isfinite(undin.load(npz(tmp_path / "m.npz", META, **GOOD))(noise(), SR)).all()


def test_nested_settings_and_other_compressions_of_bases_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="is not a model written by NMF"):
        undin.load(npz(tmp_path / "m.npz", "[" * 100_000, **GOOD))
    with pytest.raises(WeightsError, match="unsupported compression"):
        undin.load(npz(tmp_path / "m.npz", META, zipfile.ZIP_LZMA, **GOOD))
