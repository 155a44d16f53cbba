"""The pictures of a report: score over SNR, gain per kind of noise, quality over cost, bars, histograms of gains.

Every method has one colour and one marker in all of them, so that they are distinguishable in grayscale.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from undin.errors import require
from undin.evaluation.statistics import Mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#7a54c7", "#e07b39", "#2a9d8f", "#d1495b", "#3a7ca5", "#a98600", "#7f7f7f", "#b56576")
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
        plain: the method drawn dashed and grey: the input.
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
    """Draw gains with intervals, a row per kind of noise; zero, where nothing is gained, is a line.

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
    axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
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
    for set_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        set_formatter(_plain_number)
    axes.set_xlabel("seconds of work per second of sound", fontsize=11)
    axes.set_ylabel(ylabel, fontsize=11)
    _finish(figure, axes)
    return figure


def bars(groups: Mapping[str, Mapping[str, Mean | None]], ylabel: str) -> "Figure":
    """Draw means with intervals as bars, side by side within each group; the first method, the input, is a line.

    Methods whose names differ in a number at the end share a colour.

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
    axes.set_xticks(range(len(groups)), [group.replace(", ", "\n") for group in groups])
    axes.set_ylabel(ylabel, fontsize=11)
    if 0 < least < float("inf"):
        axes.set_ylim(bottom=0.8 * least)
    _finish(figure, axes)
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
    """A colour for each family, fuller from one of its members to the next."""
    return {
        name: (COLOURS[k % len(COLOURS)], (i + 1) / len(members))
        for k, members in enumerate(_families(names).values())
        for i, name in enumerate(members)
    }


def histograms(gains: Mapping[str, Mapping[str, Sequence[float]]]) -> "Figure":
    """Draw how gains are spread over mixtures, a panel per metric; zero, where nothing is gained, is a line.

    Args:
        gains: metric with its unit -> method -> a gain per mixture.
    """
    size = (WIDTH, 0.6 + 1.7 * len(gains))
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, layout="constrained")
    names = list(dict.fromkeys(name for methods in gains.values() for name in methods))
    for axes, (metric, methods) in zip(figure.subplots(len(gains), 1, squeeze=False)[:, 0], gains.items(), strict=True):
        values = np.concatenate([list(method) for method in methods.values()])
        edges = np.histogram_bin_edges(values, min(30, max(len(values) // len(methods), 5)))
        for name, method in methods.items():
            colour = COLOURS[names.index(name) % len(COLOURS)]
            axes.hist(method, edges, histtype="stepfilled", alpha=0.35, color=colour, label=name)
        axes.axvline(0, color="#8a8a94", linewidth=1)
        axes.set_xlabel(f"gain in {metric}", fontsize=11)
        axes.set_ylabel("mixtures", fontsize=11)
        axes.yaxis.get_major_locator().set_params(integer=True)
    _legend(figure, axes)
    return figure


def _plain_number(value: float, _: object) -> str:
    """0.02 for 2 · 10^-2, and nothing at ticks that would crowd."""
    return f"{value:g}" if f"{value:e}"[0] in "125" else ""


def _figure(height: float) -> tuple["Figure", "Axes"]:
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _styles(names: Mapping[str, object], plain: str | None) -> dict[str, dict[str, Any]]:
    """Colour and marker of every method, and its shift to a side, so that intervals do not cover each other."""
    coloured = [name for name in names if name != plain]
    styles: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(names):
        shift = (i - (len(names) - 1) / 2) * min(0.08, 0.24 / max(len(names), 1))
        if name == plain:
            styles[name] = {**PLAIN, "shift": shift}
        else:
            k = coloured.index(name)
            marker = MARKERS[(k + k // len(COLOURS)) % len(MARKERS)]  # no pair of colour and marker comes twice
            styles[name] = {"color": COLOURS[k % len(COLOURS)], "marker": marker, "shift": shift}
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


def _legend(figure: "Figure", axes: "Axes") -> None:
    """Above the figure, in as many columns as the longest name leaves room for."""
    handles, names = axes.get_legend_handles_labels()
    ncols = 3 if max(map(len, names), default=0) <= 18 else 2
    figure.legend(handles, names, loc="outside upper left", ncols=ncols, frameon=False, fontsize=10)
