import numpy as np
import pytest

from undin.errors import InputError
from undin.metrics import Dnsmos
from undin.training.options import Options

torch = pytest.importorskip("torch")


def test_metrics_without_a_reference_are_computed_once_per_estimate(monkeypatch):
    from undin.training.validation import Validation

    calls = []

    def dnsmos(est, sr):
        calls.append((est.shape, sr))
        return Dnsmos(1.0, 2.0, 3.0, 4.0)

    monkeypatch.setattr("undin.metrics.table.dnsmos", dnsmos)
    options = Options(valid_metrics=("dnsmos_ovrl", "lsd_db", "dnsmos_bak"), monitor="dnsmos_ovrl")
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(8000).astype(np.float32))
    validation = Validation(None, options)
    assert validation._measure(x, x, 16000) == {"dnsmos_ovrl": 3.0, "lsd_db": 0.0, "dnsmos_bak": 2.0}
    assert calls == [((8000,), 16000)]
    assert validation._measure(0 * x, x, 16000).keys() == {"dnsmos_ovrl", "dnsmos_bak"}  # LSD is undefined


def test_dnsmos_is_refused_before_training_at_a_rate_that_is_too_low():
    from undin.training.validation import check_metrics

    with pytest.raises(InputError, match="dnsmos_ovrl is not defined at 8000 Hz"):
        check_metrics(Options(valid_metrics=("dnsmos_ovrl",)), 8000)
