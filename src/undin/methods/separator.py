"""A method that separates, and around it: how many talk, who when, the noise, and the talker who is wanted."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from undin.activity import Activity
from undin.audio import check_audio
from undin.checks import check
from undin.errors import InputError
from undin.methods.base import Method, Nan
from undin.spectrum import Array
from undin.stream import Stream

SAME_VOICE = 0.5  # cosine of two descriptions from which on they are of one voice

Talkers = int | Literal["auto"]


@dataclass(frozen=True)
class Voice:
    """How somebody sounds to a method.

    Attributes:
        name: of the sample, for errors.
        numbers: D of them, of length 1.
    """

    name: str
    numbers: tuple[float, ...]


def describe_voice(method: Method, x: Array, sr: int, name: str = "the sample") -> Voice:
    """Describe the voice of a sample in which one talks.

    Args:
        method: separates, and describes voices.
        x: (n_samples,) or (n_channels, n_samples).
        sr: in Hz.
        name: of the sample, for errors.

    Raises:
        InputError: the method does not describe voices, or nobody talks.
    """
    if not method.has_voice or method.causal:
        raise InputError(f"{method.id} does not recognize voices: use a separator that does, or leave out the voice")
    separator = Separator(method, sr)
    separator.process(check_audio(x, sr))
    separator.flush()
    voices = separator.voices
    lengths = np.linalg.norm(voices, axis=-1) if voices is not None else np.zeros(1)
    if voices is None or not separator.n_talkers or not lengths.max():
        raise InputError(f"{name} has no voice: use a recording of a few seconds in which one person talks")
    numbers = voices[lengths.argmax()] / lengths.max()
    return Voice(name, tuple(map(float, numbers)))


class Separator:
    """A method that separates, on one recording that arrives in chunks.

    Args:
        method: returns talkers.
        sr: sample rate of the recording in Hz.
        talkers: "auto" to judge how many talk, and to give each moment to those who do; a number to leave the method's
            talkers as they are.
        denoise: leave out of the talkers what belongs to none of them.
        residual: return it as one source more, last; not in the talkers then.
        voice: return the talker who sounds like this, and as the residual all else.
        enhancer: removes the noise before, for a method that cannot keep it apart.
        nan: as in `Stream`.

    Attributes:
        n_out: number of outputs: the talkers or the one wanted, and the residual.

    Raises:
        InputError: the method does not keep apart what belongs to no talker, or does not recognize voices.
    """

    def __init__(
        self,
        method: Method,
        sr: int,
        *,
        talkers: Talkers = "auto",
        denoise: bool = False,
        residual: bool = False,
        voice: Voice | None = None,
        enhancer: Method | None = None,
        nan: Nan = "raise",
    ) -> None:
        check("talkers", talkers, Talkers)
        check("denoise", denoise, bool)
        check("residual", residual, bool)
        n_src = method.n_src or 0
        apart = denoise or (residual and not voice)
        rest: Literal["shared", "apart"] = "apart" if method.has_rest or apart else "shared"
        numbers = np.array(voice.numbers, np.float32) if voice else None
        if apart and enhancer and not method.has_rest:
            self._stream = method.stream(sr, voice=numbers)
            self._driver: Stream | _Behind = _Behind(enhancer.stream(sr, nan=nan), self._stream)
        else:
            self._driver = self._stream = method.stream(sr, rest=rest, voice=numbers, nan=nan)
        self._activity = Activity(n_src, sr, rest=rest == "apart", apart=apart, judge=talkers == "auto")
        self._voice, self._n_kept, self._n_src = voice, n_src + residual, n_src
        self._talkers, self._residual = talkers, residual
        self.n_out = 1 + residual if voice else self._n_kept

    @property
    def n_talkers(self) -> int:
        """How many talk; known after `flush`."""
        return self._activity.n_talkers if self._talkers == "auto" else self._n_src

    @property
    def turns(self) -> list[list[tuple[float, float]]]:
        """When each returned talker talks: starts and ends in seconds; known after `flush`."""
        return self._activity.turns[: 1 if self._voice else None]

    @property
    def voices(self) -> Array | None:
        """(n_src, D): how the talkers sounded, where the method describes voices; known after `flush`."""
        return None if self._stream.voices is None else self._stream.voices[:, 0]

    def process(self, x: Array) -> Array:
        """Take the next samples.

        Args:
            x: (n_samples,) or (n_channels, n_samples).

        Returns:
            (n_out, ..., n): those that are final.

        Raises:
            InputError: as `Stream.process`.
        """
        return self._chosen(self._activity.process(self._driver.process(x)))

    def flush(self) -> Array:
        """The samples that are left.

        Raises:
            InputError: nobody sounds like the wanted voice.
        """
        y = self._activity.process(self._driver.flush())
        y = self._chosen(np.concatenate([y, self._activity.flush()], -1))
        if self._voice and not self._is_there(self._voice):
            raise InputError(f"nobody sounds like {self._voice.name}: use another sample, or separate without a voice")
        return y

    def _chosen(self, z: Array) -> Array:
        """The outputs that are wanted."""
        if self._voice:
            return np.stack([z[0], z[1:].sum(0)])[: self.n_out]
        return z[: self._n_kept]

    def _is_there(self, voice: Voice) -> bool:
        heard = self.voices
        if heard is None or not self._activity.turns[0]:
            return False
        length = max(float(np.linalg.norm(heard[0])), 1e-20)
        return float(heard[0] @ np.array(voice.numbers)) >= SAME_VOICE * length


class _Behind:
    """A separation behind an enhancement; what the first leaves out is a last source, aligned with the others."""

    def __init__(self, enhancement: Stream, separation: Stream) -> None:
        self._enhancement, self._separation = enhancement, separation
        self._x: Array | None = None  # what is not answered yet

    def process(self, x: Array) -> Array:
        """Take (..., n_samples); give (n_src + 1, ..., n)."""
        x = self._enhancement.repaired(x)
        self._x = x if self._x is None else np.concatenate([self._x, x], -1)
        return self._with_rest(self._separation.process(self._enhancement.process(x)))

    def flush(self) -> Array:
        """The samples that are left."""
        y = self._separation.process(self._enhancement.flush())
        return self._with_rest(np.concatenate([y, self._separation.flush()], -1))

    def _with_rest(self, y: Array) -> Array:
        assert self._x is not None
        n = y.shape[-1]
        x, self._x = self._x[..., :n], self._x[..., n:]
        return np.concatenate([y, (x - y.sum(0))[None]])
