"""`undin compare`: one recording, several methods, a page to listen and look."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undin.cli import options as o
from undin.cli import show
from undin.cli.enhance import DEFAULT_METHOD
from undin.cli.evaluate import Commands, Methods

if TYPE_CHECKING:
    from undin.spectrum import Array

SECONDS = 60.0


def compare(
    source: Annotated[Path, typer.Argument(metavar="RECORDING", help="An audio or video file.")],
    method: Methods = None,
    cmd: Commands = None,
    output: Annotated[
        Path | None,
        o.where("-o", "--output", metavar="PAGE", help="HTML file to write.", show_default="RECORDING.html"),
    ] = None,
    save: Annotated[
        Path | None, o.where(metavar="DIR", help="Also save the audio as float WAV files, one per method.")
    ] = None,
    start: Annotated[float, o.where(min=0, metavar="S", help="Start of the excerpt in seconds.")] = 0.0,
    seconds: Annotated[
        float,
        o.where(min=0.1, metavar="S", help="Length of the excerpt in seconds; its audio is embedded in the page."),
    ] = SECONDS,
    match_level: Annotated[
        bool, o.how("--match-level", help="Play all versions at the speech level of the input.")
    ] = False,
    align: Annotated[
        bool, o.how("--align/--no-align", help="Align the output of --cmd if it is delayed by up to 100 ms.")
    ] = True,
    nan: o.Nan = "raise",
    page_audio: o.PageAudio = "flac",
    quiet: o.Quiet = False,
) -> int:
    """Compare methods by ear on your own recording: writes a page with a player.

    Without -m, the default method of `undin enhance` is used.

    [dim]Two methods:[/]  undin compare noisy.wav -m log-mmse -m nmf-exp -o page.html
    """
    from undin import audio, evaluation
    from undin.errors import InputError, MissingExtraError
    from undin.evaluation.systems import named
    from undin.methods import load
    from undin.page import check_page, picture, prose, write_sections
    from undin.player import player

    if str(source) == "-":
        raise InputError("compare needs a file, not standard input: save the audio first")
    page = output or source.with_suffix(".html")
    check_page(page)
    format = audio.info(source, truncated="keep")
    first = round(start * format.sr)
    x, sr = audio.read(source, start=first, stop=first + round(seconds * format.sr), nan=nan, truncated="keep")
    if not x.shape[-1]:
        raise InputError(f"{source} has no audio after {start:g} s: choose an earlier --start")
    names = method or ([] if cmd else [DEFAULT_METHOD])
    for _, model in map(named, names):
        if n_src := load(model).n_src:
            cure = f"undin separate {shlex.quote(str(source))} -m {shlex.quote(model)}"
            raise InputError(f"compare works with enhancement methods; {model} separates {n_src} talkers: {cure}")
    systems = evaluation.make_systems(names, cmd or [])
    files = _files(save, ["input", *(system.name for system in systems)]) if save else {}
    systems = evaluation.align(systems, sr) if align else systems
    sounds: dict[str, Array] = {"input": x}
    failures: list[str] = []
    with show.busy("enhancing"):
        for system in systems:
            try:
                y = system.load()(x.copy(), sr)
                if y.shape != x.shape:
                    raise InputError(f"it returned shape {y.shape} for {x.shape}; length and channels must be kept")
                sounds[system.name] = y
            except Exception as error:  # one method's error must not stop the others
                failures.append(f"{system.name}: {' '.join(str(error).split())}")
    notes = _match(sounds, sr) if match_level else ["Levels are unchanged; --match-level equalizes them."]
    notes += [note.replace("before it is scored ", "") for note in evaluation.lag_notes(systems)]
    notes.append("Scores need a clean reference: compare by ear and by eye.")
    name = "Listen"
    parts = [prose("\n\n".join([*notes, *(f"Failed: {failure}." for failure in failures)]))]
    with show.busy("drawing"):
        try:
            from undin.pictures import overview

            shot = picture(name, overview(sounds, sr, title=source.name), list(sounds))
        except MissingExtraError as error:
            shot = prose(f"Without pictures: {error}")
        played, wet = {label: (y, sr) for label, y in sounds.items()}, list(sounds)[1:]
        players = player(name, played, panels="panel" in shot, dry="input", wet=wet, codec=page_audio)
        intro = f"{x.shape[-1] / sr:.1f} s from {start:g} s, {sr} Hz. Methods: {', '.join(wet) or 'none'}."
        write_sections(page, title=source.name, intro=intro, sections={name: [players, shot, *parts]})
    for label, path in files.items():
        if label in sounds:
            audio.write(path, sounds[label], sr, subtype="FLOAT")
    if not quiet:
        show.say(f"{source} -> {page}   {page.stat().st_size / 1e6:.1f} MB, open it in a browser")
    for failure in failures:
        show.say(f"undin: {failure}", stderr=True)
    return 1 if failures else 0


def _files(folder: Path, names: list[str]) -> dict[str, Path]:
    """Label -> file to save it to; refuses files that exist."""
    from undin.errors import InputError

    files = {name: folder / f"{name.replace('/', '_').replace(chr(92), '_').lstrip('.')}.wav" for name in names}
    for name, path in files.items():
        if other := next((other for other in files if other != name and files[other] == path), None):
            raise InputError(f"{name!r} and {other!r} would both be saved as {path}: rename one, e.g. other={name}")
        if path.exists():
            raise InputError(f"{path} already exists; use another --save")
    folder.mkdir(parents=True, exist_ok=True)
    return files


def _match(sounds: "dict[str, Array]", sr: int) -> list[str]:
    """Bring all to the speech level of the input; say by how much."""
    import math

    from undin.audio import active_level_db

    target = active_level_db(sounds["input"], sr)
    changes = []
    for name in list(sounds)[1:]:
        gain_db = target - active_level_db(sounds[name], sr)
        if math.isfinite(gain_db):
            sounds[name] = sounds[name] * 10 ** (gain_db / 20)
            changes.append(f"{name} by {gain_db:+.1f} dB")
    return [
        f"All play at the input's active speech level (ITU-T P.56): {', '.join(changes)}." if changes else "Silent."
    ]
