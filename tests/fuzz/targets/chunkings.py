"""Signals in chunks of any size, at any rate: the same samples as in one piece."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import undin

NETWORKS = ("lull", "dnn", "cmask", "lstm-mask")


class Case(NamedTuple):
    """A signal of noise with a loud and a silent stretch, and how it is cut up."""

    method: str
    sr: int
    lead: tuple[int, ...]
    n_samples: int
    chunks: list[int]
    equal: bool
    independent: bool
    limit_db: float | None
    level: float


CASES = st.builds(
    Case,
    st.sampled_from(["spectral-gate", "log-mmse", "nmf", *NETWORKS]),
    st.sampled_from([16000, 16000, 8000, 11025, 22050, 44100, 48000, 96000, 1000, 12345]),
    st.sampled_from([(), (), (1,), (2,), (3,), (2, 2)]),
    st.integers(0, 6000),
    st.lists(st.one_of(st.integers(0, 4), st.integers(0, 3000)), min_size=1, max_size=6),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, None, 0.0, 6.0, 40.0]),
    st.sampled_from([0.1, 0.1, 1.0, 1e-6, 0.0, 1e4]),
)


def attempt(case: Case, folder: Path) -> None:
    """Compare chunks with the whole; networks to 1e-4 of full scale, all others to 1e-5."""
    rng = np.random.default_rng(case.n_samples)
    x = (case.level * rng.standard_normal((*case.lead, case.n_samples))).astype(np.float32)
    x[..., case.n_samples // 2 : case.n_samples * 2 // 3] = 0
    model = undin.load(case.method)
    options: dict[str, Any] = {}
    if not model.n_src:
        options = {"limit_db": case.limit_db, "independent": case.independent}
    whole = model(x, case.sr, **options)
    stream = model.stream(case.sr, **options)
    parts, start, i = [], 0, 0
    while start < case.n_samples:
        n = case.chunks[i % len(case.chunks)] if i < 400 else case.n_samples
        parts.append(stream.process(x[..., start : start + n], equal=case.equal))
        assert not case.equal or parts[-1].shape[-1] == x[..., start : start + n].shape[-1]
        start, i = start + n, i + 1
    parts.append(stream.flush())
    y = np.concatenate(parts, -1) if start else whole
    if case.equal and start:
        y = y[..., stream.latency :]
    assert y.shape == whole.shape, (y.shape, whole.shape)
    scale = max(1.0, float(np.abs(x).max(initial=0)))
    error = np.abs(y - whole).max(initial=0) / scale
    assert error <= (1e-4 if case.method in NETWORKS else 1e-5), error
