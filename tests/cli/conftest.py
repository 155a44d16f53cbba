import subprocess
import sys
from typing import NamedTuple

import pytest
from cli_files import write

from undin.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def undin(capsys):
    """Run the command in this process, through its entry point."""

    def run(*args) -> Outcome:
        with pytest.raises(SystemExit) as exit:
            main([str(arg) for arg in args])
        return Outcome(exit.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def shell():
    """Start the command as a separate process, for pipes and signals."""
    started = []

    def start(*args, **settings):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen([sys.executable, "-m", "undin", *map(str, args)], **{**pipes, **settings})
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A fresh working folder with a.wav in it."""
    monkeypatch.chdir(tmp_path)
    write("a.wav")
    return tmp_path
