from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

import undin
from undin.audio import resample
from undin.errors import InputError
from undin.metrics import METRICS, Composite, Metric, score_all

PACKAGES = {"pesq": ["pesq"], "eval": ["pystoi", "scipy"], "mos": ["speechmos"]}


@pytest.fixture(scope="module")
def noisy_pairs():
    """The same second of speech with little and with much noise."""
    corpus = undin.corpora.mini()
    ref = max((corpus.load(clip) for clip in corpus.speech[:6]), key=len)[:48000].astype(float)
    noise = np.random.default_rng(0).standard_normal(len(ref)) * ref.std()
    return ref, ref + 0.05 * noise, ref + 0.7 * noise


# One metric of each computation.
DISTINCT = list({metric.score: name for name, metric in METRICS.items()}.values())


@pytest.fixture(scope="module")
def good_and_bad_scores(noisy_pairs):
    """The scores of both, by all metrics that are installed."""
    ref, good, bad = noisy_pairs
    here = [m for m in METRICS.values() if not m.extra or all(map(find_spec, PACKAGES[m.extra]))]
    return score_all(here, ref, good, 16000), score_all(here, ref, bad, 16000)


def available(metric):
    for package in PACKAGES[metric.extra] if metric.extra else ():
        if not find_spec(package):
            pytest.skip(f'{package} is not installed: pip install "undin[{metric.extra}]"')


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_called_alike_and_ranks_noise_in_its_direction(name, good_and_bad_scores):
    metric = METRICS[name]
    available(metric)
    better, worse = (scores[name] for scores in good_and_bad_scores)
    assert isinstance(better, float)
    assert (better > worse) == metric.higher_is_better
    assert better != worse


@pytest.mark.parametrize("name", DISTINCT)
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


@pytest.mark.parametrize("name", DISTINCT)
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


def test_metrics_of_one_record_are_computed_once_and_an_undefined_score_does_not_hide_the_others():
    calls = []

    def record(r, e, sr):
        calls.append(sr)
        return Composite(1.0, 2.0, 3.0)

    metrics = [Metric(name, name, "", 1, record, part=name, reference=False) for name in Composite._fields]
    scores = score_all([*metrics, METRICS["snr_db"]], np.zeros(10), np.ones(10), 16000)
    assert [scores[name] for name in Composite._fields] == [1.0, 2.0, 3.0]
    assert calls == [16000]
    assert isinstance(scores["snr_db"], InputError)


def test_without_a_reference_only_metrics_that_need_none_can_be_used():
    with pytest.raises(InputError, match="si_sdr_db needs a reference"):
        METRICS["si_sdr_db"](None, np.ones(10), 16000)
