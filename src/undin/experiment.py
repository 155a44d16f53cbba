"""A recipe's stages: mix, train, enhance, evaluate; each is done once, and again only when what it depends on changes.

A recipe is one TOML file with a section per stage. The key of a stage is a digest of its section, the seed, the
corpus's tables, undin's version and the keys of the stages it needs. `stages.json` in the run folder holds the key of
every stage that is finished or was begun: same key and finished, skipped; same key and begun, gone on with; another
key, its folder is emptied and it starts anew. Nothing in the folder names another place, so it can be copied anywhere.
"""

import dataclasses
import difflib
import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import undin
from undin import audio, corpora, evaluation, mixing, pictures
from undin.corpora import Clip, Corpus
from undin.errors import InputError
from undin.jobs import process_file
from undin.methods import NMF
from undin.mixing.layout import Layout
from undin.mixing.write import Job

LAYOUT = Layout(noisy="test_noisy_audio/{id}_{speaker}_{kind}", clean="clean/{id}", noise="noise/{id}", format="wav")
PRIORS = {"nmf": None, "nmf-exp": "exponential", "nmf-gamma": "gamma"}
Progress = Callable[[str, int, int], object]  # stage, done, of all


@dataclass(frozen=True)
class General:
    """Section [experiment].

    Attributes:
        seed: of every draw.
    """

    seed: int = 0


@dataclass(frozen=True)
class Train:
    """Section [train].

    Attributes:
        method: what is trained; "nmf".
        variants: the models that come of it, by their ids.
        split: of the corpus.
        speech_s: seconds of speech, speakers in turn.
        noise_s: seconds of every kind of noise.
        kinds: of noise; all when empty.
        settings: of the method's config.
    """

    method: str = "nmf"
    variants: Sequence[str] = tuple(PRIORS)
    split: str = "train"
    speech_s: float = 240.0
    noise_s: float = 25.0
    kinds: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method != "nmf":
            raise InputError(f'train.method must be "nmf"; got {self.method!r}')
        for name in self.variants:
            if name not in PRIORS:
                raise InputError(f"train.variants must be of {', '.join(PRIORS)}; got {name!r}")
        for name in ("speech_s", "noise_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"train.{name} must be more than 0 seconds; got {getattr(self, name)!r}")
        NMF(**self.settings)  # refuses wrong ones before anything is done


@dataclass(frozen=True)
class Enhance:
    """Section [enhance].

    Attributes:
        audio: mixtures whose enhanced audio is kept, per variant.
        pictures: mixtures that are drawn, per variant.
    """

    audio: int = 10
    pictures: int = 5


@dataclass(frozen=True)
class Evaluate:
    """Section [evaluate].

    Attributes:
        methods: to compare with the trained ones, as `undin evaluate -m` takes them.
        commands: other programs, as `undin evaluate --cmd` takes them.
        metrics: names of metrics; all that are installed when empty.
        examples: mixtures to listen to in the report.
    """

    methods: Sequence[str] = ("log-mmse",)
    commands: Sequence[str] = ()
    metrics: Sequence[str] = ()
    examples: int = 4


@dataclass(frozen=True)
class Mix(mixing.Settings):
    """Section [mix]: `undin.mixing.Settings`, and how many.

    Attributes:
        n: mixtures.
    """

    n: int = 40

    @property
    def settings(self) -> mixing.Settings:
        """What the mixer takes."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(mixing.Settings)}
        return mixing.Settings(**values)


SECTIONS: dict[str, type[Any]] = {
    "experiment": General,
    "mix": Mix,
    "train": Train,
    "enhance": Enhance,
    "evaluate": Evaluate,
}
NEEDS: dict[str, tuple[str, ...]] = {
    "mix": (),
    "train": (),
    "enhance": ("mix", "train"),
    "evaluate": ("mix", "train"),
}


@dataclass(frozen=True)
class Recipe:
    """A whole experiment."""

    name: str
    sections: Mapping[str, Any]  # by name, each an instance of its class in SECTIONS

    def text(self) -> dict[str, Any]:
        """Every setting, as JSON takes it."""
        return {name: dataclasses.asdict(section) for name, section in self.sections.items()}


def recipes() -> dict[str, Path]:
    """The recipes that come with undin, by name."""
    home = Path(__file__).parent
    folder = next(p for p in (home / "recipes", home.parents[1] / "recipes") if p.is_dir())
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def is_recipe(name: str) -> bool:
    """Whether it names a recipe that comes with undin, or a TOML file."""
    return Path(name).suffix == ".toml" or name in recipes()


def read_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name: of a recipe that comes with undin, or a TOML file.
        changes: "section.name=value", value as in TOML (a word needs no quotes).

    Raises:
        InputError: no such recipe, no TOML, an unknown section or setting (the nearest right one is suggested), or a
            value that breaks its rule.
    """
    known = recipes()
    path = known.get(name, Path(name))
    if not path.is_file():
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}, or give a .toml file"
        raise InputError(f"{name!r} is no recipe: {hint}")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML: {error}") from error
    for change in changes:
        _change(document, change)
    for section in document:
        _known(section, SECTIONS, "section of a recipe")
    sections = {name: _section(name, document.get(name, {})) for name in SECTIONS}
    return Recipe(path.stem, sections)


def _change(document: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot and name):
        raise InputError(f"a change must be section.name=value, as mix.n=10; got {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    target = document.setdefault(section, {})
    *inner, last = name.split(".")
    for part in inner:
        target = target.setdefault(part, {})
    target[last] = value


def _section(name: str, values: Any) -> Any:
    if not isinstance(values, dict):
        raise InputError(f"[{name}] must be a section of the recipe; got {values!r}")
    fields = [f.name for f in dataclasses.fields(SECTIONS[name])]
    for key in values:
        _known(key, fields, f"setting of [{name}]")
    try:
        return SECTIONS[name](**values)
    except TypeError as error:
        raise InputError(f"[{name}]: {error}") from error


def _known(name: str, names: Any, what: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, list(names), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise InputError(f"{name!r} is no {what}: {hint}")


class Run:
    """A recipe at work in a folder.

    Args:
        recipe: from `read_recipe`.
        folder: the run folder; made if it is not there.
        data: the corpus; None for UNDIN_DATA, else the embedded one.
    """

    def __init__(self, recipe: Recipe, folder: str | Path, *, data: str | Path | None = None) -> None:
        self.recipe, self.folder = recipe, Path(folder)
        self.corpus: Corpus = corpora.open(data)
        self.keys = self._keys()

    def status(self, stage: str) -> str:
        """ "finished", "begun" or "open"."""
        note = self._notes().get(stage, {})
        return str(note.get("status", "open")) if note.get("key") == self.keys[stage] else "open"

    def run(
        self, only: Sequence[str] = (), *, workers: int = 1, progress: Progress | None = None
    ) -> Iterator[tuple[str, str]]:
        """Do the stages in order, those that are finished excepted.

        Args:
            only: stages to do; all when empty. What they need must be finished.
            workers: processes.
            progress: called with (stage, done, of all).

        Yields:
            (stage, "done" or "skipped").

        Raises:
            InputError: an unknown stage, one that needs another first, or what a stage raises.
        """
        for stage in only:
            _known(stage, NEEDS, "stage")
        self.folder.mkdir(parents=True, exist_ok=True)
        for stage in [s for s in NEEDS if not only or s in only]:
            missing = [need for need in NEEDS[stage] if self.status(need) != "finished"]
            if missing:
                raise InputError(f"stage {stage} needs {' and '.join(missing)}: run it too, or all of the recipe")
            if self.status(stage) == "finished":
                yield stage, "skipped"
                continue
            place = self.folder / stage
            if self.status(stage) == "open" and place.exists():
                shutil.rmtree(place)
            place.mkdir(exist_ok=True)
            for stray in place.rglob(".*.part"):  # of a run that was killed
                stray.unlink()
            self._note(stage, "begun")
            WORK[stage](self, place, workers, _told(progress, stage))
            self._note(stage, "finished")
            yield stage, "done"

    def section(self, name: str) -> Any:
        """A section of the recipe."""
        return self.recipe.sections[name]

    @property
    def weights(self) -> dict[str, Path]:
        """The trained variants' files."""
        return {name: self.folder / "train" / f"{name}.npz" for name in self.section("train").variants}

    @property
    def rows(self) -> list[mixing.MixtureRow]:
        """The mixtures."""
        return list(mixing.read_manifest(self.folder / "mix" / "manifest.csv"))

    def _keys(self) -> dict[str, str]:
        tables = sorted(self.corpus.root.glob("*.csv"))
        data = [hashlib.sha256(path.read_bytes()).hexdigest() for path in tables] or [str(len(self.corpus))]
        text, keys = self.recipe.text(), dict[str, str]()
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

    def _note(self, stage: str, status: str) -> None:
        stages = self._notes() | {stage: {"key": self.keys[stage], "status": status}}
        about = {"recipe": self.recipe.name, "undin": undin.__version__, "settings": self.recipe.text()}
        beside = self.folder / "stages.json.part"
        beside.write_text(json.dumps({**about, "stages": stages}, indent=1, default=list), encoding="utf-8")
        beside.replace(self.folder / "stages.json")


Told = Callable[[int, int], object]


def _told(progress: Progress | None, stage: str) -> Told:
    return lambda done, of: progress(stage, done, of) if progress else None


def _mix(run: Run, place: Path, workers: int, progress: Told) -> None:
    """manifest.csv, test_noisy_audio/, clean/ and noise/."""
    section = run.section("mix")
    drawing = mixing.Drawing(run.corpus, section.settings, seed=run.section("experiment").seed)
    failed = []
    for made in Job(run.corpus, place, layout=LAYOUT, drawing=drawing, n=section.n).run(workers):
        progress(made.n, section.n)
        if made.status == "failed":
            failed.append(f"mixture {made.n}: {made.error}")
    if failed:
        raise InputError(f"{len(failed)} of {section.n} mixtures cannot be made; the first is {failed[0]}")


def _train(run: Run, place: Path, workers: int, progress: Told) -> None:
    """The variants' weights, and merged_audio/: the sound they learned from."""
    section, sr = run.section("train"), run.corpus.sr
    part = run.corpus.select(split=section.split)
    noises = [clip for clip in part.noise if not section.kinds or clip.kind in section.kinds]
    speech = _taken(part, _in_turn(part.speech, "speaker"), section.speech_s)
    kinds = sorted({clip.kind for clip in noises})
    noise = [x for kind in kinds for x in _taken(part, [c for c in noises if c.kind == kind], section.noise_s)]
    if not speech or not noise:
        raise InputError(f"the {section.split} split of {run.corpus.root} must have speech and noise to train on")
    (place / "merged_audio").mkdir(exist_ok=True)
    level = _rms(np.concatenate(speech))
    noise = [x * np.float32(level / max(_rms(x), 1e-9)) for x in noise]  # as loud as the speech, like the original
    for name, sounds in (("speech", speech), ("noise", noise)):
        joined = np.concatenate(sounds)
        peak = max(float(np.abs(joined).max()), 1.0)
        audio.write(place / "merged_audio" / f"merged_train_{name}_audio.wav", joined / np.float32(peak), sr)
    progress(0, 1)
    model = NMF(**section.settings).fit(speech, noise, sr, rng=run.section("experiment").seed)
    model.data = f"{run.recipe.name}: {sum(map(len, speech)) / sr:.0f} s of speech, {len(kinds)} kinds of noise"
    for name, path in run.weights.items():
        model.with_settings(prior=PRIORS[name]).save(path)
    progress(1, 1)


def _enhance(run: Run, place: Path, workers: int, progress: Told) -> None:
    """enhanced_audio/<variant>/enhanced_<name>.wav and plot/<variant>/<name>.png."""
    section, rows = run.section("enhance"), run.rows
    total, done = len(run.weights) * min(section.audio, len(rows)), 0
    for variant, path in run.weights.items():
        model = NMF.load(path)
        for folder in ("enhanced_audio", "plot"):
            (place / folder / variant).mkdir(parents=True, exist_ok=True)
        for i, row in enumerate(rows[: section.audio]):
            files = {name: run.folder / "mix" / paths[0] for name, paths in LAYOUT.outputs(row, i + 1).items()}
            name = files["noisy"].stem
            target = place / "enhanced_audio" / variant / f"enhanced_{name}.wav"
            if not target.exists():
                process_file(model, str(files["noisy"]), str(target))
            picture = place / "plot" / variant / f"{name}.png"
            if i < section.pictures and not picture.exists():
                sounds = {"noisy": files["noisy"], "clean": files["clean"], f"enhanced, {variant}": target}
                signals = {label: audio.read(file)[0] for label, file in sounds.items()}
                pictures.spectrograms(signals, run.corpus.sr, picture, title=name)
            done += 1
            progress(done, total)


def _evaluate(run: Run, place: Path, workers: int, progress: Told) -> None:
    """scores.csv, summary.json and report.html."""
    section = run.section("evaluate")
    trained = [f"{name}={path}" for name, path in run.weights.items()]
    runners = evaluation.make_runners([*trained, *section.methods], list(section.commands))
    measures, notes = evaluation.choose(section.metrics or None, run.corpus.sr)
    seen = set(run.section("train").kinds) or {
        clip.kind for clip in run.corpus.select(split=run.section("train").split).noise
    }
    result = evaluation.evaluate(
        run.rows, run.corpus, runners, measures, place, workers=workers, seen_kinds=seen, progress=progress
    )
    manifest = run.folder / "mix" / "manifest.csv"
    about = evaluation.about_run(
        result, manifest=manifest, data=run.corpus.root, command=["undin", "run", run.recipe.name]
    )
    evaluation.write_summary(place / "summary.json", result, about)
    heard = evaluation.make_examples(
        result, run.corpus, n=section.examples, seed=run.section("experiment").seed, progress=None
    )
    evaluation.write_report(place / "report.html", result, about, examples=heard, notes=notes)


WORK: dict[str, Callable[[Run, Path, int, Told], None]] = {
    "mix": _mix,
    "train": _train,
    "enhance": _enhance,
    "evaluate": _evaluate,
}


def _in_turn(clips: Sequence[Clip], key: str) -> list[Clip]:
    """One clip of each speaker, then another of each, and so on."""
    by: dict[str, list[Clip]] = {}
    for clip in clips:
        by.setdefault(getattr(clip, key), []).append(clip)
    longest = max(map(len, by.values()), default=0)
    return [each[i] for i in range(longest) for each in by.values() if i < len(each)]


def _taken(corpus: Corpus, clips: Sequence[Clip], seconds: float) -> list[Any]:
    """The clips' samples until there are so many seconds; the last is cut."""
    sounds, n_left = [], round(seconds * corpus.sr)
    for clip in clips:
        if n_left <= 0:
            break
        sounds.append(corpus.load(clip)[:n_left])
        n_left -= len(sounds[-1])
    return sounds


def _rms(x: Any) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if len(x) else 0.0
