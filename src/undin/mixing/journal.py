"""Rows that interrupted runs of `undin mix` have noted."""

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

from undin.mixing.manifest import MixtureRow, read_numbered, write_manifest


def fold(sources: list[Path], earlier: Path, journal: Path) -> None:
    """Merge what interrupted runs have noted, in order, so that the journal can start empty.

    Args:
        sources: manifests and journals of the runs.
        earlier: the manifest to write.
        journal: of the last run; removed.
    """
    if not journal.exists():
        return
    with journal.open("r+b") as file:  # a line that was torn goes
        file.truncate(file.read().rfind(b"\n") + 1)
    merged = heapq.merge(*(known_rows(path) for path in sources), key=lambda each: each[0])
    write_manifest(earlier, _once(merged))
    journal.unlink()


def _once(numbered: Iterable[tuple[int, MixtureRow]]) -> Iterator[MixtureRow]:
    last = -1
    for index, row in numbered:
        if index != last:
            yield row
        last = index


def known_rows(path: Path) -> Iterator[tuple[int, MixtureRow]]:
    """(index, row) of a manifest that a drawing has written, as far as it is complete."""
    if not path.exists() or not path.stat().st_size:
        return
    for _, row in read_numbered(path):
        if isinstance(row, MixtureRow) and (number := row.id.rpartition("-")[2]).isdecimal():
            yield int(number), row
