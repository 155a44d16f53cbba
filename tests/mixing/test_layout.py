import dataclasses

import pytest

from undin.errors import InputError
from undin.mixing import MixtureRow, Source
from undin.mixing.layout import Layout, parse_layout

TALK = Source("a/si 1.opus.ogg", 0.0, 1.0, 0, 0.0, "ann")
NOISE = Source("n71.wav", 2.5, 9.0, 5, 0.0, "rain/hail")
ROW = MixtureRow("train-00041", 16000, 16000, (TALK,), (NOISE,), -2.5, "clip", 0.0, "train", 0)
TWO = dataclasses.replace(ROW, speech=(TALK, TALK), noise=(), snr_db=float("inf"))


@pytest.mark.parametrize(
    ("template", "noisy", "clean", "noise"),
    [
        ("folders", "noisy/train-00041.flac", "clean/train-00041.flac", "noise/train-00041.flac"),
        (
            "six-folders",
            "NoisySpeech_training/noisy42_SNRdb_-2.50_clnsp42.wav",
            "CleanSpeech_training/clnsp42.wav",
            "Noise_training/noisy42_SNRdb_-2.50.wav",
        ),
        (
            "pairs",
            "mixed_audios/train/-2.5db/si 1.n71-2500ms.wav",
            "clean_audios/train/-2.5db/si 1.n71-2500ms.wav",
            "noise_audios/train/-2.5db/si 1.n71-2500ms.wav",
        ),
        (
            "noisy={kind}/{block}/{n:07d}_{snr_db:.1f},clean={speaker}/{id}.wav",
            "rain_hail/00000/0000042_-2.5.flac",
            "ann/train-00041.wav",
            "noise/train-00041.flac",
        ),
    ],
)
def test_names(template, noisy, clean, noise):
    assert parse_layout(template).outputs(ROW, 42) == {"noisy": [noisy], "clean": [clean], "noise": [noise]}


def test_each_talker_has_a_file():
    files = parse_layout("folders", "wav", talkers=2).outputs(TWO, 1)
    assert files == {
        "noisy": ["noisy/train-00041.wav"],
        "clean": [f"s{k}/train-00041.wav" for k in (1, 2)],
        "noise": [],
    }


def test_which_names_differ_by_themselves():
    assert parse_layout("folders").is_unique and parse_layout("six-folders").is_unique
    assert not parse_layout("pairs").is_unique


@pytest.mark.parametrize(
    ("template", "talkers", "message"),
    [
        ("flat", 1, "the template must be folders, six-folders, pairs, or noisy=PATTERN"),
        ("noisy={name}", 1, "the template's fields are id, .* got name in noisy={name}"),
        ("noisy={}", 1, "got {} in noisy={}"),
        ("noisy={id", 1, "the template noisy={id cannot be filled in"),
        ("noisy={id:.2f}", 1, "cannot be filled in"),
        ("noisy=../{id}", 1, "must be inside the output folder"),
        ("noisy=/x/{id}", 1, "must be inside the output folder"),
        ("noisy=a/{id},clean=a/{id}", 1, "must differ"),
        ("dirty=a/{id}", 1, "a template must be noisy=PATTERN"),
        ("six-folders", 2, "is for one talker"),
        ("noisy=x/{id},clean=y/{id}", 2, "must contain {k}"),
    ],
)
def test_bad_templates(template, talkers, message):
    with pytest.raises(InputError, match=message):
        parse_layout(template, talkers=talkers)


def test_bad_format():
    with pytest.raises(InputError, match="format must be flac or wav; got mp3"):
        Layout(format="mp3")
