"""Section [train] of a recipe whose method is a network: the variants to train, each with its settings."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from undin.checks import Natural, Share, check, check_fields, check_known
from undin.errors import InputError
from undin.methods import LEARNED
from undin.methods.base import make_config
from undin.mixing import Settings
from undin.mixing.augment import Augment
from undin.training.options import FREE, Options


@dataclass(frozen=True)
class Variant:
    """One network to train."""

    name: str
    method: str
    config: Any
    options: Options
    mixing: Settings
    augment: Augment
    valid: Settings
    voices: int = 0

    @property
    def talkers(self) -> int | None:
        """How many the network separates; None where it enhances."""
        return getattr(self.config, "talkers", None)

    def key(self, *more: Any) -> str:
        """Digest of all that the weights follow from; how long and where it is trained is left free."""
        options = {name: value for name, value in dataclasses.asdict(self.options).items() if name not in FREE}
        parts = [dataclasses.asdict(part) for part in (self.config, self.mixing, self.augment, self.valid)]
        more = (*more, self.voices) if self.voices else more
        return hashlib.sha256(json.dumps([parts, options, more], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class NetTrain:
    """Section [train] with a method that is a network.

    Attributes:
        method: the method to train.
        split: of the corpus.
        speakers: of the split, held out for validation.
        noise: share of the split's recordings of noise, held out for validation.
        voices: speakers to learn from, the first of an order that the seed gives; all when 0.
        kept: mixtures that are generated once, stored in a file and reused; 0 draws new ones at every step.
        kept_spectra: whether their spectra are kept too, so that no step transforms what goes in.
        seen: speakers of the split, among the first of that order, of whom a fifth is held out as split "seen", to
            test with; see `mix.split`.
        kinds: of noise; all when empty.
        settings: of the method's config; "none" for None.
        options: of the training; see `undin.training.options.Options`. Its seed is added to the recipe's.
        mixing: `undin.mixing.Settings` of the training mixtures; a range drawn from is {low = ..., high = ...}.
        augment: `undin.mixing.augment.Augment`.
        valid: changes to `mixing` for validation, which is not augmented.
        variants: name -> changes as {"settings.dropout" = 0.0}, {"options.seed" = 1}, {"voices" = 6} or
            {"method" = "..."}; each is a separate network. One, named as the method, when empty.
        weights: how they are stored in the exported graph.
        licence: of the weights, for their card.
    """

    method: str
    split: str = "train"
    speakers: Natural = 30
    noise: Share = 0.1
    voices: Natural = 0
    kept: Natural = 0
    kept_spectra: bool = False
    seen: Natural = 0
    kinds: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    mixing: Mapping[str, Any] = field(default_factory=dict)
    augment: Mapping[str, Any] = field(default_factory=dict)
    valid: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    weights: Literal["fp32", "fp16", "int8", "mixed"] = "fp32"
    licence: str = "yours"

    def __post_init__(self) -> None:
        check_fields(self, "train.")
        if self.kept_spectra and not self.kept:
            raise InputError("train.kept_spectra needs kept mixtures: set their number, e.g. train.kept=5000")
        for name in self._variants:
            self.variant(name)  # refuses wrong settings before anything is done

    @property
    def _variants(self) -> Mapping[str, Mapping[str, Any]]:
        return self.variants or {self.method: {}}

    @property
    def files(self) -> dict[str, str]:
        """The trained models' files, by their names."""
        return {name: f"{name}.onnx" for name in self._variants}

    def separates(self, name: str) -> bool:
        """Whether a variant separates talkers; otherwise it enhances."""
        return self.variant(name).talkers is not None

    def talkers_of(self, name: str) -> dict[str, int]:
        """How many talkers each setting says that a variant separates, by the setting's name."""
        variant = self.variant(name)
        found = {"train.mixing.talkers": variant.mixing.talkers}
        if variant.talkers is not None:
            found["train.settings.talkers"] = variant.talkers
        if variant.valid.talkers != variant.mixing.talkers:
            found["train.valid.talkers"] = variant.valid.talkers
        return found

    def variant(self, name: str) -> Variant:
        """Training settings of a variant.

        Raises:
            InputError: a setting that does not exist, or a value that breaks its rule.
        """
        parts = {name: dict(getattr(self, name)) for name in ("settings", "options", "mixing", "augment", "valid")}
        changes = dict(self._variants[name])
        method, voices = changes.pop("method", self.method), changes.pop("voices", self.voices)
        check_known(method, LEARNED, "network")
        for key, value in changes.items():
            part, _, setting = key.partition(".")
            if part not in parts or not setting:
                raise InputError(
                    f"a variant changes {', '.join(parts)}, such as settings.dropout = 0.0, or voices; got {key!r}"
                )
            parts[part][setting] = value
        settings = {"split": self.split, "kinds": list(self.kinds) or None, **parts["mixing"]}
        check("train.voices", voices, Natural)
        return Variant(
            name=name,
            method=method,
            voices=voices,
            config=make_config(LEARNED[method].Config, {k: _value(v) for k, v in parts["settings"].items()}),
            options=_from_table(Options, parts["options"], "train.options"),
            mixing=_from_table(Settings, settings, "train.mixing"),
            augment=_from_table(Augment, parts["augment"], "train.augment"),
            valid=_from_table(Settings, {**settings, "split": "valid", **parts["valid"]}, "train.valid"),
        )


def _from_table(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """An instance of a dataclass from a section of a recipe."""
    names = [f.name for f in dataclasses.fields(kind)]
    for name in values:
        check_known(name, names, "setting", where)
    return kind(**{name: _value(value) for name, value in values.items()})


def _value(value: Any) -> Any:
    """What TOML cannot say: {low = ..., high = ...} is a range, "none" is None."""
    if isinstance(value, dict) and set(value) == {"low", "high"}:
        return value["low"], value["high"]
    return None if value == "none" else value
