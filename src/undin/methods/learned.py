"""Shared by all learned methods: a graph with its states, planes in, and its mask or spectrum applied.

    X --planes--> (B, 2, T, F) --graph--> mask M: Y_t = M_t X_{t - lookahead},  or spectrum: Y_t itself

A graph that separates returns a real mask for each source, or a complex one for each and for the rest, which belongs to
no source. A bidirectional one takes the complete signal.

A learned method is a subclass that names its id, its Config and the card that all its weights share; the network is in
the file of the same name in `undin.training.nets`, and both use that one config.
"""

import os
from dataclasses import replace
from typing import Any, Self

import numpy as np

from undin.audio import check_audio, resample
from undin.cores import State
from undin.errors import InputError, WeightsError
from undin.methods.base import Card, Look, Method, make_config
from undin.runner import VOICE, Planes, Runner
from undin.spectrum import Array, ComplexArray, stft

WAITING = "X"  # the state that holds the frames which a mask is still to answer; in a graph X is the input


class Learned(Method):
    """A method whose weights are in an .onnx file.

    Args:
        runner: the graph.
        settings: changes to the config that the file holds; only those of `adjustable`.

    Raises:
        WeightsError: the graph is of another method, or its config is none of this method's.
    """

    adjustable: frozenset[str] = frozenset()  # settings that the graph does not depend on
    bins = "fixed"

    def __init__(self, runner: Runner, **settings: Any) -> None:
        self.runner, self.digest = runner, runner.digest
        meta = runner.meta
        if meta["method"] != self.id:
            raise WeightsError(f"{runner.path} holds {meta['method']!r}, not {self.id!r}: use undin.load(path)")
        try:
            self.config = make_config(self.Config, _with_tuples(meta["config"]))
            self._check_graph()
            self.card = _card(self.card, meta["card"], meta["parameters"])
        except (InputError, TypeError, ValueError, OverflowError) as error:
            raise WeightsError(
                f"{runner.path} does not fit this version of {self.id} ({error}): upgrade undin, or export it again"
            ) from error
        if settings:
            self.config = self.with_settings(**settings).config

    @classmethod
    def load(cls, path: str | os.PathLike[str], **settings: Any) -> Self:
        """Read a file that undin exported; see `undin.runner.Runner` for the errors."""
        return cls(Runner(path), **settings)

    @property
    def causal(self) -> bool:
        """False for a graph that looks both ways: it needs the whole signal."""
        return bool(self.runner.meta["frames"] != "all")

    @property
    def lookahead(self) -> int:
        """Frames of look-ahead."""
        return int(self.runner.meta["lookahead"])

    @property
    def n_src(self) -> int | None:
        """Number of sources returned; None for enhancement."""
        n_src: int | None = self.runner.meta.get("n_src")
        return n_src

    def initial_state(self, batch: int) -> State:
        """The graph's states, and the frames that a mask is still to answer."""
        if not self.causal:
            return super().initial_state(batch)
        state: State = dict(self.runner.initial_state(batch))
        if self._delays:
            state[WAITING] = np.zeros((batch, self.config.n_fft // 2 + 1, self.lookahead), np.complex64)
        return state

    def step(self, X: ComplexArray, state: State) -> tuple[ComplexArray, State]:
        """Answer frames X (batch, n_freq, T), frame t answering frame t - lookahead."""
        if not self.causal:
            return super().step(X, state)
        out, after = self.runner.run(planes(X), state)
        new = {name: after[name] for name in self.runner.shapes}
        if not self._delays:
            return self._apply(out, X), new
        X = np.concatenate([state[WAITING], X], -1)
        n_frames = out.shape[2]
        return self._apply(out, X[..., :n_frames]), {**new, WAITING: X[..., n_frames:].copy()}

    @property
    def has_rest(self) -> bool:
        """Whether the graph has a mask for what belongs to no source."""
        return bool(self.runner.meta["output"] == "shares")

    @property
    def has_voice(self) -> bool:
        """Whether the graph describes voices."""
        return bool(self.runner.voice)

    def estimate(self, X: ComplexArray) -> ComplexArray:
        """Answer a whole signal X (batch, n_freq, n_frames); a source's axis comes first."""
        if self.causal:
            return super().estimate(X)
        return self._apply(self.runner.run(planes(X), self.runner.initial_state(len(X)))[0], X)

    def analyze(self, X: ComplexArray) -> tuple[ComplexArray, Array | None]:
        """`estimate`, and the graph's description of each source's voice; see `Method.analyze`."""
        if self.causal or not self.has_voice:
            return super().analyze(X)
        out, new = self.runner.run(planes(X), self.runner.initial_state(len(X)))
        return self._apply(out, X), np.moveaxis(new[VOICE], 1, 0)

    def _apply(self, out: Planes, X: ComplexArray) -> ComplexArray:
        """The graph's output (batch, n, T, n_freq) and what it answers (batch, n_freq, T) -> Y (..., *X.shape)."""
        M: Any = np.moveaxis(out, 1, 0)
        if self.has_rest:
            if len(M) > (self.n_src or 0) + 1:
                real, imaginary = np.split(M, 2)
                M = real + 1j * imaginary
        elif not self.n_src:
            M = M[0] if len(M) == 1 else M[0] + 1j * M[1]
        M = np.swapaxes(M, -2, -1)
        Y: ComplexArray = M if self.runner.meta["output"] == "spectrum" else M * X
        return Y.astype(np.complex64, copy=False)

    def mask(self, x: Array) -> Array | ComplexArray:
        """The mask of a whole signal, to look at.

        Args:
            x: (n_samples,) at the method's own rate.

        Returns:
            (n_freq, n_frames), real or complex, or (n_src, n_freq, n_frames), real, of a method that separates; frame t
            is of frame t of `undin.stft`.

        Raises:
            InputError: the graph returns a spectrum instead.
        """
        c = self.config
        if self.runner.meta["output"] != "mask":
            raise InputError(f"{self.id} returns a spectrum and has no mask")
        X = stft(check_audio(x, c.sr), c.n_fft, c.hop_length, window=c.window)[None]
        late = np.pad(X, [(0, 0), (0, 0), (0, self.lookahead)])
        out, _ = self.runner.run(planes(late), self.runner.initial_state(1))
        parts: Array = out[0, :, self.lookahead :].transpose(0, 2, 1)  # (n, n_freq, n_frames)
        if self.n_src:
            return parts
        M: Array | ComplexArray = parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]
        return M

    def looks(self, x: Array, sr: int, *, ref: Array | None = None) -> list[Look]:
        """The mask, where the graph returns one for a single output; see `Method.looks`.

        Args:
            x, sr, ref: as in `Method.looks`.
        """
        if self.runner.meta["output"] != "mask" or self.n_src:
            return []
        M = self.mask(resample(x, sr, self.config.sr))
        planes = {"mask, real part": M.real}
        if np.iscomplexobj(M):
            faint = bool(np.quantile(np.abs(M.imag), 0.9) < 0.1)  # it would be white next to the real part
            planes["mask, imaginary part" + ", ten times" * faint] = M.imag * (10 if faint else 1)
        return [Look("mask", "masks", planes)]

    def _check_graph(self) -> None:
        """Refuse a graph made with another frame or look-ahead than its config says."""
        n_freq, waits = self.config.n_fft // 2 + 1, getattr(self.config, "lookahead", 0)
        if (self.runner.n_freq, self.lookahead) != (n_freq, waits):
            raise ValueError(
                f"its graph has {self.runner.n_freq} bins and a look-ahead of {self.lookahead} frames, "
                f"its config {n_freq} and {waits}"
            )

    @property
    def _delays(self) -> bool:
        return self.runner.meta["output"] in ("mask", "shares") and self.lookahead > 0

    def with_settings(self, **settings: Any) -> Self:
        """A copy with some settings changed, but none that the graph was made with."""
        other = super().with_settings(**settings)
        for name in settings:
            now = getattr(self.config, name)
            if name not in self.adjustable and not np.array_equal(getattr(other.config, name), now):
                free = f"settings that can change: {', '.join(sorted(self.adjustable))}" if self.adjustable else ""
                cure = free or "its settings are fixed by training: train another model"
                raise InputError(f"{name} is {now!r} in these weights and cannot become {settings[name]!r}: {cure}")
        return other


def planes(X: ComplexArray) -> Planes:
    """(batch, n_freq, T) complex -> (batch, 2, T, n_freq): real and imaginary part."""
    out = np.empty((len(X), 2, X.shape[2], X.shape[1]), np.float32)
    out[:, 0], out[:, 1] = (np.swapaxes(part, 1, 2) for part in (X.real, X.imag))
    return out


def _card(default: Card, about: dict[str, Any], parameters: int) -> Card:
    """The method's card with what its file says; entries that this version does not know are left out."""
    stated: dict[str, Any] = {"licence": "not stated", "data": "not stated", "version": "", "si_sdr_gain_db": 0.0}
    stated |= {name: value for name, value in about.items() if name in stated}
    for name, value in stated.items():
        if type(value) not in ((int, float) if name == "si_sdr_gain_db" else (str,)):
            raise TypeError(f"{name} of its card cannot be {str(value)[:80]!r}")
    return replace(default, **stated, parameters=parameters)


def _with_tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no tuples; a config has no lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
