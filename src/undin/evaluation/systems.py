"""Systems to evaluate: a method of undin, another program, or an oracle, which gets the complete mixture."""

import re
import shlex
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from undin import audio
from undin.errors import InputError
from undin.methods import METHODS, load
from undin.mixing import Mixture
from undin.provenance import fingerprint
from undin.spectrum import Array

Process = Callable[[Array, int], Array]  # (x, sr) -> its estimate
Answer = Callable[[Mixture, int], Array]  # (mixture, sr) -> its estimate

INPUT = "input"  # the unprocessed mixture, scored like a method; it comes first everywhere
CLEAN = "clean"
TIMEOUT_S = 600


@dataclass(frozen=True)
class System(ABC):
    """One row of a table.

    Attributes:
        name: its name there.
        timed: whether its processing time is measured.
    """

    timed: ClassVar[bool] = True

    name: str

    @abstractmethod
    def answer(self) -> Answer:
        """Load it, so that later timing covers only the processing."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """All settings that shape its output."""


@dataclass(frozen=True)
class MethodSystem(System):
    """A method of undin.

    Attributes:
        source: an id of `undin.methods.METHODS`, or the path of saved weights.
        n_src: talkers it separates; None where it enhances.
    """

    source: str
    n_src: int | None = None

    def load(self) -> Process:
        """The method, warmed up."""
        method = load(self.source)
        method(np.random.default_rng(0).uniform(-0.1, 0.1, 8000).astype(np.float32), 16000)
        return lambda x, sr: method(x, sr)

    def answer(self) -> Answer:
        """Load it and process the noisy signal of mixtures."""
        return _on_noisy(self.load())

    def describe(self) -> dict[str, Any]:
        """Settings and weights."""
        return {**fingerprint(load(self.source)), "source": self.source}


@dataclass(frozen=True)
class CommandSystem(System):
    """Another program, started once per file.

    Attributes:
        command: as in a shell, with {in} and {out} for the two WAV files (16 bits); it is run without a shell.
        lag_ms: delay of its output, which is taken out; negative where it is early.
    """

    n_src: ClassVar[None] = None

    command: str
    lag_ms: float = 0.0

    def load(self) -> Process:
        """Every call starts the program."""
        return self._run

    def answer(self) -> Answer:
        """Process the noisy signal of mixtures."""
        return _on_noisy(self._run)

    def describe(self) -> dict[str, Any]:
        """The command; undin does not know the version of the program."""
        return {"command": self.command} | ({"lag_ms": self.lag_ms} if self.lag_ms else {})

    def _run(self, x: Array, sr: int) -> Array:
        """Output aligned with the input: the input is padded by the lag, so the end is not cut off."""
        lag = round(self.lag_ms * sr / 1000)
        before, after = max(-lag, 0), max(lag, 0)
        y = self._run_once(np.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)]), sr)
        return y[..., after : y.shape[-1] - before]

    def _run_once(self, x: Array, sr: int) -> Array:
        with tempfile.TemporaryDirectory(prefix="undin-") as folder:
            into, out = Path(folder, "in.wav"), Path(folder, "out.wav")
            audio.write(into, x, sr)
            self._call({"{in}": str(into), "{out}": str(out)})
            if not out.is_file() or not out.stat().st_size:
                raise InputError("succeeded without writing an output: does its command write to {out}?")
            y, sr_out = audio.read(out)
        if sr_out != sr:
            raise InputError(f"returned {sr_out} Hz for an input of {sr} Hz: set its sample rate")
        return y

    def _call(self, places: dict[str, str]) -> None:
        words = [_filled(word, places) for word in shlex.split(self.command)]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S)
        except OSError as error:
            raise InputError(f"{words[0]} cannot be started: {error.strerror}: is it installed?") from error
        except subprocess.TimeoutExpired as error:
            raise InputError(f"timed out after {TIMEOUT_S} s") from error
        if done.returncode:
            raise InputError(f"exited with {done.returncode}: {_tail(done.stderr or done.stdout)}")


@dataclass(frozen=True)
class Oracle(System):
    """A system that gets the complete mixture: the input itself, an ideal mask. It is not timed.

    Attributes:
        make: (mixture, sr) -> its estimate; picklable, so that workers can have it.
    """

    timed: ClassVar[bool] = False

    make: Answer

    def answer(self) -> Answer:
        """The function itself."""
        return self.make

    def describe(self) -> dict[str, Any]:
        """Its name, if it is not the input."""
        return {} if self.name == INPUT else {"oracle": self.name}


def make_systems(methods: Sequence[str], commands: Sequence[str] = ()) -> list[MethodSystem | CommandSystem]:
    """Make and check the list of systems to evaluate.

    Args:
        methods: ids of `undin.methods.METHODS` or paths of saved weights; "name=id" renames one.
        commands: "name=program {in} {out}".

    Raises:
        InputError: nothing is given, a name is used twice or is reserved, a method is unknown, some separate and others
            enhance, or a command lacks {in} or {out}.

    >>> [system.name for system in make_systems(["log-mmse", "gate=spectral-gate"], ["copy=cp {in} {out}"])]
    ['log-mmse', 'gate', 'copy']
    """
    found = [_method(text) for text in methods]
    systems: list[MethodSystem | CommandSystem] = [*found, *(_command(text) for text in commands)]
    if not systems:
        raise InputError("nothing to evaluate: use at least one method, e.g. -m log-mmse, or a --cmd")
    _check_names([system.name for system in systems])
    separating = [system for system in found if system.n_src]
    if separating and len(separating) < len(systems):
        first = separating[0]
        raise InputError(
            f"{first.source} separates {first.n_src} talkers, others enhance: evaluate the two groups separately"
        )
    return systems


def _check_names(names: list[str]) -> None:
    for name in names:
        if name in (INPUT, CLEAN):
            raise InputError(f"the name {name!r} is reserved: choose another, e.g. NAME={name}")
        if names.count(name) > 1:
            raise InputError(f"{name!r} names two methods: rename one, e.g. other={name}")


def named(text: str) -> tuple[str, str]:
    """Name and source of a method given as "source" or "name=source"."""
    name, equals, source = text.partition("=")
    if not equals or Path(text).exists():
        return (text if text in METHODS else Path(text).stem), text
    return name, source


def _method(text: str) -> MethodSystem:
    name, source = named(text)
    return MethodSystem(name, source, load(source).n_src)


def _command(text: str) -> CommandSystem:
    name, equals, command = text.partition("=")
    if not equals or not name.strip() or not all(place in command for place in ("{in}", "{out}")):
        raise InputError(f"--cmd must be 'name=program {{in}} {{out}}'; got {text!r}")
    try:
        shlex.split(command)
    except ValueError as error:
        raise InputError(f"--cmd {text!r} cannot be split into words: {error}: check its quotes") from error
    return CommandSystem(name.strip(), command.strip())


def _on_noisy(process: Process) -> Answer:
    return lambda mixture, sr: process(mixture.noisy.copy(), sr)


def _filled(word: str, places: dict[str, str]) -> str:
    return re.sub(r"\{in\}|\{out\}", lambda match: places[match[0]], word)


def _tail(output: bytes, n: int = 200) -> str:
    """The last lines of a program's output, as one."""
    text = " ".join(output.decode(errors="replace").split())
    return (f"… {text[-n:]}" if len(text) > n else text) or "no output"
