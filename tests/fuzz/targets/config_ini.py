"""Damaged config.ini files of the older project: an InputError, or mixtures that can be made."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from hypothesis import strategies as st
from tests.fuzz.damage import TEXT, damaged

from undin.mixing import Drawing
from undin.mixing.config_ini import read_config
from undin.mixing.layout import parse_layout
from undin.mixing.write import MixtureWriter

VALUES = {
    "clean_train_path": "clean/train",
    "noise_train_path": "noise\\train",
    "clean_test_path": "clean/test",
    "noise_test_path": "noise/test",
    "sample_rate": "8000",
    "file_length": "0.2",
    "total_training_files": "2",
    "total_testing_files": "1",
    "SNR_lower": "-6",
    "SNR_upper": "9  # dB",
    "total_snrlevels": "16",
}


def text(values: dict[str, str]) -> bytes:
    """The file with these values."""
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    return f"[config]\n{lines}".encode("utf-8", "surrogatepass")


@st.composite
def _cases(draw: Any) -> bytes:
    values = dict(VALUES)
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2)):
        if draw(st.integers(0, 4)):
            values[name] = draw(TEXT)
        else:
            values.pop(name, None)
    content = text(values)
    return draw(damaged(content, 3)) if not draw(st.integers(0, 3)) else content


CASES = _cases()


def attempt(case: bytes, folder: Path) -> None:
    """Read the file and make the first mixtures of each stage, whatever number it asks for."""
    x = 0.1 * np.random.default_rng(0).standard_normal(4000)
    for place in ("clean/train", "clean/test", "noise/train", "noise/test"):
        (folder / place).mkdir(parents=True)
        soundfile.write(folder / place / "a.wav", x, 8000)
    (folder / "config.ini").write_bytes(case)
    for stage in read_config(folder / "config.ini"):
        drawing = Drawing(stage.corpus, stage.settings)
        job = MixtureWriter(
            stage.corpus, folder / "out", parse_layout("six-folders"), drawing, stage.n, name=f"manifest_{stage.name}"
        )
        for made in islice(job.run(), 2):
            assert made.status == "done" or made.error
