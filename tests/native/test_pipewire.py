"""The plugin in PipeWire's filter-chain, without sound hardware: input and output in one recording."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack

import numpy as np
import pytest
from compiled import needs_cc

import undin
from undin.native import build_ladspa, make_library

PROGRAMS = ["pipewire", "wireplumber", "dbus-daemon", "pw-record", "pw-play", "pw-link"]
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
pytestmark = [needs_cc, pytest.mark.skipif(bool(MISSING), reason=f"not on this machine: {', '.join(MISSING)}")]
RATE, CYCLE, HOP = 48000, 8192, 768
# Long cycles, which a busy machine does not miss; and the module of docs/embed.md as a virtual sink and source.
CONFIG = """
context.properties = {
  default.clock.rate = @RATE@ default.clock.quantum = @CYCLE@ default.clock.min-quantum = @CYCLE@
  default.clock.max-quantum = @CYCLE@ default.clock.quantum-limit = @CYCLE@
}
context.modules = [{
  name = libpipewire-module-filter-chain
  args = {
    filter.graph = { nodes = [{
      type = ladspa name = undin plugin = @PLUGIN@ label = undin_lull control = { "Limit (dB)" = 20 }
    }] }
    audio.rate = @RATE@
    audio.channels = 1
    audio.position = [ MONO ]
    capture.props = { node.name = undin_in media.class = Audio/Sink }
    playback.props = { node.name = undin_out media.class = Audio/Source }
  }
}]
"""


class Session:
    """A sound server with the plugin, on a bus of its own.

    Args:
        folder: for its files.
        stack: stops the programs in the end.
    """

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        homes = {f"XDG_{name}": str(folder) for name in ("RUNTIME_DIR", "CONFIG_HOME", "STATE_HOME")}
        self.env = {**os.environ, **homes}
        bus = self.start("dbus-daemon", "--session", "--print-address", "--nofork", stdout=subprocess.PIPE)
        stack.callback(bus.stdout.close)
        self.env["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()
        self.start("pipewire")
        self.start("wireplumber")

    def start(self, *args, **streams):
        """A program that runs until the end."""
        process = subprocess.Popen(args, cwd=self.folder, env=self.env, **{"stderr": subprocess.DEVNULL, **streams})
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        return process

    def run(self, *args):
        """A program that ends; gives what it prints."""
        return subprocess.run(args, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60).stdout

    def link(self, *pairs):
        """Connect ports as soon as they are there."""
        for _ in range(300):
            if {port for pair in pairs for port in pair} <= set(self.run("pw-link", "-io").split()):
                break
            time.sleep(0.1)
        for pair in pairs:
            self.run("pw-link", *pair)
        assert self.run("pw-link", "-l").count("|->") >= len(pairs)


@pytest.fixture
def recording(tmp_path):
    """Noise through the plugin: (2, n_samples), what went in and what came out."""
    plugin = build_ladspa(make_library("lull"), tmp_path / "undin_lull.so")
    (tmp_path / "pipewire/pipewire.conf.d").mkdir(parents=True)
    config = CONFIG.replace("@RATE@", str(RATE)).replace("@CYCLE@", str(CYCLE)).replace("@PLUGIN@", str(plugin))
    (tmp_path / "pipewire/pipewire.conf.d/undin.conf").write_text(config)
    x = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    undin.write(tmp_path / "noisy.wav", 0.1 * x * np.sin(np.linspace(0, 9, RATE, dtype=np.float32)), RATE)
    tmp_path.chmod(0o700)
    with ExitStack() as stack:
        session = Session(tmp_path, stack)
        form = ["--rate", str(RATE), "--channels", "2", "--channel-map", "FL,FR", "--format", "f32", "--target", "0"]
        recorder = session.start("pw-record", *form, "-P", "{ node.name=rec node.autoconnect=false }", "rec.wav")
        session.link(("undin_in:monitor_MONO", "rec:input_FL"), ("undin_out:capture_MONO", "rec:input_FR"))
        session.run("pw-play", "--target", "undin_in", "noisy.wav")
        time.sleep(2)
        recorder.send_signal(signal.SIGINT)
        recorder.wait()
    return undin.read(tmp_path / "rec.wav")[0]


def test_the_filter_chain_gives_what_python_gives(recording):
    """It may have run for some cycles before it is recorded, so the place in a hop is searched for."""
    x, y = recording
    (sound,) = np.nonzero(np.abs(x) > 1e-6)
    assert sound.size > RATE / 2 and np.abs(y).max() > 1e-3
    end, errors = sound[-1] + CYCLE, []
    for phase in range(0, HOP, np.gcd(CYCLE, HOP)):
        late = np.concatenate([np.zeros(phase, np.float32), x[:end]])
        est = undin.load("lull").stream(RATE, limit_db=20).process(late, equal=True)[phase:]
        errors.append(np.abs(est - y[:end]).max())
    assert min(errors) < 1e-5 < sorted(errors)[1]
