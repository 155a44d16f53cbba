"""What is evaluated: a method of undin by id or weights file, or any other program that turns one WAV into another."""

import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from undin import audio
from undin.errors import InputError
from undin.methods import METHODS, load
from undin.provenance import fingerprint
from undin.spectrum import Array

Enhance = Callable[[Array, int], Array]

INPUT = "input"  # the unprocessed mixture, a method like the others: it stands first everywhere
CLEAN = "clean"
TIMEOUT_S = 600


@dataclass(frozen=True)
class MethodRunner:
    """A method of undin.

    Attributes:
        name: what it is called in tables.
        source: an id of `undin.methods.METHODS`, or the path of saved weights.
    """

    name: str
    source: str

    def load(self) -> Enhance:
        """Get it ready, caches warm, so that what is timed is the work."""
        method = load(self.source)
        if method.n_src:
            raise InputError(f"{self.source} separates into {method.n_src} talkers and does not enhance")
        method(np.random.default_rng(0).uniform(-0.1, 0.1, 8000).astype(np.float32), 16000)
        return lambda x, sr: method(x, sr)

    def describe(self) -> dict[str, Any]:
        """All that shapes its output."""
        return {**fingerprint(load(self.source)), "source": self.source}


@dataclass(frozen=True)
class CommandRunner:
    """Another program, started once per file.

    Attributes:
        name: what it is called in tables.
        command: as on a shell, with {in} and {out} for the two WAV files (16 bits); no shell reads it.
    """

    name: str
    command: str

    def load(self) -> Enhance:
        """Nothing to get ready: every call starts the program."""
        return self._run

    def describe(self) -> dict[str, Any]:
        """The command; what the program is made of, undin does not know."""
        return {"command": self.command}

    def _run(self, x: Array, sr: int) -> Array:
        with tempfile.TemporaryDirectory(prefix="undin-") as folder:
            into, out = Path(folder, "in.wav"), Path(folder, "out.wav")
            audio.write(into, x, sr)
            self._call({"{in}": str(into), "{out}": str(out)})
            if not out.is_file() or not out.stat().st_size:
                raise InputError("it ended well but wrote no output: does its command write to {out}?")
            y, sr_out = audio.read(out)
        if sr_out != sr:
            raise InputError(f"it gave {sr_out} Hz for an input of {sr} Hz: add its option for the rate")
        return y

    def _call(self, places: dict[str, str]) -> None:
        words = [_filled(word, places) for word in shlex.split(self.command)]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S)
        except OSError as error:
            raise InputError(f"{words[0]} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise InputError(f"it did not end within {TIMEOUT_S} s") from error
        if done.returncode:
            raise InputError(f"it ended with {done.returncode}: {_tail(done.stderr or done.stdout)}")


Runner = MethodRunner | CommandRunner


def make_runners(methods: Sequence[str], commands: Sequence[str] = ()) -> list[Runner]:
    """Say what is to be evaluated, and refuse at once what could not be.

    Args:
        methods: ids of `undin.methods.METHODS` or paths of saved weights; "name=id" gives another name.
        commands: "name=program {in} {out}".

    Raises:
        InputError: none is given, a name comes twice or is reserved, a method is unknown or separates, a command lacks
            {in} or {out}.

    >>> [runner.name for runner in make_runners(["log-mmse", "gate=spectral-gate"], ["copy=cp {in} {out}"])]
    ['log-mmse', 'gate', 'copy']
    """
    runners: list[Runner] = [_method(text) for text in methods]
    runners += [_command(text) for text in commands]
    names = [runner.name for runner in runners]
    for name in names:
        if name in (INPUT, CLEAN):
            raise InputError(f"{name!r} names what methods are compared with: choose another, as NAME={name}")
        if names.count(name) > 1:
            raise InputError(f"{name!r} names two methods: give one another name, as other={name}")
    if not runners:
        raise InputError("nothing to evaluate: give at least one method, as -m log-mmse, or a --cmd")
    return runners


def named(text: str) -> tuple[str, str]:
    """Name and source of a method given as "source" or "name=source"."""
    name, equals, source = text.partition("=")
    if not equals or Path(text).exists():
        return (text if text in METHODS else Path(text).stem), text
    return name, source


def _method(text: str) -> MethodRunner:
    name, source = named(text)
    method = load(source)
    if method.n_src:
        raise InputError(
            f"{source} separates into {method.n_src} talkers and others do not: evaluate those that separate apart"
        )
    return MethodRunner(name, source)


def _command(text: str) -> CommandRunner:
    name, equals, command = text.partition("=")
    if not equals or not name.strip() or not all(place in command for place in ("{in}", "{out}")):
        raise InputError(f"--cmd must be 'name=program {{in}} {{out}}'; got {text!r}")
    try:
        shlex.split(command)
    except ValueError as error:
        raise InputError(f"--cmd {text!r} cannot be split into words: {error}: check its quotes") from error
    return CommandRunner(name.strip(), command.strip())


def _filled(word: str, places: dict[str, str]) -> str:
    return re.sub(r"\{in\}|\{out\}", lambda match: places[match[0]], word)


def _tail(output: bytes, n: int = 200) -> str:
    """The last lines that a program said, as one."""
    text = " ".join(output.decode(errors="replace").split())
    return (f"… {text[-n:]}" if len(text) > n else text) or "it said nothing"
