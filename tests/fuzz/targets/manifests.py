"""Damaged manifests: broken rows are named and all others made, below the output folder and nowhere else."""

import csv
import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tests.fuzz.damage import damaged, damaged_table

import undin
from undin.corpora import Clip, Corpus
from undin.mixing import Drawing, Settings
from undin.mixing.manifest import COLUMNS, to_cells
from undin.mixing.write import MixtureWriter

HOME = TemporaryDirectory()


@cache
def corpus() -> Corpus:
    """Four talkers and two noises of half a second."""
    clips = [Clip(f"{name}.flac", 0.0, 0.5, "test", speaker=name) for name in ("anna", "ben", "eva", "tom")]
    clips += [Clip(f"{name}.flac", 0.0, 0.5, "test", kind=name) for name in ("rain", "wind")]
    for seed, clip in enumerate(clips):
        undin.write(Path(HOME.name, clip.path), 0.1 * np.random.default_rng(seed).standard_normal(4000), 8000)
    return Corpus(Path(HOME.name), clips)


@cache
def rows() -> list[list[str]]:
    """A valid manifest: one talker and two, no noise and two."""
    kinds: tuple[dict[str, Any], ...] = ({}, {"noises": 0}, {"talkers": 2, "noises": 2})
    drawn = [Drawing(corpus(), Settings(duration_s=0.2, **kind)).row(i) for i, kind in enumerate(kinds)]
    return [COLUMNS, *([f"{i}", *to_cells(row)[1:]] for i, row in enumerate(drawn))]


def written(table: list[list[str]]) -> bytes:
    """A table as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue().encode("utf-8", "surrogatepass")


@st.composite
def _cases(draw: Any) -> bytes:
    if draw(st.integers(0, 3)):
        return written(draw(damaged_table(rows())))
    return draw(damaged(written(rows())))


CASES = _cases()


def attempt(case: bytes, folder: Path) -> None:
    """Make the mixtures; those reported as done are complete, and nothing else changed."""
    manifest, out = folder / "manifest.csv", folder / "out"
    manifest.write_bytes(case)
    job = MixtureWriter(corpus(), out, manifest=manifest)
    done = set()
    for made in job.run():
        if made.status == "failed":
            assert made.error and "\n" not in made.error
            assert not any(name in made.error for name in ("TypeError", "KeyError", "IndexError")), made.error
        else:
            assert len(made.outputs) >= 2
            done.update(made.outputs)
    assert {path.name for path in folder.iterdir()} == {"manifest.csv", "out"}
    files = {path.relative_to(out).as_posix() for path in out.rglob("*.flac")}
    assert files == done, files ^ done
    for name in files:
        undin.read(out / name)
