"""Level meters and figures in the terminal."""

import math
from typing import TYPE_CHECKING

from undin.live.line import Controls, Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LEAST_DB, WIDTH = -60, 40
FALL_DB = 1.5  # by which a meter falls between two looks


class Meters:
    """A screen that rewrites a few lines; a context manager.

    Args:
        console: the terminal.
    """

    def __init__(self, console: "Console") -> None:
        from rich.live import Live

        self._live = Live(console=console, refresh_per_second=20, transient=True)
        self._levels = [float(LEAST_DB)] * 2

    def __enter__(self) -> "Meters":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a permanent line above the meters."""
        self._live.console.print(text, highlight=False, markup=False)

    def show(self, status: Status, controls: Controls) -> None:
        """Show figures of the last moment."""
        peaks = (status.input, status.output)
        falling = zip(self._levels, peaks, strict=True)
        self._levels = [max(level - FALL_DB, decibels(peak)) for level, peak in falling]
        self._live.update(self._table(status, controls))

    def _table(self, status: Status, controls: Controls) -> "Table":
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        for name, level in zip(("in", "out"), self._levels, strict=True):
            table.add_row(name, meter(level), f"{level:4.0f} dB")
        state = "muted" if controls.muted else "raw" if controls.raw else "enhanced"
        drop_outs = f"dropouts {status.drop_outs}"
        table.add_row("", f"[bold]{state}[/]  load {status.load:.0%}  {drop_outs}", "")
        table.add_row("", "[dim]m mute   space raw or enhanced   q quit[/]", "")
        return table


def decibels(peak: float) -> float:
    """A peak in dB of full scale, at least LEAST_DB."""
    return max(20 * math.log10(max(peak, 1e-9)), LEAST_DB)


def meter(level_db: float) -> str:
    """A bar, with markup: green, yellow above -12 dB, red above -3 dB."""
    n = min(round((level_db - LEAST_DB) / -LEAST_DB * WIDTH), WIDTH)
    color = "red" if level_db > -3 else "yellow" if level_db > -12 else "green"
    return f"[{color}]{'█' * n}[/][dim]{'·' * (WIDTH - n)}[/]"
