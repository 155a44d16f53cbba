"""The contract of a network: its defaults are enough for a network of your own, as the docs show it."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tone
import torch

import undin
from undin.methods import LEARNED
from undin.methods.base import Card
from undin.methods.learned import Learned
from undin.metrics import si_sdr
from undin.training.export import export
from undin.training.fit import fit
from undin.training.nets import NETS, Network
from undin.training.options import Options

PAGE = Path(__file__).parents[2] / "docs/training.md"


@dataclass(frozen=True)
class GainsConfig:
    sr: int = tone.SR
    n_fft: int = 64
    hop_length: int = 32
    window: str = "sqrt_hann"


class Gains(Learned):
    id = "gains"
    Config = GainsConfig
    card = Card(summary="one gain per bin", source="docs/training.md")


def test_the_network_of_the_docs_trains_is_exported_and_streams(tmp_path, monkeypatch):
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    exec(compile(code, str(PAGE), "exec"), namespace := {"__name__": "docs"})
    monkeypatch.setitem(NETS, "gains", namespace["Gains"])
    monkeypatch.setitem(LEARNED, "gains", Gains)
    options = Options(**{**tone.SMALL, "steps": 100, "lr": 3e-2})
    fitted = fit("gains", GainsConfig(), options, tone.Tones(0), tone.Tones(1), tmp_path / "run")
    assert fitted.finished
    model = undin.load(export(fitted.best, tmp_path / "gains.onnx", card={}))
    tests = [tone.Tones(1)[i] for i in range(6)]
    scores = [[si_sdr(ref=x.speech, est=est) for est in (model(x.noisy, tone.SR), x.noisy)] for x in tests]
    assert np.mean(np.diff(scores)) < -2  # dB lost without it
    x = tests[0].noisy
    with model.stream(tone.SR) as stream:
        parts = [stream.process(part) for part in np.split(x, [1, 50, 51, 400])]
        np.testing.assert_allclose(np.concatenate([*parts, stream.flush()]), model(x, tone.SR), atol=1e-5)


class Shape(Network):
    """Doubles every bin, as a real mask, a complex mask or a spectrum."""

    def forward(self, X, state):
        two, zero = torch.full_like(X[:, :1], 2.0), torch.zeros_like(X[:, :1])
        return {"real": two, "complex": torch.cat([two, zero], 1), "spectrum": 2 * X}[self.kind], {}


@pytest.mark.parametrize("kind", ["real", "complex", "spectrum"])
def test_every_kind_of_output_is_applied(kind):
    net, x = Shape(GainsConfig()), torch.randn(2, 500)
    net.kind, net.output = kind, "spectrum" if kind == "spectrum" else "mask"
    torch.testing.assert_close(net.enhance(x), 2 * x)
    torch.testing.assert_close(net.enhance(x, net.stft(x)), 2 * x)


def test_a_network_that_defines_nothing_says_so():
    net = Network(GainsConfig())
    assert (net.lookahead, net.initial_state(2), net.tables(None)) == (0, {}, {})
    with pytest.raises(NotImplementedError):
        net.loss(None)
    with pytest.raises(NotImplementedError):
        net(torch.zeros(1, 2, 1, 33), {})
