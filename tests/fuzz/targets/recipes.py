"""Damaged recipes and hostile changes: an InputError, or a recipe whose settings pass their own checks."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from tests.fuzz.damage import SETTINGS, TEXT, damaged

from undin import experiment
from undin.experiment.recipe import read_recipe

NAMES = ["experiment", "mix", "train", "enhance", "evaluate", "presets", "train.options", "train.settings",
         "train.mixing", "train.augment", "train.valid", "a"]  # fmt: skip
SETTING = ["seed", "sr", "n", "snr_db", "talkers", "method", "methods", "metrics", "split", "options", "variants",
           "steps", "n_fft", "hop_length", "window", "weights", "duration_s", "noises", "rooms", "seen", "a",
           ""]  # fmt: skip


@cache
def files() -> dict[str, bytes]:
    """The recipes that come with undin."""
    return {name: path.read_bytes() for name, path in experiment.recipes().items()}


@st.composite
def _changes(draw: Any) -> str:
    key = f"{draw(st.sampled_from(NAMES))}.{draw(st.sampled_from(SETTING))}"
    value = draw(st.one_of(SETTINGS.map(lambda value: json.dumps(value, default=str)), TEXT))
    return draw(st.sampled_from([f"{key}={value}", f"{key}={value}", f"{key}={value}", value, f"{key}", f"={value}"]))


@st.composite
def _cases(draw: Any) -> tuple[bytes, list[str], str | None]:
    content = files()[draw(st.sampled_from(sorted(files())))]
    content = draw(damaged(content, 3)) if draw(st.booleans()) else content
    presets = st.sampled_from([None, None, "mini", "cpu", "small", "", "a"])
    return content, draw(st.lists(_changes(), max_size=3)), draw(presets)


CASES = _cases()


def attempt(case: tuple[bytes, list[str], str | None], folder: Path) -> None:
    """Read the recipe and open its run folder, which checks what its stages need."""
    content, changes, preset = case
    path = folder / "recipe.toml"
    path.write_bytes(content)
    recipe = read_recipe(str(path), changes, preset=preset)
    assert recipe.mix.settings and recipe.text() and recipe.command
    experiment.Run(recipe, folder / "run")
