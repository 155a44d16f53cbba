"""A PulseAudio server without hardware, on a separate socket: files are played into the sink "room"."""

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

SR = 48_000
NEEDED = ("pulseaudio", "pactl", "paplay", "parec")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
MODULES = """
load-module module-native-protocol-unix auth-anonymous=1 socket={folder}/native
load-module module-null-sink sink_name=room rate=48000 channels=2
load-module module-null-sink sink_name=nowhere rate=48000 channels=2
set-default-sink nowhere
set-default-source room.monitor
"""
ASOUNDRC = "pcm.!default { type pulse }\nctl.!default { type pulse }\npcm.pulse { type pulse }\n"


def prompt(thread=0):
    """Real-time priority for this process or another thread, as sound servers have it, where this is permitted."""
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(5))


QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Pulse:
    def __init__(self, folder):
        self.folder = folder
        self.env = {
            **os.environ,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{folder}/native",
            "PYTHONUNBUFFERED": "1",
        }

    def pactl(self, *arguments):
        done = subprocess.run(["pactl", *arguments], env=self.env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    @contextmanager
    def silence(self):
        """Play silence into the room: like a microphone, and unlike a sink without a player, it then never pauses."""
        command = ["pacat", "--raw", "--device=room", f"--rate={SR}", "--channels=2", "/dev/zero"]
        process = subprocess.Popen(command, env=self.env, preexec_fn=prompt, **QUIET)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def play(self, path):
        """Start to play a file into the room."""
        return subprocess.Popen(["paplay", "--device=room", str(path)], env=self.env, preexec_fn=prompt, **QUIET)

    @contextmanager
    def live(self, *options):
        """Run undin live; gives the process once sound runs."""
        command = [sys.executable, "-m", "undin", "live", *options]
        process = subprocess.Popen(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=prompt
        )
        try:
            lines = []
            while not lines or "delay" not in lines[-1]:
                lines.append(process.stdout.readline())
                assert lines[-1], "".join(lines)
            process.first_lines = "".join(lines)
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@contextmanager
def pulse_server(folder):
    (folder / "default.pa").write_text(MODULES.format(folder=folder))
    (folder / ".asoundrc").write_text(ASOUNDRC)
    pulse = Pulse(folder)
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "-F", str(folder / "default.pa")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([*command, "--realtime=no"], env=pulse.env, stdout=log, stderr=log, preexec_fn=prompt)
    try:
        for _ in range(1200):
            with suppress(subprocess.CalledProcessError):
                if "nowhere" in pulse.pactl("list", "short", "sinks"):
                    break
            time.sleep(0.05)
        for thread in Path(f"/proc/{server.pid}/task").glob("*"):  # the server resets its own when it starts
            prompt(int(thread.name))
        yield pulse
    finally:
        server.kill()
        server.wait()


class Recording:
    """Records a source in a thread and remembers when each sample came."""

    def __init__(self, pulse, source):
        command = ["parec", f"--device={source}", "--format=s16le", f"--rate={SR}", "--channels=1", "--latency-msec=10"]
        self._process = subprocess.Popen([*command, "--raw"], env=pulse.env, stdout=subprocess.PIPE, preexec_fn=prompt)
        self._data, self._times = bytearray(), []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while chunk := self._process.stdout.read1(1 << 16):
            self._data += chunk
            self._times.append((len(self._data) // 2, time.monotonic()))

    def wait(self):
        """Wait until samples come."""
        while not self._times:
            time.sleep(0.01)

    def stop(self):
        """The samples."""
        self._process.terminate()
        self._thread.join()
        self._process.wait()
        self._process.stdout.close()
        return np.frombuffer(bytes(self._data), "<i2") / 32768

    def arrivals(self, samples):
        """When samples came, given their numbers; by the clock, in s."""
        ends, times = np.array(self._times).T
        chunk = np.searchsorted(ends, samples, side="right")
        return times[chunk] - (ends[chunk] - samples) / SR


def lag(x, y):
    """Samples by which x occurs later in y, by correlation; and the correlation there."""
    n = 1 << (len(x) + len(y)).bit_length()
    r = np.fft.irfft(np.fft.rfft(y, n) * np.fft.rfft(x, n).conj(), n)
    k = int(r.argmax())
    k = k - n if k > n // 2 else k
    x, y = x[max(-k, 0) :], y[max(k, 0) :]
    m = min(len(x), len(y))
    a, b = x[:m], y[:m]
    return k, float(a @ b / np.sqrt((a @ a) * (b @ b) + 1e-20))


def per_second(expected, got):
    """Where each second that is not silent starts in `got`, which is about aligned, and its correlation.

    The first begins with the sound, or it would be judged by its last milliseconds alone. Each is aligned separately,
    by up to 50 ms.
    """
    found, slack = [], SR // 20
    for i in range(max(slack, int(np.argmax(np.abs(expected) > 1e-3))), len(expected) - SR - slack, SR):
        x, y = expected[i : i + SR], got[i - slack : i + SR + slack]
        if np.sqrt(np.mean(x**2)) > 1e-3:
            found.append((i, lag(x, y)[1]))
    return np.array(found).T


REPORT_S, ROUND_S = 1.1, 0.5  # between two reports of dropouts; between a dropout, its report and its sound


def unexplained(damaged, reports):
    """The damaged seconds without a dropout that was reported; one dropout damages at most two seconds.

    Args:
        damaged: when each began to be recorded, in s.
        reports: when, and how many dropouts there were so far.
    """
    left, known = sorted(damaged), 0
    for at, n in reports:
        near = [start for start in left if at - REPORT_S - ROUND_S - 1 < start < at + ROUND_S]
        left = [start for start in left if start not in near[: 2 * (n - known)]]
        known = n
    return left
