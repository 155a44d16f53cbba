"""The audio node in headless Chromium, under a strict content security policy."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

pytest.importorskip("ziglang", reason="the extra wasm is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import sync_playwright

import undin
from undin.native import build_wasm, make_library

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on this machine")
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"
RENDER = """
async ([x, sampleRate, limitDb]) => {
  const { createUndinNode } = await import("/undin.js");
  const context = new OfflineAudioContext(x.length, x[0].length, sampleRate);
  const buffer = new AudioBuffer({ numberOfChannels: x.length, length: x[0].length, sampleRate });
  x.forEach((samples, c) => buffer.copyToChannel(new Float32Array(samples), c));
  const source = new AudioBufferSourceNode(context, { buffer });
  const node = await createUndinNode(context, { limitDb, channels: x.length });
  source.connect(node).connect(context.destination);
  source.start();
  const y = await context.startRendering();
  return [x.map((_, c) => [...y.getChannelData(c)]), node.latency];
}
"""


class Handler(SimpleHTTPRequestHandler):
    def end_headers(self):
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    build_wasm(make_library("lull"), folder)
    (folder / "index.html").write_text("<!doctype html><title>undin</title>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("sr, n_channels, limit_db", [(48000, 1, 20), (44100, 2, 60)])
def test_chromium_gives_what_python_gives(site, sr, n_channels, limit_db):
    x = 0.1 * np.random.default_rng(0).standard_normal((n_channels, 128 * 100)).astype(np.float32)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(site)
        y, latency = page.evaluate(RENDER, [x.tolist(), sr, limit_db])
        browser.close()
    assert asked and all(url.startswith(site) for url in asked)
    stream = undin.load("lull").stream(sr, limit_db=None if limit_db == 60 else limit_db)
    assert latency == stream.latency / sr
    assert np.abs(np.array(y, np.float32) - stream.process(x, equal=True)).max() < 1e-5
