"""Every code block of the README and the docs runs, every link and picture leads somewhere."""

import contextlib
import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest

import undin

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
make_docs = pytest.importorskip("make_docs")

PAGES = {str(page.relative_to(ROOT)): page for page in make_docs.PAGES}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    make_docs.prepare(folder := tmp_path_factory.mktemp("recordings"))
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_code_blocks_run(name, recordings, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("undin.evaluation.report.page.can_draw", lambda: False)  # pictures take most of the time
    code = [code for language, code in make_docs.BLOCK.findall(PAGES[name].read_text()) if language in ("sh", "python")]
    if any(word in block for block in code for word in ("undin train ", "import torch", "from torch")):
        pytest.importorskip("torch", reason="the extra train is not installed")
    if name not in make_docs.BRING_THEIR_SOUND:
        shutil.copytree(recordings, tmp_path, dirs_exist_ok=True)
    make_docs.run_page(PAGES[name], tmp_path)


@pytest.mark.parametrize("name", PAGES)
def test_every_code_block_is_of_a_kind_that_is_run_or_shown(name):
    languages = re.findall(r"^```(\w*)\n", PAGES[name].read_text(), re.M)
    assert {language for language in languages if language} <= {"python", "sh", "text", "toml"}


@pytest.mark.parametrize("name", [*PAGES, "CHANGELOG.md", "CONTRIBUTING.md", "docs/adr/README.md"])
def test_links_and_pictures_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("name", PAGES)
def test_tables_are_filled(name):
    for made in make_docs.TABLE.finditer(PAGES[name].read_text()):
        assert made[0].count("\n|") > 2, f"{made[2]}: python scripts/make_docs.py fills it"


def test_the_api_page_names_what_exists_and_all_public_names():
    page = (ROOT / "docs/api.md").read_text()
    named = {name for found in re.findall(r"<!-- api: \w+ (.+?) -->", page, re.S) for name in found.split()}
    for name in named:
        importable, value = name.split("."), None
        for n in range(len(importable) - 1, 0, -1):
            with contextlib.suppress(ImportError):
                value = importlib.import_module(".".join(importable[:n]))
                break
        for part in importable[n:]:
            value = getattr(value, part)
    shown = " ".join(named | set(re.findall(r"`(undin\.\w+)`", page)))
    assert [name for name in undin.__all__ if not re.search(rf"\bundin\.{name}\b", shown)] == []


def test_commands_that_are_not_run_here_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES.values():
        for _, code in make_docs.blocks(page, "sh"):
            for line in code.splitlines():
                if line.startswith("make "):
                    assert line.split()[1] in targets, line
                if line.startswith(("python -m benchmarks.", "python scripts/")):
                    script = line.split()[2].replace(".", "/") + ".py" if " -m " in line else line.split()[1]
                    assert (ROOT / script).is_file(), line
