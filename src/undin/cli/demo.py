"""`undin demo`: demonstrate undin on the bundled audio."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from undin.cli import show
from undin.cli.enhance import DEFAULT_METHOD

if TYPE_CHECKING:
    from undin.methods.base import Method
    from undin.mixing import Mixture
    from undin.spectrum import Array

FILES = {
    "index.html": "listen and compare: open it in a browser",
    "noisy.wav": "noisy input",
    "noisy.enhanced.wav": "enhanced output",
    "clean.wav": "clean reference of the scores",
    "spectrograms.png": "spectrograms of all three",
}
SPEAKER, N_UTTERANCES = "slt", 2  # about 5 s
LEAD_IN_S = 0.5  # of noise alone, as most recordings have before someone speaks
Scores = list[dict[str, object]]


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Output folder.")] = Path("undin-demo"),
    noise: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="Kind of noise: rain, fan, engine, wind, hum, pink, white, babble or siren.",
        ),
    ] = "rain",
    snr_db: Annotated[float, typer.Option(metavar="DB", help="Signal-to-noise ratio in dB.")] = 5.0,
    method: Annotated[
        str, typer.Option("-m", "--method", metavar="MODEL", help="Method id (see `undin models`) or model file.")
    ] = DEFAULT_METHOD,
) -> None:
    """Enhance a built-in noisy recording; writes audio, pictures, scores and a page with players.

    [dim]Writes undin-demo/ with index.html:[/]  undin demo

    [dim]A harder noise:[/]  undin demo --noise babble --snr-db 0
    """
    from undin import methods
    from undin.errors import InputError

    model = methods.load(method)
    if model.n_src:
        raise InputError(
            f"the demo needs an enhancement method; {method} separates {model.n_src} talkers: use another -m"
        )
    mixture, sr = _mix(noise, snr_db)
    _claim(output)
    try:
        _work(output, model, mixture, sr, f"A voice in {noise} at {snr_db:g} dB, enhanced by {method}")
    finally:
        _note(output)


def _work(output: Path, model: "Method", mixture: "Mixture", sr: int, title: str) -> None:
    """Write, enhance, score, draw and report."""
    from undin import audio, jobs

    audio.write(output / "clean.wav", mixture.speech, sr)
    audio.write(output / "noisy.wav", mixture.noisy, sr)
    report = jobs.process_file(model, str(output / "noisy.wav"), str(output / "noisy.enhanced.wav"))
    enhanced, _ = audio.read(output / "noisy.enhanced.wav")
    sounds = {"noisy": mixture.noisy, "enhanced": enhanced, "clean": mixture.speech}
    with show.busy("scoring and drawing"):
        scores, missing = _score(sounds, sr)
        missing += _draw_and_write(output, title, sounds, sr, scores)
    _show(output, title, scores, missing, f"{report.seconds:.1f} s of audio, {report.times_real_time:.0f} x real time")


def _mix(noise: str, snr_db: float) -> "tuple[Mixture, int]":
    import numpy as np

    from undin import corpora, mixing
    from undin.errors import InputError

    corpus = corpora.mini().select(split="test")
    utterances = [np.zeros(round(LEAD_IN_S * corpus.sr), np.float32)]
    utterances += [corpus.load(clip) for clip in corpus.select(speaker=SPEAKER).speech[:N_UTTERANCES]]
    kinds = sorted({clip.kind for clip in corpus.noise})
    if noise not in kinds:
        raise InputError(f"--noise must be one of {', '.join(kinds)}; got {noise!r}")
    din = corpus.load(corpus.select(kind=noise).noise[0])
    return mixing.mix(np.concatenate(utterances), din, snr_db=snr_db), corpus.sr


def _claim(output: Path) -> None:
    """Make the folder; refuse to write over files that no demo has made."""
    from undin.errors import InputError
    from undin.jobs.notes import Notebook

    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output} cannot be created as a folder: {error.strerror}: choose another -o") from error
    notebook = Notebook()
    for name in FILES:
        if notebook.standing(str(output / name), None) == "foreign":
            raise InputError(f"{output / name} already exists and was not written by undin demo; use another -o")


def _note(output: Path) -> None:
    from undin.jobs.notes import add

    for name in FILES:
        if (output / name).exists():
            add(str(output / name), {"input": "undin demo", "key": None})


def _score(sounds: "dict[str, Array]", sr: int) -> tuple[Scores, list[str]]:
    """Score the input and the output against the voice alone; say which extra brings the scores that are missing."""
    from undin import metrics
    from undin.errors import InputError, MissingExtraError

    measures: dict[str, Callable[..., Any]] = {
        "SI-SDR (dB)": lambda **pair: metrics.si_sdr(**pair),
        "STOI": lambda **pair: metrics.stoi(**pair, sr=sr),
        "ESTOI": lambda **pair: metrics.estoi(**pair, sr=sr),
        "PESQ (wide band)": lambda **pair: metrics.pesq(**pair, sr=sr),
    }
    rows: dict[str, dict[str, object]] = {name: {"": name} for name in ("noisy", "enhanced")}  # the input's first
    missing: dict[str, None] = {}
    for measure, score in measures.items():
        for name, row in rows.items():
            try:
                row[measure] = round(score(ref=sounds["clean"], est=sounds[name]), 2)
            except (InputError, MissingExtraError) as error:
                missing[f"{measure.split()[0]}: {error}"] = None
    return list(rows.values()), list(missing)


def _draw_and_write(output: Path, title: str, sounds: "dict[str, Array]", sr: int, scores: Scores) -> list[str]:
    """Write the picture, where matplotlib is installed, and the page; report missing parts."""
    from undin.errors import MissingExtraError
    from undin.page import write_page
    from undin.pictures import spectrograms

    missing, pictures = [], {}
    try:
        pictures["Listen"] = spectrograms(sounds, sr, output / "spectrograms.png")
    except MissingExtraError as error:
        missing.append(f"spectrograms: {error}")
    write_page(
        output / "index.html",
        title=title,
        intro="Switch between the signals while they play. Scores use the clean voice as reference; higher is better.",
        players={"Listen": {name: (x, sr) for name, x in sounds.items()}},
        pictures=pictures,
        tables={"Scores": scores},
        dry="noisy",
        wet=["enhanced"],
    )
    return missing


def _show(output: Path, title: str, scores: Scores, missing: list[str], speed: str) -> None:
    from rich.table import Table
    from rich.text import Text

    console = show.console()
    console.print(f"\n[bold]{title}[/]  [dim]{speed}[/]\n")
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = list({name: None for row in scores for name in row})
    for name in names:
        table.add_column(name, justify="right" if name else "left")
    for row, style in zip(scores, ("", "bold"), strict=True):
        values = (row.get(name, "") for name in names)
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in values), style=style)
    console.print(table)
    console.print(Text("\n".join(["higher is better", *missing]), style="dim"))
    files = Table(box=None, pad_edge=False, show_header=False)
    for name, text in FILES.items():
        if (output / name).exists():
            files.add_row(Text(str(output / name), "bold"), Text(text, "dim"))
    console.print()
    console.print(files)
    console.print(Text.assemble(("\nNow yours:", "dim"), f"  {show.command()} enhance your.wav\n"))
