"""Pictures of signals: spectrograms and waveforms, one scale for all signals of a picture."""

import math
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from undin.errors import InputError
from undin.pictures.panels import labeled, panels_over_time, saved, shortened, time_axis, titled
from undin.spectrum import StftStream, n_frames_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.floating]

N_COLUMNS = 1500  # of a panel at most: no screen shows more, and an hour has 225 000 frames
FRAME_S = 0.032


def spectrograms(
    signals: Mapping[str, Array] | Array,
    sr: int,
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    max_seconds: float | None = None,
    range_db: float = 80.0,
) -> "Figure":
    """Draw the spectrograms of several signals above each other, on one time axis and one color scale.

    0 dB is the loudest bin of all panels, so colors compare across them. Long signals are drawn by the maximum over
    neighboring frames, so no click is lost; of several channels the mean power is drawn.

    Args:
        signals: label -> (..., n_samples), floating point; lengths may differ. One array alone needs no label.
        sr: sample rate of all of them in Hz.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        max_seconds: duration to draw from the start; all when None.
        range_db: bins further below the loudest one are black.

    Returns:
        The figure, for more changes or `savefig`.

    Raises:
        InputError: no signals, or one that is not floating point or not finite; sr or a setting breaks its rule.
        MissingExtraError: matplotlib is not installed.
    """
    if not range_db > 0:
        raise InputError(f"range_db must be above 0; got {range_db}")
    checked, notes = _checked(signals, sr, max_seconds)
    n_samples = max(x.shape[-1] for x in checked.values())
    grid = _grid(sr, n_samples)
    powers = [_power(x, *grid) for x in checked.values()]
    loudest = max(float(power.max(initial=0)) for power in powers) or 1.0
    figure, panels, bar = panels_over_time(list(checked), titled(title, notes), height=1.75)
    for panel, power in zip(panels, powers, strict=True):
        level_db = 10 * np.log10(np.maximum(power / loudest, 10 ** (-range_db / 10)))
        extent = (*_span_s(power.shape[-1], *grid, sr), 0, sr / 2000)
        settings: dict[str, Any] = {"vmin": -range_db, "vmax": 0, "cmap": "magma", "aspect": "auto", "origin": "lower"}
        image = panel.imshow(level_db, extent=extent, interpolation="antialiased", **settings)
        panel.set(ylabel="kHz", ylim=(0, sr / 2000))
    time_axis(panels, n_samples / sr)
    figure.colorbar(image, cax=bar).set_label("dB (0 = loudest)", fontsize=11)
    return saved(figure, path)


def waveforms(
    signals: Mapping[str, Array] | Array,
    sr: int,
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    max_seconds: float | None = None,
) -> "Figure":
    """Draw the waveforms of several signals above each other, on one time axis and one amplitude scale.

    What is drawn is the range from lowest to highest sample, so peaks show at any length.

    Args:
        signals: label -> (..., n_samples), floating point; lengths may differ. One array alone needs no label.
        sr: sample rate of all of them in Hz.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        max_seconds: duration to draw from the start; all when None.

    Returns:
        The figure, for more changes or `savefig`.

    Raises:
        InputError: no signals, or one that is not floating point or not finite; sr or max_seconds breaks its rule.
        MissingExtraError: matplotlib is not installed.
    """
    checked, notes = _checked(signals, sr, max_seconds)
    n_samples = max(x.shape[-1] for x in checked.values())
    peak = max(float(np.abs(x).max(initial=0)) for x in checked.values()) or 1.0
    group = max(-(-n_samples // N_COLUMNS), 1)
    figure, panels, bar = panels_over_time(list(checked), titled(title, notes), height=1.2)
    bar.remove()
    for panel, x in zip(panels, checked.values(), strict=True):
        low, high = _grouped(x, group, np.minimum).min(0), _grouped(x, group, np.maximum).max(0)
        t = (np.arange(len(low)) * group + (group - 1) / 2) / sr
        panel.fill_between(t, low, high, color="#7a54c7", linewidth=0.6)
        panel.set(ylim=(-1.05 * peak, 1.05 * peak))
        panel.grid(axis="y", alpha=0.3)
    time_axis(panels, n_samples / sr)
    return saved(figure, path)


def overview(
    signals: Mapping[str, Array] | Array, sr: int, *, title: str | None = None, range_db: float = 80.0
) -> "Figure":
    """Draw the waveform and, below it, the spectrogram of several signals, on common scales; see `spectrograms`.

    Args:
        signals: label -> (..., n_samples), floating point.
        sr: sample rate of all of them in Hz.
        title: a line above the panels.
        range_db: bins further below the loudest one are black.

    Returns:
        The figure; `shot` finds its spectrograms.

    Raises:
        InputError: as `spectrograms`.
        MissingExtraError: matplotlib is not installed.
    """
    checked, _ = _checked(signals, sr, None)
    figure = spectrograms(signals, sr, title=title, range_db=range_db)
    n_samples = max(x.shape[-1] for x in checked.values())
    peak = max(float(np.abs(x).max(initial=0)) for x in checked.values()) or 1.0
    group = max(-(-n_samples // N_COLUMNS), 1)
    figure.set_figheight(figure.get_figheight() + 0.35 * len(checked))
    for panel, x in zip(figure.axes, checked.values(), strict=False):  # the color bar is the last of the axes
        strip = panel.inset_axes((0, 1.03, 1, 0.3))
        low, high = _grouped(x, group, np.minimum).min(0), _grouped(x, group, np.maximum).max(0)
        t = (np.arange(len(low)) * group + (group - 1) / 2) / sr
        strip.fill_between(t, low, high, color="#7a54c7", linewidth=0.4)
        strip.set(xlim=(0, max(n_samples / sr, 1e-3)), ylim=(-1.05 * peak, 1.05 * peak))
        strip.set_axis_off()
        panel.set_title(shortened(str(panel.get_label())), loc="left", fontsize=11, y=1.3, parse_math=False)
    return figure


def _checked(
    signals: Mapping[str, Array] | Array, sr: int, max_seconds: float | None
) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """Signals as (n_channels, n_samples) float32, and notes for the title."""
    signals = labeled(signals, "signals")
    if not signals:
        raise InputError('signals must contain at least one signal; got none: pass {"noisy": x, "enhanced": y}')
    if not isinstance(sr, int | np.integer) or sr <= 0:
        raise InputError(f"sr must be a positive whole number of Hz; got {sr!r}")
    if max_seconds is not None and not max_seconds > 0:
        raise InputError(f"max_seconds must be above 0; got {max_seconds}")
    stop = None if max_seconds is None else max(round(max_seconds * sr), 1)
    checked: dict[str, NDArray[np.float32]] = {}
    notes: dict[str, None] = {}  # in order, each once
    for name, signal in signals.items():
        x = np.asarray(signal)
        if not np.issubdtype(x.dtype, np.floating) or x.ndim == 0:
            raise InputError(
                f"signals[{name!r}] must be floating point of shape (..., n_samples); "
                f"got {x.dtype} of shape {x.shape}: use undin.read(path), or divide integers by their full scale"
            )
        if not np.isfinite(x).all():
            bad = np.argwhere(~np.isfinite(x))[0].tolist()
            raise InputError(f"signals[{name!r}] must be finite; got {x[tuple(bad)]} at {bad}: repair it first")
        if stop is not None and x.shape[-1] > stop:
            notes[f"first {max_seconds:g} s"] = None
        x = x[..., :stop].astype(np.float32, copy=False)
        checked[name] = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        if len(checked[name]) > 1:
            notes[f"{len(checked[name])} channels together"] = None
    return checked, list(notes)


def _grid(sr: int, n_samples: int) -> tuple[int, int, int]:
    """n_fft, hop_length and the frames that a column shows, such that n_samples fill N_COLUMNS at most."""
    n_fft = max(4 * round(FRAME_S * sr / 4), 4)
    hop_length = n_fft // 4 if n_samples <= N_COLUMNS * n_fft // 4 else n_fft // 2
    return n_fft, hop_length, max(-(-n_frames_of(n_samples, n_fft, hop_length) // N_COLUMNS), 1)


def _span_s(n_columns: int, n_fft: int, hop_length: int, group: int, sr: int) -> tuple[float, float]:
    """Seconds at the outer edges of the columns: frame t is centered on t·hop + hop - n_fft / 2 and one hop wide."""
    left = (hop_length - n_fft) / 2
    return left / sr, (left + max(n_columns, 1) * group * hop_length) / sr


def _power(x: NDArray[np.float32], n_fft: int, hop_length: int, group: int) -> NDArray[np.float32]:
    """Mean power over channels (n_freq, n_columns); a column is the maximum over a group of frames."""
    columns = [np.zeros((n_fft // 2 + 1, 0), np.float32)]
    for X in _blocks(x, StftStream(n_fft, hop_length, window="hann"), group):
        power = np.mean(X.real**2 + X.imag**2, 0)  # (n_freq, n_frames)
        columns.append(_grouped(power, group, np.maximum))
    return np.concatenate(columns, -1)


def _blocks(x: NDArray[np.float32], stream: StftStream, group: int) -> Iterator[NDArray[np.complexfloating]]:
    """Frames of x in blocks of whole groups, so that an hour needs no more memory than a minute."""
    hop_length, n_samples = stream.hop_length, x.shape[-1]
    n_total = n_frames_of(n_samples, stream.n_fft, hop_length) * hop_length
    step = group * -(-4096 // group) * hop_length
    for start in range(0, n_total, step):
        chunk = x[:, start : start + step]
        yield stream.process(np.pad(chunk, [(0, 0), (0, min(step, n_total - start) - chunk.shape[-1])]))


def _grouped(x: Array, group: int, ufunc: np.ufunc) -> Any:
    """(..., n) -> (..., ceil(n / group)): ufunc over every group, the last one as long as it is."""
    return ufunc.reduceat(x, np.arange(0, x.shape[-1], group), -1) if x.shape[-1] else x
