"""Damaged and crafted model files: a WeightsError, or an answer that is finite and of the right shape."""

import io
import json
import sys
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tests.fuzz.damage import SETTINGS, damaged

import undin
from undin.methods import LEARNED, NMF
from undin.methods import WEIGHTS as SHIPPED
from undin.runner import CHECKSUM, UNSEALED, seal

sys.path.append(str(Path(__file__).parents[2] / "methods"))
import graph_files

LEARNED["hand"] = graph_files.Hand
X = (0.1 * np.random.default_rng(0).standard_normal(3000)).astype(np.float32)
NAMES = [
    "format",
    "method",
    "config",
    "output",
    "lookahead",
    "frames",
    "states",
    "weights",
    "parameters",
    "card",
    "n_src",
]
TWISTS = [None, None, *graph_files.TWISTS]
ARRAYS = ["W0", "mean0", "shape0", "scale0", "W1", "meta"]


@cache
def files() -> dict[str, bytes]:
    """Name -> content of valid models."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.npz")
        pair = np.random.default_rng(1).standard_normal((2, 16000))
        NMF(n_fft=256, hop_length=64, n_speech=4, n_noise=3, fit_iter=3).fit(*pair, 16000).save(path)
        hand = graph_files.write_hand(Path(folder, "hand.onnx"), checksum=UNSEALED, format=2)
        return {
            each.name: each.read_bytes() for each in (path, hand, SHIPPED / "lull.onnx", SHIPPED / "lstm-mask.onnx")
        }


@st.composite
def _bytes(draw: Any) -> tuple[str, bytes]:
    """A file with damaged bytes, and sometimes a checksum that fits them."""
    name = draw(st.sampled_from(sorted(files())))
    content = draw(damaged(files()[name]))
    if draw(st.booleans()) and name.endswith(".onnx"):
        content = seal(CHECKSUM.sub(b'"checksum": "' + UNSEALED.encode() + b'"', content, count=1))
    return name, content


@st.composite
def _crafted(draw: Any) -> tuple[str, dict[str, Any]]:
    """Changes to the metadata of the hand-made graph and to its last node."""
    changes = draw(st.dictionaries(st.sampled_from(NAMES), st.one_of(SETTINGS, st.just("hand")), max_size=2))
    return "crafted.onnx", {"twist": draw(st.sampled_from(TWISTS)), **changes}


@st.composite
def _archive(draw: Any) -> tuple[str, dict[str, Any]]:
    """Changes to the settings and arrays of saved bases; their format 1 has no checksum."""
    settings = draw(
        st.dictionaries(st.sampled_from(["n_sources", "talkers", "config", "version", "extra"]), SETTINGS, max_size=2)
    )
    config = draw(
        st.dictionaries(st.sampled_from(["n_fft", "hop_length", "sr", "window", "prior", "eta"]), SETTINGS, max_size=2)
    )
    arrays = draw(
        st.dictionaries(
            st.sampled_from(ARRAYS[:-1]), st.sampled_from(["drop", "nan", "huge", "flat", "text", "zero"]), max_size=2
        )
    )
    return "archive.npz", {"settings": settings, "config": config, "arrays": arrays}


CASES = st.one_of(_bytes(), _crafted(), _archive())


def attempt(case: tuple[str, Any], folder: Path) -> None:
    """Load the file and run it once."""
    name, what = case
    path = folder / name
    if isinstance(what, bytes):
        path.write_bytes(what)
    elif name == "crafted.onnx":
        try:
            meta = {key: value for key, value in what.items() if key not in ("twist", "output", "lookahead", "frames")}
            graph_files.write_hand(path, twist=what["twist"], **meta)
            _replace_meta(path, what)
        except UnicodeEncodeError:
            return  # no text of a file
    else:
        path.write_bytes(_changed(**what))
    model = undin.load(path)
    y = model(X, 16000)
    assert y.shape == ((model.n_src, *X.shape) if model.n_src else X.shape) and np.isfinite(y).all()


def _replace_meta(path: Path, changes: dict[str, Any]) -> None:
    """Entries of the metadata that also shape the graph are replaced afterwards."""
    import onnx

    model = onnx.load(path)
    entry = next(entry for entry in model.metadata_props if entry.key == "undin")
    meta = json.loads(entry.value)
    meta.update({key: changes[key] for key in ("output", "lookahead", "frames") if key in changes})
    entry.value = json.dumps(meta)
    path.write_bytes(model.SerializeToString())


def _changed(settings: dict[str, Any], config: dict[str, Any], arrays: dict[str, str]) -> bytes:
    """The saved bases with other settings and arrays."""
    with np.load(io.BytesIO(files()["m.npz"])) as saved:
        found = dict(saved)
    meta = json.loads(str(found["meta"]))
    meta.pop("checksum")
    meta = {**meta, "version": 1, "config": {**meta["config"], **config}, **settings}
    for name, change in arrays.items():
        a = found.get(name, np.ones(1, np.float32))
        found[name] = {
            "nan": a * np.nan,
            "huge": a * 1e30,
            "flat": a.ravel(),
            "text": np.array("x"),
            "zero": a * 0,
            "drop": a,
        }[change]
        if change == "drop":
            found.pop(name)
    found["meta"] = np.array(json.dumps(meta))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, a in found.items():
            data = io.BytesIO()
            np.save(data, a)
            archive.writestr(f"{name}.npy", data.getvalue())
    return out.getvalue()
