"""Files below a URL, such as s3://bucket/in/: listed page by page, read and written whole, created exclusively.

The only user of fsspec, which is imported when a URL is given. fsspec finds the credentials; a URL that contains one is
refused, so that it does not get into notes, reports or messages.
"""

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple, TypeVar

from undin.atomic import open_part
from undin.errors import InputError, MissingExtraError, require

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
SECRET = re.compile(r"[^/]*@|[^/]*:.*@|.*[?&](sig|signature|token|X-(Amz|Goog)-[\w-]+)=", re.IGNORECASE | re.DOTALL)
TRIES, FIRST_WAIT_S = 5, 0.2  # the wait doubles
LONGEST_S = 300.0  # a request is not repeated after this
SMALL = 2**26  # bytes that `read` holds; with a range S3 is not asked for the size first
FINAL = (FileNotFoundError, PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError)
Done = TypeVar("Done")


def is_url(name: object) -> bool:
    """Whether a name is a URL; C:\\x is none."""
    return isinstance(name, str) and bool(URL.match(name))


class Entry(NamedTuple):
    """A file of a store: its name below the URL, its size in bytes, and a version that changes with its content."""

    name: str
    size: int
    version: str


class Store:
    """What lies below a URL.

    Args:
        url: s3://bucket/folder/, gs://, az://: a protocol of fsspec whose uploads appear when they are complete.

    Raises:
        InputError: the URL holds a password or a signature.
        MissingExtraError: fsspec, or its package for the protocol, is not installed.
    """

    def __init__(self, url: str) -> None:
        place = url.partition("://")[2]
        if SECRET.match(place) or (url.startswith("http") and "?" in place):
            raise InputError(
                f"{url.partition('://')[0]}://...: a URL must not contain a password or signature, which would be "
                "written to notes: set them in the environment or in ~/.config/fsspec"
            )
        self.url = url
        fsspec = require("fsspec", extra="cloud")
        try:
            folders = {"auto_mkdir": True} if url.startswith(("file:", "local:")) else {}  # others have none
            self._fs, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False, **folders)
        except ImportError as error:
            raise MissingExtraError(f"{url}: {error}") from error
        except ValueError as error:
            raise InputError(f"{url}: {error}") from error
        self._is_s3 = hasattr(self._fs, "call_s3")
        if self._is_s3:  # 5 times 5 times 5 of botocore, each after 15 s, where a server does not answer, is 30 minutes
            self._fs.retries = 2

    def __reduce__(self) -> Any:
        return Store, (self.url,)

    def files(self) -> Iterator[Entry]:
        """All files below, with at most one page (of a folder, where a store has folders) in memory."""
        prefix = f"{self._root.rstrip('/')}/"
        found = self._s3_pages(prefix) if self._is_s3 else self._walk()
        return (Entry(path[len(prefix) :], size, version) for path, size, version in found)

    def _s3_pages(self, prefix: str) -> Iterator[tuple[str, int, str]]:
        bucket, _, key = prefix.partition("/")
        more: dict[str, str] = {}
        while True:
            page = self._patiently("", self._fs.call_s3, "list_objects_v2", Bucket=bucket, Prefix=key, **more)
            for each in page.get("Contents", ()):
                if not each["Key"].endswith("/"):  # a folder made by hand
                    yield f"{bucket}/{each['Key']}", each["Size"], each["ETag"].strip('"')
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _walk(self) -> Iterator[tuple[str, int, str]]:
        folders = [self._root]
        while folders:
            folder, inside = folders.pop(), list[str]()
            with suppress(FileNotFoundError):
                name = folder[len(self._root.rstrip("/")) + 1 :]
                found = self._patiently(name, self._fs.ls, folder, detail=True)
                for about in sorted(found, key=lambda each: str(each["name"])):
                    if about["type"] == "directory" and about["name"].rstrip("/") != folder.rstrip("/"):
                        inside.append(about["name"].rstrip("/"))
                    elif about["type"] != "directory":
                        yield about["name"], about["size"], _version(about)
            folders.extend(reversed(inside))

    def find(self, name: str = "") -> Entry | None:
        """A file, or None where none is; "" is the URL itself."""
        try:
            if self._is_s3:  # info would also list, in case it is a folder, which costs ten times as much
                bucket, _, key = self._path(name).partition("/")
                about = self._patiently(name, self._fs.call_s3, "head_object", Bucket=bucket, Key=key)
                return Entry(name, about["ContentLength"], _version(about))
            about = self._patiently(name, self._fs.info, self._path(name))
        except FileNotFoundError:
            return None
        return Entry(name, about["size"], _version(about)) if about["type"] == "file" else None

    def modified(self, name: str) -> float:
        """When a file was last written, in seconds since 1970."""
        return float(self._patiently(name, self._fs.modified, self._path(name)).timestamp())

    def read(self, name: str = "") -> bytes | None:
        """The bytes of a small file, or None where none is."""
        try:
            return bytes(self._patiently(name, self._cat, self._path(name)))
        except FileNotFoundError:
            return None

    def _cat(self, path: str) -> Any:
        try:
            return self._fs.cat_file(path, start=0, end=SMALL)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return self._fs.cat_file(path)  # an empty file has no range

    def names(self) -> list[str]:
        """The names of what is directly in the folder."""
        with suppress(FileNotFoundError, NotADirectoryError):
            found = self._patiently("", self._fs.ls, self._root, detail=False)
            return sorted(str(each).rstrip("/").rpartition("/")[2] for each in found)
        return []

    def open(self, name: str = "") -> IO[bytes]:
        """Open a large file to read parts of it."""
        return self._patiently(name, self._fs.open, self._path(name), "rb", block_size=2**20)

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        """Where to write a file on the disk, which is put when the block ends without an error."""
        with TemporaryDirectory(prefix="undin-") as folder:
            file = Path(folder, PurePosixPath(name).name)
            yield file
            self.put(name, file)

    def fetch(self, name: str, file: Path, size: int | None = None) -> None:
        """Copy a file to the disk.

        Args:
            name: below the URL.
            file: the place on the disk.
            size: bytes that must come, or it is asked for again.
        """

        def copy() -> None:
            self._fs.get_file(self._path(name), str(file))
            if size is not None and file.stat().st_size != size:
                raise OSError(errno.EIO, f"{file.stat().st_size} of {size} bytes came")

        self._patiently(name, copy)

    def put(self, name: str, file: Path) -> None:
        """Copy a file from the disk; it appears when it is complete."""
        self._patiently(name, self._fs.put_file, str(file), self._path(name))

    def write(self, name: str, data: bytes) -> None:
        """Write a small file."""
        self._patiently(name, self._fs.pipe_file, self._path(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file that is not there yet; False where it is, or another client was first.

        Args:
            name: below the URL.
            data: that no other client writes, by which a repeated request knows its own first one.
        """
        try:
            self._patiently(name, self._fs.pipe_file, self._path(name), data, mode="create")
        except FileExistsError:
            return self.read(name) == data
        return True

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            self._patiently(name, self._fs.rm_file, self._path(name))
        except FileNotFoundError:
            return

    def at(self, name: str) -> str:
        """The URL of a file below."""
        return f"{self.url.rstrip('/')}/{name}" if name else self.url

    def identity(self, name: str = "") -> str:
        """The URL of a file below, the same however the store's was spelled."""
        return str(self._fs.unstrip_protocol(self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root

    def _patiently(self, name: str, do: Callable[..., Done], *args: Any, **options: Any) -> Done:
        """Repeat a request that fails, with growing pauses; the last error names the file."""
        end = time.monotonic() + LONGEST_S
        for attempt in range(TRIES):
            try:
                return do(*args, **options)
            except FINAL as error:
                raise type(error)(error.errno, error.strerror or str(error), self.at(name)) from error
            except Exception as error:
                if attempt == TRIES - 1 or time.monotonic() > end:
                    why = " ".join(str(error).split()) or type(error).__name__
                    raise OSError(errno.EIO, f"{why} ({attempt + 1} times)", self.at(name)) from error
                time.sleep(FIRST_WAIT_S * 2**attempt)
        raise AssertionError("unreachable")


class Folder(Store):
    """A folder of this machine with the methods of a store; needs no fsspec.

    Args:
        path: the folder; it is created when something is written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.url, self._folder = str(path), Path(path)

    def __reduce__(self) -> Any:
        return Folder, (self.url,)

    def files(self) -> Iterator[Entry]:
        """All files below, with the names of one folder in memory."""
        for folder, folders, names in os.walk(self._folder):
            folders.sort()
            below = Path(folder).relative_to(self._folder)
            yield from filter(None, (self.find((below / name).as_posix()) for name in sorted(names)))

    def find(self, name: str = "") -> Entry | None:
        """A file, or None where none is."""
        try:
            stat = (self._folder / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Entry(name, stat.st_size, str(stat.st_mtime_ns)) if S_ISREG(stat.st_mode) else None

    def modified(self, name: str) -> float:
        """When a file was last written, in seconds since 1970."""
        return (self._folder / name).stat().st_mtime

    def read(self, name: str = "") -> bytes | None:
        """The bytes of a small file, or None where none is."""
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self) -> list[str]:
        """The names of what is directly in the folder."""
        return sorted(os.listdir(self._folder)) if self._folder.is_dir() else []  # noqa: PTH208

    def open(self, name: str = "") -> IO[bytes]:
        """Open a large file to read parts of it."""
        return (self._folder / name).open("rb")

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        """The path itself: whoever writes there writes whole files."""
        yield self._folder / name

    def fetch(self, name: str, file: Path, size: int | None = None) -> None:
        """Copy a file.

        Args:
            name, file, size: as in `Store.fetch`.
        """
        shutil.copyfile(self._folder / name, file)

    def put(self, name: str, file: Path) -> None:
        """Copy a file to here; it appears when it is complete."""
        self._place(name, lambda part: shutil.copyfile(file, part), Path.replace)

    def write(self, name: str, data: bytes) -> None:
        """Write a small file; it appears when it is complete."""
        self._place(name, lambda part: part.write_bytes(data), Path.replace)

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file that is not there yet; False where it is.

        Args:
            name, data: as in `Store.create`.
        """
        try:
            self._place(name, lambda part: part.write_bytes(data), _link)
        except FileExistsError:
            return False
        return True

    def _place(self, name: str, write: Callable[[Path], object], appear: Callable[[Path, Path], object]) -> None:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        part, opened = open_part(file)
        opened.close()
        try:
            write(part)
            appear(part, file)
        finally:
            part.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self._folder / name).unlink(missing_ok=True)

    def at(self, name: str) -> str:
        """The path of a file below."""
        return str(self._folder / name)

    def identity(self, name: str = "") -> str:
        """The absolute path of a file below, as a URL."""
        return f"file://{os.path.abspath(self._folder / name)}"  # noqa: PTH100 (keeps links as they are)


def _link(part: Path, file: Path) -> None:
    """Give a file its name unless another has it."""
    try:
        os.link(part, file)
    except FileExistsError:
        raise
    except OSError:  # file systems without links
        opened = file.open("xb")
        try:
            with opened:
                opened.write(part.read_bytes())
        except OSError:
            file.unlink(missing_ok=True)
            raise


def open_store(name: str) -> Store:
    """A store for a URL, a folder for a path."""
    return Store(name) if is_url(name) else Folder(name)


def split(name: str) -> tuple[Store, str]:
    """The folder of a file at a URL or path, and its name there."""
    folder, name = os.path.split(name)
    return open_store(folder), name


def _version(about: dict[str, Any]) -> str:
    """What a store says of a file that changes with its content."""
    found = (about.get(key) for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created"))
    return str(next((each for each in found if each), about.get("size"))).strip('"')
