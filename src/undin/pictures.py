"""Spectrograms, waveforms and masks to look at, drawn for comparison: one scale for all signals of a picture.

Needs matplotlib (`pip install "undin[plot]"`), used through its objects alone: no window opens, no global state
changes, and the same signals give the same PNG, byte for byte.
"""

import io
import math
import pickle
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from undin.errors import InputError, require
from undin.spectrum import StftStream, n_frames_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.floating]

N_COLUMNS = 1500  # of a panel at most: no screen shows more, and an hour has 225 000 frames
FRAME_S = 0.032
WIDTH, DPI = 7.2, 160  # inches, dots per inch; labels of 11 points stay readable at half that width
DARK, ON_DARK = "#17181c", "#e6e6ea"  # ground and letters of a dark page
NO_DATES = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def spectrograms(
    signals: Mapping[str, Array],
    sr: int,
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    max_seconds: float | None = None,
    range_db: float = 80.0,
) -> "Figure":
    """Draw the spectrograms of several signals above each other, on one time axis and one colour scale.

    0 dB is the loudest bin of all panels, so colours compare across them. Long signals are drawn by the maximum over
    neighbouring frames, so no click is lost; of several channels the mean power is drawn.

    Args:
        signals: label -> (..., n_samples), floating point; lengths may differ.
        sr: sample rate of all of them in Hz.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        max_seconds: draw only so much from the start; all when None.
        range_db: what lies further below the loudest bin is black.

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
    figure, panels, bar = _panels(list(checked), _title(title, notes), height=1.75)
    for panel, power in zip(panels, powers, strict=True):
        level_db = 10 * np.log10(np.maximum(power / loudest, 10 ** (-range_db / 10)))
        extent = (*_span_s(power.shape[-1], *grid, sr), 0, sr / 2000)
        settings: dict[str, Any] = {"vmin": -range_db, "vmax": 0, "cmap": "magma", "aspect": "auto", "origin": "lower"}
        image = panel.imshow(level_db, extent=extent, interpolation="antialiased", **settings)
        panel.set(ylabel="kHz", ylim=(0, sr / 2000))
    _time_axis(panels, n_samples / sr)
    figure.colorbar(image, cax=bar).set_label("dB (0 = loudest)", fontsize=11)
    return _saved(figure, path)


def masks(
    planes: Mapping[str, Array],
    sr: int,
    hop_length: int,
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    limit: float = 1.0,
) -> "Figure":
    """Draw what a method multiplies the spectrum by, a panel for each part.

    Gains, from 0 to 1, go from black to white. Where any is negative, 0 is white, negative blue and positive red.

    Args:
        planes: label -> (n_freq, n_frames) real: a gain, or the real or imaginary part of one; or (n_frames,) for what
            is said of whole frames, such as voice activity.
        sr: sample rate in Hz.
        hop_length: samples between frames.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        limit: colours end there.

    Returns:
        The figure, for more changes or `savefig`.

    Raises:
        InputError: no planes, or one of another shape or complex; limit breaks its rule.
        MissingExtraError: matplotlib is not installed.
    """
    shapes = {name: np.shape(M) for name, M in planes.items()}
    wrong = [f"{k} of shape {shapes[k]}" for k, M in planes.items() if np.ndim(M) not in (1, 2) or np.iscomplexobj(M)]
    if wrong or not planes or not limit > 0:
        raise InputError(
            "planes must be real, (n_freq, n_frames) or (n_frames,) each, and limit above 0; "
            f"got {', '.join(wrong) or len(planes)} and {limit}"
        )
    figure, panels, bar = _panels(list(planes), title, height=1.6)
    signed = any(np.min(M, initial=0) < 0 for M in planes.values())
    settings: dict[str, Any] = {"vmin": -limit if signed else 0, "vmax": limit, "cmap": "RdBu_r" if signed else "gray"}
    for panel, M in zip(panels, planes.values(), strict=True):
        extent = (0, np.shape(M)[-1] * hop_length / sr, 0, sr / 2000)
        image = panel.imshow(np.atleast_2d(M), origin="lower", extent=extent, aspect="auto", **settings)
        panel.set(ylabel="kHz" if np.ndim(M) == 2 else "", ylim=(0, sr / 2000))
    _time_axis(panels, max(shape[-1] for shape in shapes.values()) * hop_length / sr)
    figure.colorbar(image, cax=bar)
    return _saved(figure, path)


def waveforms(
    signals: Mapping[str, Array],
    sr: int,
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    max_seconds: float | None = None,
) -> "Figure":
    """Draw the waveforms of several signals above each other, on one time axis and one amplitude scale.

    What is drawn is the range from lowest to highest sample, so peaks show at any length.

    Args:
        signals: label -> (..., n_samples), floating point; lengths may differ.
        sr: sample rate of all of them in Hz.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        max_seconds: draw only so much from the start; all when None.

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
    figure, panels, bar = _panels(list(checked), _title(title, notes), height=1.2)
    bar.remove()
    for panel, x in zip(panels, checked.values(), strict=True):
        low, high = _grouped(x, group, np.minimum).min(0), _grouped(x, group, np.maximum).max(0)
        t = (np.arange(len(low)) * group + (group - 1) / 2) / sr
        panel.fill_between(t, low, high, color="#7a54c7", linewidth=0.6)
        panel.set(ylim=(-1.05 * peak, 1.05 * peak))
        panel.grid(axis="y", alpha=0.3)
    _time_axis(panels, n_samples / sr)
    return _saved(figure, path)


def heat_maps(
    maps: Mapping[str, Array],
    step_s: float,
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    ylabel: str = "row",
) -> "Figure":
    """Draw matrices over time above each other, on one time axis and one colour scale from 0 to the largest value.

    Args:
        maps: label -> (n_rows, n_frames), 0 or more; row 0 is at the bottom.
        step_s: from frame to frame, in seconds.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        ylabel: what a row is.

    Returns:
        The figure, for more changes or `savefig`.

    Raises:
        InputError: no maps, one that is not of two axes or not finite, or step_s is not above 0.
        MissingExtraError: matplotlib is not installed.
    """
    if not maps or not step_s > 0:
        raise InputError(f"there must be a map to draw, and step_s above 0; got {len(maps)} and {step_s!r}")
    for name, values in maps.items():
        if np.ndim(values) != 2 or not np.isfinite(values).all():
            raise InputError(f"maps[{name!r}] must be finite, (n_rows, n_frames); got shape {np.shape(values)}")
    figure, panels, bar = _panels(list(maps), title, height=1.4)
    largest = max(float(np.max(values, initial=0)) for values in maps.values()) or 1.0
    for panel, values in zip(panels, maps.values(), strict=True):
        n_rows, n_frames = np.shape(values)
        extent = (0, max(n_frames, 1) * step_s, -0.5, n_rows - 0.5)
        settings: dict[str, Any] = {"vmin": 0, "vmax": largest, "cmap": "magma", "aspect": "auto", "origin": "lower"}
        image = panel.imshow(values, extent=extent, interpolation="nearest", **settings)
        panel.set(ylabel=ylabel)
    _time_axis(panels, max(np.shape(values)[1] for values in maps.values()) * step_s)
    figure.colorbar(image, cax=bar)
    return _saved(figure, path)


def points(
    V: Array,
    labels: Mapping[str, Array],
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    most: int = 4000,
) -> "Figure":
    """Draw points of many dimensions on the plane in which they spread most, once for each way to label them.

    Args:
        V: (n, K).
        labels: what is told -> (n,) whole numbers, a colour each; an empty mapping draws them in one colour.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        most: points that are drawn, evenly taken.

    Returns:
        The figure.

    Raises:
        InputError: V is not (n, K), or labels are not (n,).
        MissingExtraError: matplotlib is not installed.
    """
    if np.ndim(V) != 2 or not len(V) or any(np.shape(values) != (len(V),) for values in labels.values()):
        told = ", ".join(str(np.shape(values)) for values in labels.values())
        raise InputError(f"V must be (n, K) and labels (n,); got {np.shape(V)} and {told}")
    step = -(-len(V) // most)
    V, shown = V[::step], {name: values[::step] for name, values in labels.items()} or {"": np.zeros(len(V[::step]))}
    centred = V - V.mean(0)
    axes = np.linalg.svd(centred.T @ centred)[0][:, :2]  # directions of most variance
    flat = centred @ axes
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(
        figsize=(WIDTH, 0.5 + WIDTH / max(len(shown), 2)), layout="constrained"
    )
    for k, (name, values) in enumerate(shown.items(), 1):
        panel = figure.add_subplot(1, len(shown), k)
        panel.scatter(flat[:, 0], flat[:, -1], c=values, s=3, cmap="coolwarm", linewidths=0)
        panel.set_title(name, loc="left", fontsize=11, parse_math=False)
        panel.set_aspect("equal")
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold", parse_math=False)
    return _saved(figure, path)


def overview(signals: Mapping[str, Array], sr: int, *, range_db: float = 80.0) -> "Figure":
    """Draw the waveform and, below it, the spectrogram of several signals, on common scales; see `spectrograms`.

    Args:
        signals: label -> (..., n_samples), floating point.
        sr: sample rate of all of them in Hz.
        range_db: what lies further below the loudest bin is black.

    Returns:
        The figure; `panels_of` finds its spectrograms.

    Raises:
        InputError: as `spectrograms`.
        MissingExtraError: matplotlib is not installed.
    """
    checked, _ = _checked(signals, sr, None)
    figure = spectrograms(signals, sr, range_db=range_db)
    n_samples = max(x.shape[-1] for x in checked.values())
    peak = max(float(np.abs(x).max(initial=0)) for x in checked.values()) or 1.0
    group = max(-(-n_samples // N_COLUMNS), 1)
    figure.set_figheight(figure.get_figheight() + 0.35 * len(checked))
    for panel, x in zip(figure.axes, checked.values(), strict=False):  # the colour bar is the last of the axes
        strip = panel.inset_axes((0, 1.03, 1, 0.3))
        low, high = _grouped(x, group, np.minimum).min(0), _grouped(x, group, np.maximum).max(0)
        t = (np.arange(len(low)) * group + (group - 1) / 2) / sr
        strip.fill_between(t, low, high, color="#7a54c7", linewidth=0.4)
        strip.set(xlim=(0, max(n_samples / sr, 1e-3)), ylim=(-1.05 * peak, 1.05 * peak))
        strip.set_axis_off()
        panel.set_title(str(panel.get_label()), loc="left", fontsize=11, y=1.3, parse_math=False)
    return figure


def png(figure: "Figure", *, width: float | None = None, dark: bool = False) -> bytes:
    """Render a figure for a page: at another width with letters of the same size, or light on a dark ground.

    Args:
        figure: any figure; a copy is changed, never the figure itself.
        width: inches; the figure's own when None.
        dark: draw text, ticks and frames light, on `DARK`.

    Returns:
        The bytes of a PNG file of 256 colours, a fifth of the size of all colours.
    """
    image_module = require("PIL.Image", extra="plot")
    copy, raw, small = _restyled(figure, width, dark), io.BytesIO(), io.BytesIO()
    copy.savefig(raw, format="rgba", dpi=DPI)
    size = tuple(int(v * DPI) for v in copy.get_size_inches())
    image = image_module.frombytes("RGBA", size, raw.getvalue()).convert("RGB")
    colours = image.quantize(256, image_module.Quantize.MAXCOVERAGE, dither=image_module.Dither.NONE)
    ground, palette = colours.getpixel((0, 0)), colours.getpalette()
    palette[3 * ground : 3 * ground + 3] = image.getpixel((0, 0))  # exact, or the picture shows an edge on its page
    colours.putpalette(palette)
    colours.save(small, format="png", optimize=True)
    return small.getvalue()


def panels_of(figure: "Figure", *, width: float | None = None) -> dict[str, tuple[float, ...]]:
    """Find where the panels of a figure lie, to point at moments in its picture.

    Args:
        figure: from `spectrograms` or `waveforms`.
        width: inches, as given to `png`.

    Returns:
        label -> (left, top, width, height, seconds at the left edge, seconds at the right edge); the first four as
        fractions of the picture.
    """
    copy = _restyled(figure, width, dark=False)
    copy.draw_without_rendering()
    boxes = {str(axes.get_label()): (axes.get_position(), axes.get_xlim()) for axes in copy.axes}
    return {
        name: tuple(float(v) for v in (box.x0, 1 - box.y1, box.width, box.height, *seconds))
        for name, (box, seconds) in boxes.items()
        if name and name != BAR
    }


def _checked(
    signals: Mapping[str, Array], sr: int, max_seconds: float | None
) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """Signals as (n_channels, n_samples) float32, and what the title must say about them."""
    if not signals:
        raise InputError('signals must hold at least one signal; got none: pass {"noisy": x, "enhanced": y}')
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
    """Seconds at the outer edges of the columns: frame t is centred on t·hop + hop - n_fft / 2 and one hop wide."""
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


BAR = "<colour bar>"  # the label of the one axes that is no panel


def _panels(names: list[str], title: str | None, *, height: float) -> tuple["Figure", list["Axes"], "Axes"]:
    """Make a figure with one panel per name above each other, and a narrow axes beside them all."""
    size = (WIDTH, 0.7 + 0.35 * bool(title) + height * len(names))
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, layout="constrained")
    cells = figure.add_gridspec(len(names), 2, width_ratios=(1, 0.03))
    panels = [figure.add_subplot(cells[0, 0])]
    panels += [figure.add_subplot(cells[i, 0], sharex=panels[0], sharey=panels[0]) for i in range(1, len(names))]
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold", parse_math=False)
    for panel, name in zip(panels, names, strict=True):
        panel.set_label(name)
        panel.set_title(name, loc="left", fontsize=11, pad=5, parse_math=False)
        panel.tick_params(labelsize=10, labelbottom=panel is panels[-1])
        panel.yaxis.label.set_fontsize(11)
    return figure, panels, figure.add_subplot(cells[:, 1], label=BAR)


def _title(title: str | None, notes: list[str]) -> str | None:
    return " · ".join([*([title] if title else []), *notes]) or None


def _time_axis(panels: list["Axes"], seconds: float) -> None:
    panels[-1].set_xlim(0, max(seconds, 1e-3))
    panels[-1].set_xlabel("seconds" if seconds < 120 else "minutes:seconds", fontsize=11)
    if seconds >= 120:
        step = next((step for step in (30, 60, 120, 300, 600, 1200) if seconds / step <= 7), 3600)
        panels[-1].xaxis.set_major_locator(require("matplotlib.ticker", extra="plot").MultipleLocator(step))
        panels[-1].xaxis.set_major_formatter(_clock)


def _clock(seconds: float, _: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


def _saved(figure: "Figure", path: str | PathLike[str] | None) -> "Figure":
    if path is not None:
        suffix = Path(path).suffix.lower()
        if suffix not in NO_DATES:
            raise InputError(f"path must end in {', '.join(NO_DATES)}; got {str(path)!r}")
        figure.savefig(path, dpi=DPI, metadata=NO_DATES[suffix])
    return figure


def _restyled(figure: "Figure", width: float | None, dark: bool) -> "Figure":
    copy: Figure = pickle.loads(pickle.dumps(figure))
    if width is not None:
        copy.set_size_inches(width, copy.get_figheight())
    if dark:
        copy.set_facecolor(DARK)
        for text in copy.findobj(require("matplotlib.text", extra="plot").Text):
            text.set_color(ON_DARK)
        for axes in copy.axes:
            axes.set_facecolor(DARK)
            axes.tick_params(colors=ON_DARK)
            for spine in axes.spines.values():
                spine.set_edgecolor("#8a8a94")
    return copy
