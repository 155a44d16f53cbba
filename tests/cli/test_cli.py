import re
import subprocess
import sys

import pytest

import undin as package
from undin.cli import app, enhance, main
from undin.errors import InputError
from undin.methods import DEFAULT, LIVE

COMMANDS = [command.callback.__name__ for command in app.registered_commands]


def test_the_commands_are_these():
    first = "enhance separate fit mix train run export page evaluate score compare check live"
    assert " ".join(COMMANDS) == f"{first} serve models corpus pack demo"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_one_sentence_and_an_example(undin, command):
    code, out, _ = undin(command, "--help")
    assert code == 0
    assert re.search(rf"undin {command}( |\n)", out.split("Usage:")[1].split("\n", 1)[1])
    assert undin(command, "-h").out == out
    usage = out.split("Usage:")[1].split("\n", 1)[0]
    assert "{" not in usage and "<bool>" not in out + undin("--help").out


def test_help_alone(undin):
    assert undin().out == undin("--help").out
    assert undin().code == 0


def test_version(undin):
    assert undin("--version") == (0, f"undin {package.__version__}\n", "")


def test_help_loads_nothing_heavy():
    code = "import sys, undin.cli; print(*{'numpy', 'soundfile', 'onnxruntime', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_the_default_method_is_the_package_s():
    assert enhance.__module__ == "undin.cli.enhance"
    module = sys.modules["undin.cli.enhance"]
    assert (module.DEFAULT_METHOD, module.LIVE_METHOD) == (DEFAULT, LIVE)


@pytest.mark.parametrize(
    ("args", "message", "given"),
    [
        (["enhanc"], "No such command 'enhanc': did you mean enhance?", ""),
        (["compare", "a.wav", "b.wav"], "unexpected argument: b.wav: see undin compare --help", ""),
        (["enhance"], "Missing argument 'INPUT': see undin enhance --help", ""),
        (["enhance", "a.wav", "--faster"], "No such option: --faster", ""),
        (["enhance", "a.wav", "--workers", "0"], "--workers must be 1 or more; got '0': see undin enhance --help", ""),
        (["enhance", "a.wav", "--workers=x"], "--workers must be a whole number; got 'x': see", ""),
        (["enhance", "a.wav", "--limit-db", "loud"], "--limit-db must be a number; got 'loud': see", ""),
        (["serve", "--port", "99999"], "--port must be 65535 or less; got '99999': see undin serve --help", ""),
        (["enhance", "a.wav", "--limit-db"], "Option '--limit-db' requires an argument", ": see undin enhance --help"),
        (["enhance", "a.wav", "--nan", "maybe"], "--nan must be one of raise, zero; got 'maybe': see", "--help"),
    ],
)
def test_usage_errors_are_one_line_that_names_what_was_given(undin, args, message, given):
    code, out, err = undin(*args)
    assert (code, out) == (2, "")
    assert err.startswith(f"undin: {message}") and given in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("x must be\n  y"), 2, "undin: x must be y\n"),
        (InputError('pass nan="zero" to repair'), 2, "undin: pass --nan zero to repair\n"),
        (RuntimeError("odd"), 1, "undin: RuntimeError: odd: run with --debug for the traceback\n"),
        (
            OSError(28, "No space left", "o.wav"),
            1,
            "undin: o.wav: No space left: free some space, or choose another folder\n",
        ),
        (OSError(28, "No space left on device"), 1, "undin: standard output: No space left on device\n"),
        (OSError(24, "Too many open files"), 1, "undin: Too many open files\n"),
        (KeyboardInterrupt(), 130, "undin: interrupted; finished files are kept, rerun the command to resume\n"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_errors_are_one_line(undin, monkeypatch, error, code, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("undin.methods.load", fail)
    assert undin("models") == (code, "", message)


def test_debug_shows_the_traceback_in_any_position(undin, monkeypatch):
    monkeypatch.setattr("undin.methods.load", lambda *_: 1 / 0)
    for args in (["--debug", "models"], ["models", "--debug"]):
        assert "Traceback" in undin(*args).err
    assert "Traceback" not in undin("models").err


def test_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "undin", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("undin ")


def test_arguments_come_from_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["undin", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.startswith("undin ")
