import math
from itertools import pairwise

import pytest

from undin.errors import InputError
from undin.training.options import Options


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 0}, "batch must be a whole number, 1 or more; got 0"),
        ({"steps": 1e4}, "steps must be a whole number, 1 or more; got 10000.0"),
        ({"workers": -1}, "workers must be a whole number, 0 or more, or none; got -1"),
        ({"seed": None}, "seed must be a whole number, 0 or more; got None"),
        ({"lr": 0}, "lr must be a finite number, above 0; got 0"),
        ({"lr": math.nan}, "lr must be a finite number, above 0; got nan"),
        ({"ema": 1.0}, "ema must be a finite number, 0 or more and below 1; got 1.0"),
        ({"momentum": True}, "momentum must be a finite number, 0 or more and below 1; got True"),
        ({"schedule": "linear"}, "schedule must be one of constant, cosine, plateau, decay; got 'linear'"),
        ({"precision": "16"}, "precision must be one of 32, bf16-mixed, 16-mixed; got '16'"),
        ({"compile": 1}, "compile must be true or false; got 1"),
        ({"devices": "all"}, "devices must be a whole number, 1 or more, or auto; got 'all'"),
        ({"valid_metrics": ["pesq"]}, "valid_metrics must be names of pesq_wb, .* got"),
        ({"monitor": "estoi"}, "monitor must be valid_loss or si_sdr_db; got 'estoi': name it in valid_metrics too"),
    ],
)
def test_invalid_options_are_rejected(wrong, message):
    with pytest.raises(InputError, match=message):
        Options(**wrong)


def test_schedules():
    cosine = Options(steps=1000, lr=0.1, warm_up=100)
    rates = [cosine.lr_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.001) and max(rates) == rates[99] == rates[100] == 0.1
    assert rates[550] == pytest.approx(0.05) and rates[-1] < 1e-6
    assert all(a >= b for a, b in pairwise(rates[100:]))
    assert {Options(schedule="constant", lr=0.1).lr_at(step) for step in (0, 10**6)} == {0.1}
    # Xu et al. 2015: 10 epochs at 0.1, then a tenth less every epoch; 100 steps each
    xu = Options(schedule="decay", lr=0.1, lr_factor=0.9, decay_from=1000, decay_every=100)
    assert [xu.lr_at(step) for step in (999, 1000, 1099, 1100)] == pytest.approx([0.1, 0.09, 0.09, 0.081])


def test_the_monitor_knows_its_direction():
    assert not Options().higher_is_better
    assert Options(monitor="si_sdr_db").higher_is_better
    assert not Options(monitor="lsd_db", valid_metrics=["lsd_db"]).higher_is_better
    assert Options(valid_metrics=["si_sdr_db", "estoi"]).valid_metrics == ("estoi",)  # SI-SDR is always measured


def test_only_settings_that_change_the_curve_are_differences():
    before = {"steps": 5, "lr": 1e-3, "workers": 3, "valid_metrics": ["estoi"], "batch": 16}
    assert Options(valid_metrics=("estoi",)).differences(before) == ["batch"]
