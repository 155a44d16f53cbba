"""Recipes: one TOML file with a section per stage, presets that change some of it, and changes from the command line.

A preset is a table [presets.NAME] of "section.name" = value: the same experiment at another size. extends = "OTHER"
makes it change what that preset left. A recipe without a preset is the paper's.
"""

import dataclasses
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undin import mixing
from undin.checks import Count, Natural, check_fields, check_known, suggest
from undin.errors import InputError
from undin.experiment.train_nmf import NMFTrain
from undin.experiment.variants import NetTrain
from undin.methods import LEARNED


@dataclass(frozen=True)
class General:
    """Section [experiment].

    Attributes:
        seed: of every draw.
        sr: rate that the corpus is brought to, Hz; None for its own.
    """

    seed: Natural = 0
    sr: Count | None = None


@dataclass(frozen=True)
class Mix(mixing.Settings):
    """Section [mix]: `undin.mixing.Settings`, and how many.

    Attributes:
        n: mixtures.
        split: of speech and noise to test on; see `undin.mixing.Settings`.
    """

    n: Natural = 40
    split: str | Sequence[str] | None = "test"

    @property
    def settings(self) -> mixing.Settings:
        """Arguments of the mixer."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(mixing.Settings)}
        return mixing.Settings(**values)


@dataclass(frozen=True)
class Enhance:
    """Section [enhance].

    Attributes:
        audio: mixtures whose enhanced audio is kept, per variant.
        pictures: mixtures that are drawn, per variant.
    """

    audio: Natural = 10
    pictures: Natural = 5


@dataclass(frozen=True)
class Evaluate:
    """Section [evaluate].

    Attributes:
        methods: to compare with the trained ones, as `undin evaluate -m` takes them.
        commands: other programs, as `undin evaluate --cmd` takes them.
        metrics: names of metrics; all that are installed when empty.
        examples: mixtures to listen to in the report.
    """

    methods: Sequence[str] = ("log-mmse",)
    commands: Sequence[str] = ()
    metrics: Sequence[str] = ()
    examples: Natural = 4


SECTIONS: dict[str, type[Any]] = {
    "experiment": General,
    "mix": Mix,
    "train": NMFTrain,  # or another of TRAIN, by its method
    "enhance": Enhance,
    "evaluate": Evaluate,
}
TRAIN: dict[str, type[Any]] = {"nmf": NMFTrain, **dict.fromkeys(LEARNED, NetTrain)}


@dataclass(frozen=True)
class Recipe:
    """An experiment: its sections, and what `read_recipe` was given to get them.

    Attributes:
        name: of the experiment.
        experiment: section [experiment]; and so on for each section.
        source: the recipe's name or path as it was given.
        preset: the preset that was chosen.
        changes: "section.name=value", as they were given.
    """

    name: str
    experiment: General
    mix: Mix
    train: NMFTrain | NetTrain
    enhance: Enhance
    evaluate: Evaluate
    source: str = ""
    preset: str | None = None
    changes: Sequence[str] = ()

    def text(self) -> dict[str, Any]:
        """Every setting by section, ready for JSON."""
        return {name: dataclasses.asdict(getattr(self, name)) for name in SECTIONS}

    @property
    def command(self) -> list[str]:
        """The command that runs this recipe, with its preset and every change."""
        preset = ["--preset", self.preset] if self.preset else []
        changes = [word for change in self.changes for word in ("--set", change)]
        return ["undin", "run", self.source or self.name, *preset, *changes]


def recipes() -> dict[str, Path]:
    """The recipes that come with undin, by name."""
    home = Path(__file__).parents[1]
    folder = next(p for p in (home / "recipes", home.parents[1] / "recipes") if p.is_dir())
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def is_recipe(name: str) -> bool:
    """Whether it names a recipe that comes with undin, or a TOML file."""
    return Path(name).suffix == ".toml" or name in recipes()


def read_recipe(name: str, changes: Sequence[str] = (), *, preset: str | None = None) -> Recipe:
    """Read a recipe.

    Args:
        name: of a recipe that comes with undin, or a TOML file.
        changes: "section.name=value", value as in TOML (a word needs no quotes).
        preset: one of the recipe's presets; None for the recipe itself.

    Raises:
        InputError: no such recipe or preset, no TOML, an unknown section or setting (the nearest right one is
            suggested), or a value that breaks its rule.
    """
    known = recipes()
    path = known.get(name, Path(name))
    if not path.is_file():
        raise InputError(f"unknown recipe {name!r}: {suggest(name, known, ', or use a .toml file')}")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error
    for key, value in _changes_of(preset, document.pop("presets", {}), path):
        _set(document, key, value)
    for change in changes:
        _change(document, change)
    for section in document:
        check_known(section, SECTIONS, "section")
    sections = {section: _section(section, document.get(section, {})) for section in SECTIONS}
    recipe = Recipe(path.stem, **sections, source=name, preset=preset, changes=tuple(changes))
    check_talkers(recipe, mix="mix" in document)
    return recipe


def check_talkers(recipe: Recipe, *, mix: bool) -> None:
    """Refuse examples, and with `mix` mixtures, of another number of talkers than the networks separate.

    Raises:
        InputError: they differ; the message names the settings.
    """
    for name in recipe.train.files:
        if not recipe.train.separates(name):
            continue
        found = recipe.train.talkers_of(name)
        if mix:
            found = {"mix.talkers": recipe.mix.talkers, **found}
        if len(set(found.values())) > 1:
            got = ", ".join(f"{key} = {n}" for key, n in found.items())
            cure = " ".join(f"--set {key}={max(found.values())}" for key in found)
            raise InputError(
                f"the number of mixed talkers must be the number that {name} separates; got {got}: use {cure}"
            )


def _changes_of(preset: str | None, presets: dict[str, Any], path: Path) -> list[tuple[str, Any]]:
    """Changes of a preset, applied after those of the presets it extends."""
    chain: list[str] = []
    while preset is not None:
        check_known(preset, presets, "preset", path.name)
        if preset in chain:
            raise InputError(f"{path.name}: preset {preset} extends itself ({' -> '.join([*chain, preset])})")
        chain.append(preset)
        preset = presets[preset].pop("extends", None)
    return [change for name in reversed(chain) for change in presets[name].items()]


def _change(document: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals:
        raise InputError(f"a change must be section.name=value, such as mix.n=10; got {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    _set(document, key.strip(), value)


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    section, dot, name = key.partition(".")
    if not (dot and name):
        raise InputError(f"a change must be section.name=value, such as mix.n=10; got {key!r}")
    target = document.setdefault(section, {})
    *inner, last = name.split(".")
    for part in (None, *inner):
        target = target if part is None else target.setdefault(part, {})
        if not isinstance(target, dict):
            raise InputError(f"{key} cannot be set: {part or section} is {target!r}, which has no settings")
    target[last] = value


def _section(name: str, values: Any) -> Any:
    if not isinstance(values, dict):
        raise InputError(f"[{name}] must be a section of the recipe; got {values!r}")
    kind = SECTIONS[name]
    if name == "train" and "method" in values:
        check_known(values["method"], TRAIN, "trainable method")
        kind = TRAIN[values["method"]]
    fields = [f.name for f in dataclasses.fields(kind)]
    for key in values:
        check_known(key, fields, "setting", f"[{name}]")
    try:
        section = kind(**values)
    except TypeError as error:
        raise InputError(f"[{name}]: {error}") from error
    check_fields(section, f"{name}.")
    return section
