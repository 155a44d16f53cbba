"""The real thing without hardware: paplay -> null sink -> undin live -> virtual microphone -> parec.

UNDIN_LIVE_SECONDS=60 pytest -s tests/live/test_pulse.py measures for longer and prints the figures of docs/live.md.
"""

import os
import re
import signal as signals
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soxr
from pulse import MISSING, SR, Recording, lag, per_second, pulse_server, unexplained

import undin

SECONDS = float(os.environ.get("UNDIN_LIVE_SECONDS", "8"))
ATTEMPTS = 3  # on a busy machine, until one is clean
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs PulseAudio: {', '.join(MISSING)} not installed")


@pytest.fixture(scope="module")
def pulse(tmp_path_factory):
    with pulse_server(tmp_path_factory.mktemp("pulse")) as pulse:
        yield pulse


def noisy_speech(seconds):
    """Speech and noise of the packaged corpus after a second of silence: 48 kHz, float32 on the grid of s16."""
    mini = Path(undin.__file__).parent / "mini"
    voice = np.concatenate([undin.read(path)[0].ravel() for path in sorted(mini.glob("speech/test/*.ogg"))])
    noise, sr = undin.read(mini / "noise/test/fan.opus.ogg")
    n = round((seconds - 1) * sr)
    x = soxr.resample(0.5 * np.resize(voice, n) + 0.2 * np.resize(noise, n), sr, SR)
    x = np.concatenate([np.zeros(SR), x])
    return (np.rint(x * 32768).clip(-32768, 32767) / 32768).astype(np.float32)


class Figures(NamedTuple):
    correlation: np.ndarray  # of each second
    damaged: int  # seconds
    unexplained: int  # of them, those without a reported dropout
    drop_outs: int
    delay_ms: float
    stated_ms: float
    room: float  # correlation of the file and what the room holds

    @property
    def clean(self):
        return self.good and not self.damaged + self.drop_outs and abs(self.delay_ms - self.stated_ms) < 15

    @property
    def good(self):
        """Whether undin did its part; the machine may have damaged half of the seconds."""
        few = not self.unexplained and 2 * self.damaged <= len(self.correlation)
        return few and self.room > 0.999 and abs(self.delay_ms - self.stated_ms) < 40


def measure(pulse, path, x, limit_db, least):
    """Play a file into the room and record both ends of undin live; seconds correlated below `least` are damaged."""
    options = [] if limit_db is None else ["--limit-db", str(limit_db)]
    with pulse.silence(), pulse.live("--virtual", "--rate", str(SR), *options) as process:
        reports = []
        threading.Thread(target=lambda: reports.extend(reported(process.stdout)), daemon=True).start()
        room, microphone = Recording(pulse, "room.monitor"), Recording(pulse, "undin_microphone")
        room.wait()
        microphone.wait()
        time.sleep(1.5)
        assert pulse.play(path).wait(SECONDS + 60) == 0
        time.sleep(1.5)  # dropouts are reported once a second
        given, got = room.stop(), microphone.stop()
        process.send_signal(signals.SIGINT)
        assert process.wait(60) == 0
    stream = undin.load().stream(SR, limit_db=limit_db)
    expected = np.concatenate([stream.process(x), stream.flush()])
    (in_lag, in_correlation), (out_lag, _) = lag(x, given), lag(expected, got)
    at = np.arange(SR, len(x) - SR, SR // 10)
    delays = microphone.arrivals(out_lag + at) - room.arrivals(in_lag + at)
    starts, correlation = per_second(expected, got[out_lag:])
    damaged = microphone.arrivals(out_lag + starts[correlation < least])
    return Figures(
        correlation,
        len(damaged),
        len(unexplained(damaged, reports)),
        max((n for _, n in reports), default=0),
        1e3 * float(np.median(delays)),
        float(re.search(r"delay (\d+) ms", process.first_lines)[1]),
        in_correlation,
    )


def reported(lines):
    """When dropouts are reported, and how many there were so far."""
    for line in iter(lines.readline, ""):
        if found := re.search(r"dropouts: (\d+)", line):
            yield time.monotonic(), int(found[1])


@pytest.mark.parametrize("limit_db, least", [(None, 0.99), (0, 0.9999)])
def test_recorded_sound_is_that_of_a_file_at_the_stated_delay(pulse, tmp_path, limit_db, least):
    """The machine may damage sound, if undin reports it. With a limit of 0 dB, the least error shows."""
    x, path, found = noisy_speech(SECONDS), tmp_path / "x.wav", []
    undin.write(path, np.stack([x, x]), SR)
    while len(found) < ATTEMPTS and not (found and found[-1].clean):
        found.append(measure(pulse, path, x, limit_db, least))
        print(found[-1])
        assert len(found[-1].correlation) >= SECONDS - 3
    assert found[-1].clean or sum(figures.good for figures in found) > ATTEMPTS / 2, found


def test_a_dropout_explains_at_most_two_seconds_round_its_report():
    assert unexplained([10.0, 11.0], [(12.2, 1)]) == []
    assert unexplained([10.0, 11.0, 12.0], [(12.2, 1)]) == [12.0]
    assert unexplained([10.0, 11.0, 12.0], [(12.2, 2)]) == []
    assert unexplained([10.0, 20.0], [(5.0, 1), (20.5, 1), (22.5, 1)]) == [10.0, 20.0]
    assert unexplained([10.0, 20.0], [(5.0, 1), (10.5, 2), (21.5, 3)]) == []


def modules(pulse):
    return pulse.pactl("list", "short", "modules")


@pytest.mark.parametrize("number, code", [(signals.SIGINT, 0), (signals.SIGTERM, 143)])
def test_signals_end_it_cleanly_and_remove_the_virtual_microphone(pulse, number, code):
    before = modules(pulse)
    with pulse.live("--virtual") as process:
        assert "undin_microphone" in pulse.pactl("list", "short", "sources")
        assert "undin" in sink_of(pulse, process.pid)
        process.send_signal(number)
        assert process.wait(60) == code
    assert modules(pulse) == before


def sink_of(pulse, pid):
    """Name of the sink that a process plays to."""
    for entry in re.split(r"(?m)^Sink Input #", pulse.pactl("list", "sink-inputs")):
        if f'application.process.id = "{pid}"' in entry:
            index = re.search(r"Sink: (\d+)", entry)[1]
            return re.search(rf"(?m)^{index}\t(\S+)", pulse.pactl("list", "short", "sinks"))[1]
    return ""


def test_what_a_killed_run_left_is_removed_by_the_next_and_two_at_once_are_refused(pulse):
    with pulse.live("--virtual") as killed:
        second = subprocess.run([*killed.args], env=pulse.env, capture_output=True, text=True, timeout=120)
        assert second.returncode == 2 and f"process {killed.pid} already provides" in second.stderr
        killed.kill()
        killed.wait()
        assert modules(pulse).count("undin.pid") == 2
    with pulse.live("--virtual") as process:
        assert modules(pulse).count("undin.pid") == 2
        process.send_signal(signals.SIGTERM)
        process.wait(60)
    assert "undin.pid" not in modules(pulse)


def test_an_unplugged_device_is_survived(pulse):
    """Where another device is left the sound server moves there; where none is, undin waits."""
    numbers = re.findall(r"(?m)^(\d+)\tmodule-null-sink", modules(pulse))
    with pulse.live("--rate", str(SR)) as process:
        for number in numbers:
            pulse.pactl("unload-module", number)
        assert said(process, "waiting for it to come back")
        for name in ("room", "nowhere"):
            pulse.pactl("load-module", "module-null-sink", f"sink_name={name}", "rate=48000", "channels=2")
        pulse.pactl("set-default-sink", "nowhere")
        pulse.pactl("set-default-source", "room.monitor")
        assert said(process, "delay")
        process.send_signal(signals.SIGTERM)
        assert process.wait(60) == 143


def said(process, words, seconds=60):
    """Whether a line with these words comes."""
    found = []
    thread = threading.Thread(
        target=lambda: found.extend(next(line for line in iter(process.stdout.readline, "") if words in line)),
        daemon=True,
    )
    thread.start()
    thread.join(seconds)
    return bool(found)
