"""Pictures of numbers over time: masks, attention, embeddings."""

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from undin.errors import InputError, require
from undin.pictures.panels import WIDTH, labeled, panels_over_time, saved, shortened, time_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.floating]


def masks(
    planes: Mapping[str, Array] | Array,
    sr: int,
    hop_length: int,
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    limit: float = 1.0,
) -> "Figure":
    """Draw masks, one panel each.

    Gains, from 0 to 1, go from black to white. If any is negative, 0 is white, negative blue and positive red.

    Args:
        planes: label -> (n_freq, n_frames) real: a gain, or the real or imaginary part of one; or (n_frames,) for
            values per frame, such as voice activity.
        sr: sample rate in Hz.
        hop_length: samples between frames.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        limit: end of the color scale.

    Returns:
        The figure, for more changes or `savefig`.

    Raises:
        InputError: no planes, or one of another shape or complex; limit breaks its rule.
        MissingExtraError: matplotlib is not installed.
    """
    planes = labeled(planes, "planes")
    shapes = {name: np.shape(M) for name, M in planes.items()}
    wrong = [f"{k} of shape {shapes[k]}" for k, M in planes.items() if np.ndim(M) not in (1, 2) or np.iscomplexobj(M)]
    if wrong or not planes or not limit > 0:
        raise InputError(
            "planes must be real, (n_freq, n_frames) or (n_frames,) each, and limit above 0; "
            f"got {', '.join(wrong) or len(planes)} and {limit}"
        )
    figure, panels, bar = panels_over_time(list(planes), title, height=1.6)
    signed = any(np.min(M, initial=0) < 0 for M in planes.values())
    settings: dict[str, Any] = {"vmin": -limit if signed else 0, "vmax": limit, "cmap": "RdBu_r" if signed else "gray"}
    for panel, M in zip(panels, planes.values(), strict=True):
        extent = (0, np.shape(M)[-1] * hop_length / sr, 0, sr / 2000)
        image = panel.imshow(np.atleast_2d(M), origin="lower", extent=extent, aspect="auto", **settings)
        panel.set(ylabel="kHz" if np.ndim(M) == 2 else "", ylim=(0, sr / 2000))
    time_axis(panels, max(shape[-1] for shape in shapes.values()) * hop_length / sr)
    figure.colorbar(image, cax=bar)
    return saved(figure, path)


def heat_maps(
    maps: Mapping[str, Array] | Array,
    step_s: float,
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    ylabel: str = "row",
) -> "Figure":
    """Draw matrices over time above each other, on one time axis and one color scale from 0 to the largest value.

    Args:
        maps: label -> (n_rows, n_frames), 0 or more; row 0 is at the bottom.
        step_s: from frame to frame, in seconds.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        ylabel: label of the rows.

    Returns:
        The figure, for more changes or `savefig`.

    Raises:
        InputError: no maps, one that is not of two axes or not finite, or step_s is not above 0.
        MissingExtraError: matplotlib is not installed.
    """
    maps = labeled(maps, "maps")
    if not maps or not step_s > 0:
        raise InputError(f"maps must not be empty and step_s must be above 0; got {len(maps)} and {step_s!r}")
    for name, values in maps.items():
        if np.ndim(values) != 2 or not np.isfinite(values).all():
            raise InputError(f"maps[{name!r}] must be finite, (n_rows, n_frames); got shape {np.shape(values)}")
    figure, panels, bar = panels_over_time(list(maps), title, height=1.4)
    largest = max(float(np.max(values, initial=0)) for values in maps.values()) or 1.0
    for panel, values in zip(panels, maps.values(), strict=True):
        n_rows, n_frames = np.shape(values)
        extent = (0, max(n_frames, 1) * step_s, -0.5, n_rows - 0.5)
        settings: dict[str, Any] = {"vmin": 0, "vmax": largest, "cmap": "magma", "aspect": "auto", "origin": "lower"}
        image = panel.imshow(values, extent=extent, interpolation="nearest", **settings)
        panel.set(ylabel=ylabel)
    time_axis(panels, max(np.shape(values)[1] for values in maps.values()) * step_s)
    figure.colorbar(image, cax=bar)
    return saved(figure, path)


def points(
    V: Array,
    labels: Mapping[str, Array],
    path: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    most: int = 4000,
) -> "Figure":
    """Draw multidimensional points on their principal plane, once for each labeling.

    Args:
        V: (n, K).
        labels: title -> (n,) integers, one color each; an empty mapping draws them in one color.
        path: where to save it as well, .png, .pdf or .svg.
        title: a line above the panels.
        most: maximum number of points, evenly sampled.

    Returns:
        The figure.

    Raises:
        InputError: V is not (n, K), or labels are not (n,).
        MissingExtraError: matplotlib is not installed.
    """
    if np.ndim(V) != 2 or not len(V) or any(np.shape(values) != (len(V),) for values in labels.values()):
        shapes = ", ".join(str(np.shape(values)) for values in labels.values())
        raise InputError(f"V must be (n, K) and labels (n,); got {np.shape(V)} and {shapes}")
    step = -(-len(V) // most)
    V, shown = V[::step], {name: values[::step] for name, values in labels.items()} or {"": np.zeros(len(V[::step]))}
    centered = V - V.mean(0)
    axes = np.linalg.svd(centered.T @ centered)[0][:, :2]  # directions of most variance
    flat = centered @ axes
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(
        figsize=(WIDTH, 0.5 + WIDTH / max(len(shown), 2)), layout="constrained"
    )
    for k, (name, values) in enumerate(shown.items(), 1):
        panel = figure.add_subplot(1, len(shown), k)
        panel.scatter(flat[:, 0], flat[:, -1], c=values, s=3, cmap="coolwarm", linewidths=0)
        panel.set_title(shortened(name), loc="left", fontsize=11, parse_math=False)
        panel.set_aspect("equal")
    if title:
        figure.suptitle(shortened(title, 60), fontsize=12, fontweight="bold", parse_math=False)
    return saved(figure, path)
