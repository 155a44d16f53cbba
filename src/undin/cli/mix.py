"""`undin mix`: speech and noise in, mixtures and their manifest out."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from undin.cli import options as o
from undin.cli import show
from undin.cli.run import run
from undin.errors import InputError

if TYPE_CHECKING:
    from undin.corpora import Corpus
    from undin.mixing.draw import Seen
    from undin.mixing.maker import Made
    from undin.mixing.write import MixtureWriter
    from undin.workers import Executor

what, talk, room = o.panel("Mixtures"), o.panel("Talkers and noises"), o.panel("Rooms")
OPTIONS = {  # settings by the options that set them
    "snr_db": "--snr", "talkers": "--talkers", "talker_db": "--talker-level", "noises": "--noises",
    "noise_db": "--noise-level", "level_db": "--level", "duration_s": "--duration", "rooms": "--rooms",
    "rt60_s": "--rt60", "kind": "--kinds", "split": "--split", "corpus": "--speech-from", "sr": "--sr",
}  # fmt: skip


def mix(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Folders of speech and noise, a manifest to reproduce, or a recipe.",
            show_default="the built-in corpus",
        ),
    ] = None,
    output: Annotated[
        str | None,
        o.where("-o", "--output", metavar="DIR", help="Output folder or its URL; required except with a recipe."),
    ] = None,
    data: Annotated[
        str | None,
        o.where(metavar="DIR", help="Folder that the paths in a manifest are relative to, or its URL."),
    ] = None,
    config: Annotated[
        Path | None,
        what(metavar="INI", help="Read all settings from a config.ini of the script by YunyangZeng."),
    ] = None,
    n: Annotated[
        int | None, what("--n", "-n", min=0, metavar="N", help="Number of mixtures.", show_default="1000")
    ] = None,
    seed: Annotated[int, what(min=0, metavar="N", help="Random seed; the same seed gives the same mixtures.")] = 0,
    split: Annotated[
        str | None, what(metavar="NAME", help="Use only this split: train, dev or test.", show_default=False)
    ] = None,
    snr: Annotated[
        str, what(metavar="DB", help="SNR in dB: LOW,HIGH for a range, LOW:HIGH:STEP for steps, or one number.")
    ] = "-5,15",
    snr_over: Annotated[
        Literal["clip", "active"], what(help="Measure the SNR over the whole clip or over active speech only.")
    ] = "clip",
    level: Annotated[
        str | None,
        what(metavar="LOW,HIGH", help="RMS level of the mixtures in dBFS.", show_default="as mixed"),
    ] = None,
    duration: Annotated[
        float | None, what(metavar="S", help="Duration of every mixture in seconds.", show_default="that of its speech")
    ] = None,
    short: Annotated[Literal["pad", "drop"], what(help="Pad or drop speech shorter than --duration.")] = "pad",
    sr: Annotated[int | None, what(metavar="HZ", help="Resample to this rate in Hz.")] = None,
    mono: Annotated[bool, what("--mono", help="Downmix to mono.")] = False,
    seen: Annotated[
        str | None,
        what(metavar="SPLIT|CSV", help="Mark speakers and noise kinds that also occur in this split or manifest."),
    ] = None,
    talkers: Annotated[int, talk(metavar="N", help="Number of simultaneous talkers, 1 to 4.")] = 1,
    talker_level: Annotated[
        str, talk(metavar="LOW,HIGH", help="How far below the first talker the others are, in dB.")
    ] = "0,5",
    lengths: Annotated[
        Literal["min", "max"], talk(help="Cut mixtures to the shortest talker, or pad them to the longest.")
    ] = "min",
    speech_from: Annotated[str | None, talk(metavar="NAME,...", help="Use only speech from these corpora.")] = None,
    noises: Annotated[
        str | None,
        talk(
            metavar="N|LOW-HIGH",
            help="Number of simultaneous noises, 0 to 3.",
            show_default="1; 0 with several talkers",
        ),
    ] = None,
    noise_level: Annotated[
        str, talk(metavar="LOW,HIGH", help="How far below the first noise the others are, in dB.")
    ] = "0,0",
    kinds: Annotated[str | None, talk(metavar="KIND,...", help="Use only these kinds of noise.")] = None,
    every_noise: Annotated[bool, talk("--every-noise", help="Mix every utterance with every noise.")] = False,
    rooms: Annotated[float, room(metavar="FRACTION", help="Fraction of mixtures in a simulated room, 0 to 1.")] = 0.0,
    rt60: Annotated[str, room(metavar="LOW,HIGH", help="Reverberation time of the rooms in seconds.")] = "0.2,0.6",
    reference: Annotated[
        Literal["early", "dry"],
        room(help="Clean reference in a room: speech with its first 50 ms of reflections, or dry speech."),
    ] = "early",
    template: Annotated[
        str | None,
        o.where(
            metavar="NAME",
            help="File layout: folders, six-folders, pairs, or noisy=PATTERN,clean=PATTERN.",
            show_default="folders",
        ),
    ] = None,
    format: Annotated[
        Literal["flac", "wav"] | None, o.where(help="Format of the 16-bit files.", show_default="flac")
    ] = None,
    manifest_only: Annotated[bool, o.where("--manifest-only", help="Write the manifest but no audio.")] = False,
    shard: Annotated[str, o.how(metavar="I/N", help="Write only part I of N, e.g. one per machine.")] = "1/1",
    workers: o.MaybeWorkers = None,
    on: o.On = None,
    num_cpus: o.NumCpus = 1.0,
    num_gpus: o.NumGpus = 0.0,
    overwrite: o.Overwrite = False,
    allow_outside: o.AllowOutside = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Mix speech with noise, or talkers with each other, at known SNRs.

    [dim]Noisy speech; writes noisy/ clean/ noise/ and manifest.csv:[/]  undin mix speech/ noise/ -o mixed/ --n 1000

    [dim]Two talkers; writes noisy/ s1/ s2/:[/]  undin mix LibriSpeech/ -o two/ --talkers 2 --split train

    [dim]Reproduce the files of a manifest:[/]  undin mix mixed/manifest.csv --data . -o again/

    [dim]Mixtures of a recipe:[/]  undin mix nmf-kwon2016 -o run/

    Rerun the command to resume. Failed rows are listed; all others are written.
    """
    if inputs and len(inputs) == 1 and not Path(inputs[0]).is_dir():
        from undin.experiment import is_recipe

        if is_recipe(inputs[0]):
            o.refuse_for_recipe(on)
            return run(inputs[0], only=["mix"], output=output, data=data, workers=workers or 1, json=json, quiet=quiet)
    from undin import corpora
    from undin.mixing import Drawing
    from undin.mixing.layout import parse_layout
    from undin.mixing.settings import Settings
    from undin.mixing.write import MixtureWriter
    from undin.store import is_url

    if output is None:
        raise InputError("mix needs -o DIR, the folder to write to")
    if config is not None and inputs:
        raise InputError("--config names the folders itself: leave out CORPUS")
    where = o.pool(workers, on, num_cpus, num_gpus)
    place = {"out": Path(), "url": output} if is_url(output) else {"out": Path(output)}
    common: dict[str, Any] = {**place, "shard": _shard(shard), "files": not manifest_only, "overwrite": overwrite}
    listed = _listed(inputs or [])
    if config is not None:
        jobs = _configured(config, seed, {**common, "layout": parse_layout(template or "six-folders", format)})
    elif listed is not None:
        corpus, most = _corpus_of(listed, data, sr, mono, allow_outside)
        common["layout"] = parse_layout(template or "folders", format, most)
        jobs = [MixtureWriter(corpus, manifest=listed, allow_outside=allow_outside, **common)]
    else:
        with _named_by_options():
            layout = parse_layout(template or "folders", format, talkers)
            settings = Settings(
                snr_db=parse_snr(snr),
                snr_over=snr_over,
                talkers=talkers,
                talker_db=_range("--talker-level", talker_level),
                lengths=lengths,
                noises=_noises(noises),
                noise_db=_range("--noise-level", noise_level),
                every_noise=every_noise,
                kinds=kinds.split(",") if kinds else None,
                split=split,
                speech_from=speech_from.split(",") if speech_from else None,
                level_db=_range("--level", level) if level else None,
                duration_s=duration,
                short=short,
                rooms=rooms,
                rt60_s=_range("--rt60", rt60),
                reference=reference,
            )
            if not inputs and not os.environ.get("UNDIN_DATA") and not quiet:
                show.say("undin: note: no CORPUS given; using the built-in synthetic corpus", stderr=True)
            with show.busy("listing the sound"):
                corpus = reduce(add, (corpora.open(name, sr=sr, mono=mono) for name in inputs or (None,)))
            drawing = Drawing(corpus, settings, seed=seed, seen=_seen(seen, corpus))
            n = n if n is not None else drawing.n_pairs if every_noise else 1000
        jobs = [MixtureWriter(corpus, layout=layout, drawing=drawing, n=n, **common)]
    return max(_work(job, where, as_json=json, quiet=quiet) for job in jobs)


@contextmanager
def _named_by_options() -> Iterator[None]:
    """Errors that begin with a setting's name begin with its option instead."""
    try:
        yield
    except InputError as error:
        name, _, rest = str(error).partition(" ")
        raise type(error)(f"{OPTIONS.get(name, name)} {rest}") from error


def parse_snr(text: str) -> "float | tuple[float, float] | list[float]":
    """Read LOW,HIGH (drawn from), LOW:HIGH:STEP (used in turn) or one number."""
    if ":" in text:
        low, high, step = _numbers("--snr", text, ":", 3)
        if step <= 0 or high < low:
            raise InputError(f"--snr LOW:HIGH:STEP needs LOW < HIGH and STEP > 0; got {text}")
        return [round(low + i * step, 6) for i in range(int((high - low) / step + 1e-9) + 1)]
    if "," in text:
        return _range("--snr", text)
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--snr must be LOW,HIGH, LOW:HIGH:STEP or one number; got {text!r}") from None


def _range(option: str, text: str) -> tuple[float, float]:
    low, high = _numbers(option, text, ",", 2)
    return low, high


def _numbers(option: str, text: str, between: str, n: int) -> list[float]:
    try:
        values = [float(word) for word in text.split(between)]
    except ValueError:
        values = []
    if len(values) != n:
        example = {2: "-5,15", 3: "-5:15:5"}[n]
        raise InputError(f"{option} must be {n} numbers, such as {example}; got {text!r}")
    return values


def _noises(text: str | None) -> int | tuple[int, int] | None:
    if text is None:
        return None
    words = text.split("-")
    if not all(word.isdecimal() for word in words) or len(words) > 2:
        raise InputError(f"--noises must be a number or a range, such as 1-3; got {text!r}")
    return int(words[0]) if len(words) == 1 else (int(words[0]), int(words[1]))


def _shard(text: str) -> tuple[int, int]:
    words = text.split("/")
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        raise InputError(f"--shard must be I/N, such as 3/16; got {text!r}")
    return int(words[0]), int(words[1])


def _listed(inputs: list[str]) -> Path | None:
    """The manifest to remake, if one is given."""
    from undin.copies import cached
    from undin.store import is_url, split

    files = [name for name in inputs if name.lower().endswith(".csv")]
    if files and len(inputs) > 1:
        raise InputError(f"a manifest cannot be combined with other inputs; got {' '.join(inputs)}")
    if files and is_url(files[0]):
        return cached(*split(files[0]))
    return Path(files[0]) if files else None


def _corpus_of(
    manifest: Path, data: str | None, sr: int | None, mono: bool, allow_outside: bool
) -> "tuple[Corpus, int]":
    """The folder of a manifest's files as a corpus, and how many talkers its mixtures have."""
    from itertools import islice

    from undin.corpora import Clip, Corpus
    from undin.corpora.fetched import FetchedReader
    from undin.mixing import MixtureRow
    from undin.mixing.manifest import read_numbered
    from undin.store import is_url, open_store

    if data is None:
        raise InputError("a manifest needs --data DIR, the folder that its paths are relative to")
    if not (is_url(data) or Path(data).is_dir()):
        raise InputError(f"--data {data}: no such folder")
    found = [row for _, row in islice(read_numbered(manifest, allow_outside=allow_outside), 1000)]
    rows = [row for row in found if isinstance(row, MixtureRow)]
    if found and not rows:
        raise InputError(str(found[0]))
    sources = [source for row in rows for source in (*row.speech, *row.noise)]
    there = next((source for source in sources if open_store(data).find(source.path)), None)
    if there is None:
        example = f", such as {sources[0].path}" if sources else ""
        raise InputError(f"{data} contains none of the files of {manifest}{example}: use the right --data")
    clip = Clip(there.path, there.offset_s, there.duration_s, rows[0].split)
    reader = FetchedReader(data, mono=mono) if is_url(data) else None
    return Corpus(Path(data), [clip], sr=sr, mono=mono, reader=reader), max(len(row.speech) for row in rows)


def _seen(text: str | None, corpus: "Corpus") -> "Seen | None":
    from undin.mixing import Seen, read_manifest

    if text is None:
        return None
    return Seen.of(read_manifest(text) if text.lower().endswith(".csv") else corpus.select(split=text))


def _configured(config: Path, seed: int, common: dict[str, Any]) -> "list[MixtureWriter]":
    from undin.mixing import Drawing
    from undin.mixing.config_ini import read_config
    from undin.mixing.write import MixtureWriter

    return [
        MixtureWriter(
            stage.corpus,
            drawing=Drawing(stage.corpus, stage.settings, seed=seed),
            n=stage.n,
            name=f"manifest_{stage.name}",
            **common,
        )
        for stage in read_config(config)
    ]


def _work(job: "MixtureWriter", workers: "int | Executor", *, as_json: bool, quiet: bool) -> int:
    """Write the mixtures, report failures, return the exit code."""
    counts = Counter[str]()
    waiting = None if quiet else lambda text: show.say(f"undin: {text}", stderr=True)
    with show.bar("mixtures", wanted=not quiet) as progress, closing(job.run(workers, say=waiting)) as results:
        for done, made in enumerate(results, 1):
            counts[made.status] += 1
            if progress:
                progress(done, len(job))
            if made.status == "failed":
                show.say(f"undin: {show.as_option(made.error or '')}", stderr=True)
            if as_json:
                print(_as_json(made), flush=True)
    if not quiet and not as_json:
        summary = ", ".join(f"{counts[status]} {status}" for status in ("done", "skipped", "failed") if counts[status])
        show.say(f"{summary or 'nothing to do'} -> {job.shown}")
    return 1 if counts["failed"] else 0


def _as_json(made: "Made") -> str:
    import json
    from dataclasses import asdict

    row = asdict(made.row) if made.row else None
    if row and row["snr_db"] == float("inf"):
        row["snr_db"] = None  # JSON knows no infinity
    return json.dumps({"status": made.status, "n": made.n, "outputs": made.outputs, "error": made.error, "row": row})
