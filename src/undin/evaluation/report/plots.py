"""The pictures of a report: score over SNR, gain per kind of noise, quality over cost, bars, histograms of gains.

Every method has one color and one marker in all of them, so that they are distinguishable in grayscale.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from undin.errors import require
from undin.evaluation.statistics import Mean
from undin.pictures.panels import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#7a54c7", "#e07b39", "#2a9d8f", "#d1495b", "#3a7ca5", "#a98600", "#7f7f7f", "#b56576")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
PLAIN: dict[str, Any] = {"color": "#8a8a94", "marker": "o", "linestyle": "--", "mfc": "none"}  # of the input
WIDTH = 7.2  # inches, as the pictures of signals
Curves = Mapping[str, Sequence[Mean | None]]


def over_snr(curves: Curves, snrs: Sequence[str], ylabel: str, *, plain: str) -> "Figure":
    """Draw means with intervals over SNR, a line per method.

    Args:
        curves: method -> a mean per SNR, None where there is none.
        snrs: names of the SNRs, rising.
        ylabel: metric and unit.
        plain: the method drawn dashed and gray: the input.
    """
    figure, axes = _figure(0.35 * len(curves) + 3.0)
    for name, style in _styles(curves, plain).items():
        shift = style.pop("shift")
        points = [(i + shift, mean) for i, mean in enumerate(curves[name]) if mean]
        _intervals(axes, [x for x, _ in points], [mean for _, mean in points], name, style)
    axes.set_xticks(range(len(snrs)), [snr.replace(" dB", "").replace(" to ", "…") for snr in snrs])
    axes.set_xlim(-0.5, len(snrs) - 0.5)
    axes.set_xlabel("SNR of the mixture (dB)", fontsize=11)
    axes.set_ylabel(ylabel, fontsize=11)
    _finish(figure, axes)
    return figure


def per_kind(curves: Curves, kinds: Sequence[str], xlabel: str) -> "Figure":
    """Draw gains with intervals, a row per kind of noise, and a line at zero gain.

    Args:
        curves: method -> a mean gain per kind, None where there is none.
        kinds: names of the kinds, first on top.
        xlabel: metric and unit.
    """
    figure, axes = _figure(1.0 + 0.3 * len(curves) + max(0.26, 0.11 * len(curves)) * len(kinds))
    for name, style in _styles(curves, None).items():
        style |= {"linestyle": "none"}
        points = [(i, mean) for i, mean in enumerate(curves[name]) if mean]
        shift = 3 * style.pop("shift")
        y = [i + shift for i, _ in points]
        means = [mean for _, mean in points]
        xerr = [mean.half or 0.0 for mean in means]
        axes.errorbar([mean.mean for mean in means], y, xerr=xerr, label=name, markersize=5, linewidth=1.2, **style)
    axes.axvline(0, color="#8a8a94", linewidth=1)
    axes.set_yticks(range(len(kinds)), [_legible(kind.replace("_", " ")) for kind in kinds])
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.set_xlabel(xlabel, fontsize=11)
    _finish(figure, axes)
    return figure


def over_cost(points: Mapping[str, tuple[float, Mean]], plain: Mean | None, ylabel: str) -> "Figure":
    """Draw quality over cost, a point per method.

    Args:
        points: method -> (real-time factor, mean score).
        plain: the input's mean score, a line.
        ylabel: metric and unit.
    """
    figure, axes = _figure(0.3 * len(points) + 2.8)
    for name, style in _styles(points, None).items():
        style.pop("shift")
        _intervals(axes, [points[name][0]], [points[name][1]], name, style)
    if plain:
        axes.axhline(plain.mean, color="#8a8a94", linestyle="--", linewidth=1.2, label="input")
    axes.set_xscale("log")
    costs = [cost for cost, _ in points.values()]
    axes.set_xlim(min(costs) / 3, 3 * max(costs))  # two of its ticks, 1, 2, 5, 10, are in any range of 5
    for set_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        set_formatter(_plain_number)
    axes.set_xlabel("processing time per second of audio", fontsize=11)
    axes.set_ylabel(ylabel, fontsize=11)
    _finish(figure, axes)
    return figure


def bars(groups: Mapping[str, Mapping[str, Mean | None]], ylabel: str) -> "Figure":
    """Draw means with intervals as bars, side by side within each group; the first method, the input, is a line.

    Methods whose names differ in a number at the end share a color.

    Args:
        groups: group -> method -> mean, the same methods in each; a label is broken at its commas.
        ylabel: metric and unit.
    """
    plain, *names = next(iter(groups.values()))
    figure, axes = _figure(0.2 * len(_families(names)) + 3.2)
    width, least, shades = 0.8 / max(len(names), 1), float("inf"), _shades(names)
    for i, group in enumerate(groups.values()):
        if mean := group[plain]:
            axes.hlines(mean.mean, i - 0.45, i + 0.45, PLAIN["color"], "--", label="_" * bool(i) + plain, zorder=3)
            least = min(least, mean.mean)
    for k, name in enumerate(names):
        points = [(i, mean) for i, group in enumerate(groups.values()) if (mean := group[name])]
        x = [i + (k - (len(names) - 1) / 2) * width for i, _ in points]
        y, half = [mean.mean for _, mean in points], [mean.half or 0.0 for _, mean in points]
        axes.bar(x, y, 0.9 * width, yerr=half, label=name, color=shades[name], error_kw={"linewidth": 0.8})
        least = min([least, *y])
    axes.set_xticks(range(len(groups)), [_legible(group, 60).replace(", ", "\n") for group in groups])
    axes.set_ylabel(ylabel, fontsize=11)
    if 0 < least < float("inf"):
        axes.set_ylim(bottom=0.8 * least)
    _finish(figure, axes)
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    axes.set_yticks([y for y in axes.get_yticks() if low <= y <= high])  # or the layout reserves room for other ticks
    return figure


def _families(names: Sequence[str]) -> dict[str, list[str]]:
    """Names that differ in a number at their end, together.

    >>> _families(["mann-6", "mann-20", "dnn"])
    {'mann': ['mann-6', 'mann-20'], 'dnn': ['dnn']}
    """
    families: dict[str, list[str]] = {}
    for name in names:
        stem, dash, number = name.rpartition("-")
        families.setdefault(stem if dash and number.isdigit() else name, []).append(name)
    return families


def _shades(names: Sequence[str]) -> dict[str, tuple[str, float]]:
    """A color for each family, fuller from one of its members to the next."""
    return {
        name: (COLORS[k % len(COLORS)], (i + 1) / len(members))
        for k, members in enumerate(_families(names).values())
        for i, name in enumerate(members)
    }


def histograms(gains: Mapping[str, Mapping[str, Sequence[float]]]) -> "Figure":
    """Draw how gains are spread over mixtures: a row per method, a column per metric, one scale per column.

    Zero, where nothing is gained, is a line; the mean is a triangle.

    Args:
        gains: metric with its unit -> method -> a gain per mixture.
    """
    names = list(dict.fromkeys(name for methods in gains.values() for name in methods))
    size = (WIDTH, 0.6 + 0.8 * len(names))
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(names), len(gains), squeeze=False, sharex="col", sharey="col")
    for column, (metric, methods) in zip(grid.T, gains.items(), strict=True):
        values = np.concatenate([list(method) for method in methods.values()])
        edges = np.histogram_bin_edges(values, min(24, max(len(values) // len(methods), 5)))
        for k, (axes, name) in enumerate(zip(column, names, strict=True)):
            own = methods.get(name, [])
            axes.hist(own, edges, histtype="stepfilled", color=COLORS[k % len(COLORS)], alpha=0.7)
            axes.axvline(0, color="#8a8a94", linewidth=1)
            axes.plot(
                np.mean(own) if own else np.nan, 0, marker="^", mfc="white", mec="#5d5a68", clip_on=False, zorder=3
            )
            axes.set(yticks=[], xlim=(min(0, edges[0]), max(0, edges[-1])))
            axes.locator_params(axis="x", nbins=3)
            axes.tick_params(labelsize=9)
        column[-1].set_xlabel(metric.replace(" (", "\n(").replace(", ", ",\n"), fontsize=10)  # narrow on phones
    for axes, name in zip(grid[:, 0], names, strict=True):
        axes.set_title(shortened(name), loc="left", fontsize=10, pad=3, parse_math=False)
    figure.supxlabel("gain over the input; triangle: mean", fontsize=10)
    return figure


def _plain_number(value: float, _: object) -> str:
    """0.02 for 2 · 10^-2, and nothing at ticks that would crowd."""
    return f"{value:g}" if f"{value:e}"[0] in "125" else ""


def _figure(height: float) -> tuple["Figure", "Axes"]:
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _styles(names: Mapping[str, object], plain: str | None) -> dict[str, dict[str, Any]]:
    """Color and marker of every method, and its shift to a side, so that intervals do not cover each other."""
    colored = [name for name in names if name != plain]
    styles: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(names):
        shift = (i - (len(names) - 1) / 2) * min(0.08, 0.24 / max(len(names), 1))
        if name == plain:
            styles[name] = {**PLAIN, "shift": shift}
        else:
            k = colored.index(name)
            marker = MARKERS[(k + k // len(COLORS)) % len(MARKERS)]  # no pair of color and marker comes twice
            styles[name] = {"color": COLORS[k % len(COLORS)], "marker": marker, "shift": shift}
    return styles


def _intervals(axes: "Axes", x: Sequence[float], means: Sequence[Mean], name: str, style: dict[str, Any]) -> None:
    half = [mean.half or 0.0 for mean in means]
    axes.errorbar(
        x, [mean.mean for mean in means], yerr=half, label=name, markersize=6, linewidth=1.6, capsize=3, **style
    )


def _finish(figure: "Figure", axes: "Axes") -> None:
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=10)
    _legend(figure, axes)


def _legible(name: str, most: int = 24) -> str:
    """A name that leaves room for the axes, its dollars no formula."""
    return shortened(name, most).replace("$", r"\$")


def _legend(figure: "Figure", axes: "Axes") -> None:
    """Above the figure, in as many columns as the longest name leaves room for."""
    handles, names = axes.get_legend_handles_labels()
    ncols = 3 if max(map(len, names), default=0) <= 18 else 2
    figure.legend(handles, map(_legible, names), loc="outside upper left", ncols=ncols, frameon=False, fontsize=10)
