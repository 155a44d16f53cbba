"""The base of all methods: settings in a frozen config, one function on frames, a card, and a common interface."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self

import numpy as np

from undin.audio import check_audio, check_axes, check_rate
from undin.checks import check_fields, suggest
from undin.cores import CHUNK_S, State
from undin.errors import InputError
from undin.spectrum import Array, ComplexArray, dual_window, get_window
from undin.stream import Stream

Nan = Literal["raise", "zero"]
MOST_FFT = 2**16  # samples


@dataclass(frozen=True)
class Card:
    """Facts about a method: source, license, data, cost."""

    summary: str
    source: str  # paper or book, with the year
    kind: Literal["enhance", "separate"] = "enhance"
    licence: str = "MIT (code); no weights"
    data: str = "none"  # training data of the weights
    parameters: int = 0
    version: str = ""  # of the weights
    # Measured on the mini corpus and rounded down to 0.5: white noise at 5 dB, or two talkers at the same level.
    si_sdr_gain_db: float = 0.0


@dataclass(frozen=True)
class Look:
    """Intermediate arrays of a method, to be drawn by `undin.pictures`.

    Attributes:
        name: the quantity, e.g. "mask" or "attention".
        kind: how it is drawn: "masks", "heat_maps" or "points".
        planes: label -> (n_freq, n_frames) of "masks", (n_rows, n_frames) of "heat_maps", (n,) groups of "points".
        points: (n, K) of "points"; None for the others.
    """

    name: str
    kind: Literal["masks", "heat_maps", "points"]
    planes: dict[str, Array]
    points: Array | None = None


class Method:
    """A method for enhancement or separation: call it on an array, or `stream` a signal through it.

    A subclass names its `Config` (a frozen dataclass with at least sr, n_fft, hop_length, window) and has either
    `initial_state` and `step` (causal) or `estimate` (needs the whole signal). Settings are given by name:

    >>> from undin.methods import SpectralGate
    >>> SpectralGate(n_fft=256, hop_length=64).latency_ms
    16.0
    """

    id: str
    Config: ClassVar[type[Any]]
    bins: Literal["any", "fewer", "fixed"] = "fixed"
    adjustable: frozenset[str] | None = None  # settings that may be changed; None for all
    chunk_s: float = CHUNK_S  # the least that a method for whole signals sees at once
    card: Card

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(self.Config, settings)

    def check_names(self, settings: Iterable[str], keywords: Iterable[str] = ()) -> None:
        """Reject unknown setting names.

        Args:
            settings: the names.
            keywords: of the calling function, for the suggestion.

        Raises:
            InputError: a name is unknown; the nearest valid name is suggested.
        """
        known = [field.name for field in fields(self.config)]
        check_names(settings, known, [*keywords, *filter(self.adjusts, known)], self.id)

    def adjusts(self, name: str) -> bool:
        """Whether the method has a setting with this name that can be changed."""
        return hasattr(self.config, name) and (self.adjustable is None or name in self.adjustable)

    def looks(self, x: Array, sr: int, *, ref: Array | None = None) -> list[Look]:
        """Intermediate arrays of the method for a signal; none by default.

        Args:
            x: (n_samples,), floating point.
            sr: sample rate in Hz.
            ref: (n_src, n_samples), the sources of x, for methods that compare with them.

        Returns:
            one `Look` per picture, with `config.hop_length` samples at `config.sr` between frames.

        Raises:
            InputError: x breaks a rule.
        """
        return []

    @property
    def causal(self) -> bool:
        """Whether output depends on no input later than `latency_ms`, so that the method can run live."""
        return True

    @property
    def lookahead(self) -> int:
        """Frames of look-ahead."""
        return 0

    @property
    def n_src(self) -> int | None:
        """Number of sources returned; None for enhancement."""
        return None

    @property
    def knows_talkers(self) -> bool:
        """Whether each output is a person learned beforehand: then a lone talker is not moved to the first."""
        return False

    @property
    def has_rest(self) -> bool:
        """Whether `step` and `estimate` return one source more than n_src, last: what belongs to no talker."""
        return False

    @property
    def has_voice(self) -> bool:
        """Whether `analyze` describes voices, so that talkers can be recognized."""
        return False

    @property
    def latency_ms(self) -> float | None:
        """Delay in milliseconds; None if the complete signal is needed."""
        return self.stream(self.config.sr).latency_ms if self.causal else None

    def initial_state(self, batch: int) -> State:
        """State before the first frame: arrays with the batch on their first axis."""
        raise InputError(f"{self.id} needs the complete signal and has no state: call it on an array or a file")

    def step(self, X: ComplexArray, state: State) -> tuple[ComplexArray, State]:
        """Process frames X (batch, n_freq, T) -> Y of the same shape; frame t of Y is frame t - lookahead of X."""
        raise InputError(f"{self.id} needs the complete signal and cannot run frame by frame")

    def estimate(self, X: ComplexArray) -> ComplexArray:
        """Process a complete signal: X (batch, n_freq, n_frames) -> Y (..., batch, n_freq, n_frames)."""
        raise InputError(f"{self.id} runs frame by frame: use step")

    def analyze(self, X: ComplexArray) -> tuple[ComplexArray, Array | None]:
        """`estimate`, and a description of each source's voice.

        Returns:
            Y; and (n_src, batch, T', D), a vector for each of T' steps, longer where it is surer, or None.
        """
        return self.estimate(X), None

    def stream(
        self,
        sr: int,
        *,
        limit_db: float | None = None,
        independent: bool = False,
        rest: Literal["shared", "apart"] = "shared",
        voice: Array | None = None,
        nan: Nan = "raise",
    ) -> Stream:
        """Start a stream at `sr` Hz; see `undin.stream.Stream`.

        Args:
            sr: of the audio, in Hz.
            limit_db, independent, rest, voice, nan: as in `Stream`.
        """
        return Stream(self, sr, limit_db=limit_db, independent=independent, rest=rest, voice=voice, nan=nan)

    def __call__(
        self,
        x: Array,
        sr: int,
        *,
        limit_db: float | None = None,
        independent: bool = False,
        nan: Nan = "raise",
    ) -> Array:
        """Enhance or separate a whole signal.

        Args:
            x: (n_samples,) or (..., n_channels, n_samples), floating point, full scale 1.
            sr: sample rate in Hz; any.
            limit_db: maximum attenuation in dB; None for no limit. Not for separation.
            independent: process channels independently instead of with one linked gain. Not for separation.
            nan: "raise" an InputError at the first NaN or Inf, or "zero" to repair them.

        Returns:
            y like x in shape, float32 or float64 like x; (n_src, *x.shape) from a method that separates.

        Raises:
            InputError: x or a setting breaks a rule.
        """
        stream = self.stream(sr, limit_db=limit_db, independent=independent, nan=nan)
        x = check_axes(check_audio(x, sr, nan=nan))
        return np.concatenate([stream.process(x), stream.flush()], -1)

    def with_settings(self, **settings: Any) -> Self:
        """A copy with some settings of the config changed."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        self.check_names(settings)
        other.config = make_config(self.Config, {**_as_dict(self.config), **settings})
        return other

    def __repr__(self) -> str:
        return f"<undin method {self.id}: {self.config}>"


def make_config(config_class: type[Any], settings: dict[str, Any]) -> Any:
    """Build a method's config and check its frame.

    Raises:
        InputError: a name is unknown (the nearest right one is suggested), a value breaks its rule, or the frame cannot
            be inverted.
    """
    names = [field.name for field in fields(config_class)]
    check_names(settings, names, names, config_class.__name__.removesuffix("Config"))
    config = config_class(**settings)
    check_fields(config)
    check_rate(config.sr)
    if config.n_fft > MOST_FFT:
        raise InputError(f"n_fft must be at most {MOST_FFT}; got {config.n_fft}")
    dual_window(get_window(config.window, config.n_fft), config.hop_length)
    return config


def check_names(given: Iterable[str], known: Iterable[str], free: Iterable[str], whose: str) -> None:
    """Refuse unknown settings, and suggest the nearest of those that are free to change.

    Args:
        given: names of settings.
        known: those that exist.
        free: those that may be changed.
        whose: the owner, for the message.
    """
    for name in given:
        if name not in known:
            hint = suggest(name, free) if free else "it takes none"
            raise InputError(f"unknown setting {name!r} for {whose}: {hint}")


def _as_dict(config: Any) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in fields(config)}
