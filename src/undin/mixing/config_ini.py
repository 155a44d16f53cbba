"""The config.ini of YunyangZeng's data preparation: its keys, its six folders, its names of files.

Unlike there, clips that are too short are left out beforehand, so that there are as many mixtures as asked for; a level
is changed only where a peak would not fit; and every draw is seeded.
"""

import configparser
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from undin import corpora
from undin.corpora import Corpus
from undin.errors import InputError
from undin.mixing.settings import Settings

STAGES = {"training": "train", "testing": "test"}
MOST_LEVELS = 10_000
REQUIRED = ("SNR_lower", "SNR_upper")


@dataclass(frozen=True)
class Stage:
    """The training or the testing half of such a file.

    Attributes:
        name: training or testing.
        corpus: its speech and noise.
        settings: what its mixtures are like.
        n: how many.
    """

    name: str
    corpus: Corpus
    settings: Settings
    n: int


def read_config(path: str | os.PathLike[str]) -> list[Stage]:
    """Read a config.ini: clean_train_path, noise_train_path, clean_test_path, noise_test_path (below the file's folder
    or absolute), sample_rate, file_length, total_training_files, total_testing_files, SNR_lower, SNR_upper and
    total_snrlevels, in a section [config]. Other sections, as [STFT], are left out with a warning.

    Args:
        path: the file.

    Returns:
        the stages whose two paths are given.

    Raises:
        InputError: a key is missing or not a number, or a folder is missing; the message names the key.
    """
    section = _section(Path(path))
    n_levels = int(_number(section, "total_snrlevels", 16))
    low, high = (_number(section, key) for key in REQUIRED)
    if not 1 <= n_levels <= MOST_LEVELS or low > high:
        raise InputError(
            f"{path}: total_snrlevels must be 1 to {MOST_LEVELS}, and SNR_lower at most SNR_upper; "
            f"got {n_levels}, {low}, {high}"
        )
    levels = [round(float(level), 6) for level in np.linspace(low, high, n_levels)]
    duration_s = _number(section, "file_length", 3.0)
    sr = int(_number(section, "sample_rate", 16000))
    stages = []
    for name, split in STAGES.items():
        speech, noise = (section.get(f"{kind}_{split}_path") for kind in ("clean", "noise"))
        n = int(_number(section, f"total_{name}_files", 0 if not speech else 1000))
        if not n:
            continue
        if not (speech and noise):
            raise InputError(
                f"{path}: {name} needs clean_{split}_path and noise_{split}_path, or total_{name}_files = 0"
            )
        corpus = _open(Path(path).parent, speech, noise, split, sr)
        settings = Settings(snr_db=levels, split=split, duration_s=duration_s, short="drop", min_duration_s=0.0)
        stages.append(Stage(name, corpus, settings, n))
    if not stages:
        raise InputError(f"{path} sets no mixtures: set clean_train_path, noise_train_path and total_training_files")
    return stages


def _section(path: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"))
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), str(path))
    except configparser.DuplicateOptionError as error:
        raise InputError(f"{path}, line {error.lineno}: {error.option} occurs twice: remove one") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a config.ini: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if "config" not in parser:
        raise InputError(f"{path} must have a section [config]; got {', '.join(parser.sections()) or 'none'}")
    if others := [f"[{name}]" for name in parser.sections() if name != "config"]:
        warnings.warn(
            f"{path}: {', '.join(others)} is ignored: mixtures are written, no spectra; a recipe sets frames by "
            "train.settings.window, n_fft and hop_length",
            stacklevel=3,
        )
    return parser["config"]


def _number(section: configparser.SectionProxy, key: str, default: float | None = None) -> float:
    text = section.get(key)
    if text is None:
        if default is None:
            raise InputError(f"the config.ini needs {key} = NUMBER in [config]")
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{key} of the config.ini must be a number; got {text!r}")
    return value


def _open(home: Path, speech: str, noise: str, split: str, sr: int) -> Corpus:
    """One corpus from two folders, in a single split."""
    paths = [home / text.strip("'\"").replace("\\", "/") for text in (speech, noise)]
    speech_path, noise_path = paths
    talk, noises = (
        corpora.open(speech_path, role="speech", sr=sr, mono=True),
        corpora.open(noise_path, role="noise", sr=sr, mono=True),
    )
    both = talk + noises
    return Corpus(both.root, (replace(clip, split=split) for clip in both.rows), sr=sr, mono=True)
