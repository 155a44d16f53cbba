"""The player of pages in headless Chromium: what it decodes, and the gains of its signals."""

import shutil

import numpy as np
import pytest

from undin.page import write_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")

SPY = """window.gains = [];
window.GainNode = class extends GainNode { constructor(...given) { super(...given); gains.push(this.gain); } };"""
GAINS = "gains.slice(-3).map((gain) => Math.round(1000 * gain.value) / 1000)"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        args = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield browser
        browser.close()


@pytest.fixture(params=["flac", "opus"])
def tab(request, browser, tmp_path):
    """A page with three signals of 20 s, open."""
    tone = 0.1 * np.sin(np.arange(20 * 11025) / 9).astype(np.float32)
    players = {"Listen": dict.fromkeys(("input", "lull", "clean"), (tone, 11025))}
    path = write_page(tmp_path / "p.html", title="t", players=players, dry="input", wet=["lull"], codec=request.param)
    tab = browser.new_page()
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda line: errors.append(line.text))
    tab.add_init_script(SPY)
    tab.goto(path.as_uri())
    yield tab
    tab.close()
    assert not errors


def test_the_slider_blends_the_chosen_signal_with_the_input(tab):
    slider, shown = tab.locator(".strength input"), tab.locator(".strength output")
    tab.wait_for_function("document.querySelector('audio').duration > 19.9")
    assert slider.is_disabled() and shown.inner_text() == "100 %"  # the input itself is chosen
    tab.keyboard.press("2")
    tab.keyboard.press(" ")
    tab.wait_for_function("document.querySelector('.playing')")
    assert slider.is_enabled() and tab.evaluate(GAINS) == [0, 1, 0]
    slider.focus()
    for _ in range(25):
        tab.keyboard.press("ArrowLeft")
    assert shown.inner_text() == "75 %, --limit-db 12.0"
    tab.wait_for_function(f"String({GAINS}) === '0.25,0.75,0'")
    tab.keyboard.press("3")
    assert slider.is_disabled()
    tab.wait_for_function(f"String({GAINS}) === '0,0,1'")
    tab.keyboard.press("2")
    tab.keyboard.press(" ")
    tab.wait_for_function("!document.querySelector('.playing')")
    tab.keyboard.press(" ")
    tab.wait_for_function(f"gains.length === 6 && String({GAINS}) === '0.25,0.75,0'")
