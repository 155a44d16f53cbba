import subprocess
import sys

import numpy as np
import pytest

import undin
from undin.errors import InputError, MissingExtraError, WeightsError
from undin.metrics import dnsmos
from undin.runner import open_graph

# Scores of speechmos 0.0.1.1 itself (speechmos.dnsmos.run), made once for the two signals below.
SHORT = {"sig": 3.1590334769130237, "bak": 3.952223913011339, "ovrl": 2.8824902599074913, "p808": 3.619402}
NOISY = {"sig": 3.350449243705561, "bak": 1.977119128293593, "ovrl": 1.9932444627364059, "p808": 2.6893775}


@pytest.fixture(scope="module")
def signals():
    """3 s of clean speech, and 10.5 s of noisy speech."""
    corpus = undin.corpora.mini()
    x = np.concatenate([corpus.load(clip) for clip in corpus.speech[:4]])[:168000]
    n = np.random.default_rng(0).standard_normal(len(x)) * x.std() * 0.3
    return x[:48000], (x + n).astype(np.float32)


def weights():
    return pytest.importorskip("speechmos", reason='speechmos is not installed: pip install "undin[mos]"')


def test_scores_are_those_of_the_published_program(signals):
    weights()
    for x, known in zip(signals, (SHORT, NOISY), strict=True):
        for name, score in dnsmos(est=x, sr=16000)._asdict().items():
            assert score == pytest.approx(known[name], abs=1e-3), name


def test_leading_axes_are_kept(signals):
    weights()
    x = np.stack([signals[1], -signals[1]])
    scores = dnsmos(est=x, sr=16000)
    assert scores.ovrl.shape == (2,)
    assert scores.ovrl[0] == pytest.approx(NOISY["ovrl"], abs=1e-3)


@pytest.mark.parametrize(
    ("est", "sr", "message"),
    [
        (np.ones(8, int), 16000, "est must be floating point"),
        (np.zeros(0), 16000, "est is empty"),
        (np.zeros(16000), 16000, "est is silent"),
        (np.full(16000, np.nan), 16000, "est must be finite"),
        (np.ones(8), 48000, "sr = 16000 only; got 48000"),
    ],
)
def test_undefined_scores_are_errors(est, sr, message):
    weights()
    with pytest.raises(InputError, match=message):
        dnsmos(est=est, sr=sr)


def test_the_extra_is_named_where_its_package_is_missing(monkeypatch):
    from undin.metrics.dnsmos import _networks

    _networks.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'speechmos .*install "undin\[mos\]"'):
        dnsmos(est=np.ones(8), sr=16000)


def test_the_package_of_the_weights_is_not_imported():
    weights()
    code = (
        "import sys; from undin.metrics.dnsmos import _networks; _networks(); "
        "assert not {'speechmos', 'librosa'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_graphs_of_others_that_are_missing_or_damaged_are_weights_errors(tmp_path):
    with pytest.raises(WeightsError, match=r"cannot read .*: reinstall its package"):
        open_graph(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(WeightsError, match=r"bad\.onnx"):
        open_graph(tmp_path / "bad.onnx")
