from dataclasses import replace

import numpy as np
import pytest

import undin
from undin.audio import resample
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
        if metric.rate_at(sr) is None:
            assert sr < max(metric.min_sr, min(metric.rates, default=0))
            with pytest.raises(InputError, match="sr"):
                metric(x, y, sr)
        else:
            assert np.isfinite(metric(x, y, sr))


def test_signals_of_a_higher_rate_are_resampled_to_one_it_is_defined_at(noisy_pairs):
    ref, est, _ = noisy_pairs
    metric = replace(METRICS["snr_db"], rates=(8000, 16000))
    assert [metric.rate_at(sr) for sr in (4000, 8000, 11025, 16000, 48000)] == [None, 8000, 8000, 16000, 16000]
    low = (resample(x, 48000, 16000) for x in (ref, est))
    assert metric(ref, est, 48000) == METRICS["snr_db"](*low, 16000) != METRICS["snr_db"](ref, est, 48000)


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
