"""Odd arrays and settings at every public function: an InputError, or the same shape and finite samples."""

import inspect
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import undin
from undin import metrics

DTYPES = ["f2", "f4", "f8", ">f4", ">f8", "g", "i2", "u1", "?", "c8", "O", "U3"]
VALUES = [0.0, -0.0, 1.0, -1.0, 1e-320, 1e-45, 1e-30, 1e10, 1e14, 1e16, 1e38, 3e38, 1e300, np.inf, -np.inf, np.nan]
SHAPES = [
    (),
    (0,),
    (1,),
    (2,),
    (255,),
    (256,),
    (3000,),
    (2, 0),
    (0, 2),
    (0, 0),
    (2, 3000),
    (300, 2),
    (3, 2, 700),
    (1, 1, 1, 9),
]
RATES: list[Any] = [
    16000,
    16000,
    8000,
    44100,
    48000,
    1000,
    768000,
    999,
    0,
    -1,
    16000.0,
    np.int64(16000),
    "16000",
    None,
    True,
]
LIMITS: list[Any] = [None, None, 0, 12, 1e308, -1, np.nan, np.inf, "12", np.float32(3)]
METHODS = ["spectral-gate", "log-mmse", "nmf", "nmf-exp", "lull", "lstm-mask"]
METRICS = [metrics.si_sdr, metrics.sdr, metrics.snr, metrics.stoi, metrics.lsd]


class Case(NamedTuple):
    """Samples by recipe: noise at a level, with some samples set to values that hurt."""

    what: str
    dtype: str
    shape: tuple[int, ...]
    level: float
    pokes: list[tuple[int, float]]
    order: str
    sr: Any
    limit_db: Any
    nan: Any
    method: str


CASES = st.builds(
    Case,
    st.sampled_from(["enhance", "enhance", "separate", "stft", "resample", "write", "metric"]),
    st.one_of(st.sampled_from(["f4", "f8"]), st.sampled_from(DTYPES)),
    st.sampled_from(SHAPES),
    st.one_of(st.just(0.1), st.sampled_from([0.0, 1e-30, 1.0, 1e6, 1e14])),
    st.lists(st.tuples(st.integers(0, 5000), st.sampled_from(VALUES)), max_size=3),
    st.sampled_from(["C", "F", "reversed", "read-only"]),
    st.sampled_from(RATES),
    st.sampled_from(LIMITS),
    st.sampled_from(["raise", "raise", "zero", "drop", None]),
    st.sampled_from(METHODS),
)


def samples(case: Case) -> Any:
    """The array of a case."""
    x = case.level * np.random.default_rng(0).standard_normal(case.shape)
    for at, value in case.pokes:
        if x.size and x.ndim:
            x.flat[at % x.size] = value
    with np.errstate(all="ignore"):
        x = np.asarray(x, order="F" if case.order == "F" else "C").astype(case.dtype)
    x = x[..., ::-1] if case.order == "reversed" and x.ndim else x
    if case.order == "read-only":
        x.flags.writeable = False
    return x


def attempt(case: Case, folder: Path) -> None:
    """Give the array to one function; it is not written to, and what comes back has its shape."""
    x = samples(case)
    before = x.tobytes()
    try:
        _call(case, x, folder)
    finally:
        assert x.tobytes() == before, "the caller's array was written to"


def _call(case: Case, x: Any, folder: Path) -> None:
    if case.what == "enhance":
        y = undin.enhance(x, case.sr, method=case.method, limit_db=case.limit_db, nan=case.nan)
        assert y.shape == x.shape and np.isfinite(y).all()
    elif case.what == "separate":
        y = undin.separate(x, case.sr, method="lstm-mask", nan=case.nan)
        assert y.shape == (2, *x.shape) and np.isfinite(y).all()
    elif case.what == "stft":
        with np.errstate(all="ignore"):  # a transform as numpy's: what overflows is infinite
            y = undin.istft(undin.stft(x, 512, 128), 512, 128, length=x.shape[-1] if x.ndim else 0)
        assert y.shape == x.shape
    elif case.what == "resample":
        assert undin.resample(x, case.sr, 16000).shape[:-1] == x.shape[:-1]
    elif case.what == "write":
        path = folder / "x.flac"
        undin.write(path, x, case.sr)
        assert undin.read(path)[0].shape == (x[0] if x.ndim == 2 and len(x) == 1 else x).shape
    else:
        metric = METRICS[(len(case.pokes) + len(case.shape)) % len(METRICS)]
        rate = {"sr": case.sr} if "sr" in inspect.signature(metric).parameters else {}
        metric(ref=x, est=x[..., ::-1] if x.ndim else x, **rate)
