"""A virtual microphone on Linux: other programs record what undin plays.

A null sink takes what is played to it, and a remapped source offers it as a microphone: the monitor of the sink would
do, but browsers hide monitors. `pactl` speaks to PulseAudio and to PipeWire alike.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from undin.errors import InputError

SINK, MICROPHONE = "undin", "undin_microphone"
MARK = "undin.pid"  # property with the process that created a module


@contextmanager
def virtual_microphone(*, default_input: bool = True) -> Iterator[str]:
    """Make the sink and the source, send this process's playback there, and remove them at the end.

    Args:
        default_input: record from the current default microphone, even if the new one becomes the default.

    Yields:
        The name of the microphone as other programs show it.

    Raises:
        InputError: no pactl, no sound server, or another process has made them.
    """
    source = _pactl("get-default-source")
    if source.startswith(SINK):
        raise InputError(f"{source} is the default microphone: choose another one in the system's sound settings")
    remove_leftovers()
    before, modules = dict(os.environ), []
    try:
        sink = f"sink_name={SINK} rate=48000 channels=2"
        modules.append(_load("module-null-sink", sink, "sink_properties", "undin_output"))
        remapped = f"master={SINK}.monitor source_name={MICROPHONE}"
        modules.append(_load("module-remap-source", remapped, "source_properties", MICROPHONE))
        os.environ["PULSE_SINK"] = SINK
        if default_input:
            os.environ.setdefault("PULSE_SOURCE", source)
        yield MICROPHONE
    finally:
        for name in ("PULSE_SINK", "PULSE_SOURCE"):
            os.environ.pop(name, None)
            os.environ.update({name: before[name]} if name in before else {})
        for module in reversed(modules):
            with suppress(InputError):  # the sound server may have ended
                _pactl("unload-module", module)


def remove_leftovers() -> None:
    """Unload modules of a process that was killed.

    Raises:
        InputError: the process still runs.
    """
    for line in reversed(_pactl("list", "short", "modules").splitlines()):
        found = re.match(rf"(\d+)\t.*\b{re.escape(MARK)}=(\d+)", line)
        if found is None:
            continue
        if _runs(int(found[2])):
            raise InputError(f"process {found[2]} already provides the virtual microphone: end it first")
        _pactl("unload-module", found[1])


def move_playback(sink: str = SINK) -> bool:
    """Move what this process plays to a sink; whether there was something to move."""
    for is_last in (False, False, True):
        entries = re.split(r"(?m)^Sink Input #", _pactl("list", "sink-inputs"))
        mine = [entry for entry in entries if f'application.process.id = "{os.getpid()}"' in entry]
        try:
            for entry in mine:
                _pactl("move-sink-input", entry.split()[0], sink)
            break
        except InputError:  # after an underrun, playback may have become another input meanwhile
            if is_last:
                raise
    return bool(mine)


def _load(module: str, arguments: str, properties: str, description: str) -> str:
    """Load a module; its number."""
    marks = f"{properties}='device.description={description} {MARK}={os.getpid()}'"
    return _pactl("load-module", module, *arguments.split(), marks)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _pactl(*arguments: str) -> str:
    if shutil.which("pactl") is None:
        raise InputError(
            "--virtual needs pactl, on Linux: install pulseaudio-utils; docs/live.md says how on macOS and Windows"
        )
    env = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(["pactl", *arguments], capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        if "Connection refused" in done.stderr:
            raise InputError("--virtual needs a running sound server: start PipeWire, or pulseaudio --start")
        raise InputError(f"the sound server refused pactl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()
