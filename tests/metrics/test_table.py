import numpy as np
import pytest

import undin
from undin.errors import InputError
from undin.metrics import METRICS


@pytest.fixture(scope="module")
def noisy_pairs():
    """The same second of speech with little and with much noise."""
    corpus = undin.corpora.mini()
    ref = max((corpus.load(clip) for clip in corpus.speech[:6]), key=len)[:48000].astype(float)
    noise = np.random.default_rng(0).standard_normal(len(ref)) * ref.std()
    return ref, ref + 0.05 * noise, ref + 0.7 * noise


def available(metric):
    if metric.extra:
        pytest.importorskip({"pesq": "pesq", "eval": "pystoi"}[metric.extra])
        pytest.importorskip("scipy")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_called_alike_and_ranks_noise_in_its_direction(name, noisy_pairs):
    metric = METRICS[name]
    available(metric)
    ref, good, bad = noisy_pairs
    better, worse = metric(ref, good, 16000), metric(ref, bad, 16000)
    assert isinstance(better, float)
    assert (better > worse) == metric.higher_is_better
    assert better != worse


@pytest.mark.parametrize("name", METRICS)
def test_its_sample_rates_are_those_it_says(name, noisy_pairs):
    metric = METRICS[name]
    available(metric)
    ref, good, _ = noisy_pairs
    for sr in (4000, 8000, 44100):
        x, y = ref[: 2 * sr], good[: 2 * sr]
        if (metric.rates and sr not in metric.rates) or sr < metric.min_sr:
            with pytest.raises(InputError, match="sr"):
                metric(x, y, sr)
        else:
            assert np.isfinite(metric(x, y, sr))


@pytest.mark.parametrize("name", METRICS)
def test_silence_is_undefined_for_every_metric(name, noisy_pairs):
    metric = METRICS[name]
    available(metric)
    ref, _, _ = noisy_pairs
    with pytest.raises(InputError, match="is undefined: est is silent"):
        metric(ref, 0 * ref, 16000)


def test_names_are_keys_and_say_their_unit():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert ("dB" in metric.unit) == name.endswith("_db")
    assert METRICS["sdr_db"].title == "SDR (512 taps, dB)"
    assert METRICS["stoi"].title == "STOI"
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)
