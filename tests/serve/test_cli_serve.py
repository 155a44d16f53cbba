"""The command: who may listen where, and a clean end."""

import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from undin.cli import main
from undin.errors import InputError
from undin.native import page_files
from undin.serve import listen


def test_it_says_where_it_serves_and_ends_cleanly():
    environment = {name: value for name, value in os.environ.items() if name != "UNDIN_TOKEN"}
    command = [sys.executable, "-m", "undin", "serve", "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        line = process.stdout.readline()
        assert line.startswith("serving on http://127.0.0.1:")
        with urllib.request.urlopen(f"{line.split()[2]}/healthz", timeout=60) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    note = "undin: / is the upload page; make wasm builds the page for browsers\n"
    assert (process.returncode, out, err) == (0, "", "" if "lull.wasm" in page_files() else note)


@pytest.mark.parametrize(
    "args, words",
    [
        (("--host", "0.0.0.0"), "set UNDIN_TOKEN or --token"),
        (("--token", "short"), "at least 8 characters"),
        (("--host", "203.0.113.7", "--token", "long enough"), "cannot listen on 203.0.113.7"),
        (("--max-mb", "0"), "body_mb must be above 0"),
    ],
)
def test_bad_settings_end_with_one_line(args, words, capsys, monkeypatch):
    monkeypatch.delenv("UNDIN_TOKEN", raising=False)
    with pytest.raises(SystemExit) as end:
        main(["serve", *args])
    out, err = capsys.readouterr()
    assert end.value.code == 2 and words in err and err.count("\n") == 1 and out == ""


def test_a_port_in_use_names_the_cure():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        cure = f"use another one, e.g. --port {port + 1}, or --port 0"
        with pytest.raises(InputError, match=f"^port {port} is already in use, perhaps by another undin serve: {cure}"):
            listen("127.0.0.1", port)


def test_compiled_streams_need_a_compiler(tmp_path, capsys, monkeypatch):
    for name, value in {"PATH": "", "CC": "", "UNDIN_CACHE": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        main(["serve", "--compiled"])
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    assert "install gcc or clang, or set CC" in err and err.count("\n") == 1


def test_compiled_streams_reach_the_server(capsys, monkeypatch):
    found = []
    monkeypatch.setattr("undin.native.Compiled", lambda **_: "network")
    monkeypatch.setattr("undin.serve.make_app", lambda *_, compiled: found.append(compiled))
    monkeypatch.setattr("undin.serve.run", lambda app, listening: None)
    for args in (["--compiled"], []):
        with pytest.raises(SystemExit) as end:
            main(["serve", "--port", "0", *args])
        assert not end.value.code
    assert found == [["network"], []]
