"""One self-contained HTML file with players, pictures and tables.

`write_page` is what most need; `write_sections` takes parts in any order. The file asks for nothing else, from disk or
network, so it can be mailed and archived. `page.html` frames it; `page.css` is how it looks, on a screen, a phone and
paper; `page.js` makes one player of several, and is all that is lost without scripts.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from undin.atomic import atomic_write, check_folder
from undin.errors import InputError
from undin.player import Codec, File, Sound, data_uri, player, type_of
from undin.workers import Executor, Progress, WorkerDied, executor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Cell:
    """A cell of a table with more than a value: `note` is set small below it; the best of its kind is set in bold."""

    text: object
    note: str = ""
    best: bool = False


@dataclass(frozen=True)
class Group:
    """A heading row of a table, with optional text per column."""

    text: str
    cells: Mapping[str, str] = field(default_factory=dict)


Table = Sequence[Mapping[str, object] | Group]

IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
NARROW = 3.6  # inches: the width at which a figure is drawn once more for phones, letters as large as before

GENERATOR = b'<meta name="generator" content="undin">'


def write_page(
    path: File,
    *,
    title: str,
    intro: str = "",
    players: Mapping[str, Mapping[str, Sound]] | None = None,
    pictures: "Mapping[str, Figure | bytes | File] | None" = None,
    tables: Mapping[str, Table] | None = None,
    dry: str = "",
    wet: Sequence[str] = (),
    codec: Codec = "flac",
) -> Path:
    """Write a self-contained HTML page with players, pictures and tables.

    Names of players, pictures and tables are headings; equal names share a section. Over a figure
    of `undin.pictures` with the name of a player a cursor moves, and a click on a panel plays that signal from
    there. If an array exceeds full scale, all arrays of its player are attenuated together and the page says so.

    Args:
        path: the file to write; replaced only when the page is complete.
        title: heading of the page.
        intro: text below it; an empty line starts a paragraph.
        players: heading -> label -> (x, sr) with x (n_samples,) or (n_channels, n_samples), embedded by `codec`, or the
            path of an audio file, embedded unchanged. Signals of a player share one position, so they should be
            aligned.
        pictures: heading -> a matplotlib figure, PNG bytes, or the path of a PNG, JPEG or WebP file.
        tables: heading -> rows, each column -> cell; the first column names the row. Put the unprocessed input in a
            separate row or column. None and nan show as missing.
        dry: label of the unprocessed signal of each player.
        wet: labels of the enhanced ones: a slider blends them with it.
        codec: "flac" (16 bits) or "opus" (lossy, a fifth of the size).

    Returns:
        The path.

    Raises:
        InputError: a player without signals, invalid x or sr, or a file type that browsers do not support.
        OSError: a file cannot be read, or the page cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> signals = {"noisy": (np.zeros(800), 8000), "enhanced": (np.zeros(800), 8000)}
    >>> scores = [{"": "noisy (input)", "SI-SDR dB": 5.0}, {"": "enhanced", "SI-SDR dB": 11.2}]
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "compare.html"
    ...     write_page(path, title="Hear it", players={"Street": signals}, tables={"Street": scores}).name
    'compare.html'
    """
    players, pictures, tables = players or {}, pictures or {}, tables or {}
    sections: dict[str, list[str]] = {}
    for name in dict.fromkeys([*players, *pictures, *tables]):
        parts = sections.setdefault(name, [])
        if name in players:
            panels = hasattr(pictures.get(name), "savefig")
            parts.append(player(name, players[name], panels=panels, dry=dry, wet=wet, codec=codec))
        if name in pictures:
            parts.append(picture(name, pictures[name], list(players.get(name, []))))
        if name in tables:
            parts.append(table(name, tables[name]))
    return write_sections(path, title=title, intro=intro, sections=sections)


@dataclass(frozen=True)
class PictureTask:
    """What `picture` takes, or a function that returns its image, for one of the workers of `write_sections`."""

    name: str
    image: "Figure | Callable[[], Figure]"
    signals: Sequence[str] = ()

    def __str__(self) -> str:
        return picture(self.name, self.image() if callable(self.image) else self.image, self.signals)


def write_sections(
    path: File,
    *,
    title: str,
    intro: str = "",
    sections: Mapping[str, Sequence[str | PictureTask]],
    contents: bool = False,
    workers: int | Executor = 1,
) -> Path:
    """Write a self-contained HTML page of headings with parts below them.

    Args:
        path: the file to write; replaced only when the page is complete.
        title: heading of the page.
        intro: text below it; an empty line starts a paragraph.
        sections: heading -> parts, made by `prose`, `player`, `picture` or `PictureTask`, `table` and `folded`. One
            section holds one player at most.
        contents: list the headings at the top, as links.
        workers: number of processes that render `PictureTask` objects, or an `Executor`.

    Returns:
        The path.

    Raises:
        OSError: the page cannot be written.
    """
    bodies = []
    for i, (name, parts) in enumerate(_drawn(sections, executor(workers)).items()):
        start = f'<section id="part-{i}">' if contents else "<section>"
        bodies.append("\n".join([start, f"<h2>{escape(name)}</h2>", *parts, "</section>"]))
    links = "".join(f'<li><a href="#part-{i}">{escape(name)}</a></li>' for i, name in enumerate(sections))
    css, js, template = (
        resources.files("undin").joinpath(f"page.{kind}").read_text("utf-8") for kind in ("css", "js", "html")
    )
    page = template.format(
        title=escape(title),
        intro=prose(intro),
        contents=f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n' if contents else "",
        sections="\n".join(bodies),
        css=css,
        js=js,
    )
    path = Path(path)
    with atomic_write(path) as file:
        file.write(page.encode(errors="backslashreplace").decode())  # names of files need not be UTF-8
    return path


def check_page(path: Path) -> None:
    """Refuse a place for a page before there is work to lose.

    Raises:
        InputError: it does not end in .html, its folder is not there, or a file is there that undin did not make.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"a page must end in .html; got {path}")
    check_folder(path)
    if path.exists() and GENERATOR not in path.read_bytes()[:4096]:
        raise InputError(f"{path} already exists and was not written by undin; use another -o")


def _drawn(sections: Mapping[str, Sequence[str | PictureTask]], pool: Executor) -> dict[str, list[str]]:
    drawings = [part for parts in sections.values() for part in parts if isinstance(part, PictureTask)]
    with closing(pool.map(_draws, drawings, ordered=True)) as outcomes:
        shots = iter([str(drawing) if isinstance(shot, WorkerDied) else shot for drawing, shot in outcomes])
    return {name: [next(shots) if isinstance(p, PictureTask) else p for p in parts] for name, parts in sections.items()}


def _draws(_: Progress) -> Callable[[PictureTask], str]:
    return str


def prose(text: str) -> str:
    """Paragraphs of plain text; an empty line starts one."""
    return "\n".join(f"<p>{escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())


def folded(summary: str, *parts: str) -> str:
    """Parts behind a line to open them; on paper they are open."""
    return f"<details><summary>{escape(summary)}</summary>\n" + "\n".join(parts) + "\n</details>"


def picture(name: str, image: "Figure | bytes | File", signals: Sequence[str] = ()) -> str:
    """A picture as in `write_page`; `signals` are the labels of the section's player, in its order.

    Args:
        name: of its section, for screen readers.
        image: a figure, the bytes of a PNG, or a file.
        signals: labels of the section's player, in its order.
    """
    if isinstance(image, bytes):
        return f'<div class="shot"><img alt="{escape(name)}" src="{data_uri("image/png", image)}"></div>'
    if isinstance(image, str | PathLike):
        uri = data_uri(type_of(image, IMAGE_TYPES), Path(image).read_bytes())
        return f'<div class="shot"><img alt="{escape(name)}" src="{uri}"></div>'
    return _shot(name, image, list(signals), None, "wide") + "\n" + _shot(name, image, list(signals), NARROW, "narrow")


def _shot(name: str, figure: "Figure", signals: list[str], width: float | None, kind: str) -> str:
    """A figure at one width, light and dark, and boxes over those of its panels that show a signal of the player."""
    from undin.pictures.panels import BAR, shot

    drawn = shot(figure, width=width)
    light, dark = (data_uri("image/png", image) for image in (drawn.light, drawn.dark))
    boxes = "".join(
        f'<div class="panel" data-signal="{signals.index(label)}" data-start="{start:.4f}" data-stop="{stop:.4f}" '
        f'style="left:{left:.3%};top:{top:.3%};width:{wide:.3%};height:{high:.3%}"></div>'
        for label, (left, top, wide, high, start, stop) in drawn.panels.items()
        if label in signals
    )
    labels = [str(axes.get_label()) for axes in figure.axes]
    shown = [label for label in labels if label and label != BAR]
    alt = escape(f"{name}: {', '.join(shown)}" if shown else name)
    return (
        f'<div class="shot {kind}"><picture><source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img alt="{alt}" src="{light}"></picture>{boxes}</div>'
    )


def table(name: str, rows: Table) -> str:
    """A table as in `write_page`; a cell may be a `Cell`, a row may be a `Group`."""
    cells = [row for row in rows if not isinstance(row, Group)]
    columns = {column: _kind([row.get(column) for row in cells]) for row in cells for column in row}
    head = "".join(f'<th scope="col" class="{kind}">{_unbroken(column)}</th>' for column, kind in columns.items())
    body = "\n".join(_row_html(row, columns) for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="{escape(name)}" tabindex="0"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _row_html(row: Mapping[str, object] | Group, columns: Mapping[str, str]) -> str:
    first, *rest = columns.items()
    if isinstance(row, Group):
        words = "".join(f'<td class="{kind}">{escape(row.cells.get(column, ""))}</td>' for column, kind in rest)
        return f'<tr class="group"><th scope="rowgroup">{_unbroken(row.text)}</th>{words}</tr>'
    cells = [f'<th scope="row">{_cell_html(row.get(first[0]), _unbroken)}</th>']
    cells += [f'<td class="{kind}">{_cell_html(row.get(column), escape)}</td>' for column, kind in rest]
    return f"<tr>{''.join(cells)}</tr>"


def _cell_html(cell: object, write: Callable[[str], str]) -> str:
    if not isinstance(cell, Cell):
        return write(_as_text(cell))
    text = write(_as_text(cell.text))
    small = "".join(f"<small>{escape(line)}</small>" for line in cell.note.splitlines())
    return (f"<strong>{text}</strong>" if cell.best else text) + small


def _kind(cells: list[object]) -> str:
    """Numbers are set flush right, with and without their interval: 3, 4.1, "4.1 ± 0.2"; anything else makes text."""
    plain = [cell.text if isinstance(cell, Cell) else cell for cell in cells]
    texts = [_as_text(cell) for cell in plain if cell not in (None, "")]
    return "number" if all(re.match(r"[+−–-]?[\d.∞]|–", text) for text in texts) else "text"


def _as_text(cell: object) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    return f"{cell:.2f}".replace("inf", "∞").replace("-", "−") if isinstance(cell, float) else str(cell)


def _unbroken(text: str) -> str:
    """Escaped, each word kept on one line: "SI-SDR dB" may break at its space, not at its hyphen."""
    return " ".join(f"<span>{escape(word)}</span>" for word in text.split())
