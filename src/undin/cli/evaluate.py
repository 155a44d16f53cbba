"""`undin evaluate`: methods x mixtures -> scores and a report."""

import json as json_
import os
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from undin.cli import options as o
from undin.cli import show
from undin.cli.run import run

if TYPE_CHECKING:
    from rich.text import Text

    from undin.corpora import Corpus
    from undin.evaluation import Evaluation
    from undin.mixing import MixtureRow

OUTPUT = "undin-evaluation"
N_SHOWN = 5  # failures printed; the report has all

Methods = Annotated[
    list[str] | None,
    o.how(
        "-m",
        "--method",
        metavar="MODEL",
        help="Method id or model file; NAME=MODEL renames it. Repeat to compare several.",
    ),
]
Commands = Annotated[
    list[str] | None,
    o.how(
        "--cmd",
        metavar="NAME=COMMAND",
        help="External program, e.g. 'sox=sox {in} {out} highpass 100'; may be repeated.",
    ),
]

WerCmd = Annotated[
    str | None,
    o.how(
        metavar="COMMAND",
        help="Word error rate: a speech recognizer that prints the text of the WAV file {in}.",
    ),
]


def evaluate(
    context: typer.Context,
    mixtures: Annotated[
        str,
        typer.Argument(
            metavar="MIXTURES",
            help="Manifest or folder from `undin mix`, folder with noisy/ and clean/, or recipe.",
        ),
    ],
    method: Methods = None,
    cmd: Commands = None,
    data: Annotated[
        str | None,
        o.where(
            metavar="DIR",
            help="Folder or URL that the manifest's paths are relative to.",
            show_default="the corpus it was mixed from",
        ),
    ] = None,
    output: Annotated[str, o.where("-o", "--output", metavar="DIR", help="Folder for the results.")] = OUTPUT,
    metrics: Annotated[
        str | None,
        o.how(
            metavar="NAMES",
            help="Metrics, e.g. pesq_wb,lsd_db.",
            show_default="pesq_wb,estoi,si_sdr_db; for talkers si_sdr_db,sdr_db,accuracy",
        ),
    ] = None,
    wer_cmd: WerCmd = None,
    transcripts: Annotated[
        Path | None,
        o.how(
            metavar="PATH",
            help="Text for --wer-cmd: CSV with columns id and text, lines of id and text, or a folder of .txt files.",
            show_default="the manifest's text column",
        ),
    ] = None,
    trained_on: Annotated[
        Path | None,
        o.how(
            metavar="MANIFEST",
            help="Manifest of the training data, to report seen and unseen kinds of noise separately.",
        ),
    ] = None,
    align: Annotated[
        bool, o.how("--align/--no-align", help="Align the output of --cmd if it is delayed by up to 100 ms.")
    ] = True,
    allow_outside: o.AllowOutside = False,
    workers: o.MaybeWorkers = None,
    on: o.On = None,
    num_cpus: o.NumCpus = 1.0,
    num_gpus: o.NumGpus = 0.0,
    examples: Annotated[int, o.shown(min=0, metavar="N", help="Number of audio examples in the report.")] = 6,
    seed: Annotated[int, o.shown(min=0, metavar="N", help="Random seed for choosing the examples.")] = 0,
    page_audio: o.PageAudio = "flac",
    json: Annotated[bool, o.shown("--json", help="Print the summary as one JSON object.")] = False,
    quiet: o.Quiet = False,
) -> int:
    """Score methods on mixtures and write a report with tables, plots and players.

    Writes scores.csv (one row per mixture), per_noise.csv and summary.json (means), and report.html. Existing scores
    with the same settings are reused, so an interrupted run resumes. For separation, outputs are matched to talkers,
    and ideal masks give the upper bound.

    [dim]Two methods:[/]  undin evaluate test.csv -m log-mmse -m nmf-exp -o scores/

    [dim]Noisy files with clean references:[/]  undin evaluate pairs/ -m lull

    [dim]Two talkers:[/]  undin evaluate two.csv -m blstm-mask -m deep-clustering

    [dim]An external program:[/]  undin evaluate test.csv -m log-mmse --cmd 'sox=sox {in} {out} highpass 100'

    [dim]Word error rate:[/]  undin evaluate pairs/ -m lull --transcripts t.csv --wer-cmd 'whisper-cli -np -nt -f {in}'
    """
    from undin import evaluation, mixing
    from undin.copies import cached, placed
    from undin.errors import InputError
    from undin.evaluation.run import SCORES
    from undin.experiment import is_recipe
    from undin.mixing.manifest import read_numbered
    from undin.page import check_page
    from undin.store import Store, is_url
    from undin.workers import executor

    if is_recipe(mixtures):
        o.refuse_for_recipe(on)
        home = None if output == OUTPUT else output  # a run has its own folder
        return run(mixtures, home, data, ["evaluate"], workers=workers or 1, json=json, quiet=quiet)
    if transcripts and not wer_cmd:
        raise InputError("--transcripts is for the word error rate: add --wer-cmd, or leave it out")
    pool = executor(o.pool(workers, on, num_cpus, num_gpus))
    here = pool if on is None else executor(1)
    manifest = cached(Store(mixtures)) if is_url(mixtures) else Path(mixtures)
    folder = context.with_resource(placed(output, keep=[SCORES]))
    if (inside := manifest / "manifest.csv").is_file():  # the folder of a mix
        manifest = inside
    systems = evaluation.make_systems(method or [], cmd or [])
    separate = bool(systems[0].n_src)
    pairs = mixing.Pairs.find(manifest) if manifest.is_dir() else None
    corpus = pairs.corpus() if pairs else _corpus(manifest, data, listed=separate, allow_outside=allow_outside)
    seen = None if trained_on is None else {row.kind for row in mixing.read_manifest(trained_on)}
    task = evaluation.Separation.of(corpus) if separate else evaluation.Enhancement(seen)
    wanted = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    words = evaluation.Recognizer.make(wer_cmd, transcripts or manifest) if wer_cmd else None
    measures, notes = evaluation.choose(wanted, corpus.sr, task, wer=bool(words))
    notes += [evaluation.POOLED] if words else []
    if align:
        systems = evaluation.align(systems, corpus.sr)
        notes += evaluation.lag_notes(systems)
    if (report := folder / "report.html").exists():
        check_page(report)
    rows: Iterable[MixtureRow | InputError] = (row for _, row in read_numbered(manifest, allow_outside=allow_outside))
    if pairs:
        with show.busy("reading pairs"):
            rows = list(pairs.rows(corpus))
        folder.mkdir(parents=True, exist_ok=True)
        manifest = folder / "pairs.csv"
        mixing.write_manifest(manifest, (row for row in rows if isinstance(row, mixing.MixtureRow)))
    with show.bar("scoring", wanted=not quiet) as progress:
        result = evaluation.evaluate(
            rows, corpus, systems, measures, folder, task=task, recognizer=words, workers=pool, progress=progress
        )
    about = evaluation.about_run(result, manifest=manifest, data=corpus.root, command=["undin", *_typed(context)])
    about |= {name: text for name, text in (("manifest", mixtures), ("data", data)) if is_url(text)}
    evaluation.write_per_kind(folder, result)
    summary = evaluation.write_summary(folder / "summary.json", result, about)
    with show.bar("examples", wanted=not quiet) as progress:
        played = evaluation.make_examples(result, corpus, n=examples, seed=seed, workers=here, progress=progress)
    with show.busy("drawing the report"):
        evaluation.write_report(report, result, about, examples=played, notes=notes, codec=page_audio, workers=here)
    if json:
        print(json_.dumps(summary, ensure_ascii=False))
    elif not quiet:
        _show(result, notes, folder / "report.html", output)
    return _tell_failures(result)


def _corpus(manifest: Path, data: str | None, *, listed: bool, allow_outside: bool) -> "Corpus":
    """The corpus that the paths of a manifest start from, at the manifest's rate.

    Args:
        manifest: the table of mixtures.
        data: the folder, or its URL; None for the default.
        listed: with its clips, which know the genders of speakers.
        allow_outside: look at files outside it too.
    """
    from undin import corpora
    from undin.corpora.fetched import FetchedReader
    from undin.errors import InputError
    from undin.mixing import MixtureRow
    from undin.mixing.manifest import read_numbered
    from undin.mixing.write import data_of
    from undin.store import is_url

    rows = read_numbered(manifest, allow_outside=allow_outside)
    first = next((row for _, row in rows if isinstance(row, MixtureRow)), None)
    sr = first.sr if first else 16000
    if is_url(data) and not str(data).endswith(".pack"):
        if listed:
            raise InputError(
                f"--data {data}: the corpus for separation must be a folder or a pack, which contain genders"
            )
        return corpora.Corpus(Path(str(data)), (), sr=sr, reader=FetchedReader(str(data), mono=True))
    if listed:
        return corpora.open(data or data_of(manifest), sr=first.sr if first else None)
    root = Path(data or data_of(manifest) or os.environ.get("UNDIN_DATA") or corpora.mini().root)
    if not root.is_dir():
        raise InputError(
            f"{root}: no such folder; use --data DIR, the folder that the manifest's paths are relative to"
        )
    sources = [source.path for source in (*first.speech, *first.noise)] if first else []
    if sources and not any(os.path.exists(root / path) for path in sources):  # noqa: PTH110 (never raises)
        raise InputError(
            f"{manifest} begins with {sources[0]}, which is not in {root}: use --data DIR, the corpus it was mixed from"
        )
    return corpora.Corpus(root, (), sr=sr, mono=True)


def _typed(context: typer.Context) -> list[str]:
    """The command line as it was typed."""
    return sys.argv[1:] if sys.argv[1:2] == [context.info_name] else [str(context.info_name)]


def _show(result: "Evaluation", notes: list[str], report: Path, shown: str) -> None:
    """The overall table on the screen."""
    from rich.table import Table
    from rich.text import Text

    from undin.evaluation.report import tables
    from undin.evaluation.slices import Slices
    from undin.page import Group

    rows: list[dict[str, Any]] = [dict(row) for row in tables.overall(Slices(result)) if not isinstance(row, Group)]
    if not any(row["failed"] for row in rows):
        rows = [{name: cell for name, cell in row.items() if name != "failed"} for row in rows]
    table = Table(box=None, pad_edge=False, header_style="dim")
    cells = [[_plain(cell, with_gain=i == 1) for i, cell in enumerate(row.values())] for row in rows]
    for name, column in zip(rows[0], zip(*cells, strict=True), strict=True):
        width = max(len(line) for cell in column for line in cell.plain.split("\n"))
        heading = textwrap.fill(
            name, max(width, 9), break_long_words=False
        )  # so that on narrow terminals neither labels nor scores wrap
        table.add_column(heading, justify="right" if name else "left", no_wrap=bool(name), overflow="fold")
    for row in cells:
        table.add_row(*row)
    console = show.console()
    console.print(table)
    reused = f"; {result.n_kept} existing scores were reused" if result.n_kept else ""
    facts = f"means with 95 % intervals over {len(result.rows)} mixtures, in brackets the gain over the input{reused}"
    console.print(Text("\n".join([facts, *notes]), style="dim"))
    name, size = f"{shown.rstrip('/')}/{report.name}", f"{report.stat().st_size / 1e6:.1f} MB"
    console.print(f"\n[bold]{name}[/]  [dim]{size}, open it in a browser[/]")


def _plain(cell: object, *, with_gain: bool) -> "Text":
    from rich.text import Text

    from undin.page import Cell

    if not isinstance(cell, Cell):
        return Text("–" if cell is None else str(cell))
    gain = cell.note.partition("\n")[0] if with_gain and cell.note.startswith("(") else ""
    return Text(f"{cell.text}\n{gain}".rstrip(), "bold" if cell.best else "")


def _tell_failures(result: "Evaluation") -> int:
    for failure in result.failures[:N_SHOWN]:
        whom = ", ".join(filter(None, (failure.id, failure.method)))
        show.say(f"undin: row {failure.row}{f' ({whom})' if whom else ''}: {failure.reason}", stderr=True)
    if (more := len(result.failures) - N_SHOWN) > 0:
        show.say(f"undin: and {more} more failures: see report.html", stderr=True)
    return 1 if result.failures else 0
