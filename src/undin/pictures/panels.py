"""What all pictures share: panels above each other on one axis of time, and the way to a file or a page."""

import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from undin.atomic import atomic_write
from undin.errors import InputError, require

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

WIDTH, DPI = 7.2, 160  # inches, dots per inch; labels of 11 points stay readable at half that width
DARK, ON_DARK = "#17181c", "#e6e6ea"  # ground and letters of a dark page
NO_DATES = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
BAR = "<color bar>"  # label of the axes that are not a panel


def shortened(name: str, most: int = 40) -> str:
    """A name that leaves room for the picture, in characters that can be drawn.

    Args:
        name: of a file, method or kind of noise; need not be UTF-8.
        most: characters.
    """
    name = name.encode(errors="backslashreplace").decode()
    return name if len(name) <= most else f"{name[: most - 4]} ..."


@dataclass(frozen=True)
class Shot:
    """A figure as a page shows it.

    Attributes:
        light, dark: PNG files of 256 colors, a fifth of the size of all colors; the second is light on `DARK`.
        panels: label -> (left, top, width, height, seconds at the left edge, seconds at the right edge); the first four
            as fractions of the picture.
    """

    light: bytes
    dark: bytes
    panels: dict[str, tuple[float, ...]]


def shot(figure: "Figure", *, width: float | None = None) -> Shot:
    """Render a figure for a page, in two color schemes.

    Args:
        figure: any figure; a copy is changed, never the figure itself.
        width: inches, with letters of the same size; the figure's own when None.
    """
    copy: Figure = pickle.loads(pickle.dumps(figure))
    copy.set_size_inches(width or copy.get_figwidth(), copy.get_figheight())
    copy.set_dpi(DPI)
    canvas = require("matplotlib.backends.backend_agg", extra="plot").FigureCanvasAgg(copy)
    for image in (image for axes in copy.axes for image in axes.images):
        image.make_image = cache(image.make_image)  # type: ignore[method-assign]  # resampled once for both
    light = _png(canvas)
    copy.set_layout_engine("none")  # it is laid out, which takes as long as drawing it
    panels = {str(axes.get_label()): (axes.get_position(), axes.get_xlim()) for axes in copy.axes}
    boxes = {
        name: tuple(float(v) for v in (box.x0, 1 - box.y1, box.width, box.height, *seconds))
        for name, (box, seconds) in panels.items()
        if name and name != BAR
    }
    _darken(copy)
    return Shot(light, _png(canvas), boxes)


def _png(canvas: Any) -> bytes:
    image_module = require("PIL.Image", extra="plot")
    canvas.draw()
    image = image_module.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    colors = image.quantize(256, image_module.Quantize.FASTOCTREE, dither=image_module.Dither.NONE)
    ground, palette = colors.getpixel((0, 0)), colors.getpalette()
    palette[3 * ground : 3 * ground + 3] = image.getpixel((0, 0))  # exact, or the picture shows an edge on its page
    colors.putpalette(palette)
    file = io.BytesIO()
    colors.save(file, format="png")
    return file.getvalue()


def panels_over_time(names: list[str], title: str | None, *, height: float) -> tuple["Figure", list["Axes"], "Axes"]:
    """Make a figure with one panel per name above each other, and narrow axes next to them.

    Args:
        names: titles of the panels.
        title: of the figure, if any.
        height: of a panel, in inches.
    """
    size = (WIDTH, 0.7 + 0.35 * bool(title) + height * len(names))
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, layout="constrained")
    cells = figure.add_gridspec(len(names), 2, width_ratios=(1, 0.03))
    panels = [figure.add_subplot(cells[0, 0])]
    panels += [figure.add_subplot(cells[i, 0], sharex=panels[0], sharey=panels[0]) for i in range(1, len(names))]
    if title:
        figure.suptitle(shortened(title, 60), fontsize=12, fontweight="bold", parse_math=False)
    for panel, name in zip(panels, names, strict=True):
        panel.set_label(name)
        panel.set_title(shortened(name), loc="left", fontsize=11, pad=5, parse_math=False)
        panel.tick_params(labelsize=10, labelbottom=panel is panels[-1])
        panel.yaxis.label.set_fontsize(11)
    return figure, panels, figure.add_subplot(cells[:, 1], label=BAR)


def labeled(given: object, name: str) -> Mapping[str, Any]:
    """Label -> array to draw; a single array needs no label.

    Raises:
        InputError: it is neither.
    """
    if isinstance(given, Mapping):
        return given
    if isinstance(given, np.ndarray):
        return {"": given}
    kind = type(given).__name__
    raise InputError(f'{name} must be an array or a dict of them; got a {kind}: pass {{"noisy": x, "enhanced": y}}')


def titled(title: str | None, notes: list[str]) -> str | None:
    """A title and what else must be said above the panels."""
    return " · ".join([*([title] if title else []), *notes]) or None


def time_axis(panels: list["Axes"], seconds: float) -> None:
    """Give the lowest panel the axis that all share."""
    panels[-1].set_xlim(0, max(seconds, 1e-3))
    panels[-1].set_xlabel("seconds" if seconds < 120 else "minutes:seconds", fontsize=11)
    if seconds >= 120:
        step = next((step for step in (30, 60, 120, 300, 600, 1200) if seconds / step <= 7), 3600)
        panels[-1].xaxis.set_major_locator(require("matplotlib.ticker", extra="plot").MultipleLocator(step))
        panels[-1].xaxis.set_major_formatter(_clock)


def _clock(seconds: float, _: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


def saved(figure: "Figure", path: str | PathLike[str] | None) -> "Figure":
    """Write the figure where a path is given.

    Raises:
        InputError: its extension is of no known format.
    """
    if path is not None:
        suffix = Path(path).suffix.lower()
        if suffix not in NO_DATES:
            raise InputError(f"path must end in {', '.join(NO_DATES)}; got {str(path)!r}")
        with atomic_write(Path(path), "wb") as file:
            figure.savefig(file, dpi=DPI, format=suffix[1:], metadata=NO_DATES[suffix])
    return figure


def _darken(figure: "Figure") -> None:
    """Draw text, ticks and frames light, on `DARK`."""
    figure.set_facecolor(DARK)
    for text in _texts(figure):
        text.set_color(ON_DARK)
    insets = [inset for axes in figure.axes for inset in axes.child_axes]
    for axes in (*figure.axes, *insets):
        axes.set_facecolor(DARK)
        axes.tick_params(colors=ON_DARK)
        for spine in axes.spines.values():
            spine.set_edgecolor("#8a8a94")


def _texts(artist: "Artist") -> Iterator["Text"]:
    """All but those of ticks, which `findobj` would make, hundreds that are not drawn."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    for child in artist.get_children():
        if isinstance(child, Axis):
            yield child.label
        elif isinstance(child, Text):
            yield child
        else:
            yield from _texts(child)
