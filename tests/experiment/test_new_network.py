"""A network is added as CONTRIBUTING.md says, in a copy of the package: five files, then every command knows it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from undin import audio, corpora, metrics, mixing

pytest.importorskip("lightning", reason="needs the extra train: lightning is not installed")
pytest.importorskip("onnxscript", reason="needs the extra train: onnxscript is not installed")

ROOT = Path(__file__).parents[2]
METHOD = '''\
"""`foo`: one gain per bin from a GRU on log power; causal.

The network is `undin.training.nets.foo`; what runs is its graph.
"""

from dataclasses import dataclass

from undin.checks import Count
from undin.methods.base import Card
from undin.methods.learned import Learned
from undin.spectrum import Window


@dataclass(frozen=True)
class FooConfig:
    """Settings of the toy: sr in Hz, n_fft and hop_length in samples, and the window."""

    sr: Count = 16000
    n_fft: Count = 512
    hop_length: Count = 256
    window: Window = "sqrt_hann"


class Foo(Learned):
    """The toy."""

    id = "foo"
    Config = FooConfig
    card = Card(summary="one gain per bin from a GRU", source="docs/training.md")
'''
RECIPE = """\
# undin run foo
[train]
method = "foo"

[train.options]
steps = 60
batch = 8
lr = 4e-3
valid_every = 60
workers = 0
threads = 1
n_valid = 4

[train.mixing]
duration_s = 1.0
snr_db = [0, 5]
"""
LINES = {  # file: lines to put after the one that holds the key
    "methods/__init__.py": {
        "import DNN\n": "from undin.methods.foo import Foo\n",
        '"cmask": partial': '    "foo": partial(Foo.load, WEIGHTS / "foo.onnx"),\n',
        '"cmask": Cmask': '    "foo": Foo,\n',
    },
    "training/nets/__init__.py": {
        "import DNN\n": "from undin.training.nets.foo import Foo\n",
        '"cmask": Cmask': '    "foo": Foo,\n',
    },
}


def add_foo(package):
    """Make the changes that CONTRIBUTING.md lists, and return the files that were touched."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/training.md").read_text(), re.M | re.S)
    written = {
        package / "methods/foo.py": METHOD,
        package / "training/nets/foo.py": code.replace("class Gains", "class Foo"),
        package.parents[1] / "recipes/foo.toml": RECIPE,
    }
    for name, lines in LINES.items():
        text = (package / name).read_text()
        for key, line in lines.items():
            text, n = re.subn(rf"^.*{re.escape(key)}.*\n?", lambda found, line=line: found[0] + line, text, flags=re.M)
            assert n == 1, key
        written[package / name] = text
    for path, text in written.items():
        path.write_text(text)
    return {path.relative_to(package).as_posix() if package in path.parents else path.name for path in written}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the package whose weights and sounds are links."""
    home = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src/undin", home / "src/undin", copy_function=os.symlink, ignore=ignored)
    shutil.copytree(ROOT / "recipes", home / "recipes")
    for name in LINES:
        (home / "src/undin" / name).unlink()
        shutil.copy(ROOT / "src/undin" / name, home / "src/undin" / name)
    return home


def undin(clone, *words):
    environment = {**os.environ, "PYTHONPATH": str(clone / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "undin", *map(str, words)]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_network_takes_five_files(clone):
    package = clone / "src/undin"
    touched = add_foo(package)
    page = (ROOT / "CONTRIBUTING.md").read_text()
    (listed,) = re.findall(r"^\| a network \| (.*) \|$", page, re.M)
    assert {name.replace("foo", "<name>") for name in touched} == {
        name.removeprefix("recipes/") for name in re.findall(r"`([\w/<>]+\.(?:py|toml))`", listed)
    }
    assert len(touched) == 5

    undin(clone, "train", "foo", "-o", "run", "--quiet")
    undin(clone, "export", "run", "-o", package / "weights/foo.onnx")
    corpus = corpora.mini().select(split="test")
    mixtures = [mixing.render(row, corpus) for row in mixing.make_manifest(corpus, n=6, seed=1, snr_db=5.0)]
    for k, mixture in enumerate(mixtures):
        audio.write(clone / f"{k}.wav", mixture.noisy, corpus.sr)
    undin(clone, "enhance", *(clone / f"{k}.wav" for k in range(6)), "-m", "foo")
    enhanced = [audio.read(clone / f"{k}.enhanced.wav")[0] for k in range(6)]
    pairs = [(m.noisy, y) for m, y in zip(mixtures, enhanced, strict=True)]
    scores = [[metrics.si_sdr(ref=m.speech, est=est) for est in pair] for m, pair in zip(mixtures, pairs, strict=True)]
    assert np.mean(np.diff(scores)) > 0.2  # dB
