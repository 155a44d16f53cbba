"""How a folder becomes the clips of a corpus: its layout is recognized, and the headers of its files are read."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from undin.corpora import trees
from undin.corpora.clip import Clip, moved
from undin.corpora.headers import duration_s, in_threads
from undin.corpora.layouts import LAYOUTS, plain
from undin.errors import InputError, UndinError

DEEP = 4  # maximum depth of single-child folders; archives often unpack to some


class Fault(NamedTuple):
    """A file and its fault."""

    path: str
    reason: str

    def __str__(self) -> str:
        is_predicate = self.reason.startswith(("is ", "has ", "ends ", "cannot "))
        return f"{self.path}{'' if is_predicate else ':'} {self.reason}"


class Part(NamedTuple):
    """A folder that has a layout; of a plain one the folders and files that are meant, all when empty."""

    home: Path
    layout: str
    among: tuple[Path, ...] = ()

    def rows(self, root: Path, role: plain.Role | None) -> Iterator[Clip]:
        """Its clips as seen from a folder further up."""
        is_plain, up = self.layout == "plain", self.home.relative_to(root)
        found = plain.rows(self.home, role, self.among) if is_plain else LAYOUTS[self.layout].rows(self.home)
        yield from found if up == Path() else (moved(clip, up) for clip in found)


@dataclass(frozen=True)
class Scan:
    """The clips found in a folder.

    Attributes:
        root: the folder that the paths are relative to: the given one, or the only one in it.
        layout: name of the layout, or of several side by side, such as "librispeech + ms-snsd".
        rows: the clips that can be read.
        unreadable: the files that cannot, and why.
    """

    root: Path
    layout: str
    rows: tuple[Clip, ...]
    unreadable: tuple[Fault, ...]


def scan(
    root: str | os.PathLike[str],
    *,
    layout: str | None = None,
    role: plain.Role | None = None,
    tick: Callable[[int, int], object] | None = None,
) -> Scan:
    """List the clips of a folder, by its layout and the headers of its files.

    A folder without a layout may contain several with one side by side: LibriSpeech/ and MS-SNSD/, or speech/ and
    noise/ with such folders in them. They are one corpus, each with its own splits and names. Folders next to them
    without a layout must be inside a folder that states their role, like plain folders.

    Args:
        root: the folder.
        layout: one of LAYOUTS; None to detect it.
        role: treat a plain folder as "speech" or "noise", whatever its name.
        tick: called with (files done, files in all).

    Raises:
        InputError: no such folder or layout, no audio in it, or audio of unknown role next to
            it is.
    """
    root = Path(root)
    if not os.path.isdir(root):  # noqa: PTH112 (never raises, as for names that are too long)
        exists = os.path.exists(root)  # noqa: PTH110
        raise InputError(
            f"{root} must be a folder, not a file" if exists else f"{root}: no such folder: check the spelling"
        )
    if role and layout not in (None, "plain"):
        raise InputError(f'role is for plain folders; got role="{role}" with layout="{layout}"')
    parts = _parts(root, "plain" if role else layout)
    home, name = Path(os.path.commonpath([part.home for part in parts])), _joined(part.layout for part in parts)
    clips = [clip for part in parts for clip in part.rows(home, role)]
    if not clips:
        raise InputError(f"{root} contains no audio in the layout {name}: {LOOKED_FOR}")
    rows: list[Clip] = []
    unreadable: list[Fault] = []
    for i, found in enumerate(in_threads(lambda clip: _measured(home, clip), clips), 1):
        if isinstance(found, Fault):
            unreadable.append(found)
        else:
            rows.append(found)
        if tick:
            tick(i, len(clips))
    return Scan(home, name, tuple(rows), tuple(unreadable))


LOOKED_FOR = "looked for files that end in " + ", ".join(sorted(trees.SUFFIXES)) + ", in it and the folders below"


def _joined(names: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(names))


def _parts(root: Path, layout: str | None) -> list[Part]:
    """Parts of a folder: usually one."""
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}")
    if layout is None and (root / "manifest.csv").is_file() and (root / "noisy").is_dir():
        raise InputError(
            f"{root} contains mixtures of undin mix: use the corpus they were mixed from, or undin evaluate"
        )
    if found := _recognized(root, layout):
        return [found] if layout or found.layout == "tables" else [found, *_beside(found)]
    if parts := [] if layout else _side_by_side(root):
        return parts
    if layout in (None, "plain") and plain.recognize(root):
        return [Part(root, "plain")]
    raise InputError(f"{root} contains no audio{f' in the layout {layout}' if layout else ''}: {LOOKED_FOR}")


def _recognized(root: Path, layout: str | None = None) -> Part | None:
    """The folder that has a known layout: this one, or the only one in it."""
    names = [layout] if layout else [name for name in LAYOUTS if name != "plain"]
    for _ in range(DEEP):
        for name in names:
            if LAYOUTS[name].recognize(root):
                return Part(root, name)
        below = list(trees.folders(root).values())
        if len(below) != 1 or trees.loose(root):
            break
        root = below[0]
    return None


def _beside(found: Part) -> list[Part]:
    """Other layouts in folders of one that has a layout, as LibriSpeech/ among the folders of DEMAND."""
    parts = [part for folder in trees.folders(found.home).values() if (part := _recognized(folder))]
    return [part for part in parts if part.layout not in (found.layout, "tables")]


def _side_by_side(root: Path, deep: int = DEEP) -> list[Part]:
    """The parts of a folder that has no layout itself; none where no folder in it has one."""
    below, loose = list(trees.folders(root).values()), trees.loose(root)
    if len(below) == 1 and not loose:
        return _side_by_side(below[0], deep - 1) if deep else []
    inner = {folder: _within(folder, deep) for folder in below}
    if not (parts := [part for found in inner.values() for part in found]):
        return []
    others = [*(folder for folder, found in inner.items() if not found and plain.recognize(folder)), *loose]
    strange = [] if plain.is_named(root) else [path.name for path in others if not plain.is_named(path, splits=True)]
    if strange:
        known = ", ".join(f"{part.home.name} ({part.layout})" for part in parts)
        listed = ", ".join(strange[:5]) + (f" and {len(strange) - 5} more" if len(strange) > 5 else "")
        raise InputError(
            f"{root} holds {known}, and audio of unknown role next to it: {listed}: "
            f"put it into {root / 'speech'} (one folder per talker) or {root / 'noise'}, or move it elsewhere"
        )
    return [*parts, Part(root, "plain", tuple(others))] if others else parts


def _within(folder: Path, deep: int) -> list[Part]:
    """The parts of a folder next to others; none for plain folders, and for tables of audio elsewhere."""
    is_named = plain.is_named(folder)
    if is_named and trees.loose(folder):  # all of it counts, also where it has some names of NOISEX-92
        return []
    if found := _recognized(folder):
        return [] if found.layout == "tables" and not plain.recognize(found.home) else [found]
    return _side_by_side(folder, deep - 1) if deep and is_named else []


def _measured(root: Path, clip: Clip) -> Clip | Fault:
    """The clip with the length that its file's header says."""
    if clip.duration_s != float("inf"):
        return clip
    try:
        return replace(clip, duration_s=duration_s(root / clip.path))
    except (UndinError, OSError) as error:
        return fault_of(root, clip.path, error)


def fault_of(root: Path, path: str, error: UndinError | OSError) -> Fault:
    """Why a file cannot be read, without its name.

    Args:
        root: folder of the corpus.
        path: of the file, below the root.
        error: what reading it raised.
    """
    reason = str(error.strerror if isinstance(error, OSError) else error)
    return Fault(path, reason.removeprefix(str(root / path)).lstrip(": "))
