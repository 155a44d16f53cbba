"""Output of the shipped networks: a single untrained bin is audible but does not show in any score."""

import numpy as np
import pytest

import undin
from undin.methods import LEARNED, METHODS
from undin.metrics import si_sdr

INAUDIBLE_DB = -40.0  # gain below which no bin of a steady noise is heard
SHIPPED = sorted(name for name in set(LEARNED) & set(METHODS) if not METHODS[name]().n_src)


@pytest.fixture(scope="module")
def sounds():
    corpus = undin.corpora.mini().select(split="test")
    voice = corpus.load(corpus.speech[0])
    noise = corpus.load(corpus.select(kind="rain").noise[0])
    return voice, noise


@pytest.mark.parametrize("name", SHIPPED)
def test_every_bin_of_a_steady_noise_is_turned_down(name, sounds):
    _, noise = sounds
    y = undin.enhance(noise, 16000, method=name)
    power = [np.square(np.abs(undin.stft(x, 512, 256)[1:-1, 62:])).mean(1) for x in (noise, y)]
    gain_db = 10 * np.log10(power[1] / power[0])
    around_db = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(gain_db, 6, "edge"), 13), -1)
    assert gain_db.max() < -10
    heard_db, around_db = np.maximum(gain_db, INAUDIBLE_DB), np.maximum(around_db, INAUDIBLE_DB)
    assert (heard_db - around_db).max() < 10, f"bin {(heard_db - around_db).argmax() + 1} stands out"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_noisy_voice_gets_better_and_a_clean_one_stays(name, sounds):
    voice, noise = sounds
    mixture = undin.mixing.mix(voice, noise, snr_db=5.0)
    enhanced = undin.enhance(mixture.noisy, 16000, method=name)
    assert si_sdr(ref=mixture.speech, est=enhanced) > si_sdr(ref=mixture.speech, est=mixture.noisy) + 3
    assert si_sdr(ref=voice, est=undin.enhance(voice, 16000, method=name)) > 10


@pytest.mark.parametrize("sr", [16000, 8000])
@pytest.mark.parametrize(("name", "least_db"), [("lstm-mask", 10), ("blstm-mask", 12), ("deep-clustering", 7.5)])
def test_two_talkers_come_apart_in_wide_and_in_narrow_band(name, least_db, sr):
    """Of this mixture, networks that take an empty band for silence make 2 to 11 dB at 8 kHz."""
    corpus = undin.corpora.mini().select(split="test")
    mixture = undin.mixing.render(undin.mixing.make_manifest(corpus, n=1, seed=1, talkers=2)[0], corpus)
    x, ref = (undin.resample(signal, corpus.sr, sr) for signal in (mixture.noisy, mixture.sources))
    est = undin.separate(x, sr, method=name)
    assert max(si_sdr(ref=ref, est=each).mean() for each in (est, est[::-1])) > least_db  # the mixture has 0 dB


@pytest.mark.parametrize("name", METHODS)
def test_what_is_shipped_has_our_license(name):
    licence = METHODS[name]().card.licence
    assert "MIT" in licence and "yours" not in licence  # which is what undin export writes by default
