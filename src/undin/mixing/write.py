"""Mixtures to disk: complete or not at all, in one process or several, in shards, resumed after an interruption.

OUT/manifest.csv          the rows, in order; of shards OUT/manifest.<i>-of-<n>.csv, and manifest.csv once all are there
OUT/.<manifest>.journal   rows of the current run; .<manifest>.earlier those of interrupted runs
OUT/.undin-mix.*.json     the digest of all that shapes the files, so that no run mixes up two sets
OUT/.undin-mix.*.claim    while a run writes here: others wait, then give up

OUT may be a URL: the files then go there as they are complete, the manifest last, the journal now and then.

A row enters the journal when its files are complete. So a run that is killed loses only the mixtures in progress, and
the next one skips every known row whose files exist. Rows are streamed: memory does not grow with their number, except
for 8 bytes per row of a given manifest, and for the file names under a template without {id} and {n}.
"""

import csv
import hashlib
import json
import time
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from undin.atomic import atomic_write, clear_parts, naming
from undin.claims import LEASE_S, claim
from undin.copies import Saver, placed
from undin.corpora import Corpus
from undin.errors import InputError
from undin.mixing.draw import Drawing
from undin.mixing.journal import fold, known_rows
from undin.mixing.layout import Layout, name_of
from undin.mixing.maker import Item, Made, Maker
from undin.mixing.manifest import COLUMNS, MixtureRow, read_manifest, read_numbered, to_cells, write_manifest
from undin.store import Store, open_store
from undin.workers import Executor, WorkerDied, executor

WAIT_S = LEASE_S  # for another run, which may have crashed on another machine


@dataclass(frozen=True)
class MixtureWriter:
    """Writes a set of mixtures and their manifest; `run` does it.

    Attributes:
        corpus: where the sound is.
        out: the folder to write to.
        layout: what goes where in it.
        drawing: draws the mixtures ...
        n: ... this many;
        manifest: or the file that lists them;
        allow_outside: also rows whose paths may lead out of the corpus.
        shard: (i, m): the i-th of m parts of them, 1 <= i <= m.
        name: of the manifest that is written.
        files: False to write the manifest only.
        overwrite: write all again and replace existing files, including those undin did not write.
        url: write to this URL; `out` is then a folder of the run.
    """

    corpus: Corpus
    out: Path
    layout: Layout = Layout()  # noqa: RUF009 (frozen)
    drawing: Drawing | None = None
    n: int = 0
    manifest: Path | None = None
    allow_outside: bool = False
    shard: tuple[int, int] = (1, 1)
    name: str = "manifest"
    files: bool = True
    overwrite: bool = False
    url: str = ""

    def __post_init__(self) -> None:
        i, m = self.shard
        if not 1 <= i <= m:
            raise InputError(f"shard must be I/N with 1 <= I <= N; got {i}/{m}")
        if m > 1 and self.files and not self.layout.is_unique:
            raise InputError("shards cannot detect equal file names in other shards: add {id} or {n} to every pattern")
        if self.n < 0:
            raise InputError(f"n must be 0 or more; got {self.n}")

    def __len__(self) -> int:
        """How many mixtures there are in the shard."""
        return len(self._range)

    @cached_property
    def _range(self) -> range:
        total = len(self._ids) if self.manifest else self.n
        i, m = self.shard
        return range(total * (i - 1) // m, total * i // m)

    @cached_property
    def _ids(self) -> "array[int]":
        """Hashes of the ids of the manifest that is given, in order; 0 for a broken row."""
        assert self.manifest is not None
        found = (found for _, found in read_numbered(self.manifest, allow_outside=self.allow_outside))
        return array("Q", (_hash(each.id) if isinstance(each, MixtureRow) else 0 for each in found))

    @property
    def result(self) -> Path:
        """The manifest that the shard will write."""
        i, m = self.shard
        return self.out / (f"{self.name}.csv" if m == 1 else f"{self.name}.{i:0{len(str(m))}d}-of-{m}.csv")

    @property
    def shown(self) -> str:
        """The manifest as the user names it."""
        return self._place.at(self.result.name)

    @property
    def _place(self) -> Store:
        return open_store(self.url or str(self.out))

    @property
    def _journals(self) -> list[Path]:
        return [self.result.with_name(f".{self.result.name}.{name}") for name in ("journal", "earlier")]

    @property
    def _note(self) -> Path:
        return self.out / f".undin-mix.{self.name}.json"

    def run(
        self, workers: int | Executor = 1, *, say: Callable[[str], object] | None = None
    ) -> Generator[Made, None, None]:
        """Write them, and yield the outcome of each, in order.

        Args:
            workers: how many processes, or an `Executor`; 1 works in this process.
            say: called with a line of text before waiting for another run.

        Raises:
            InputError: workers is not at least 1; the folder holds another set of mixtures; a file cannot be written.
        """
        pool = executor(workers)
        _ = self._range  # a manifest that cannot be read leaves no trace
        if not self.url:
            try:
                self.out.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"{self.out} cannot be created as a folder: {error.strerror}: choose another -o"
                ) from error
        name, until = f".undin-mix.{self.result.name}", time.time() + WAIT_S

        def waiting(holder: str) -> None:
            if say:
                say(f"waiting up to {WAIT_S:.0f} s for {holder}, which is writing {self.shown}")

        with naming(self.shown), claim(self._place, name, until, waiting) as is_ours:
            if not is_ours:
                raise InputError(f"another run is writing {self.shown}; wait until it ends, or use another -o")
            kept = [path.name for path in (self._note, self.result, *self._journals)]
            with placed(self.url or str(self.out), keep=kept) as folder:
                yield from (replace(self, out=folder) if self.url else self)._run(pool)

    def _run(self, pool: Executor) -> Generator[Made, None, None]:
        journal, earlier = self._journals
        save = Saver(self._place, journal.name, journal) if self.url else None
        if self.overwrite or self._is_replaced():  # before the note says that all is of this run
            self._forget()
        ours = self._claim()
        was_cut_off = journal.exists()
        if was_cut_off:
            clear_parts(self.out, below=True)
        if self.drawing:
            fold([self.result, earlier, journal], earlier, journal)
            if self.url and earlier.exists():  # before the new journal replaces the one there
                self._place.put(earlier.name, earlier)
        known = known_rows(earlier if earlier.exists() else self.result) if self.drawing else iter(())
        maker = Maker(self.corpus, self.drawing, self.layout, self.url or self.out, self.files, ours or self.overwrite)
        is_replacing = self.overwrite or (self.manifest is not None and earlier.exists())
        items = self._items(known, skip=ours and not is_replacing)
        with journal.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            with closing(pool.map(maker, items, ordered=True)) as outcomes:
                for item, outcome in outcomes:
                    was_cut_off |= isinstance(outcome, WorkerDied)
                    made = item.failed(outcome) if isinstance(outcome, WorkerDied) else outcome
                    if made.row:
                        with naming(journal):
                            table.writerow(to_cells(made.row))
                            file.flush()
                        if save:
                            save()
                    yield made
        if self._is_given(self.result):
            journal.unlink()
        else:
            journal.replace(self.result)
        earlier.unlink(missing_ok=True)
        if was_cut_off:
            clear_parts(self.out, below=True)
        self._finish()

    def _items(self, known: Iterator[tuple[int, MixtureRow]], *, skip: bool) -> Iterator[Item]:
        """The items to create, with their known properties."""
        items = self._listed(skip) if self.manifest else self._drawn(known, skip)
        return items if self.layout.is_unique or not self.files else self._apart(items)

    def _drawn(self, known: Iterator[tuple[int, MixtureRow]], skip: bool) -> Iterator[Item]:
        index, row = next(known, (-1, None))
        for i in self._range:
            while row and index < i:
                index, row = next(known, (-1, None))
            yield Item(i + 1, i, row if skip and index == i else None)

    def _listed(self, skip: bool) -> Iterator[Item]:
        assert self.manifest is not None
        values, counts = np.unique(np.frombuffer(self._ids, np.uint64) if self._ids else [], return_counts=True)
        repeated, first = set(values[counts > 1].tolist()) - {0}, dict[str, int]()
        rows = read_numbered(self.manifest, allow_outside=self.allow_outside)
        for n, (number, found) in enumerate(islice(rows, self._range.stop), 1):
            if isinstance(found, MixtureRow) and _hash(found.id) in repeated:
                if found.id in first:
                    found = InputError(
                        f"{self.manifest}, row {number}: row {first[found.id]} has the same id {found.id}: "
                        "give every row a unique id"
                    )
                else:
                    first[found.id] = number
            if n > self._range.start:
                yield Item(n, found, found if skip and isinstance(found, MixtureRow) else None)

    def _apart(self, items: Iterable[Item]) -> Iterator[Item]:
        """Refuse to write one file for two mixtures."""
        taken = set[str]()
        for item in items:
            row = self.drawing.sketch(item.what)[0] if self.drawing and isinstance(item.what, int) else item.what
            try:
                if isinstance(row, MixtureRow):
                    self._take(row, item.n, taken)
            except InputError as error:
                item = item._replace(what=error, earlier=None)
            yield item

    def _take(self, row: MixtureRow, n: int, taken: set[str]) -> None:
        names = {name for names in self.layout.outputs(row, n).values() for name in names}
        if clash := taken & names:
            raise InputError(
                f"mixture {row.id}: {clash.pop()} is also the file name of another mixture: add {{id}} or {{n}} "
                "to the template, or pair each utterance with every noise once"
            )
        taken |= names

    def _forget(self) -> None:
        """Have no row skipped for what another set left, neither in this run nor in one that resumes it."""
        journal, earlier = self._journals
        if self.manifest:  # all of its files are known; until the end this tells that they may be another set's
            earlier.touch()
            self._place.write(earlier.name, b"")
            return
        for path in (journal, earlier, self.result):
            path.unlink(missing_ok=True)
            self._place.remove(path.name)

    def _is_replaced(self) -> bool:
        """Whether what is here of this shard is of a set that another shard has overwritten with this one."""
        about, own = self._about(), [self.result, *self._journals]
        is_one_of_several = "since" in about and about["digest"] == self._digest and self.shard[1] > 1
        return is_one_of_several and not any(self._is_since(about["since"], path) for path in own)

    def _is_since(self, since: float, path: Path) -> bool:
        return self._place.find(path.name) is not None and self._place.modified(path.name) >= since

    def _about(self) -> dict[str, Any]:
        """The note; empty where none is."""
        data = self._place.read(self._note.name)
        try:
            return {} if data is None else dict(json.loads(data))
        except (ValueError, TypeError):
            return {"digest": "?"}

    def _claim(self) -> bool:
        """Note whose folder it is; True where it was ours before."""
        digest, noted = self._digest, self._about()
        old = noted.get("digest")
        if old not in (None, digest) and not self.overwrite:
            raise InputError(
                f"{self.url or self.out} holds mixtures made with different settings (or corpus, seed, template); "
                "use --overwrite or another -o"
            )
        if old is None and not self.overwrite and self.result.exists() and not self._is_given(self.result):
            raise InputError(
                f"{self.shown} already exists and was not written by undin mix; use --overwrite or another -o"
            )
        if old is None and self.files and not self.overwrite:
            for folder in self.layout.folders:
                has_files = open_store(self._place.at(folder)).names()
                if has_files and self._about().get("digest") != digest:  # or another shard has begun
                    raise InputError(
                        f"{self._place.at(folder)} holds files that undin mix did not write; use another -o, or "
                        "--overwrite to replace those of the same names"
                    )
        about: dict[str, Any] = {"digest": digest, "made_by": "undin mix"}
        if self.corpus.root.is_dir():  # not a pack, nor at a URL
            about["data"] = str(self.corpus.root.resolve())
        if old == digest:
            about |= {"since": noted["since"]} if "since" in noted else {}
        elif self.overwrite and self.shard[1] > 1:  # what is older, of this shard or another, is of another set
            self._write_note(about)
            about["since"] = self._place.modified(self._note.name)
        self._write_note(about)  # before the first mixture
        return bool(old == digest)

    def _write_note(self, about: dict[str, Any]) -> None:
        with atomic_write(self._note) as file:
            file.write(json.dumps(about) + "\n")
        if self.url:
            self._place.put(self._note.name, self._note)

    @cached_property
    def _digest(self) -> str:
        """Digest of all that shapes the files, but not of how many there are."""
        digest = hashlib.sha256(repr(self.layout).encode())
        if self.manifest:
            with self.manifest.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        elif self.drawing:
            digest.update(repr((self.drawing.settings, self.drawing.seed)).encode())
            seen = self.drawing.seen
            digest.update(repr(seen and (sorted(seen.speakers), sorted(seen.kinds))).encode())
            for clip in self.corpus.rows:
                digest.update(f"{clip.path}|{clip.offset_s}|{clip.duration_s}|{clip.split}|{clip.kind}\n".encode())
        return digest.hexdigest()[:32]

    def _is_given(self, path: Path) -> bool:
        """Whether a path is the manifest that the user gave."""
        return self.manifest is not None and path.exists() and path.samefile(self.manifest)

    def _finish(self) -> None:
        """Put shards together; write system 4's table."""
        m = self.shard[1]
        shards = [replace(self, shard=(i, m)).result for i in range(1, m + 1)]
        if self.url and m > 1:
            self._place.put(self.result.name, self.result)  # first, so that the last shard finds all
            for path in shards:
                if not path.exists() and self._place.find(path.name):
                    self._place.fetch(path.name, path)
        since = self._about().get("since", 0.0)
        if not all(path.exists() and (m == 1 or self._is_since(since, path)) for path in shards):
            return
        whole = self.out / f"{self.name}.csv"
        if m > 1:
            write_manifest(whole, (row for path in shards for row in read_manifest(path)))
        if self.layout.table:
            _write_tables(self.out, whole)


def data_of(manifest: Path) -> Path | None:
    """The folder of the corpus that `undin mix` wrote a manifest from, where that is known and still exists."""
    try:
        note = json.loads((manifest.parent / f".undin-mix.{manifest.stem}.json").read_text(encoding="utf-8"))
        data = Path(note["data"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return data if data.is_dir() else None


def _hash(id: str) -> int:
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "big") or 1


def _write_tables(out: Path, manifest: Path) -> None:
    """Write sednn's tables, mixture_csvs/<split>.csv: names and where the noise was cut out, in samples."""
    folder = out / "mixture_csvs"
    folder.mkdir(exist_ok=True)
    files: dict[str, Any] = {}
    with ExitStack() as stack:
        for row in read_manifest(manifest):
            if row.split not in files:
                files[row.split] = stack.enter_context(atomic_write(folder / f"{row.split}.csv"))
                files[row.split].write("speech_name\tnoise_name\tnoise_onset\tnoise_offset\n")
            for noise in row.noise[:1]:
                names = f"{name_of(row.speech[0])}.wav\t{name_of(noise)}.wav"
                files[row.split].write(f"{names}\t{noise.onset}\t{noise.onset + row.n_samples}\n")
