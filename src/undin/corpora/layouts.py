"""The layouts that are known, in the order in which they are tried, and how a folder becomes a corpus."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from undin.corpora import (
    chime3,
    demand,
    esc50,
    librimix,
    librispeech,
    ms_snsd,
    musan,
    noisex92,
    plain,
    tables,
    timit,
    trees,
    vctk,
    voicebank_demand,
    wsj0,
)
from undin.corpora.corpus import Clip
from undin.corpora.headers import duration_s, in_threads
from undin.errors import InputError, UndinError


class Layout(Protocol):
    """What a module must have to be one."""

    def recognise(self, root: Path) -> bool:
        """Whether the folder has this layout."""

    def rows(self, root: Path) -> Iterator[Clip]:
        """Its clips; those of whole files last for ever (inf) until headers are read."""


LAYOUTS: dict[str, Layout] = {
    "tables": tables,
    "timit": timit,
    "librispeech": librispeech,
    "vctk": vctk,
    "voicebank-demand": voicebank_demand,
    "esc-50": esc50,
    "musan": musan,
    "ms-snsd": ms_snsd,
    "demand": demand,
    "chime-3": chime3,
    "noisex-92": noisex92,
    "librimix": librimix,
    "wsj0": wsj0,
    "plain": plain,
}


class Fault(NamedTuple):
    """A file, and what is wrong with it."""

    path: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """What was found in a folder.

    Attributes:
        root: the folder that the paths are relative to: the given one, or the only one in it.
        layout: name of the layout.
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

    Args:
        root: the folder.
        layout: one of LAYOUTS; None to recognise it.
        role: take a plain folder for "speech" or "noise", whatever its name.
        tick: is called with (files done, files in all).

    Raises:
        InputError: no such folder or layout, or no audio in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root} must be a folder; {'it is a file' if root.exists() else 'there is none'}")
    if role and layout not in (None, "plain"):
        raise InputError(f'role is for plain folders; got role="{role}" with layout="{layout}"')
    home, name = _recognised(root, "plain" if role else layout)
    clips = list(plain.rows(home, role) if name == "plain" else LAYOUTS[name].rows(home))
    if not clips:
        raise InputError(f"{root} holds no sound of the layout {name}: {LOOKED_FOR}")
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


def _recognised(root: Path, layout: str | None) -> tuple[Path, str]:
    """The folder that has a layout, and the layout's name. An archive often unpacks to one folder in another."""
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}")
    names = [layout] if layout else [name for name in LAYOUTS if name != "plain"]
    home = root
    for _ in range(4):
        for name in names:
            if LAYOUTS[name].recognise(home):
                return home, name
        below = list(trees.folders(home).values())
        if len(below) != 1:
            break
        home = below[0]
    if layout in (None, "plain") and plain.recognise(root):
        return root, "plain"
    raise InputError(f"{root} holds no sound{f' of the layout {layout}' if layout else ''}: {LOOKED_FOR}")


def _measured(root: Path, clip: Clip) -> Clip | Fault:
    """The clip with the length that its file's header says."""
    if clip.duration_s != float("inf"):
        return clip
    try:
        return replace(clip, duration_s=duration_s(root / clip.path))
    except (UndinError, OSError) as error:
        return fault_of(root, clip.path, error)


def fault_of(root: Path, path: str, error: UndinError | OSError) -> Fault:
    """Why a file cannot be read, without its name."""
    reason = str(error.strerror if isinstance(error, OSError) else error)
    return Fault(path, reason.removeprefix(f"{root / path}: "))
