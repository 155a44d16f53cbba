"""The Containerfile without a container engine: its commands, run on this machine.

UNDIN_CONTAINER=1 also runs its pip install, of the files that it copies alone, in a new environment; that downloads the
packages of the extra `serve`. What stays untested: the base image and the build by an engine.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
LINES = [line.split(maxsplit=1) for line in TEXT.splitlines() if line.strip()]
HOME = Path(sys.executable).resolve()  # the interpreter, which another user may not be able to reach
OPEN = all(folder.stat().st_mode & 0o1 for folder in HOME.parents)
NOBODY = "nobody" if OPEN and os.name == "posix" and os.geteuid() == 0 else None


def arguments(keyword):
    """What follows a keyword, once for each of its lines."""
    return [rest for word, rest in LINES if word == keyword]


def command(text):
    return json.loads(text[text.index("[") :])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def serve_and_check(programs, user):
    """Run the container's command and its health check as they are written, but at a free port."""
    port = free_port()
    environment = {"UNDIN_TOKEN": "a-long-secret", "PATH": f"{programs}:{os.defpath}"}
    environment |= dict(setting.split("=") for setting in arguments("ENV"))
    name, *rest = command(arguments("CMD")[0])
    python, *check = [word.replace("8000", port) for word in command(arguments("HEALTHCHECK")[0])]
    check = [f"{programs}/{python}", *check]
    assert (
        subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 1
    )  # nothing answers yet
    server = subprocess.Popen([f"{programs}/{name}", *rest, "--port", port], env=environment, user=user)
    try:
        end = time.monotonic() + 90
        while subprocess.run(check, env=environment, capture_output=True, check=False).returncode:
            assert time.monotonic() < end and server.poll() is None
            time.sleep(0.2)
        if user and Path("/proc").is_dir():
            assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    finally:
        server.terminate()
        server.wait(60)


def test_the_command_and_the_health_check_answer():
    serve_and_check(Path(sys.executable).parent, None)


def test_what_is_copied_exists_and_the_user_has_no_rights():
    for line in arguments("COPY"):
        *sources, target = line.split()
        assert all((ROOT / source).exists() for source in sources) and target.startswith("/src")
    (user,) = arguments("USER")
    assert user != "root" and re.search(rf"useradd --system {user}\b", arguments("RUN")[0])
    assert arguments("EXPOSE") == ["8000"]


@pytest.mark.skipif("UNDIN_CONTAINER" not in os.environ, reason="UNDIN_CONTAINER=1 installs the extra serve by pip")
def test_what_is_copied_can_be_installed_and_serves_without_rights():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        source, environment = Path(folder, "src"), Path(folder, "venv")
        for line in arguments("COPY"):
            *sources, target = line.split()
            for name in sources:
                to = Path(folder + target, Path(name).name) if target.endswith("/") else Path(folder + target)
                to.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, to)
        install = arguments("RUN")[0].split("&&")[0].split()
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        words = [word.strip('"').replace("/src[", f"{source}[") for word in install[1:]]
        subprocess.run([environment / "bin/pip", *words], check=True, timeout=900)
        shutil.rmtree(source)
        serve_and_check(environment / "bin", NOBODY)
