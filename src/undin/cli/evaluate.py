"""`undin evaluate`: methods x mixtures -> scores and a report."""

import json as json_
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from undin.cli import options as o
from undin.cli import show
from undin.cli.run import do

if TYPE_CHECKING:
    from undin.corpora import Corpus
    from undin.evaluation import Evaluation
    from undin.methods import Method

OUTPUT = Path("undin-evaluation")
N_SHOWN = 5  # failures told on the screen; the report has all

Methods = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--method",
        metavar="MODEL",
        help="An id of `undin models`, or a saved model; NAME=MODEL renames it. Repeat it to compare.",
        rich_help_panel=o.HOW,
    ),
]
Commands = Annotated[
    list[str] | None,
    typer.Option(
        "--cmd",
        metavar="NAME=COMMAND",
        help="Another program, as 'afftdn=ffmpeg -i {in} -af afftdn {out}'; may be repeated.",
        rich_help_panel=o.HOW,
    ),
]


def evaluate(
    context: typer.Context,
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A table or a folder from `undin mix`, or a recipe.")
    ],
    method: Methods = None,
    cmd: Commands = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Corpus of the manifest.",
            show_default="$UNDIN_DATA, or undin's own",
            rich_help_panel=o.WHERE,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.", rich_help_panel=o.WHERE)
    ] = OUTPUT,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Metrics to score by, as pesq_wb,lsd_db.",
            show_default="pesq_wb,estoi,si_sdr_db",
            rich_help_panel=o.HOW,
        ),
    ] = None,
    trained_on: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST", help="Noise of its kinds counts as seen; other as unseen.", rich_help_panel=o.HOW
        ),
    ] = None,
    workers: o.Workers = 1,
    examples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Mixtures to listen to in the report.", rich_help_panel=o.SHOW)
    ] = 6,
    seed: Annotated[
        int, typer.Option(min=0, help="Number that the choice of these is drawn from.", rich_help_panel=o.SHOW)
    ] = 0,
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object.", rich_help_panel=o.SHOW)
    ] = False,
    quiet: o.Quiet = False,
) -> int:
    """Score methods on mixtures, and write a report to read, look at and listen to.

    Writes scores.csv (every file), per_noise.csv and summary.json (means) and report.html (all of it, one file).
    What scores.csv has already from the same settings is kept, so a run that was stopped goes on.

    Talkers are scored by SI-SDR and SDR, all anew, with summary.md in place of per_noise.csv.

    [dim]Two methods:[/]  undin evaluate test.csv -m log-mmse -m nmf-exp -o scores/

    [dim]Talkers pulled apart, in the best order, beside ideal masks:[/]  undin evaluate two.csv -m blstm-mask

    [dim]Against another program:[/]  undin evaluate test.csv -m log-mmse --cmd 'sox=sox {in} {out} highpass 100'
    """
    from undin import evaluation, mixing
    from undin.errors import InputError
    from undin.experiment import is_recipe
    from undin.mixing.manifest import read_numbered
    from undin.page import check_page

    if is_recipe(str(manifest)):
        folder = None if output == OUTPUT else output  # a run has a folder of its own
        return do(str(manifest), ["evaluate"], output=folder, data=data, workers=workers, json=json, quiet=quiet)
    if (inside := manifest / "manifest.csv").is_file():  # what undin mix leaves in its folder
        manifest = inside
    if not cmd and (separators := evaluation.make_separators(method or [])):
        for name, value in (("--metrics", metrics), ("--trained-on", trained_on)):
            if value is not None:
                raise InputError(
                    f"{name} is for methods that enhance: talkers are scored by SI-SDR and SDR; leave it out"
                )
        command = ["undin", *_words(context)]
        return _talkers(
            manifest, data, separators, output, command, examples=examples, seed=seed, json=json, quiet=quiet
        )
    runners = evaluation.make_runners(method or [], cmd or [])
    wanted = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    corpus = _corpus(manifest, data)
    measures, notes = evaluation.choose(wanted, corpus.sr)
    if (report := output / "report.html").exists():
        check_page(report)
    seen = None if trained_on is None else {row.kind for row in mixing.read_manifest(trained_on)}
    with _bar("scoring", wanted=not quiet) as progress:
        result = evaluation.evaluate(
            (row for _, row in read_numbered(manifest)),
            corpus,
            runners,
            measures,
            output,
            workers=workers,
            seen_kinds=seen,
            progress=progress,
        )
    command = ["undin", *_words(context)]
    about = evaluation.about_run(result, manifest=manifest, data=corpus.root, command=command)
    evaluation.write_per_noise(output / "per_noise.csv", result)
    summary = evaluation.write_summary(output / "summary.json", result, about)
    with _bar("examples", wanted=not quiet) as progress:
        heard = evaluation.make_examples(result, corpus, n=examples, seed=seed, progress=progress)
    with show.busy("drawing the report"):
        evaluation.write_report(report, result, about, examples=heard, notes=notes)
    if json:
        print(json_.dumps(summary, ensure_ascii=False))
    elif not quiet:
        _show(result, notes, output)
    return _tell_failures(result)


def _talkers(
    manifest: Path,
    data: Path | None,
    methods: "dict[str, Method]",
    output: Path,
    command: list[str],
    *,
    examples: int,
    seed: int,
    json: bool,
    quiet: bool,
) -> int:
    """Methods that separate; the corpus is listed, as it knows who is of which gender."""
    from undin import corpora, evaluation, mixing
    from undin.page import check_page

    if (report := output / "report.html").exists():
        check_page(report)
    rows = list(mixing.read_manifest(manifest))
    corpus = corpora.open(data, sr=rows[0].sr if rows else None)
    with _bar("scoring", wanted=not quiet) as progress:
        scores = evaluation.evaluate_talkers(rows, corpus, methods, output, progress=progress)
    with show.busy("drawing the report"):
        about = evaluation.about_talkers(rows, methods, manifest=manifest, data=corpus.root, command=command)
        heard = evaluation.make_talker_examples(scores, rows, corpus, methods, n=examples, seed=seed)
        evaluation.write_talkers_report(report, scores, about, examples=heard)
    if json:
        print((output / "summary.json").read_text(encoding="utf-8"), end="")
    elif not quiet:
        print((output / "summary.md").read_text(encoding="utf-8"), end="")
        print(f"\n{report}    read, look and listen: open it in a browser")
    failed = [score for score in scores if score.error]
    for score in failed[:N_SHOWN]:
        print(f"undin: {score.id}, {score.method}: {score.error}", file=sys.stderr)
    return 1 if failed else 0


def _corpus(manifest: Path, data: Path | None) -> "Corpus":
    """The folder that the paths of a manifest start from, at the manifest's rate; nothing in it is listed."""
    from undin import corpora
    from undin.errors import InputError
    from undin.mixing import MixtureRow
    from undin.mixing.manifest import read_numbered

    root = Path(data or os.environ.get("UNDIN_DATA") or corpora.mini().root)
    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder: give --data DIR, from which the manifest's paths start")
    first = next((row for _, row in read_numbered(manifest) if isinstance(row, MixtureRow)), None)
    sources = [source.path for source in (*first.speech, *first.noise)] if first else []
    if sources and not any((root / path).exists() for path in sources):
        raise InputError(
            f"{manifest} begins with {sources[0]}, which {root} does not hold: give --data DIR, what it was mixed from"
        )
    return corpora.Corpus(root, (), sr=first.sr if first else 16000, mono=True)


def _words(context: typer.Context) -> list[str]:
    """The command line as it was typed."""
    return sys.argv[1:] if sys.argv[1:2] == [context.info_name] else [str(context.info_name)]


@contextmanager
def _bar(text: str, *, wanted: bool) -> Iterator[Callable[[int, int], object] | None]:
    """A bar in files on a terminal."""
    if not (wanted and sys.stderr.isatty()):
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=show.console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(result: "Evaluation", notes: list[str], output: Path) -> None:
    """The overall table on the screen."""
    from rich.table import Table
    from rich.text import Text

    from undin.evaluation import summary, tables
    from undin.page import Group

    sliced = summary.Table(result)
    rows: list[dict[str, Any]] = [dict(row) for row in tables.overall(sliced) if not isinstance(row, Group)]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in rows[0]:
        table.add_column(name, justify="right" if name else "left")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row.values()))
    console = show.console()
    console.print(table)
    kept = f"; {result.n_kept} scores were there already" if result.n_kept else ""
    told = [f"means with 95 % intervals over {len(result.rows)} mixtures{kept}", *notes]
    console.print(Text("\n".join(told), style="dim"))
    console.print(f"\n[bold]{output / 'report.html'}[/]  [dim]open it in a browser[/]")


def _plain(cell: object) -> Any:
    from rich.text import Text

    from undin.page import Cell

    if isinstance(cell, Cell):
        return Text(str(cell.text), "bold" if cell.best else "")
    return "–" if cell is None else str(cell)


def _tell_failures(result: "Evaluation") -> int:
    for failure in result.failures[:N_SHOWN]:
        whom = ", ".join(filter(None, (failure.id, failure.method)))
        print(f"undin: row {failure.row}{f' ({whom})' if whom else ''}: {failure.reason}", file=sys.stderr)
    if (more := len(result.failures) - N_SHOWN) > 0:
        print(f"undin: and {more} more failures: see report.html", file=sys.stderr)
    return 1 if result.failures else 0
