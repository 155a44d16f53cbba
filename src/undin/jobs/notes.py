"""Records of outputs and their settings: one line per finished output, so that a rerun skips finished work.

The lines are in a hidden file in the folder of the outputs. It is only ever appended to, one write per line, so that
several processes can share it and a crash can tear no line but the last, which is then ignored. An output is noted just
before it gets its name, so that no crash leaves one that undin does not know.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from undin.methods import Talkers, Voice
from undin.version import __version__

NOTES = ".undin.jsonl"
Standing = Literal["absent", "same", "other", "foreign"]


@dataclass(frozen=True)
class FileSettings:
    """How files are processed, apart from the method: see `process_file`."""

    limit_db: float | None = None
    independent: bool = False
    nan: Literal["raise", "zero"] = "raise"
    truncated: Literal["raise", "keep"] = "raise"
    raw: str | None = None
    loudness: float | None = None
    talkers: Talkers | None = None  # None for enhancement
    denoise: bool = False
    voice: Voice | None = None

    def as_dict(self) -> dict[str, Any]:
        """Name -> value; settings later than undin 0.1 only if they are set, as its notes do not have them."""
        unset = {"loudness": None, "talkers": None, "denoise": False, "voice": None}
        return {name: value for name, value in asdict(self).items() if name not in unset or value is not unset[name]}


def describe(source: str, method: dict[str, Any], settings: FileSettings) -> dict[str, Any]:
    """Make the note of a job: the input, the processing, and `key`, a digest of both.

    Args:
        source: path of the input, or "-" for a pipe, which is never the same twice.
        method: from `undin.provenance.fingerprint`.
        settings: the rest of what shapes the output.

    Raises:
        OSError: the source is not there.
    """
    note: dict[str, Any] = {"input": source, "version": __version__, **method, "settings": settings.as_dict()}
    if source == "-":
        return {**note, "key": None}
    stat = Path(source).stat()
    note |= {"input": os.path.abspath(source), "input_size": stat.st_size, "input_mtime_ns": stat.st_mtime_ns}  # noqa: PTH100 (keeps links as they are)
    return _keyed(note)


def describe_entry(
    source: str, size: int, version: str, method: dict[str, Any], settings: FileSettings
) -> dict[str, Any]:
    """Make the note of a job whose input is known by what a listing says of it; see `describe`.

    Args:
        source: URL or absolute path.
        size: bytes.
        version: changes when the input is written again.
        method, settings: as in `describe`.
    """
    note = {"input": source, "version": __version__, **method, "settings": settings.as_dict()}
    return _keyed({**note, "input_size": size, "input_version": version})


def _keyed(note: dict[str, Any]) -> dict[str, Any]:
    key = hashlib.sha256(json.dumps(note, sort_keys=True, default=str).encode()).hexdigest()
    return {**note, "key": key[:32]}


def add(output: str, note: dict[str, Any], part: Path | None = None) -> None:
    """Note that `output` is finished, in the notes of its folder.

    Args:
        output: the file.
        note: what it was made of.
        part: where it still is, if it is about to be renamed.
    """
    path = Path(output)
    stat = (part or path).stat()
    line = json.dumps({"output": path.name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, **note}, default=str)
    with (path.parent / NOTES).open("ab") as file:  # appending: one write lands in one piece
        file.write(f"\n{line}\n".encode())  # the newline before it ends a line that a crash has torn


class Notebook:
    """The notes of all folders of a run, of which only what has been added is read again."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, dict[str, Any]]] = {}
        self._read: dict[Path, int] = {}  # bytes

    def of(self, path: Path) -> dict[str, Any] | None:
        """The last note about an output, or None."""
        notes = self._folders.setdefault(path.parent, {})
        for line in self._new_lines(path.parent):
            try:
                note = json.loads(line)
                notes[str(note["output"])] = note
            except (ValueError, LookupError, TypeError):
                continue  # torn by a crash, or empty
        return notes.get(path.name)

    def _new_lines(self, folder: Path) -> list[bytes]:
        """The lines added since the last call."""
        start = self._read.get(folder, 0)
        try:
            if (folder / NOTES).stat().st_size == start:
                return []
            with (folder / NOTES).open("rb") as file:
                file.seek(start)
                data = file.read()
        except OSError:
            return []
        self._read[folder] = start + data.rfind(b"\n") + 1
        return data.splitlines()

    def standing(self, output: str, key: str | None) -> Standing:
        """Return the state of an output: absent, written by undin with these or other settings, or by others."""
        path = Path(output)
        if not path.exists() and not path.is_symlink():
            return "absent"
        note = self.of(path)
        if note is None or not path.is_file():
            return "foreign"
        stat = path.stat()
        if (note.get("size"), note.get("mtime_ns")) != (stat.st_size, stat.st_mtime_ns):
            return "foreign"  # edited since, or another file of that name
        return "same" if key is not None and note.get("key") == key else "other"
