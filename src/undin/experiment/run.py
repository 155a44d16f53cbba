"""A recipe at work in a folder.

The key of a stage is a digest of its section, the seed, the corpus's rows (after those to be tested on are kept aside),
undin's version and the keys of the stages it needs. `stages.json` in the run folder holds the key of every stage that
was begun, and whether it is finished: same key and finished, it is skipped; same key and begun, it is resumed; another
key, its folder is emptied and it starts over, except that trained networks are kept. Nothing that the stages read names
another place, so the folder can be copied anywhere.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import undin
from undin import corpora, mixing
from undin.atomic import atomic_write
from undin.corpora import Clip, Corpus
from undin.errors import InputError
from undin.experiment import leaks, stages, train_net, train_nmf
from undin.experiment.lock import alone
from undin.experiment.names import Told, check_known
from undin.experiment.plan import NetTrain
from undin.experiment.recipe import Recipe, check_talkers

Progress = Callable[[str, int, int, str], object]  # stage, done, of all, more in words
NEEDS: dict[str, tuple[str, ...]] = {
    "mix": (),
    "train": (),
    "enhance": ("mix", "train"),
    "evaluate": ("mix", "train"),
}


class Run:
    """A recipe at work in a folder.

    Args:
        recipe: from `read_recipe`.
        folder: the run folder; made if it is not there.
        data: the corpus; None for UNDIN_DATA, else the embedded one.
    """

    def __init__(self, recipe: Recipe, folder: str | Path, *, data: str | Path | None = None) -> None:
        self.recipe, self.folder = recipe, Path(folder)
        self.corpus: Corpus = corpora.open(data, sr=recipe.sections["experiment"].sr)
        train = self.section("train")
        if isinstance(train, NetTrain) and train.seen:
            seed = self.section("experiment").seed
            self.corpus = corpora.keep_aside(self.corpus, seed=seed, speakers=train.seen, split=train.split)
        self.keys = self._keys()

    def status(self, stage: str) -> str:
        """ "finished", "begun" or "open"."""
        note = self._notes().get(stage, {})
        return str(note.get("status", "open")) if note.get("key") == self.keys[stage] else "open"

    def run(
        self,
        only: Sequence[str] = (),
        *,
        workers: int = 1,
        progress: Progress | None = None,
        max_minutes: float | None = None,
        start_from: str | Path | None = None,
    ) -> Iterator[tuple[str, str]]:
        """Do the stages in order, those that are finished excepted.

        Args:
            only: stages to do; all when empty. What they need must be finished.
            workers: processes.
            progress: called with (stage, done, of all, more in words).
            max_minutes: a network is trained for these at most; the next call goes on.
            start_from: weights that a network's training begins with.

        Yields:
            (stage, "done", "skipped" or, as the last, "paused").

        Raises:
            InputError: an unknown stage, one that needs another first, another process that is at work in the folder,
                or what a stage raises; what the corpus lacks for any of them is raised before the first.
        """
        for stage in only:
            check_known(stage, NEEDS, "stage")
        is_net = isinstance(self.section("train"), NetTrain)
        if not is_net and (max_minutes is not None or start_from is not None):
            raise InputError("only networks are trained for minutes or from weights; this recipe trains NMF")
        if max_minutes is not None and not max_minutes > 0:
            raise InputError(f"max_minutes must be more than 0; got {max_minutes!r}")
        start_from = None if start_from is None else Path(start_from)
        begins = None if start_from is None else train_net.check_start(start_from, self.folder)
        self._check([stage for stage in NEEDS if not only or stage in only])
        self.folder.mkdir(parents=True, exist_ok=True)
        with alone(self.folder):
            for stage in [s for s in NEEDS if not only or s in only]:
                status = self._do(stage, workers, _told(progress, stage), max_minutes, start_from, begins)
                yield stage, status
                if status == "paused":
                    return

    def _check(self, todo: Sequence[str]) -> None:
        """Refuse a corpus that the stages cannot do their work with, and leaks, before any begins."""
        train, mix = self.section("train"), self.section("mix")
        taken = [] if todo == ["mix"] else self._taken()  # of what lacks most it is told first
        if {"enhance", "evaluate"} & {*todo}:
            check_talkers(self.recipe.sections, mix=True)
            if mix.talkers > 1 and not (isinstance(train, NetTrain) and all(map(train.separates, train.files))):
                raise InputError(f"mix.talkers must be 1 where {train.method} enhances; got {mix.talkers}: set it to 1")
        leaks.check(taken, self._tested(todo), known="seen" if getattr(train, "seen", 0) else None)

    def _taken(self) -> list[leaks.Taken]:
        """The clips that each training takes."""
        train = self.section("train")
        if isinstance(train, NetTrain):
            return train_net.check(train, self.corpus, seed=self.section("experiment").seed)
        return train_nmf.check(train, self.corpus)

    def _tested(self, todo: Sequence[str]) -> Sequence[Clip]:
        """The clips that are mixed to test on; none where training is all there is to do and none can be mixed."""
        try:
            seed = self.section("experiment").seed
            return mixing.Drawing(self.corpus, self.section("mix").settings, seed=seed).clips
        except InputError:
            if list(todo) != ["train"]:
                raise
            return ()

    def _do(
        self,
        stage: str,
        workers: int,
        told: Told,
        max_minutes: float | None,
        start_from: Path | None,
        begins: str | None,
    ) -> str:
        """What `run` yields of a stage; `begins` is the digest of start_from."""
        is_net = isinstance(self.section("train"), NetTrain)
        missing = [need for need in NEEDS[stage] if self.status(need) != "finished"]
        if missing:
            raise InputError(f"stage {stage} needs {' and '.join(missing)}: run it too, or all of the recipe")
        if self.status(stage) == "finished":
            if stage == "train" and begins not in (None, self._notes()[stage].get("start_from")):
                raise InputError(
                    f"{self.folder} holds a finished training that did not begin with {start_from}: "
                    "choose another folder with -o"
                )
            return "skipped"
        place = self.folder / stage
        if self.status(stage) == "open" and place.exists() and not (stage == "train" and is_net):
            shutil.rmtree(place)
        place.mkdir(exist_ok=True)
        for stray in place.rglob("*.part"):  # of a run that was killed
            stray.unlink()
        more = {"start_from": begins} if stage == "train" and begins else {}
        self._note(stage, "begun", **more)
        if stage != "train":
            WORK[stage](self, place, workers, told)
        elif not self._train(place, workers, told, max_minutes, start_from):
            return "paused"
        self._note(stage, "finished", **more)
        return "done"

    def _train(self, place: Path, workers: int, told: Told, max_minutes: float | None, start_from: Path | None) -> bool:
        """Whether it is finished."""
        section, seed = self.section("train"), self.section("experiment").seed
        if not isinstance(section, NetTrain):
            train_nmf.train(section, self.corpus, place, name=self.recipe.name, seed=seed, progress=told)
            return True
        return train_net.train(
            section,
            self.corpus,
            place,
            name=self.recipe.name,
            seed=seed,
            progress=told,
            max_minutes=max_minutes,
            start_from=start_from,
            workers=workers,
        )

    def section(self, name: str) -> Any:
        """A section of the recipe."""
        return self.recipe.sections[name]

    @property
    def weights(self) -> dict[str, Path]:
        """The trained variants' files."""
        return {name: self.folder / "train" / file for name, file in self.section("train").files.items()}

    @property
    def rows(self) -> list[mixing.MixtureRow]:
        """The mixtures."""
        return list(mixing.read_manifest(self.folder / "mix" / "manifest.csv"))

    def _keys(self) -> dict[str, str]:
        text, data, keys = self.recipe.text(), [self.corpus.digest], dict[str, str]()
        for stage, needs in NEEDS.items():
            parts = [undin.__version__, text["experiment"], text[stage], data, *(keys[need] for need in needs)]
            keys[stage] = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
        return keys

    def _notes(self) -> dict[str, Any]:
        path = self.folder / "stages.json"
        try:
            notes = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except json.JSONDecodeError as error:
            raise InputError(f"{path} is damaged ({error}): remove it to do every stage anew") from error
        return dict(notes.get("stages", {}))

    def _note(self, stage: str, status: str, **more: str) -> None:
        notes = self._notes() | {stage: {"key": self.keys[stage], "status": status, **more}}
        about = {"recipe": self.recipe.name, "undin": undin.__version__, "settings": self.recipe.text()}
        with atomic_write(self.folder / "stages.json") as file:
            file.write(json.dumps({**about, "stages": notes}, indent=1, default=list))


WORK: dict[str, Callable[[Run, Path, int, Told], None]] = {
    "mix": stages.mix,
    "enhance": stages.enhance,
    "evaluate": stages.evaluate,
}


def _told(progress: Progress | None, stage: str) -> Told:
    return lambda done, of, facts="": progress(stage, done, of, facts) if progress else None
