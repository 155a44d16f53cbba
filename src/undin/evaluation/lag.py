"""Delay of an output against its input; that of other programs is found beforehand and taken out."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from undin.audio import resample
from undin.corpora import mini
from undin.evaluation.systems import CommandSystem, MethodSystem
from undin.spectrum import Array

REACH_S = 0.1
LEAST = 0.3  # correlation of output and input below which no lag is trusted


def lag_ms(y: Array, x: Array, sr: int) -> float:
    """Delay of y against x in ms, by the highest cross-correlation within 100 ms; 0 where either is silent.

    Args:
        y: (n_samples,) the output.
        x: (n_samples,) the input.
        sr: Hz.


    >>> x = np.random.default_rng(0).standard_normal(8000)
    >>> lag_ms(np.roll(x, 80), x, 8000)
    10.0
    """
    return 1000 * _peak(y, x, sr)[0] / sr


def find_lag(y: Array, x: Array, sr: int) -> int:
    """The same in samples; 0 also where the two are so unlike that no lag can be trusted.

    Args:
        y: the output, (n_samples,).
        x: reference signal, (n_samples,).
        sr: in Hz.
    """
    lag, correlation = _peak(y, x, sr)
    return lag if correlation >= LEAST else 0


def align(systems: Sequence[MethodSystem | CommandSystem], sr: int) -> list[MethodSystem | CommandSystem]:
    """Find the lag of every program by its output for a clean voice, and take it out.

    Methods of undin return aligned outputs, so only programs are started, once each. A lag is constant: it is the same
    for all mixtures. A program that fails here, or returns something unlike its input, keeps its lag.

    Args:
        systems: from `make_systems`.
        sr: of the mixtures, Hz.

    Returns:
        the systems in the same order, programs with their `lag_ms`.
    """
    return [replace(s, lag_ms=_constant_lag_ms(s, sr)) if isinstance(s, CommandSystem) else s for s in systems]


def lag_notes(systems: Iterable[MethodSystem | CommandSystem]) -> list[str]:
    """A sentence for every program whose lag is compensated."""
    lags = {f"The output of {s.name}": s.lag_ms for s in systems if isinstance(s, CommandSystem)}
    return [lag_note(name, lag_ms) for name, lag_ms in lags.items() if lag_ms]


def lag_note(name: str, lag_ms: float) -> str:
    """Say that something is aligned.

    >>> lag_note("a.wav", -2.5)
    'a.wav is 2.5 ms early; it is aligned before it is scored (--no-align turns this off).'
    """
    when = "late" if lag_ms > 0 else "early"
    return f"{name} is {abs(lag_ms):.1f} ms {when}; it is aligned before it is scored (--no-align turns this off)."


def _constant_lag_ms(system: CommandSystem, sr: int) -> float:
    corpus = mini()
    x = resample(corpus.load(corpus.speech[0]), corpus.sr, sr)
    with suppress(Exception):  # it will fail on mixtures too, and is reported there
        y = system.load()(x, sr)
        return 1000 * find_lag(y[: len(x)], x, sr) / sr
    return 0.0


def _peak(y: Array, x: Array, sr: int) -> tuple[int, float]:
    """Lag of the highest cross-correlation in samples, and its height: 1 for a copy."""
    n_samples = max(x.shape[-1], y.shape[-1])
    reach = min(int(REACH_S * sr), n_samples - 1)
    n_fft = 1 << (n_samples + reach).bit_length()
    r = np.fft.irfft(np.conj(np.fft.rfft(x, n_fft)) * np.fft.rfft(y, n_fft), n_fft)
    lags = np.r_[0 : reach + 1, -reach:0] if reach else np.zeros(1, int)
    lag = int(lags[np.argmax(r[lags])])
    return lag, float(r[lag] / max(np.linalg.norm(x) * np.linalg.norm(y), 1e-30))
