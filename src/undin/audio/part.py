"""A sound file in the making: written under a hidden name and renamed when it is complete."""

from pathlib import Path

from undin.atomic import check_folder, give_name, open_part
from undin.audio.source import AudioPath
from undin.errors import InputError


class PartFile:
    """The hidden file next to the target, for libraries to write to; remembers the first error of the disk.

    libsndfile and PyAV call it from C, where nothing can be raised, and libsndfile ignores errors while it closes.
    """

    def __init__(self, target: AudioPath, head: bytes = b"") -> None:
        self.target = Path(target).resolve()
        self.error: OSError | None = None
        if self.target.is_dir():
            raise InputError(f"{target} is a folder; expected a file name")
        check_folder(Path(target))
        try:
            self.path, self.file = open_part(self.target)
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror}: choose another folder") from error
        self.write(head)
        self._start = len(head)  # libsndfile's position 0

    def read(self, n: int = -1) -> bytes:
        """Read, as libsndfile asks."""
        return self.file.read(n)

    def tell(self) -> int:
        """Position, counted from behind the head."""
        return self.file.tell() - self._start

    def write(self, data: bytes) -> int:
        """Write; 0 when the disk refuses, and the error is kept for `check`."""
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = self.error or error
            return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, positions counted from behind the head."""
        try:
            self.file.seek(offset + (0 if whence else self._start), whence)
        except OSError as error:  # seeking writes the buffer out
            self.error = self.error or error
        return self.tell()

    def check(self) -> None:
        """Raise InputError if the disk has refused anything."""
        if self.error:
            why = self.error.strerror or str(self.error)
            raise InputError(
                f"{self.target} cannot be written: {why}: nothing was changed; free some space and try again"
            )

    def finish(self) -> None:
        """Close the file and give it its name."""
        self.close()
        self.check()
        give_name(self.path, self.target)

    def close(self) -> None:
        """Close the file, keeping an error for `check`."""
        try:
            self.file.close()
        except OSError as error:
            self.error = self.error or error

    def abort(self) -> None:
        """Remove the file."""
        self.close()
        self.path.unlink(missing_ok=True)
