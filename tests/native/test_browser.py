"""The audio node and the page in headless Chromium."""

import os
import re
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ziglang", reason="the extra wasm is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from browser import CHROMIUM, opened, served

import undin
from undin.native import page_files, write_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on this machine")
DOCS = Path(__file__).parents[2] / "docs/embed.md"
SECONDS = float(os.environ.get("UNDIN_LIVE_S", "4"))  # of live sound; 30 is thorough
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
INKED = """
canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}
"""
# Plays, and switches between the signals meanwhile; then which buttons say Pause, and whether the time went on.
SWITCH = """
async () => {
  const rows = [...document.querySelectorAll("li:nth-child(2) .track")], found = [];
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  let last = -1;
  for (const row of rows) {
    row.querySelector(".play").click();
    await wait(150);
    const at = +row.querySelector(".seek").value;
    found.push([rows.map((row) => row.querySelector(".play").textContent), at > last]);
    last = at;
  }
  rows.at(-1).querySelector(".play").click();
  await wait(50);
  found.push([rows.map((row) => row.querySelector(".play").textContent), true]);
  return found;
}
"""


CALL = """
async () => {
  const { call } = await import("/call.js");
  const other = new RTCPeerConnection();
  const heard = new Promise((resolve) => (other.ontrack = ({ track }) => resolve(track)));
  let offer;
  const connection = await call({ send: (description) => (offer = description) });
  connection.onicecandidate = ({ candidate }) => candidate && other.addIceCandidate(candidate);
  other.onicecandidate = ({ candidate }) => candidate && connection.addIceCandidate(candidate);
  await other.setRemoteDescription(offer);
  await other.setLocalDescription(await other.createAnswer());
  await connection.setRemoteDescription(other.localDescription);
  const mediaStream = new MediaStream([await heard]);
  const sink = Object.assign(new Audio(), { srcObject: mediaStream, muted: true }); // else Chromium decodes nothing
  await sink.play();
  const context = new AudioContext();
  const analyser = new AnalyserNode(context);
  new MediaStreamAudioSourceNode(context, { mediaStream }).connect(analyser);
  let peak = 0;
  const x = new Float32Array(analyser.fftSize);
  for (let i = 0; i < 200 && peak <= 0.01; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    analyser.getFloatTimeDomainData(x);
    peak = Math.max(peak, ...x);
  }
  return peak;
}
"""
DROP = """
([name, bytes]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name));
  for (const kind of ["dragenter", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
    document.querySelector("#drop").dispatchEvent(event);
  }
}
"""


def wait(page, expression):
    """Until it is true; Playwright's own way is an eval, which the policy forbids."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    write_page(folder)
    (folder / "recorder.js").write_text(RECORDER)
    with served(folder) as url:
        yield url


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """A voice in rain, stereo, 44.1 kHz, on disk."""
    corpus = undin.corpora.mini().select(split="test")
    clean, noise = corpus.load(corpus.speech[0])[:24000], corpus.load(corpus.select(kind="rain").noise[0])
    x = np.stack([undin.mixing.mix(clean, noise, snr_db=snr_db).noisy for snr_db in (3.0, 9.0)])
    x = undin.audio.resample(x, 16000, 44100)
    x += 1e-4 * np.random.default_rng(0).standard_normal(x.shape)  # networks amplify the rounding errors of empty bands
    path = tmp_path_factory.mktemp("sound") / "my <b>noisy voice.wav"
    undin.write(path, x, 44100)
    return path


@pytest.mark.parametrize("sr, n_channels, limit_db", [(48000, 1, 20), (44100, 2, 60)])
def test_the_node_gives_what_python_gives(site, sr, n_channels, limit_db):
    x = 0.1 * np.random.default_rng(0).standard_normal((n_channels, 128 * 100)).astype(np.float32)
    with opened(site) as page:
        y, latency = page.evaluate(RENDER, [x.tolist(), sr, limit_db])
    stream = undin.load("lull").stream(sr, limit_db=None if limit_db == 60 else limit_db)
    assert latency == stream.latency / sr
    assert np.abs(np.array(y, np.float32) - stream.process(x, equal=True)).max() < 1e-5


def test_the_node_needs_a_causal_network(site):
    with opened(site) as page:
        error = page.evaluate("""async () => {
          const { createUndinNode } = await import("/undin.js");
          const context = new OfflineAudioContext(1, 128, 16000);
          return createUndinNode(context, { method: "blstm-mask" }).catch((error) => error.message);
        }""")
    assert error == "blstm-mask needs the whole signal: use startSync in a Worker, or a causal method"


def test_a_dropped_file_is_enhanced_and_downloaded(site, noisy, tmp_path):
    x, sr = undin.read(noisy)
    with opened(site) as page:
        page.evaluate(DROP, [noisy.name, b64encode(noisy.read_bytes()).decode()])
        page.wait_for_selector(".result:not([hidden])", timeout=120_000)
        assert page.inner_text("#queue h3") == noisy.name
        assert page.inner_text(".status") == f"{x.shape[-1] / sr:.1f} s, 44100 Hz, 2 channels"
        assert page.inner_text("#summary") == "1 of 1 files done"
        canvases = page.query_selector_all("canvas")
        assert [canvas.get_attribute("aria-label")[19:] for canvas in canvases] == ["input", "enhanced"]
        assert page.inner_text("#here") == "Everything runs in this browser: no sound leaves your device."
        assert not page.is_visible("[name=place]")  # there is no server
        assert all(canvas.evaluate(INKED) > 50 for canvas in canvases)
        for limit_db in (60, 12):
            page.fill(".strength input", str(limit_db))
            with page.expect_download() as found:
                page.click("text=Download")
            assert found.value.suggested_filename.endswith(" voice.enhanced.wav")
            found.value.save_as(tmp_path / "y.wav")
            y, rate = undin.read(tmp_path / "y.wav")
            ref = undin.enhance(x, sr, method="lull", limit_db=None if limit_db == 60 else limit_db)
            assert rate == sr and np.abs(y - ref).max() < 1e-4  # rounding; peak 0.29
        play, seek = "document.querySelector('.track:nth-child(2) .play')", "document.querySelector('.seek')"
        page.evaluate(f"[1, 2].forEach(() => {play}.click())")  # before it has begun to play
        page.click(".track:first-child .play")
        wait(page, f"{seek}.value > 0.2")
        page.click(".track:first-child .play")
        page.wait_for_timeout(200)
        assert page.inner_text(".track:first-child .play") == page.inner_text(".track:nth-child(2) .play") == "Play"
        page.click(".track:nth-child(2) canvas")  # its middle
        assert abs(page.evaluate(f"{seek}.value / {seek}.max") - 0.5) < 0.01
        page.focus(".track:nth-child(2) .seek")
        page.keyboard.press("Home")
        assert page.inner_text(".time").startswith("0:00 / 0:0")


def test_talkers_come_apart_and_what_is_no_sound_is_named(site, noisy, tmp_path):
    bad = tmp_path / "text.wav"
    bad.write_text("no sound " * 20)
    with opened(site) as page:
        page.check("[value='blstm-mask']")
        page.set_input_files("#files", [bad, noisy])
        page.wait_for_selector(".result:not([hidden])", timeout=120_000)
        assert "Cannot process this file" in page.inner_text("li:first-child .status")
        assert page.inner_text("#summary") == "1 of 2 files done, 1 failed"
        assert page.evaluate("document.querySelector('li:nth-child(2) progress').value") > 0.5
        x, sr = undin.read(noisy)
        ref = undin.separate(x, sr, talkers=2)  # C leaves the outputs of the network as they are
        canvases = page.query_selector_all("canvas")
        assert [canvas.get_attribute("aria-label")[19:] for canvas in canvases] == ["mixture", "talker 1", "talker 2"]
        assert all(canvas.evaluate(INKED) > 50 for canvas in canvases)
        buttons = [["Pause" if i == heard else "Play" for i in range(3)] for heard in (0, 1, 2, None)]
        assert page.evaluate(SWITCH) == [[row, True] for row in buttons]
        for i in range(2):
            with page.expect_download() as found:
                page.click(f"[aria-label='Download talker {i + 1}']")
            assert found.value.suggested_filename.endswith(f" voice.{i + 1}.wav")
            found.value.save_as(tmp_path / "y.wav")
            assert np.abs(undin.read(tmp_path / "y.wav")[0] - ref[i]).max() < 1e-4


def test_the_server_processes_files_when_the_visitor_asks(noisy, tmp_path):
    for module in ("starlette", "uvicorn", "websockets", "httpx"):
        pytest.importorskip(module, reason="the extra serve is not installed")
    if "lull.wasm" not in page_files():
        pytest.skip("`make wasm` has not built the page's networks")
    from serve_running import running

    x, sr = undin.read(noisy)
    with running(token="a token") as server, opened(f"{server.url}/", expected="401") as page:
        assert "no sound leaves your device" in page.inner_text("header")
        page.check("[name=place][value=server]")
        assert f"are sent to {server.url[7:]}, which processes them" in page.inner_text("header")
        assert "no sound leaves" not in page.inner_text("header")
        page.set_input_files("#files", noisy)
        wait(page, "document.querySelector('#summary').textContent.endsWith('1 failed')")
        assert page.inner_text(".status").endswith(
            "this server requires a token: enter it above and add the file again"
        )
        page.fill("#token", "a token")
        page.set_input_files("#files", noisy)
        page.check("[value='blstm-mask']")
        page.set_input_files("#files", noisy)
        wait(page, "document.querySelector('#summary').textContent === '2 of 3 files done, 1 failed'")
        found = pytest.importorskip("axe_playwright_python.sync_playwright").Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        for name, ref in {"enhanced": undin.enhance(x, sr), "talker 2": undin.separate(x, sr)[1]}.items():
            with page.expect_download() as found:
                page.click(f"[aria-label='Download {name}']")
            found.value.save_as(tmp_path / "y.wav")
            assert np.abs(undin.read(tmp_path / "y.wav")[0] - ref).max() < 1e-4  # Chromium reads 16 bits as x / 32767


def test_the_sound_of_a_video_is_enhanced(site, noisy, tmp_path):
    ffmpeg = shutil.which("ffmpeg") or pytest.skip("ffmpeg is not on this machine")
    video = tmp_path / "video.webm"
    picture = ["-f", "lavfi", "-i", "color=size=64x64:rate=10:duration=3"]
    codecs = ["-c:v", "libvpx", "-c:a", "libopus", "-shortest"]
    subprocess.run([ffmpeg, "-loglevel", "error", *picture, "-i", noisy, *codecs, video], check=True)
    with opened(site) as page:
        page.set_input_files("#files", video)
        page.wait_for_selector(".result:not([hidden])", timeout=120_000)
        assert page.inner_text(".status").endswith("48000 Hz, 2 channels")
        assert page.query_selector_all("canvas")[1].evaluate(INKED) > 50


def test_the_microphone_runs(site, noisy):
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    fake += [f"--use-file-for-fake-audio-capture={noisy}", "--autoplay-policy=no-user-gesture-required"]
    with opened(site, *fake, permissions=["microphone"]) as page:
        page.click("#start")
        wait(page, "document.querySelector('#level-in').value > -50")
        wait(page, "document.querySelector('#level-out').value > -50")
        assert "the network adds 32 ms" in page.inner_text("#live-status")
        page.fill("#live-limit", "12")
        assert page.inner_text("#live-limit-text") == "12 dB"
        page.click("#start")
        wait(page, "document.querySelector('#live-status').textContent === 'Stopped'")


def test_the_example_of_a_call_sends_clean_sound(site, noisy, tmp_path):
    """As it is in docs/embed.md, to another connection of the same page."""
    example = next(code for code in re.findall(r"```text\n(import .*?)```", DOCS.read_text(), re.S) if "call" in code)
    assert len(example.strip().splitlines()) <= 20
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    fake += [f"--use-file-for-fake-audio-capture={noisy}", "--autoplay-policy=no-user-gesture-required"]
    with opened(site, *fake, permissions=["microphone"]) as page:
        page.route("**/call.js", lambda route: route.fulfill(body=example, content_type="text/javascript"))
        assert page.evaluate(CALL) > 0.01


@pytest.mark.parametrize(
    "look",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 740}}],
    ids=["desktop", "dark", "phone"],
)
def test_it_is_accessible_and_fits(site, noisy, look):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with opened(site, **look) as page:
        page.set_input_files("#files", noisy)
        page.wait_for_selector(".result:not([hidden])", timeout=120_000)
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_keyboard_reaches_everything(site):
    with opened(site) as page:
        seen = []
        for _ in range(8):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert seen == ["task", "files", "start", "listen", "bypass", "live-limit", *seen[6:]]


def test_the_page_is_small(site, tmp_path):
    from undin.native.build import TEMPLATES, WEB

    assert sum(path.stat().st_size for path in [*WEB.iterdir(), TEMPLATES / "undin.js"]) < 200_000


RECORDER = """
registerProcessor("recorder", class extends AudioWorkletProcessor {
  process(inputs) {
    this.port.postMessage(inputs.map((input) => (input[0] ? input[0].slice() : new Float32Array(128))));
    return true;
  }
});
"""
RECORD = """
async (seconds) => {
  const { createUndinNode } = await import("/undin.js");
  const context = new AudioContext({ sampleRate: 48000 });
  await context.suspend();
  await context.audioWorklet.addModule("/recorder.js");
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const mediaStream = await navigator.mediaDevices.getUserMedia({ audio });
  const source = new MediaStreamAudioSourceNode(context, { mediaStream });
  const node = await createUndinNode(context);
  const recorder = new AudioWorkletNode(context, "recorder", { numberOfInputs: 2 });
  const found = [[], []];
  recorder.port.onmessage = ({ data }) => data.forEach((block, i) => found[i].push(block));
  node.connect(recorder, 0, 1).connect(context.destination);
  source.connect(recorder, 0, 0);
  source.connect(node);
  await context.resume();
  const start = [performance.now(), context.currentTime];
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  const lost = (performance.now() - start[0]) / 1000 - (context.currentTime - start[1]);
  await context.close();
  return [found.map((blocks) => blocks.flatMap((block) => [...block])), lost];
}
"""


def test_live_sound_is_what_python_gives(site, tmp_path):
    """The node may have run for some blocks before the first is recorded: its phase is searched for."""
    corpus = undin.corpora.mini().select(split="test")
    voice = np.concatenate([corpus.load(clip) for clip in corpus.speech[:3]])
    path = tmp_path / "voice.wav"
    undin.write(path, undin.audio.resample(voice, 16000, 48000), 48000)
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    fake += [
        f"--use-file-for-fake-audio-capture={tmp_path / 'voice.wav'}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with opened(site, *fake, permissions=["microphone"]) as page:
        (x, y), lost = page.evaluate(RECORD, SECONDS)
    x, y = np.array(x, np.float32), np.array(y, np.float32)
    assert x.size == y.size > 0.8 * SECONDS * 48000 and np.abs(x).max() > 0.05
    errors = []
    for blocks in range(6):  # 128 samples each, 768 are a hop
        stream = undin.load("lull").stream(48000)
        stream.process(np.zeros(128 * blocks, np.float32), equal=True)
        errors.append(np.abs(stream.process(x, equal=True) - y)[24000:].max())  # by then the start is forgotten
    assert min(errors) < 1e-4 and abs(lost) < 0.5
