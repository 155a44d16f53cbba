"""The command `undin`: one thin file per command, whose heavy imports are inside.

Exit codes: 0 all is done; 1 something failed and is named, the rest is done; 2 bad input or usage, in one line;
130 interrupted.
"""

import errno
import functools
import inspect
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from undin import __version__
from undin.cli import show
from undin.cli.check import check
from undin.cli.compare import compare
from undin.cli.corpus import corpus
from undin.cli.demo import demo
from undin.cli.enhance import enhance
from undin.cli.evaluate import evaluate
from undin.cli.export import export
from undin.cli.fit import fit
from undin.cli.live import live
from undin.cli.mix import mix
from undin.cli.models import models
from undin.cli.pack import pack
from undin.cli.page import page
from undin.cli.run import run
from undin.cli.score import score
from undin.cli.separate import separate
from undin.cli.serve import serve
from undin.cli.train import train
from undin.errors import InputError, UndinError
from undin.signals import graceful_signals

AS_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?=[^/])")  # what a URL is as a Path


class Group(typer.core.TyperGroup):
    """The program, whose help shows flags without a value."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, as they are to be shown."""
        return _without_values(super().get_params(ctx))


def _without_values(params: Iterable[Any]) -> list[Any]:
    """The parameters, of which flags show no value."""
    shown = list(params)
    for param in shown:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return shown


app = typer.Typer(
    name="undin",
    cls=Group,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _help(command: Callable[..., object]) -> str:
    """A docstring for any width: paragraphs without their line breaks, examples on separate lines."""
    paragraphs = [" ".join(part.splitlines()) for part in (inspect.getdoc(command) or "").split("\n\n")]
    return "\n\n".join(part.replace(":[/]  ", ":[/]\n  ") for part in paragraphs)


class Command(typer.core.TyperCommand):
    """A command whose help shows values only where an option takes one, and --help next to --quiet."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, as they are to be shown."""
        params = _without_values(super().get_params(ctx))
        for param in params:
            if param.param_type_name == "argument":
                param.display_type_rich = lambda ctx: None
        if any(getattr(param, "rich_help_panel", None) == "Display" for param in params):
            params[-1].rich_help_panel = "Display"  # --help
        return params

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line, with required arguments as one usually writes them: FILE, not {FILE}."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]


def _without_urls(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, which refuses a URL where only a path can be."""

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        for value in given.values():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path) and (found := AS_PATH.match(str(path))) and not path.exists():
                    url = f"{found[1]}://{str(path)[found.end() :]}"
                    raise InputError(f"{url}: a URL cannot be used here: use a path, and copy from or to the URL")
        return command(**given)

    return run


for command in (
    enhance,
    separate,
    fit,
    mix,
    train,
    run,
    export,
    page,
    evaluate,
    score,
    compare,
    check,
    live,
    serve,
    models,
    corpus,
    pack,
    demo,
):
    app.command(cls=Command, help=_help(command))(_without_urls(command))
NAMES = {command.callback.__name__ for command in app.registered_commands if command.callback}

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # its home differs between versions of typer


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"undin {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of errors; may be given anywhere in the command.")
    ] = False,
) -> None:
    """undin takes the din out of speech: it removes noise from a voice and pulls talkers apart.

    [dim]Start with[/]  undin demo   [dim]or[/]  undin enhance noisy.wav
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; `args` as in sys.argv[1:]."""
    _mend_streams()
    _use_one_thread()
    with graceful_signals():
        sys.exit(_run(list(sys.argv[1:] if args is None else args)))


def _mend_streams() -> None:
    """Let no closed stream, and no file name in another encoding, stop the work."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 (open to the end, as streams are)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _use_one_thread() -> None:
    """Take one thread for linear algebra, unless the user has said otherwise or it is loaded already.

    The matrices of a frame or of NMF are small: with two threads each product waits longer for the other thread than
    it computes (on 2 busy cores `undin fit` took up to 18 times as long, on idle ones as long). --workers takes more.
    """
    if "numpy" not in sys.modules:
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")


def _run(args: list[str]) -> int:
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"] or ["--help"]
    try:
        command = typer.main.get_command(app)
        with _warnings_as_lines(), command.make_context("undin", args, obj=debug) as context:
            code = command.invoke(context) or 0
        sys.stdout.flush()
        return int(code)
    except typer.Exit as exit:
        return exit.exit_code
    except KeyboardInterrupt:
        return _say("interrupted; finished files are kept, rerun the command to resume", 130, debug)
    except BrokenPipeError:
        return _hang_up()
    except UsageError as error:
        return _say(_usage(error, args), 2, debug)
    except UndinError as error:
        return _say(str(error), 2, debug)
    except OSError as error:
        return _say(_disk(error), 1, debug)
    except Exception as error:
        return _say(f"{type(error).__name__}: {error}: run with --debug for the traceback", 1, debug)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: show.say(f"undin: note: {message}", stderr=True)
        yield


def _say(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    show.say(f"undin: {show.as_option(' '.join(message.split()))}", stderr=True)
    return code


RULES = {  # of values, in the words of typer's checks, and in ours
    "greater than or equal to (.+)": r"\2 or more",
    "less than or equal to (.+)": r"\2 or less",
    "a valid integer.*": "a whole number",
    "a valid number.*": "a number",
}


def _usage(error: Exception, args: list[str]) -> str:
    """The message of a usage error, with the invalid value and where to read the rules."""
    context = getattr(error, "ctx", None)
    command = next((word for word in args if word in NAMES), "")
    path = context.command_path if context else f"undin {command}".strip()
    message = error.format_message().rstrip(".").replace("Value error, ", "")  # type: ignore[attr-defined]
    for theirs, ours in RULES.items():
        message = re.sub(f"Invalid value for '(.+?)': Input should be {theirs}$", rf"\1 must be {ours}", message)
    if found := re.fullmatch("Invalid value for '(.+?)': '(.*)' is not one of (.+)", message):
        message = f"{found[1]} must be one of {found[3].replace(chr(39), '')}; got {found[2]!r}"
    message = re.sub(r"^Got unexpected extra argument(?:\(s\)|s)? \((.+)\)", r"unexpected argument: \1", message)
    message = re.sub(r"\. Did you mean '(.+)'\?$", r": did you mean \1?", message)
    names = [name for name in getattr(getattr(error, "param", None), "opts", []) if name.startswith("-")]
    given = [args[i + 1] for i, word in enumerate(args[:-1]) if word in names]
    given += [word.partition("=")[2] for word in args if word.partition("=")[0] in names and "=" in word]
    got = f"; got {given[-1]!r}" if given and repr(given[-1]) not in message else ""
    return f"{message}{got}" + ("" if message.endswith("?") else f": see {path} --help")


OF_OUTPUT = (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG)  # without a file's name; others are of sockets


def _disk(error: OSError) -> str:
    """The message of an error of the system, in terms of the file that was asked for."""
    if isinstance(error.filename, str) and "://" in error.filename:
        return f"{error.filename}: {error.strerror or error}: check the URL, the credentials and the network"
    path = Path(error.filename) if isinstance(error.filename, str) else None
    if path is None:
        return f"{'standard output: ' * (error.errno in OF_OUTPUT)}{error.strerror or error}"
    cure = "free some space, or choose another folder" if error.errno == errno.ENOSPC else "choose another place"
    return f"{path}: {error.strerror or error}: {cure}"


def _hang_up() -> int:
    """End quietly when whoever read our output has gone."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail again
    return 1
