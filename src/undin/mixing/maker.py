"""Create and write one mixture: the work of each process."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from undin import audio
from undin.corpora import Corpus
from undin.errors import InputError, UndinError
from undin.mixing.draw import Drawing
from undin.mixing.layout import Layout
from undin.mixing.manifest import MixtureRow
from undin.mixing.mix import Mixture
from undin.mixing.render import render
from undin.store import Store, is_url, open_store
from undin.workers import Progress, WorkerDied


class Item(NamedTuple):
    """One mixture to make.

    Attributes:
        n: its number, from 1.
        what: its row, or its index for a `Drawing`, or its error.
        earlier: its row where an earlier run has made it.
    """

    n: int
    what: MixtureRow | int | InputError
    earlier: MixtureRow | None = None

    def failed(self, error: Exception) -> "Made":
        """Say in one line what went wrong."""
        message = " ".join(str(error).split())
        if not isinstance(error, UndinError):
            name = self.what.id if isinstance(self.what, MixtureRow) else self.n
            kind = "" if isinstance(error, (OSError, WorkerDied)) else f"{type(error).__name__}: "
            message = f"mixture {name}: {kind}{message}"
        return Made(self.n, "failed", error=message)


@dataclass(frozen=True)
class Made:
    """What became of a mixture.

    Attributes:
        n: its number, from 1.
        status: skipped where it was there already.
        row: of the manifest; None where none could be made.
        outputs: its files, below the output folder.
        error: description of the error.
    """

    n: int
    status: Literal["done", "skipped", "failed"]
    row: MixtureRow | None = None
    outputs: tuple[str, ...] = ()
    error: str | None = None


@dataclass
class Maker:
    """Makes items; called by each worker.

    Attributes:
        corpus: where the sound is.
        drawing: makes the rows of items that have none.
        layout: where the files go.
        out: the folder that they go to, or its URL.
        files: False to find the rows only.
        replace: whether files that are there may be replaced.
    """

    corpus: Corpus
    drawing: Drawing | None
    layout: Layout
    out: Path | str
    files: bool
    replace: bool
    _folders: set[Path] = field(default_factory=set)

    def __call__(self, _: Progress) -> Callable[[Item], Made]:
        """The work of a worker."""
        return self.make

    def make(self, item: Item) -> Made:
        """Make one.

        Raises:
            InputError: a file cannot be written. Errors of the item itself are returned.
        """
        try:
            if item.earlier and self._is_there(item.earlier, item.n):
                return Made(item.n, "skipped", item.earlier, self._names(item.earlier, item.n))
            mixture, row = self._made(item.what)
            names = self._names(row, item.n)
            self._check_places(names)
        except Exception as error:  # the others continue
            return item.failed(error)
        if mixture:
            self._write(mixture, row, item.n)
        return Made(item.n, "done", row, names)

    def _made(self, what: MixtureRow | int | InputError) -> tuple[Mixture | None, MixtureRow]:
        """The mixture, unless only rows are wanted, and its row."""
        if isinstance(what, InputError):
            raise what
        if isinstance(what, MixtureRow):
            return (render(what, self.corpus) if self.files else None), what
        assert self.drawing is not None
        if not self.files:
            return None, self.drawing.row(what)
        mixture = self.drawing.mixture(what)
        assert mixture.row is not None
        return mixture, mixture.row

    def _names(self, row: MixtureRow, n: int) -> tuple[str, ...]:
        return tuple(name for names in self.layout.outputs(row, n).values() for name in names) if self.files else ()

    @cached_property
    def _place(self) -> Store:
        return open_store(str(self.out))

    def _is_there(self, row: MixtureRow, n: int) -> bool:
        return self.replace and all(map(self._place.find, self._names(row, n)))

    def _check_places(self, names: Iterable[str]) -> None:
        """See that files of these names can be written: not too long, in folders, and no files of others."""
        for name in names:
            path = self._place.at(name)
            if is_url(path):
                is_there = not self.replace and self._place.find(name) is not None
            else:
                if (folder := Path(path).parent) not in self._folders:
                    folder.mkdir(parents=True, exist_ok=True)
                    self._folders.add(folder)
                is_there = Path(path).exists()  # which a name that is too long raises in a folder alone
            if is_there and not self.replace:
                raise InputError(f"{path} already exists and was not written by undin mix; use --overwrite")

    def _write(self, mixture: Mixture, row: MixtureRow, n: int) -> None:
        names = self.layout.outputs(row, n)
        clean = list(mixture.sources) if len(names["clean"]) == len(mixture.sources) else [mixture.speech]
        signals = {"noise": [mixture.noise], "clean": clean, "noisy": [mixture.noisy]}
        for signal, sounds in signals.items():
            for name, x in zip(names[signal], sounds, strict=bool(names[signal])):
                with self._place.written(name) as path:
                    audio.write(path, x, row.sr, subtype="PCM_16")
