"""A recipe at work in a folder.

The key of a stage is a digest of its section, the seed, the corpus's rows (after test rows are held out),
undin's version and the keys of the stages it needs. `stages.json` in the run folder holds the key of every stage that
was begun, and whether it is finished: same key and finished, it is skipped; same key and begun, it is resumed; another
key, its folder is emptied and it starts over, except that trained networks are kept. Nothing that the stages read names
another place, so the folder can be copied anywhere; it can also be at a URL (see `mirror`).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undin import corpora, evaluation, mixing
from undin.checks import check_known
from undin.corpora import Clip, Corpus
from undin.errors import InputError, require_files
from undin.experiment import leaks, stages, train_net, train_nmf
from undin.experiment.lock import locked
from undin.experiment.mirror import Mirror, folder_of, mirrored
from undin.experiment.mixtures import Mixtures, mix
from undin.experiment.progress import StageProgress
from undin.experiment.recipe import Recipe, check_talkers
from undin.experiment.variants import NetTrain
from undin.store import open_store
from undin.version import __version__

RunProgress = Callable[[str, int, int, str], object]  # stage, steps done, steps in all, facts
NEEDS: dict[str, tuple[str, ...]] = {
    "mix": (),
    "train": (),
    "enhance": ("mix", "train"),
    "evaluate": ("mix", "train"),
}


@dataclass(frozen=True)
class Call:
    """What one call of `Run.run` asks for.

    Attributes:
        workers: processes.
        max_minutes: longest training in this call; None for no limit.
        start_from: weights that the training starts from.
        digest: of these weights.
    """

    workers: int
    max_minutes: float | None = None
    start_from: Path | None = None
    digest: str | None = None

    @property
    def start(self) -> dict[str, str]:
        """What `stages.json` says of the weights that a training started from."""
        return {"start_from": self.digest, "from": str(self.start_from)} if self.digest else {}


class Run:
    """A recipe at work in a folder.

    Args:
        recipe: from `read_recipe`.
        folder: the run folder, a path or a URL; made if it is not there.
        data: the corpus; None for UNDIN_DATA, else the built-in one.

    Attributes:
        place: the run folder.
        folder: where the stages work: the run folder, or in the cache if that is at a URL.
    """

    _mirror: Mirror | None = None

    def __init__(self, recipe: Recipe, folder: str | Path, *, data: str | Path | None = None) -> None:
        self.recipe, self.seed = recipe, recipe.experiment.seed
        self.place = open_store(str(folder))
        self.folder = folder_of(self.place)
        self.data = data or os.environ.get("UNDIN_DATA")
        self.corpus: Corpus = corpora.open(self.data, sr=recipe.experiment.sr)
        if seen := recipe.train.seen:
            self.corpus = corpora.keep_aside(self.corpus, seed=self.seed, speakers=seen, split=recipe.train.split)
        self.keys = self._keys()

    @property
    def command(self) -> list[str]:
        """The command that repeats this run: recipe, preset, every change, data, and the weights it started from."""
        start = self._notes().get("train", {}).get("from")
        data = ["--data", str(self.data)] if self.data else []
        return [*self.recipe.command, *data, *(["--from", start] if start else [])]

    def status(self, stage: str) -> str:
        """ "finished", "begun" or "open"."""
        note = self._notes().get(stage, {})
        return str(note.get("status", "open")) if note.get("key") == self.keys[stage] else "open"

    def run(
        self,
        only: Sequence[str] = (),
        *,
        workers: int = 1,
        progress: RunProgress | None = None,
        max_minutes: float | None = None,
        start_from: str | Path | None = None,
    ) -> Iterator[tuple[str, str]]:
        """Run the stages in order; skip those that are finished.

        Args:
            only: stages to run; all when empty. What they need must be finished.
            workers: processes.
            progress: called with (stage, steps done, steps in all, facts).
            max_minutes: longest training of a network in this call; the next call resumes it.
            start_from: weights that a network's training starts from.

        Yields:
            (stage, "done", "skipped" or, as the last, "paused").

        Raises:
            MissingExtraError: a package that a stage needs is not installed; before the first stage.
            InputError: an unknown stage; one that needs another first; another process works in the folder; a leak (see
                `leaks`); or what a stage raises. What the corpus lacks for any stage is raised before the first.
        """
        for stage in only:
            check_known(stage, NEEDS, "stage")
        if not self._trains_net and (max_minutes is not None or start_from is not None):
            raise InputError("--max-minutes and --from apply to networks; this recipe trains NMF")
        if max_minutes is not None and not max_minutes > 0:
            raise InputError(f"max_minutes must be more than 0; got {max_minutes!r}")
        start = None if start_from is None else Path(start_from)
        call = Call(workers, max_minutes, start, None if start is None else train_net.check_start(start, self.folder))
        todo = [stage for stage in NEEDS if not only or stage in only]
        self._check_extras([stage for stage in todo if self.status(stage) != "finished"])
        self._check(todo)
        with self._held():
            for stage in todo:
                status = self._do(stage, call, _of_stage(progress, stage))
                yield stage, status
                if status == "paused":
                    return

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep other processes out."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with mirrored(self.place, self.folder) as self._mirror, locked(self.folder):
            yield

    @property
    def _trains_net(self) -> bool:
        return isinstance(self.recipe.train, NetTrain)

    def _check_extras(self, todo: Sequence[str]) -> None:
        """Raise for a missing package before the first stage, not hours later."""
        recipe = self.recipe
        if "train" in todo and self._trains_net:
            for package in ("torch", "lightning"):
                require_files(package, extra="train")
        if "enhance" in todo and recipe.enhance.pictures:
            require_files("matplotlib", extra="plot")
        if "evaluate" in todo:
            task = evaluation.Separation() if recipe.mix.talkers > 1 else evaluation.Enhancement()
            evaluation.choose(recipe.evaluate.metrics or None, self.corpus.sr, task)

    def _check(self, todo: Sequence[str]) -> None:
        """Refuse a corpus that the stages cannot do their work with, and leaks, before any begins."""
        train, talkers = self.recipe.train, self.recipe.mix.talkers
        taken = [] if todo == ["mix"] else self._taken()  # first, as training asks most of a corpus
        if {"enhance", "evaluate"} & {*todo}:
            check_talkers(self.recipe, mix=True)
            if talkers > 1 and not all(map(train.separates, train.files)):
                raise InputError(
                    f"mix.talkers must be 1 for the enhancement method {train.method}; got {talkers}: set it to 1"
                )
        leaks.check(taken, self._tested(todo), known="seen" if train.seen else None)

    def _taken(self) -> list[leaks.Taken]:
        """The clips that each training takes."""
        train = self.recipe.train
        if isinstance(train, NetTrain):
            return train_net.check(train, self.corpus, seed=self.seed)
        return train_nmf.check(train, self.corpus)

    def _tested(self, todo: Sequence[str]) -> Sequence[Clip]:
        """The clips that are tested on; none if training is all there is to do and the corpus has none to test on."""
        try:
            return self._drawing().clips
        except InputError:
            if list(todo) != ["train"]:
                raise
            return ()

    def _drawing(self) -> mixing.Drawing:
        """The mixtures; if speakers are held out, they record whether their talkers and noises are seen."""
        train, seen = self.recipe.train, None
        if train.seen:
            speakers = frozenset(clip.speaker for clip in self.corpus.select(split="seen").speech)
            seen = mixing.Seen(speakers, frozenset(self._kinds_of_training()))
        return mixing.Drawing(self.corpus, self.recipe.mix.settings, seed=self.seed, seen=seen)

    def _kinds_of_training(self) -> set[str]:
        """The kinds of noise in the training split."""
        return {clip.kind for clip in self.corpus.select(split=self.recipe.train.split).noise}

    def _do(self, stage: str, call: Call, progress: StageProgress) -> str:
        """What `run` yields of a stage."""
        if missing := [need for need in NEEDS[stage] if self.status(need) != "finished"]:
            raise InputError(f"stage {stage} needs {' and '.join(missing)}: run it too, or run the complete recipe")
        if self.status(stage) == "finished":
            if stage == "train" and call.digest not in (None, self._notes()[stage].get("start_from")):
                raise InputError(
                    f"{self.place.url} contains a finished training that did not start from {call.start_from}: "
                    "choose another folder with -o"
                )
            return "skipped"
        if self._mirror:
            self._mirror.fetch((stage, *NEEDS[stage]))
        place = self.folder / stage
        if self.status(stage) == "open" and place.exists() and not (stage == "train" and self._trains_net):
            shutil.rmtree(place)
        place.mkdir(exist_ok=True)
        for stray in place.rglob("*.part"):  # of a run that was killed
            stray.unlink()
        if self._mirror:  # what was removed here must not be taken for files of the stage that begins
            self._mirror.put(stage)
        start = call.start if stage == "train" else {}
        self._note(stage, "begun", **start)
        with self._mirror.saving(stage) if self._mirror else nullcontext(), self._places_named():
            is_finished = self._work(stage, place, call, progress)
        if not is_finished:
            return "paused"
        self._note(stage, "finished", **start)
        return "done"

    @contextmanager
    def _places_named(self) -> Iterator[None]:
        """Errors name the URL of the run folder, not its copy."""
        try:
            yield
        except InputError as error:
            raise type(error)(str(error).replace(str(self.folder), self.place.url)) from error

    def _work(self, stage: str, place: Path, call: Call, progress: StageProgress) -> bool:
        """Do a stage; False if it is paused."""
        recipe = self.recipe
        if stage == "train":
            return self._train(place, call, progress)
        if stage == "mix":
            mix(self._drawing(), recipe.mix.n, place, workers=call.workers, progress=progress)
        elif stage == "enhance":
            stages.enhance(recipe.enhance, self.mixtures, self.weights, place, progress=progress)
        else:
            stages.evaluate(
                recipe.evaluate,
                self.mixtures,
                self.weights,
                place,
                seed=self.seed,
                seen_kinds=set(recipe.train.kinds) or self._kinds_of_training(),
                command=self.command,
                workers=call.workers,
                progress=progress,
            )
        return True

    def _train(self, place: Path, call: Call, progress: StageProgress) -> bool:
        """Train; False if it is paused."""
        section, name = self.recipe.train, self.recipe.name
        if not isinstance(section, NetTrain):
            train_nmf.train(section, self.corpus, place, name=name, seed=self.seed, progress=progress)
            return True
        return train_net.train(
            section,
            self.corpus,
            place,
            name=name,
            seed=self.seed,
            progress=progress,
            max_minutes=call.max_minutes,
            start_from=call.start_from,
            workers=call.workers,
        )

    @property
    def weights(self) -> dict[str, Path]:
        """The trained variants' files."""
        return {name: self.folder / "train" / file for name, file in self.recipe.train.files.items()}

    @property
    def mixtures(self) -> Mixtures:
        """The mixtures currently in the folder."""
        return Mixtures(self.folder / "mix", self.corpus)

    def _keys(self) -> dict[str, str]:
        text, data, keys = self.recipe.text(), [self.corpus.digest], dict[str, str]()
        for stage, needs in NEEDS.items():
            parts = [__version__, text["experiment"], text[stage], data, *(keys[need] for need in needs)]
            keys[stage] = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
        return keys

    def _notes(self) -> dict[str, Any]:
        try:
            notes = json.loads(self.place.read("stages.json") or "{}")
        except ValueError as error:
            path = self.place.at("stages.json")
            raise InputError(f"{path} is damaged ({error}): remove it to rerun all stages") from error
        return dict(notes.get("stages", {}))

    def _note(self, stage: str, status: str, **more: str) -> None:
        notes = self._notes() | {stage: {"key": self.keys[stage], "status": status, **more}}
        about = {"recipe": self.recipe.name, "undin": __version__, "settings": self.recipe.text()}
        self.place.write("stages.json", json.dumps({**about, "stages": notes}, indent=1, default=list).encode())


def _of_stage(progress: RunProgress | None, stage: str) -> StageProgress:
    """The progress of one stage, passed on as that of the run."""
    return lambda done, total, facts="": progress(stage, done, total, facts) if progress else None
