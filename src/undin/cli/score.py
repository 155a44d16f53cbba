"""`undin score`: scores of files, against a reference or without one."""

import json as json_
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undin.cli import options as o
from undin.cli import show
from undin.cli.check import found_files
from undin.cli.evaluate import WerCmd

if TYPE_CHECKING:
    from undin.evaluation import Recognizer
    from undin.evaluation.files import FileScores
    from undin.metrics import Metric


def score(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files to score, or folders of them.")],
    ref: Annotated[str | None, o.how(metavar="FILE", help="Clean reference.")] = None,
    metrics: Annotated[
        str | None,
        o.how(
            metavar="NAMES",
            help="Metrics, e.g. pesq_wb,lsd_db.",
            show_default="pesq_wb,estoi,si_sdr_db; without --ref dnsmos_sig,dnsmos_bak,dnsmos_ovrl",
        ),
    ] = None,
    wer_cmd: WerCmd = None,
    text: Annotated[str | None, o.how(metavar="TEXT", help="What is said in the files, for --wer-cmd.")] = None,
    transcripts: Annotated[
        Path | None,
        o.how(
            metavar="PATH",
            help="Text of each file for --wer-cmd, by file name without suffix; formats as in `undin evaluate`.",
        ),
    ] = None,
    align: Annotated[bool, o.how("--align/--no-align", help="Align files that are shifted by up to 100 ms.")] = True,
    json: o.Json = False,
) -> int:
    """Score files against a clean reference, or predict listener ratings (DNSMOS) without one.

    Files must have the sample rate and channels of the reference; scores are averaged over channels.

    [dim]Against a reference:[/]  undin score --ref clean.wav noisy.wav enhanced.wav

    [dim]Without a reference:[/]  undin score enhanced.wav

    [dim]Word error rate:[/]  undin score out.wav --wer-cmd 'whisper-cli -np -nt -f {in}' --text hi

    [dim]Chosen metrics of a folder, as JSON:[/]  undin score --ref clean.wav out/ --metrics si_sdr_db,stoi --json
    """
    from undin.errors import InputError, UndinError
    from undin.evaluation.files import FileScores, Reference, choose_for_files, score_file

    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    clean = None if ref is None else Reference.read(ref)
    paths = found_files(files)
    if not wer_cmd and (text or transcripts):
        raise InputError("--text and --transcripts are for the word error rate: add --wer-cmd, or leave them out")
    words = _recognizer(wer_cmd, text, transcripts, paths) if wer_cmd else None
    measures, notes = choose_for_files(names, clean, wer=bool(words))
    scored: list[FileScores] = []
    for path in paths:
        try:
            with show.busy(f"scoring {path}"):
                scores = score_file(path, measures, clean, align=align, recognizer=words)
        except (UndinError, OSError) as error:
            show.say(f"undin: {show.as_option(' '.join(str(error).split()))}", stderr=True)
            continue
        scored.append(scores)
        if json:
            print(json_.dumps(asdict(scores), ensure_ascii=False), flush=True)
    if scored and not json:
        _show(scored, measures, notes)
    n_failed = len(paths) - len(scored)
    return 0 if not n_failed else 2 if len(paths) == 1 else 1


def _recognizer(command: str, text: str | None, transcripts: Path | None, paths: list[str]) -> "Recognizer":
    from undin.errors import InputError
    from undin.evaluation import Recognizer

    if text is not None:
        return Recognizer(command, {Path(path).stem: text for path in paths})
    if transcripts is None:
        raise InputError("--wer-cmd needs reference text: use --text or --transcripts")
    return Recognizer.make(command, transcripts)


def _show(scored: "list[FileScores]", measures: "list[Metric]", notes: list[str]) -> None:
    """A row per file, with notes; no means, because the files may be unrelated."""
    from rich.table import Table
    from rich.text import Text

    from undin.evaluation.lag import lag_note

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", *(measure.title for measure in measures)):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    for row in scored:
        table.add_row(Text(row.file), *(_cell(measure, row) for measure in measures))
    reasons = [f"{row.file}: {reason}." for row in scored for reason in row.undefined.values()]
    lags = [lag_note(row.file, row.lag_ms) for row in scored if row.lag_ms]
    lower = [f"Lower is better for {measure.label}." for measure in measures if not measure.higher_is_better]
    console = show.console()
    console.print(table)
    console.print(Text("\n".join([*lower, *lags, *reasons, *notes]), style="dim"), end="")


def _cell(measure: "Metric", row: "FileScores") -> str:
    return f"{row.scores[measure.name]:.{measure.digits}f}" if measure.name in row.scores else "–"
