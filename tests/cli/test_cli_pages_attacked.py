"""Pages made of hostile names, opened in headless Chromium: no script of theirs runs, nothing is fetched, no dialog."""

import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from undin import corpora, mixing

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")

ATTACKS = (
    "<script>window.hit = 1</script>",
    "<img src=x onerror=window.hit=2>",
    '"><svg onload=window.hit=3>',
    "' autofocus onfocus=window.hit=4 x='",
    '" onmouseover="window.hit=5',
    "</script></style></title><script>alert(6)</script>",
    "</option></select><iframe srcdoc='<script>parent.hit=7</script>'>",
    "<img src=https://example.org/8.png>",
    "<a href=javascript:alert(9) id=undin>",
    "{title} {{js}} ${window.hit=10} \\u003cscript\\u003e",
    "$x_{$ <base href=https://example.org/>",
)


TOUCH = """for (const each of document.body.querySelectorAll("*")) {
    if (each.tagName === "DETAILS") each.open = true;
    ["mouseover", "pointerdown"].forEach((type) => each.dispatchEvent(new MouseEvent(type, {bubbles: true})));
    each.focus?.();
    if (each.matches("button, input, label, summary, a")) each.click();
}"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def visit(browser, path: Path) -> str:
    """Open a page, touch all that is there; give its text."""
    asked, dialogs, errors = [], [], []
    tab = browser.new_page()
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(path.as_uri())
    tab.wait_for_function("[...document.querySelectorAll('audio')].every((each) => each.duration > 0.5)")  # FLAC
    tab.evaluate(TOUCH)
    tab.keyboard.press("2")
    tab.wait_for_timeout(200)
    assert tab.evaluate("window.hit") is None
    assert tab.evaluate("document.scripts.length") == 1
    assert tab.locator("a").count() == tab.locator("a[href^='#']").count()
    assert tab.locator("iframe, base, svg, [onerror], [onload], [onfocus], [onmouseover]").count() == 0
    text = tab.inner_text("body")
    tab.close()
    assert not dialogs and not errors
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    return text


def test_the_report(undin, browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = mixing.make_manifest(corpora.mini(), n=3, seed=1, snr_db=[0.0, 5.0])
    hostile = []
    for i, row in enumerate(rows):
        speech, noise = replace(row.speech[0], label=ATTACKS[i]), replace(row.noise[0], label=ATTACKS[i + 3])
        hostile.append(replace(row, id=ATTACKS[i + 6], speech=(speech,), noise=(noise,)))
    mixing.write_manifest("m.csv", hostile)
    methods = [word for attack in ATTACKS[:3] for word in ("-m", f"{attack.replace('=', ':')}=spectral-gate")]
    fails = f"{ATTACKS[9].replace('=', ':')}={shlex.join([sys.executable, '-c', f'raise SystemExit({ATTACKS[5]!r})'])}"
    options = ("--cmd", f"{fails} {{in}} {{out}}", "--metrics", "si_sdr_db", "--examples", "1", "-o", "s")
    code, _, err = undin("evaluate", "m.csv", *methods, *options)
    assert code == 1 and "alert(6)" in err
    text = visit(browser, tmp_path / "s/report.html")
    for shown in (ATTACKS[0].replace("=", ":"), ATTACKS[3], "alert(6)", ATTACKS[6]):
        assert "".join(shown.split()) in "".join(text.split())


def test_the_page_to_compare(undin, browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = ATTACKS[1] + ".wav"
    soundfile.write(name, 0.1 * np.random.default_rng(0).standard_normal((16000, 2)), 16000)
    marker = tmp_path / "ran"
    hostile = f"$(touch {marker});`touch {marker}`"
    program = shlex.join([sys.executable, "-c", "import shutil, sys; shutil.copy(*sys.argv[1:3])"])
    copy = f"{hostile}={program} {{in}} {{out}}"
    options = (
        "-m",
        f"{ATTACKS[10].replace('=', ':').replace('/', '|')}=spectral-gate",
        "--cmd",
        copy,
        "-o",
        "page.html",
    )
    code, _, err = undin("compare", f"./{name}", *options)
    assert (code, err) == (0, "")
    text = visit(browser, tmp_path / "page.html")
    assert name in text and hostile in text and not marker.exists()
