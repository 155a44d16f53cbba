"""Bytes in: one face for files on disk, pipes and file objects, with a look ahead that takes nothing away."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO

from undin.errors import InputError

AudioPath = str | Path
AudioSource = AudioPath | IO[bytes]


class ByteSource:
    """A stream of bytes that counts its position, can peek, and can skip with or without seeking."""

    def __init__(self, file: IO[bytes], name: str, *, owned: bool = False) -> None:
        self.file, self.name, self.owned = file, name, owned
        self.seekable = bool(getattr(file, "seekable", lambda: False)())
        self.position = 0
        self._ahead = b""
        self._kept: list[bytes] | None = None

    def peek(self, n: int) -> bytes:
        """The next n bytes, fewer only at the end; a later read gives them again."""
        self._ahead += self._take(n - len(self._ahead))
        return self._ahead[:n]

    def read(self, n: int) -> bytes:
        """Exactly the next n bytes, fewer only at the end: waits for them."""
        head, self._ahead = self._ahead[:n], self._ahead[n:]
        data = head + self._take(n - len(head))
        self.position += len(data)
        if self._kept is not None:
            self._kept.append(data)
        return data

    def read_some(self, n: int) -> bytes:
        """At least one byte and at most n, as soon as there are any (n from a file); b"" at the end."""
        if self.seekable:
            return self.read(n)
        data, self._ahead = self._ahead[:n], self._ahead[n:]
        data = data or getattr(self.file, "read1", self.file.read)(n) or b""
        self.position += len(data)
        return data

    def skip(self, n: int) -> None:
        """Pass over n bytes."""
        if self.seekable and self._kept is None:
            self.file.seek(n - len(self._ahead), 1)
            self._ahead = b""
            self.position += n
        else:
            while n > 0 and (data := self.read(min(n, 1 << 16))):
                n -= len(data)

    def mark(self) -> None:
        """Buffer everything read from now on, for `rewind`."""
        self._kept = []

    def rewind(self) -> None:
        """Go back to the mark."""
        kept = b"".join(self._kept or ())
        self._ahead, self._kept = kept + self._ahead, None
        self.position -= len(kept)

    def forget(self) -> None:
        """Drop the mark."""
        self._kept = None

    def spool(self) -> IO[bytes]:
        """Copy all that is left into a temporary file, for formats that must be sought in."""
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the reader closes it
        file.write(self._ahead)
        shutil.copyfileobj(self.file, file)
        file.seek(0)
        return file

    def close(self) -> None:
        """Close the file if it was opened here by its path."""
        if self.owned:
            self.file.close()

    def _take(self, n: int) -> bytes:
        parts = []
        while n > 0 and (part := self.file.read(n)):
            parts.append(part)
            n -= len(part)
        return b"".join(parts)


def missing(path: AudioPath) -> str:
    """The error message for a missing file or a broken link."""
    if os.path.islink(path):  # noqa: PTH114 (Path.is_link raises where it may not look)
        return f"{path} is a link to {os.readlink(path)}, which does not exist: fix the link"  # noqa: PTH115
    return f"{path}: no such file: check the spelling and the folder you are in"


def open_source(source: AudioSource) -> ByteSource:
    """Open a path, "-" (standard input) or a binary file object for reading.

    Raises:
        InputError: no such file, a folder, no permission, or something else than a path or file.
    """
    if not isinstance(source, (str, Path)):
        if not hasattr(source, "read"):
            raise InputError(f"path must be a str, a Path or a binary file object; got {source!r}")
        return ByteSource(source, str(getattr(source, "name", "the file object")))
    if source == "-":
        return ByteSource(sys.stdin.buffer, "standard input")
    path = Path(source)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected an audio file")
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise InputError(missing(path)) from error
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}") from error
    return ByteSource(file, str(path), owned=True)
