"""Examples: from the seed and a number alone, levels as asked for, voices and kinds in balance."""

import math
import multiprocessing
import pickle
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from operator import getitem
from pathlib import Path

import numpy as np
import pytest

from undin import corpora
from undin.audio import active_level_db, rms_db
from undin.corpora import Clip, Corpus
from undin.errors import InputError
from undin.mixing import Examples, Settings
from undin.mixing.augment import USUAL, Augment
from undin.mixing.crops import Crops
from undin.mixing.examples import PERSON
from undin.mixing.mix import PEAK

SR = 1000


class Sound:
    """A reader without files: a different constant for each, 0 where the name says so."""

    mono, clips = True, ()

    def sr(self, path):
        return SR

    def read(self, path, offset_s, duration_s):
        n, start = round(duration_s * SR), round(offset_s * SR)
        x = np.full(n, 0.01 * (1 + sum(path.encode()) % 50), np.float32)
        if "half" in path:
            x[np.arange(start, start + n) % 20000 < 10000] = 0
        return 0 * x if "silent" in path else x


def corpus_of(*clips):
    return Corpus(Path("nowhere"), clips, reader=Sound())


def talk(speaker, *seconds, name="", **fields):
    return [
        Clip(f"{name or speaker}{k}.wav", 0.0, length, "train", speaker=speaker, **fields)
        for k, length in enumerate(seconds)
    ]


def rain(*seconds, kind="rain"):
    return [Clip(f"{kind}{k}.wav", 0.0, length, "train", kind=kind) for k, length in enumerate(seconds)]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "mini.pack"
    corpora.pack(corpora.mini(), path)
    return corpora.open(path)


TRAIN = Settings(duration_s=1.5, split="train")


def test_the_mixture_is_speech_and_noise(packed):
    examples = Examples(packed, replace(TRAIN, noises=(0, 3), level_db=(-40.0, 0.0)), seed=3)
    assert (examples.sr, examples.n_samples) == (16000, 24000)
    for i in range(30):
        m = examples[i]
        np.testing.assert_array_equal(m.noisy, m.speech + m.noise)
        np.testing.assert_array_equal(m.sources, m.speech[None])
        assert {x.dtype for x in (m.noisy, m.speech, m.noise)} == {np.dtype(np.float32)}
        assert len(m.noisy) == 24000 and max(np.abs(x).max() for x in (m.noisy, m.speech, m.noise)) < PEAK + 1e-5


@pytest.mark.parametrize("over", ["clip", "active"])
def test_levels_are_those_asked_for(packed, over):
    settings = replace(TRAIN, snr_db=[-5.0, 0.0, 20.0], snr_over=over, level_db=(-40.0, -30.0), noises=(1, 3))
    examples, snrs = Examples(packed, settings, seed=0), []
    for i in range(60):
        m = examples[i]
        level_db = rms_db(m.speech) if over == "clip" else active_level_db(m.speech, 16000)
        snrs.append(level_db - rms_db(m.noise))
        assert -40 - 1e-4 <= rms_db(m.noisy) <= -30 + 1e-4
    assert np.abs(np.subtract.outer(snrs, [-5, 0, 20])).min(1) == pytest.approx(0, abs=1e-3)
    assert set(np.round(snrs)) == {-5, 0, 20}


def test_a_range_of_snrs_is_drawn_evenly(packed):
    examples = Examples(packed, replace(TRAIN, snr_db=(-5.0, 15.0)), seed=0)
    snrs = [rms_db(m.speech) - rms_db(m.noise) for m in map(examples.__getitem__, range(200))]
    assert -5 <= min(snrs) < -4 < 14 < max(snrs) <= 15 and np.mean(snrs) == pytest.approx(5, abs=1.5)


def test_further_noises_lie_under_the_first():
    """Noises that take turns in time, so that their levels can be distinguished."""
    corpus = corpus_of(*talk("a", 9.0), *rain(20.0, kind="half"))
    examples = Examples(corpus, Settings(duration_s=20.0, noises=2, noise_db=(6.0, 6.0), snr_db=0.0), seed=0)
    m = examples[0]  # the same recording twice: n + 10^(-6/20) n
    assert rms_db(m.noise) == pytest.approx(rms_db(m.speech), abs=1e-4)


def test_it_follows_from_the_seed_and_the_number(packed):
    examples = Examples(packed, TRAIN, seed=5)
    first = [examples[i].noisy for i in (0, 1, 10**12)]
    again = Examples(packed, TRAIN, seed=5)
    for x, i in zip(reversed(first), (10**12, 1, 0), strict=True):
        np.testing.assert_array_equal(again[i].noisy, x)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(Examples(packed, TRAIN, seed=6)[0].noisy, first[0])


def test_another_process_makes_the_same(packed):
    examples = Examples(packed, replace(TRAIN, noises=(1, 3)), USUAL, seed=5)
    assert len(pickle.dumps(examples)) < 4000
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        made = list(pool.map(getitem, [examples] * 2, (3, 4)))
    for m, i in zip(made, (3, 4), strict=True):
        np.testing.assert_array_equal(m.noisy, examples[i].noisy)


def test_a_pack_gives_the_samples_of_the_files(packed):
    m, n = (Examples(corpus, TRAIN, seed=1)[7] for corpus in (packed, corpora.mini()))
    np.testing.assert_allclose(m.noisy, n.noisy, rtol=0, atol=1e-3)


def drawn(corpus, n=4000, **settings):
    """How often each voice is drawn."""
    crops, rng = Crops(corpus, Settings(**{"duration_s": 1.0, "noises": 0, **settings})), np.random.default_rng(0)
    names = [voice.items[0].speaker or voice.items[0].path for voice in crops._voices.items]
    counts = Counter(names[crops.voice([], rng)] for _ in range(n))
    return {name: counts[name] / n for name in names}


def test_voices_go_by_the_root_of_their_length():
    found = drawn(corpus_of(*talk("long", *[1.0] * 400), *talk("a", 4.0), *talk("b", 2.0, 2.0)))
    assert found == pytest.approx({"long": 20 / 24, "a": 2 / 24, "b": 2 / 24}, abs=0.02)
    nameless = drawn(corpus_of(*talk("", 4.0, 4.0, name="x"), *talk("a", 4.0)))
    assert nameless == pytest.approx({"x0.wav": 1 / 3, "x1.wav": 1 / 3, "a": 1 / 3}, abs=0.03)


def test_each_utterance_of_a_crowd_is_a_voice():
    crowd = [replace(clip, corpus="bar") for clip in talk("who", *[6.0] * 20)]  # as long as two who speak for a minute
    settings = {"talkers": 2, "crowds": ["bar"]}
    found = drawn(corpus_of(*crowd, *talk("a", 15.0), *talk("b", 15.0)), **settings)
    assert found == pytest.approx({"who": 2 / 3, "a": 1 / 6, "b": 1 / 6}, abs=0.03)
    crops, rng = Crops(corpus_of(*crowd), Settings(duration_s=9.0, noises=0, **settings)), np.random.default_rng(0)
    first = crops.voice([], rng)
    second = crops.voice([first], rng)
    assert first != second
    assert not crops.speech(first, rng).samples[-2000:].any()  # nobody else goes on when they fall silent


def test_kinds_are_drawn_equally_often():
    corpus = corpus_of(*talk("a", 9.0), *rain(*[5.0] * 40), *rain(5.0, kind="hum"), *rain(0.5, kind="wind"))
    crops, rng, kinds = Crops(corpus, Settings(duration_s=1.0)), np.random.default_rng(0), Counter()
    values = {round(float(Sound().read(clip.path, 0, 0.01)[0]), 3): clip.kind for clip in corpus.noise[-2:]}
    for _ in range(3000):
        x = crops.noise(rng).samples
        kinds[values.get(round(float(x[500]), 3), "rain")] += 1
    assert [kinds[kind] / 3000 for kind in ("hum", "wind")] == pytest.approx([1 / 3, 1 / 3], abs=0.1)


class Hiss(Sound):
    """A reader whose every file is white noise up to 100 Hz, or up to SR / 2 where its name says "full"."""

    def read(self, path, offset_s, duration_s):
        n = round(duration_s * SR)
        X = np.fft.rfft(np.random.default_rng(0).standard_normal(n))
        if "full" not in path:
            X[round(100 / SR * n) :] = 0
        return 0.1 * np.fft.irfft(X, n).astype(np.float32)


def power_above(x, edge_hz):
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    return power[round(edge_hz / SR * len(x)) :].sum() / power.sum()


@pytest.mark.parametrize(("bandwidth_hz", "low", "high"), [(None, 0.2, 1.0), (100.0, 0.0, 1e-9)])
def test_sound_above_the_bandwidth_of_a_clip_is_left_out(bandwidth_hz, low, high):
    noise = Clip("full.wav", 0.0, 9.0, "train", kind="hiss")
    corpus = Corpus(Path("nowhere"), [*talk("a", 9.0, bandwidth_hz=bandwidth_hz), noise], reader=Hiss())
    mixture = Examples(corpus, Settings(duration_s=4.0, snr_db=0.0), seed=0)[0]
    for x in (mixture.noisy, mixture.noise):
        assert low <= power_above(x, 110) <= high
    np.testing.assert_allclose(mixture.noisy, mixture.speech + mixture.noise, atol=1e-6)


def test_narrow_noise_may_be_played_faster_to_fill_the_band():
    clips = [*talk("a", 9.0), Clip("hiss.wav", 0.0, 30.0, "train", kind="hiss", bandwidth_hz=100.0)]
    crops = Crops(Corpus(Path("nowhere"), clips, reader=Hiss()), Settings(duration_s=2.0))
    rng, edges = np.random.default_rng(0), set()
    for _ in range(20):
        crop = crops.noise(rng, fill_band=1.0)
        edges.add(crop.bandwidth_hz)
        assert len(crop.samples) == 2 * SR
        assert power_above(crop.samples, crop.bandwidth_hz + 2) < 1e-6
        assert power_above(crop.samples, 0.8 * crop.bandwidth_hz) > 0.1
    assert edges == {200.0, 300.0, 400.0, 500.0}
    assert crops.noise(rng).bandwidth_hz == 100.0


def test_crops_are_slices_of_an_utterance(packed):
    corpus, rng = packed.select(split="train"), np.random.default_rng(0)
    crops = Crops(corpus, Settings(duration_s=1.0))
    for k, voice in enumerate(crops._voices.items):
        x = crops.speech(k, rng).samples
        assert any(_is_in(x, corpus.load(clip)) for clip in voice.items)


def _is_in(x, whole):
    starts = np.flatnonzero(whole[: len(whole) - len(x) + 1] == x[0])
    return any(np.array_equal(whole[start : start + len(x)], x) for start in starts)


def test_short_utterances_of_one_voice_are_joined():
    corpus = corpus_of(*talk("a", *[0.4] * 9), *talk("b", 0.3, 0.2))
    crops, rng = Crops(corpus, Settings(duration_s=3.0, noises=0)), np.random.default_rng(1)
    level = {name: {float(Sound().read(f"{name}{k}.wav", 0, 0.01)[0]) for k in range(9)} for name in "ab"}
    for _ in range(20):
        x = crops.speech(0, rng).samples
        assert len(x) == 3000 and set(map(float, x[x > 0])) & level["a"]
        edges = np.flatnonzero(np.diff((x > 0).astype(int)))
        gaps = np.diff(edges[1:-1] if len(edges) % 2 else edges[1:])[::2]
        assert x[:501].any() and all(99 <= gap <= 501 for gap in gaps)
        y = crops.speech(1, rng).samples
        assert np.count_nonzero(y) == 500 and not y[-1500:].any()  # each once, then silence


def test_voices_with_too_little_speech_may_be_dropped():
    corpus = corpus_of(*talk("a", 0.4, 0.4), *talk("b", 2.0, 2.0))
    assert set(drawn(corpus, 50, duration_s=3.0, short="drop")) == {"b"}
    assert set(drawn(corpus, 50, duration_s=3.0)) == {"a", "b"}
    with pytest.raises(InputError, match="must have 1 voices who speak for 9 s; got 0: add some"):
        drawn(corpus, duration_s=9.0, short="drop")


def test_a_crop_in_a_pause_is_redrawn():
    """Half of each is silence; next to it is a clip whose known level says that it is a pause."""
    halves = [*talk("a", 60.0, name="half-a"), *rain(60.0, kind="half")]
    examples = Examples(corpus_of(*halves), Settings(duration_s=1.0), seed=0)
    assert all(examples[i].speech.any() and examples[i].noise.any() for i in range(50))
    clips = talk("a", 2.0, active_level_db=30.0)
    with pytest.raises(InputError, match=r"example 0: a0.wav is silent in every crop tried: remove it"):
        Examples(corpus_of(*clips), Settings(duration_s=1.0, noises=0), seed=0)[0]
    silent = Examples(corpus_of(*talk("a", 2.0), *rain(2.0, kind="silent")), Settings(duration_s=1.0), seed=0)
    with pytest.raises(InputError, match=r"example 4: silent0.wav and 49 other noises are silent"):
        silent[4]


def test_several_talkers_differ(packed):
    examples = Examples(packed, replace(TRAIN, talkers=3, talker_db=(2.0, 4.0), noises=1), seed=0)
    for i in range(10):
        m = examples[i]
        assert m.sources.shape == (3, 24000)
        np.testing.assert_array_equal(m.speech, m.sources.sum(0, dtype=np.float32))
        np.testing.assert_array_equal(m.noisy, m.speech + m.noise)
        levels = [rms_db(x) for x in m.sources]
        assert all(2 - 1e-3 <= levels[0] - level <= 4 + 1e-3 for level in levels[1:])
    with pytest.raises(InputError, match="must have 3 voices; got 1"):
        Examples(packed.select(speaker="kal"), replace(TRAIN, talkers=3), seed=0)


@dataclass(frozen=True)
class Told:
    """An augmentation that records its calls and leaves marks in the mixture."""

    what: str = "mix"

    fill_band = 0.0

    def kind(self, rng):
        return self.what

    def voice(self, x, sr, rng, who=None):
        return x[:-7].astype(np.float64)  # of another length and type: made to fit

    def scene(self, talkers, sr, rng):
        return talkers

    def noise(self, x, sr, rng):
        return -x

    def noises(self, n_samples, sr, rng, babble):
        x = babble()
        assert x.shape == (n_samples,) and x.any()
        return [x, np.zeros(n_samples, np.float32)]

    def room(self, rng, n_sources, sr):
        return [Delay()] * n_sources

    def channel(self, noisy, speech, noise, sr, rng):
        return noisy * 0.5, speech * 0.5, noise * 0.5


class Delay:
    def wet(self, x):
        return x + 0.5 * np.roll(x, 100)

    def early(self, x):
        return x


def test_the_augmentation_is_asked_in_turn(packed):
    plain = replace(TRAIN, snr_db=3.0, level_db=(-30.0, -30.0))
    for i in range(5):
        m = Examples(packed, plain, Told(), seed=0)[i]
        assert rms_db(m.noisy) == pytest.approx(-30 + 20 * math.log10(0.5), abs=1e-3)
        wet = m.noisy - m.noise
        np.testing.assert_allclose(wet, Delay().wet(m.speech), atol=1e-6)
        assert rms_db(wet) - rms_db(m.noise) == pytest.approx(3, abs=1e-3)
        assert not m.speech[-7:].any() and m.speech.dtype == np.float32


def test_what_a_channel_does_it_does_to_every_talker(packed):
    two = replace(TRAIN, talkers=2, talker_db=(-2.5, 2.5))
    plain = Examples(packed, two, Augment(), seed=0)
    for i in range(3):
        narrow = Examples(packed, two, Augment(band_limit=1.0, lowpass_hz=(1000.0, 1000.0)), seed=0)[i]
        whole = plain[i].sources
        assert narrow.sources.shape == whole.shape
        np.testing.assert_allclose(narrow.sources.sum(0), narrow.speech, atol=1e-6)
        np.testing.assert_allclose(narrow.speech + narrow.noise, narrow.noisy, atol=1e-5)
        assert (np.abs(narrow.sources - whole).max(1) > 1e-3).all()
        clipped = Examples(packed, two, Augment(clip=1.0, clip_db=(12.0, 12.0)), seed=0)[i]
        np.testing.assert_array_equal(clipped.sources, whole)
        assert np.abs(clipped.noisy).max() < 0.5 * np.abs(plain[i].noisy).max()


def test_clean_and_noise_alone(packed):
    for i in range(5):
        m = Examples(packed, TRAIN, Told("clean"), seed=0)[i]
        assert not m.noise.any() and m.speech.any()
        m = Examples(packed, TRAIN, Told("noise-only"), seed=0)[i]
        assert not m.speech.any() and m.noise.any()
        np.testing.assert_array_equal(m.noisy, m.noise)


def test_the_usual_augmentation(packed):
    examples = Examples(packed, replace(TRAIN, level_db=(-40.0, -15.0)), USUAL, seed=0)
    made = [examples[i] for i in range(80)]
    assert all(np.isfinite(m.noisy).all() and m.noisy.shape == (24000,) for m in made)
    assert any(not m.speech.any() for m in made) and any(not m.noise.any() for m in made)


def test_rooms_of_the_settings(packed):
    pytest.importorskip("pyroomacoustics", reason="the extra rooms is not installed")
    examples = Examples(packed, replace(TRAIN, rooms=1.0, rt60_s=(0.2, 0.3), snr_db=0.0), seed=0)
    m = examples[0]
    wet = m.noisy - m.noise
    assert 0.1 < rms_db(wet - m.speech) - rms_db(m.speech) + 40 < 40  # the late part, under what is to be found
    assert rms_db(wet) == pytest.approx(rms_db(m.noise), abs=0.01)


def test_without_noise_or_without_speech(packed):
    voices, noise = (packed.with_rows(rows) for rows in (packed.speech, packed.noise))
    m = Examples(voices, replace(TRAIN, noises=0), seed=0)[0]
    assert not m.noise.any()
    np.testing.assert_array_equal(m.noisy, m.speech)
    m = Examples(voices, replace(TRAIN, noises=0), Told(), seed=0)[0]
    assert m.noise.any()  # babble
    for corpus, settings in ((voices, {}), (noise, {}), (packed.with_rows([]), {"split": None})):
        with pytest.raises(InputError, match=r"must have speech, and noise unless noises=0; got .* and"):
            Examples(corpus, replace(TRAIN, **settings), seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"duration_s": None}, "examples must have one length: set duration_s"),
        ({"every_noise": True}, "every_noise applies to manifests"),
        ({"split": "valid"}, "split must be one of dev, test, train; got valid"),
        ({"kinds": ["far"]}, "kind must be one of"),
    ],
)
def test_bad_settings(packed, settings, message):
    with pytest.raises(InputError, match=message):
        Examples(packed, replace(TRAIN, **settings), seed=0)


def test_bad_numbers(packed):
    with pytest.raises(InputError, match="numbered from 0; got -1"):
        Examples(packed, TRAIN, seed=0)[-1]
    with pytest.raises(InputError, match="seed must be 0 or more; got -1"):
        Examples(packed, TRAIN, seed=-1)


def test_talkers_return_at_their_own_speed():
    corpus, plain = corpora.mini(), {"duration_s": 2.0, "talkers": 2, "noises": 0}
    augment = Augment(speed=1.0, speed_range=(0.6, 1.6))
    made = [Examples(corpus, Settings(**plain, twice=True), augment, seed=1)[i] for i in range(8)]
    voices = np.array([mixture.voices for mixture in made])
    assert (voices[::2] == voices[1::2]).all() and len({tuple(pair) for pair in voices.tolist()}) == 4
    assert all(len({voice // PERSON for voice in pair}) == 2 for pair in voices.tolist())
    assert not any(np.array_equal(a.noisy, b.noisy) for a, b in zip(made[::2], made[1::2], strict=True))
    assert Examples(corpus, Settings(**plain), seed=1)[0].voices == ()
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)

    def hz(place: int, who: int) -> float:
        y = augment.voice(tone, 16000, np.random.default_rng(place), np.random.default_rng(who))
        return float(np.abs(np.fft.rfft(y[4000:12000])).argmax())

    assert hz(1, 1) == hz(2, 1) != hz(1, 2)
