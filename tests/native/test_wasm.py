"""The WebAssembly module and its audio worklet, run by Node."""

import json
import shutil
import subprocess
import zlib

import numpy as np
import pytest

pytest.importorskip("ziglang", reason="the extra wasm is not installed")

import undin
from undin.native import build_wasm, make_library
from undin.native.build import built_module

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not on this machine")
# The audio thread's globals, and its loop: 128 samples at a time.
HARNESS = """
import { readFileSync, writeFileSync } from "node:fs";
const [script, wasm, sound, channels, limit, out] = process.argv.slice(2);
let Processor, options;
globalThis.sampleRate = RATE;
globalThis.AudioWorkletProcessor = class {};
globalThis.registerProcessor = (name, processor) => { Processor = processor; };
globalThis.fetch = async (url) => ({ ok: true, arrayBuffer: async () => readFileSync(url).buffer });
globalThis.AudioWorkletNode = class { constructor(context, name, given) { options = given; } };
const { createUndinNode } = await import(script);
const context = { sampleRate, audioWorklet: { addModule: async () => {} } };
const settings = { channels: +channels, limitDb: +limit, url: wasm };
const node = await createUndinNode(context, settings);
const processor = new Processor(options);
const n = +channels, x = new Float32Array(readFileSync(sound).buffer), length = x.length / n;
const y = new Float32Array(x.length);
for (let at = 0; at < length; at += 128) {
  const input = [...Array(n).keys()].map((c) => x.subarray(c * length + at, c * length + at + 128));
  const output = [...Array(n).keys()].map((c) => y.subarray(c * length + at, c * length + at + 128));
  const parameters = { limitDb: [options.parameterData.limitDb] };
  if (!processor.process([input], [output], parameters)) throw new Error("it ended");
}
writeFileSync(out, y);
console.log(JSON.stringify({ latency: node.latency, outputs: options.numberOfOutputs }));
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_wasm(make_library("lull"), tmp_path_factory.mktemp("web"))


def test_it_is_reproducible(built, tmp_path):
    """The module that `make wasm` built before, or else one built in another folder now, has the same bytes."""
    before = built_module("lull")
    again = before if before.exists() else build_wasm(make_library("lull"), tmp_path)[0]
    assert again.read_bytes() == built[0].read_bytes()


def test_it_is_small(built):
    assert sum(len(zlib.compress(path.read_bytes(), 9)) for path in built) < 1.6e6


@pytest.mark.parametrize("sr, n_channels, limit_db", [(16000, 1, 60), (44100, 2, 60), (48000, 1, 12)])
def test_the_worklet_gives_what_python_gives(built, tmp_path, sr, n_channels, limit_db):
    x = 0.1 * np.random.default_rng(0).standard_normal((n_channels, 128 * 150)).astype(np.float32)
    (tmp_path / "x").write_bytes(x.tobytes())
    (tmp_path / "run.mjs").write_text(HARNESS.replace("RATE", str(sr)))
    script = tmp_path / "undin.mjs"
    script.write_text(built[1].read_text())
    args = [NODE, tmp_path / "run.mjs", script, built[0], tmp_path / "x", n_channels, limit_db, tmp_path / "y"]
    done = subprocess.run(list(map(str, args)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stream = undin.load("lull").stream(sr, limit_db=None if limit_db == 60 else limit_db)
    assert json.loads(done.stdout) == {"latency": stream.latency / sr, "outputs": 1}
    y = np.frombuffer((tmp_path / "y").read_bytes(), np.float32).reshape(x.shape)
    assert np.abs(y - stream.process(x, equal=True)).max() < 1e-5
