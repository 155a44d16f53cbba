"""Augmentations: each by its mathematics, what it does to the target, and what the settings refuse."""

import dataclasses

import numpy as np
import pytest

from undin import corpora
from undin.audio import resample
from undin.errors import InputError
from undin.mixing.augment import USUAL, Augment, effects
from undin.mixing.augment.codecs import CODECS, codec
from undin.mixing.augment.fast_rooms import simulate
from undin.mixing.rooms import Room, draw_room

SR = 16000
RANGES = {  # what each must lie within
    "speed_range": (0.5, 2.0),
    "semitones": (-12.0, 12.0),
    "tilt_db": (-12.0, 12.0),
    "eq_db": (0.0, 20.0),
    "silence_s": (0.0, 3600.0),
    "gap_s": (-3600.0, 3600.0),
    "babble_talkers": (1, 100),
    "babble_db": (-60.0, 60.0),
    "rt60_s": (0.05, 3.0),
    "lowpass_hz": (100.0, 1e6),
    "highpass_hz": (1.0, 1e5),
    "floor_db": (-200.0, 0.0),
    "clip_db": (0.0, 60.0),
    "gain_db": (0.0, 60.0),
    "codec_strength": (0.0, 0.95),
    "lost": (0.0, 1.0),
    "pause_s": (0.0, 3600.0),
}
SHARES = [field.name for field in dataclasses.fields(Augment) if field.default == 0.0]
CHANNEL = ("band_limit", "floor", "clip", "gain_steps", "codec", "dropouts", "pause")


def rng_of(seed):
    return np.random.default_rng(seed)


def tone(hz, n_samples=SR, sr=SR, level=0.3):
    return (level * np.sin(2 * np.pi * hz / sr * np.arange(n_samples))).astype(np.float32)


def hiss(n_samples=4 * SR, seed=0):
    return 0.1 * rng_of(seed).standard_normal(n_samples, np.float32)


def gain_db(after, before):
    """In the middle, where no edge is."""
    middle = slice(len(before) // 4, -len(before) // 4)
    return 20 * np.log10(np.std(after[middle]) / np.std(before[middle]))


def pitch_of(x, sr=SR):
    power = np.abs(np.fft.rfft(x * np.blackman(len(x)), 8 * len(x)))
    return np.argmax(power) * sr / (8 * len(x))


def lag_of(x, y):
    """By how many samples y is late."""
    n = 2 * len(x)
    alike = np.fft.irfft(np.conj(np.fft.rfft(x, n)) * np.fft.rfft(y, n), n)
    lag = int(np.argmax(alike))
    return lag if lag < n // 2 else lag - n


@pytest.fixture(scope="module")
def speech():
    corpus = corpora.mini()
    x = corpus.load(corpus.speech[0])[: 3 * SR]
    return np.pad(x, (0, 3 * SR - len(x))).astype(np.float32)


@pytest.mark.parametrize("sr", [8000, 16000, 48000])
@pytest.mark.parametrize("slope", [-6.0, 3.0])
def test_tilt_has_its_slope(sr, slope):
    for hz in (125, 500, 1000, 2000, 3500):
        x = tone(hz, sr, sr)
        assert gain_db(effects.equalise(x, sr, [0.0] * len(effects.OCTAVES), slope), x) == pytest.approx(
            slope * np.log2(hz / 1000), abs=0.1
        )


def test_equalizer_has_its_gains_and_no_delay():
    gains_db = [0, -6, 3, 9, -2, 5, -10, 4, 0]
    for hz, wanted in zip(effects.OCTAVES[:7], gains_db, strict=False):
        x = tone(hz)
        assert gain_db(effects.equalise(x, SR, gains_db), x) == pytest.approx(wanted, abs=0.15)
    x = hiss()
    assert lag_of(x, effects.equalise(x, SR, gains_db)) == 0
    np.testing.assert_allclose(effects.equalise(x, SR, [0.0] * 9), x, atol=1e-6)


def test_a_steep_band_leaves_nothing_beyond_it():
    noise = np.random.default_rng(0).standard_normal(4 * SR).astype(np.float32)
    beyond = {}
    for order in (8, 32):
        steep = Augment(band_limit=1.0, lowpass_hz=(3000.0, 3000.0), highpass_hz=(20.0, 20.0), band_order=order)
        limited = [steep.channel(noise, noise, noise, SR, rng_of(seed))[0] for seed in range(8)]
        spectra = np.abs(np.fft.rfft(np.hanning(len(noise)) * limited)) ** 2
        low = spectra[:, 16000:].mean(1) < 0.1 * spectra[:, 4000:8000].mean(1)  # above 4 kHz re 1 to 2
        assert low.any()
        beyond[order] = spectra[low][:, 18000:].mean() / spectra[low][:, 4000:8000].mean()
    assert beyond[32] < 1e-9 < 1e-4 < beyond[8]
    for order in (0, 33, 8.0, True):
        with pytest.raises(InputError, match=f"band_order must be a whole number, 1 to 32; got {order}"):
            Augment(band_order=order)


def test_band_limit_attenuates_what_it_should():
    def through(hz, **edges):
        return gain_db(effects.band_limit(tone(hz), SR, **edges), tone(hz))

    telephone = {"low_hz": 300, "high_hz": 3400}
    assert through(1000, **telephone) == pytest.approx(0, abs=0.01)
    for edge in (300, 3400):
        assert through(edge, **telephone) == pytest.approx(-3, abs=0.1)
    assert through(150, **telephone) < -40 and through(6800, **telephone) < -40
    assert through(100, high_hz=2000) == pytest.approx(0, abs=0.01) and through(4000, high_hz=2000) < -40
    assert through(6000, low_hz=200) == pytest.approx(0, abs=0.01) and through(100, low_hz=200) < -40
    assert through(2000, low_hz=1000, order=2) == pytest.approx(-10 * np.log10(1 + 0.5**4), abs=0.05)


def test_filters_take_several_signals_at_once():
    x = np.stack([hiss(SR, k) for k in range(3)])
    together = effects.band_limit(x, SR, 300, 3400)
    for one, y in zip(x, together, strict=True):
        np.testing.assert_allclose(effects.band_limit(one, SR, 300, 3400), y, atol=1e-6)


def test_fast_lengths():
    for n in (*range(1, 100), 63999, 64000, 64001, 100000):
        size = effects.fast_length(n)
        factor = size >> ((size & -size).bit_length() - 1)
        assert size >= n and size % 2 == 0 and factor in (1, 3, 5, 7) and size <= max(1.25 * n + 1, 16)


@pytest.mark.parametrize(("n", "n_filter"), [(1000, 300), (20000, 800), (20000, 9000), (100, 5000), (8193, 1), (0, 7)])
def test_convolution_is_the_sum_of_products(n, n_filter):
    x, h = hiss(n), hiss(n_filter, 1)
    wanted = np.convolve(x, h)[:n] if n else x
    np.testing.assert_allclose(effects.convolved(x, h), wanted, atol=1e-5)


def test_clipping_depth():
    x = tone(440)
    hard = effects.clip(x, 6.0)
    assert np.abs(hard).max() == pytest.approx(0.3 * 10 ** (-6 / 20), rel=1e-3)
    kept = np.abs(x) < 0.1
    np.testing.assert_array_equal(hard[kept], x[kept])
    soft = effects.clip(x, 6.0, soft=True)
    assert np.abs(soft).max() < np.abs(hard).max()
    spectrum = np.abs(np.fft.rfft(soft))
    assert spectrum[3 * 440] > 0.01 * spectrum[440] and spectrum[2 * 440] < 1e-4 * spectrum[440]  # odd harmonics alone
    assert not effects.clip(np.zeros(10, np.float32), 6.0).any()


@pytest.mark.parametrize("sr", [8000, 16000, 48000])
@pytest.mark.parametrize("factor", [0.85, 1.0, 1.07, 1.15])
def test_speed_moves_a_tone(sr, factor):
    x = tone(440, 2 * sr, sr)
    y = effects.speed(x, sr, factor)
    assert y.shape == x.shape and y.dtype == np.float32
    assert pitch_of(y[: int(1.6 * sr)], sr) == pytest.approx(440 * factor, rel=2e-3)


def test_place_sets_where_the_padding_goes():
    x = hiss(SR)
    y = effects.speed(x, SR, 1.25, place=0.5)
    silent = np.flatnonzero(np.abs(y) > 1e-6)
    assert silent[0] == pytest.approx(1600, abs=2) and silent[-1] == pytest.approx(SR - 1600, abs=2)
    np.testing.assert_allclose(
        effects.speed(x, SR, 0.8, place=1.0)[-100:], effects.speed(x, SR, 0.8)[-100:] * 0, atol=9
    )
    click = np.zeros(SR, np.float32)
    click[8000] = 1
    assert np.argmax(effects.speed(click, SR, 0.8, place=0.5)) == pytest.approx(8000, abs=1)


@pytest.mark.parametrize("sr", [8000, 16000, 48000])
@pytest.mark.parametrize("semitones", [-3.0, 2.0, 4.0])
def test_pitch_moves_a_tone_and_keeps_the_time(sr, semitones):
    n = 2 * sr
    t = np.arange(n) / sr
    level = (0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 1.0 * t))).astype(np.float32)  # on and off, each half a second
    y = effects.pitch(tone(440, n, sr) * level, sr, semitones)
    assert y.shape == (n,) and y.dtype == np.float32
    assert pitch_of(y, sr) == pytest.approx(440 * 2 ** (semitones / 12), rel=5e-3)
    blocks = np.sqrt(np.mean(y.reshape(20, -1) ** 2, 1))
    loud = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0] * 2, bool)
    inner = np.array([0, 1, 1, 1, 0, 0, 1, 1, 1, 0] * 2, bool)  # away from the edges
    assert blocks[loud & inner].min() > 10 * blocks[~loud & inner].max()


def test_stretching_speech_keeps_its_pitch(speech):
    for factor in (0.8, 1.0, 1.3):
        y = effects.stretch(speech, SR, factor)
        assert len(y) == round(len(speech) * factor)
        centers = []
        for x in (speech, y):
            power = np.abs(np.fft.rfft(x)) ** 2
            centers.append(np.sum(np.fft.rfftfreq(len(x), 1 / SR) * power) / power.sum())
        assert centers[1] == pytest.approx(centers[0], rel=0.1)
    np.testing.assert_allclose(effects.stretch(speech, SR, 1.0), speech, atol=1e-5)


def test_muted_spans_are_silent_and_the_rest_is_kept():
    x = hiss(SR)
    y = effects.muted(x, SR, [(1000, 3000), (15900, SR), (20, 21)])
    assert not y[1080:2920].any() and y[20] == 0
    np.testing.assert_array_equal(y[21:1000], x[21:1000])
    np.testing.assert_array_equal(y[3000:15900], x[3000:15900])
    assert np.abs(np.diff(effects.muted(np.ones(SR, np.float32), SR, [(1000, 3000)]))).max() < 0.02  # no edge
    assert not effects.muted(x, SR, [(0, SR)])[80:-80].any()


def test_curves():
    y = effects.curve([100, 200], [0.0, -20.0], 400)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[[0, 100, 150, 200, 399]], [1, 1, 10**-0.5, 0.1, 0.1], rtol=1e-5)


def test_babble_has_the_levels_it_was_given():
    talkers = [tone(hz) for hz in (500, 1000, 2000)]
    y = effects.babble([5 * talkers[0], talkers[1], 0.01 * talkers[2], np.zeros(SR, np.float32)], [0, -6, -10, 0])
    assert np.sqrt(np.mean(y.astype(float) ** 2)) == pytest.approx(0.1, rel=1e-4)
    lines = 20 * np.log10(np.abs(np.fft.rfft(y))[[500, 1000, 2000]])
    np.testing.assert_allclose(lines - lines[0], [0, -6, -10], atol=0.01)
    assert not effects.babble([np.zeros(10, np.float32)] * 2, [0, 0]).any()


@pytest.mark.parametrize("sr", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("name", CODECS)
def test_codecs_are_lined_up_to_the_sample(name, sr):
    corpus = corpora.mini()
    x = corpus.load(corpus.speech[1])[: 2 * SR]
    x = effects.band_limit(np.pad(x, (0, 2 * SR - len(x))), SR, high_hz=3000)
    if sr != SR:
        x = resample(x, SR, sr)
    for strength in (0.5, 0.8, 0.95) if CODECS[name].has_rates else (0.0,):
        y = codec(x, sr, name, strength)
        assert y.shape == x.shape and y.dtype == np.float32 and np.isfinite(y).all()
        assert abs(lag_of(x, y)) <= (name == "opus" and sr > 24000), strength
        assert np.corrcoef(x, y)[0, 1] > 0.85, strength
        assert np.abs(y - x).max() > 1e-6


def test_gsm_is_a_telephone():
    high = codec(tone(6000), SR, "gsm")
    assert np.std(high) < 0.01 * np.std(tone(6000))


def test_stronger_is_worse():
    x = hiss(SR)
    for name in ("mp3", "vorbis"):
        errors = [np.std(codec(x, SR, name, strength) - x) for strength in (0.0, 0.5, 0.9)]
        assert errors[0] < errors[1] < errors[2]


def test_rooms_decay_as_asked():
    for rt60_s in (0.2, 0.5, 0.9):
        room = Room((5.0, 4.0, 3.0), rt60_s, (2.0, 1.5, 1.2), ((3.1, 2.6, 1.7), (1.0, 3.0, 1.5)))
        for response in simulate(room, SR, rng_of(0)):
            h = response.h.astype(float)
            decay_db = 10 * np.log10(np.cumsum(h[::-1] ** 2)[::-1] / np.sum(h**2))
            measured = 2 * (np.argmax(decay_db < -35) - np.argmax(decay_db < -5)) / SR
            assert measured == pytest.approx(rt60_s, rel=0.12)
            assert h[0] == pytest.approx(1, abs=1e-3)


def test_rooms_have_the_energy_of_rooms_whose_every_reflection_was_followed():
    pytest.importorskip("pyroomacoustics")
    for seed in range(4):
        room = draw_room(rng_of(seed), 2, (0.3, 0.4))
        for fast, slow in zip(simulate(room, SR, rng_of(1)), room.responses(SR), strict=True):
            reverberant = [10 * np.log10(np.sum(np.square(h[1:], dtype=float))) for h in (fast.h, slow.h)]
            assert reverberant[0] == pytest.approx(reverberant[1], abs=2)
            # the first reflections are the same: smoothed to 1 ms, the walls' absorption being Eyring's here
            first = [np.convolve(h[:480], np.hanning(16), "same") for h in (fast.h, slow.h)]
            assert np.corrcoef(*first)[0, 1] > 0.9


def test_high_frequencies_die_sooner():
    room = Room((5.0, 4.0, 3.0), 0.6, (2.0, 1.5, 1.2), ((3.1, 2.6, 1.7),))
    levels = []
    for damping in (1.0, 0.5):
        rest = simulate(room, SR, rng_of(0), damping=damping)[0].h[4800:6400]
        power = np.abs(np.fft.rfft(rest)) ** 2
        levels.append(10 * np.log10(power[600:].mean() / power[:100].mean()))
    assert levels[0] == pytest.approx(0, abs=3) and levels[1] < levels[0] - 10


def test_the_target_of_a_room_is_its_first_part():
    responses = Augment(rooms=1.0).room(rng_of(5), 3, SR)
    assert len(responses) == 3
    click = np.zeros(SR, np.float32)
    click[100] = 0.5
    for response in responses:
        wet, early = response.wet(click), response.early(click)
        assert wet.dtype == early.dtype == np.float32 and wet.shape == early.shape == click.shape
        np.testing.assert_allclose(early[100:900], wet[100:900], atol=1e-6)
        assert np.abs(early[901:]).max() < 1e-6 < np.abs(wet[901:]).max()
    assert Augment().room(rng_of(5), 3, SR) is None


def mixture(n_samples=2 * SR):
    speech, noise = hiss(n_samples, 1), hiss(n_samples, 2)
    return speech + noise, speech, noise


@pytest.mark.parametrize("name", CHANNEL)
def test_the_rule_of_the_target(name):
    """Band, level and pauses are in the target too; a floor is noise; the rest is in the noisy signal alone."""
    before = mixture()
    for seed in range(6):
        noisy, speech, noise = Augment(**{name: 1.0}, codecs=("mp3", "mu-law")).channel(*before, SR, rng_of(seed))
        changed = [not np.array_equal(x, y) for x, y in zip((noisy, speech, noise), before, strict=True)]
        if name in ("band_limit", "gain_steps", "pause"):
            assert changed == [True, True, True]
        else:
            assert changed == [True, False, name == "floor"]
        if name in ("band_limit", "gain_steps", "pause", "floor"):
            np.testing.assert_allclose(noisy, speech + noise, atol=1e-6)


def test_a_telephone_codec_limits_the_target():
    noisy, speech, noise = Augment(codec=1.0, codecs=("gsm",)).channel(*mixture(), SR, rng_of(0))
    f = np.fft.rfftfreq(len(speech), 1 / SR)
    for x in (speech, noise, noisy):
        power = np.abs(np.fft.rfft(x)) ** 2
        assert power[f > 5000].sum() < 1e-3 * power.sum()


def test_gain_steps_stay_within_their_range_and_under_full_scale():
    ones = np.ones(4 * SR, np.float32)
    ranges, jumps = [], 0
    for seed in range(40):
        gain = Augment(gain_steps=1.0, gain_db=(6.0, 10.0)).channel(ones, ones, ones, SR, rng_of(seed))[1]
        assert gain.max() <= 1 + 1e-6
        ranges.append(20 * np.log10(gain.max() / gain.min()))
        jumps += bool(np.abs(np.diff(gain)).max() > 2e-3)
    assert min(ranges) > 3 and max(ranges) <= 30 + 1e-3
    assert 5 < jumps < 35  # some jump, some fade


def test_losses_are_as_many_as_drawn():
    shares = []
    for seed in range(60):
        ones = np.ones(10 * SR, np.float32)
        noisy, _, _ = Augment(dropouts=1.0, lost=(0.05, 0.05)).channel(ones, ones, ones, SR, rng_of(seed))
        shares.append(np.mean(noisy < 0.5))
    assert np.mean(shares) == pytest.approx(0.045, abs=0.015)


def test_pauses_are_digital_silence():
    for x in Augment(pause=1.0, pause_s=(0.5, 0.5)).channel(*mixture(), SR, rng_of(1)):
        assert SR // 8 < np.sum(x == 0) <= SR // 2 + 1


def test_the_floor_has_its_level():
    silence = np.zeros(SR, np.float32)
    noisy, speech, noise = Augment(floor=1.0, floor_db=(-60, -60)).channel(silence, silence, silence, SR, rng_of(0))
    assert 20 * np.log10(noisy.std()) == pytest.approx(-60, abs=0.2)
    np.testing.assert_array_equal(noisy, noise)
    assert not speech.any()


def test_kinds_are_as_often_as_asked():
    augment = Augment(clean=0.2, noise_only=0.3)
    rng = rng_of(0)
    drawn = [augment.kind(rng) for _ in range(4000)]
    assert drawn.count("clean") / 4000 == pytest.approx(0.2, abs=0.03)
    assert drawn.count("noise-only") / 4000 == pytest.approx(0.3, abs=0.03)
    assert {Augment().kind(rng) for _ in range(100)} == {"mix"}


def test_voices_change_and_keep_their_level(speech):
    for name in ("speed", "pitch", "eq", "silence"):
        augment = Augment(**{name: 1.0})
        for seed in range(3):
            y = augment.voice(speech, SR, rng_of(seed))
            assert y.shape == speech.shape and y.dtype == np.float32 and not np.array_equal(y, speech)
            if name != "silence":
                assert 10 * np.log10(np.mean(y**2) / np.mean(speech**2)) == pytest.approx(0, abs=2), name
    y = Augment(eq=1.0).voice(speech, SR, rng_of(0))
    assert np.std(y) == pytest.approx(np.std(speech), rel=1e-3)
    gone = Augment(silence=1.0, silence_s=(0.5, 0.5)).voice(hiss(), SR, rng_of(0))
    assert 0.05 < np.mean(gone == 0) < 0.4
    assert Augment().voice(speech, SR, rng_of(0)) is speech and Augment().noise(speech, SR, rng_of(0)) is speech
    assert not np.array_equal(Augment(noise_eq=1.0).noise(speech, SR, rng_of(0)), speech)


def test_further_noises():
    calls = []

    def talker():
        calls.append(1)
        return hiss(SR, len(calls))

    augment = Augment(synthetic=1.0, kinds=("hum",), babble=1.0, babble_talkers=(3, 8))
    for seed in range(20):
        calls.clear()
        hum, babble = augment.noises(SR, SR, rng_of(seed), talker)
        assert 3 <= len(calls) <= 8
        for x in (hum, babble):
            assert x.shape == (SR,) and x.dtype == np.float32 and np.std(x) == pytest.approx(0.1, rel=0.01)
    assert Augment().noises(SR, SR, rng_of(0), talker) == []


def everything(augment, sr, seed, sources):
    """What a mixture goes through, from a talker and a noise."""
    rng, (speech, noise) = rng_of(seed), sources
    kind = augment.kind(rng)
    speech, noise = augment.voice(speech, sr, rng), augment.noise(noise, sr, rng)
    more = augment.noises(len(noise), sr, rng, lambda: sources[0])
    noise = noise + sum(more)
    responses = augment.room(rng, 2, sr)
    wet = responses[0].wet(speech) if responses else speech
    speech = responses[0].early(speech) if responses else speech
    return kind, *augment.channel(wet + noise, speech, noise, sr, rng)


@pytest.mark.parametrize("sr", [8000, 16000, 48000])
def test_all_at_once_follow_from_the_generator_and_leave_their_input(sr):
    augment = Augment(
        **dict.fromkeys(SHARES, 1.0) | {"clean": 0.5, "noise_only": 0.5, "partial": 0.4, "turns": 0.3, "alone": 0.3},
        codecs=("mu-law", "adpcm", "mp3"),
    )
    sources = hiss(sr, 1), hiss(sr, 2)
    before = [x.copy() for x in sources]
    for seed in range(3):
        made, again = (everything(augment, sr, seed, sources) for _ in range(2))
        assert made[0] == again[0]
        for x, y in zip(made[1:], again[1:], strict=True):
            assert x.dtype == np.float32 and x.shape == (sr,) and np.isfinite(x).all()
            np.testing.assert_array_equal(x, y)
    assert np.abs(everything(augment, sr, 9, sources)[1] - made[1]).max() > 1e-3
    for x, y in zip(sources, before, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", CHANNEL)
def test_a_channel_leaves_its_input(name):
    before = mixture(SR)
    copies = [x.copy() for x in before]
    Augment(**{name: 1.0}).channel(*before, SR, rng_of(0))
    for x, y in zip(before, copies, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", [name for name in SHARES if name not in ("synthetic", "floor", "codec")])
def test_silence_stays_silence(name):
    silence = np.zeros(SR, np.float32)
    for x in everything(Augment(**{name: 1.0}), SR, 0, (silence, silence))[1:]:
        assert not x.any()


def test_codecs_of_silence_are_near_silence():
    for name in CODECS:
        assert np.abs(codec(np.zeros(SR, np.float32), SR, name)).max() < 1e-3


def test_nothing_is_drawn_by_default():
    sources = hiss(SR, 1), hiss(SR, 2)
    kind, noisy, speech, noise = everything(Augment(), SR, 0, sources)
    assert kind == "mix" and speech is sources[0]
    np.testing.assert_array_equal(noise, sources[1])
    np.testing.assert_array_equal(noisy, speech + noise)


def test_the_usual_mix_draws_of_everything():
    assert all(0 < getattr(USUAL, name) < 0.5 for name in SHARES)
    assert Augment(**dataclasses.asdict(USUAL)) == USUAL


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "0.5", True])
def test_a_share_is_a_share(name, value):
    with pytest.raises(InputError, match=f"{name} must be a finite number, 0 to 1; got {value!r}"):
        Augment(**{name: value})


@pytest.mark.parametrize("name", RANGES)
def test_a_range_is_a_range(name):
    low, high = RANGES[name]
    for value in ((low - 1, high), (low, high + 1), (high, low), (low,), low, (low, float("nan")), ("a", "b")):
        with pytest.raises(InputError, match=rf"{name} must be .*, low <= high, .* to .*; got"):
            Augment(**{name: value})
    assert getattr(Augment(**{name: [low, high]}), name) == (low, high)  # as a recipe gives it


def test_other_settings_refused():
    with pytest.raises(InputError, match="unknown kinds 'purr': known: coloured"):
        Augment(kinds=["purr"])
    with pytest.raises(InputError, match="codecs must not be empty"):
        Augment(codecs=())
    with pytest.raises(InputError, match=r"clean and noise_only must sum to 1 or less; got 0.6 and 0.5"):
        Augment(clean=0.6, noise_only=0.5)
    with pytest.raises(InputError, match=r"babble_talkers must be \(a whole number, a whole number\)"):
        Augment(babble_talkers=(2.5, 3.5))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Augment().clip = 0.5
