"""The check that no two modules import each other in a loop finds a planted one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = """
[importlinter]
root_package = planted
exclude_type_checking_imports = False
contract_types =
    no_loops: scripts.import_loops.NoLoops

[importlinter:contract:loops]
name = no loops
type = no_loops
"""
TYPE_CHECKING = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from planted import {}\n"
LAZY = "def f():\n    from planted import {}\n"


@pytest.mark.parametrize("back", ["from planted import {}\n", TYPE_CHECKING, LAZY], ids=["plain", "typing", "lazy"])
@pytest.mark.parametrize("loop", [True, False])
def test_a_planted_loop_breaks_the_check(tmp_path: Path, back: str, loop: bool) -> None:
    modules = {"a": "from planted import b\n", "b": "from planted import c\n", "c": back.format("a") if loop else ""}
    found = _lint(tmp_path, modules)
    assert found.returncode == loop, found.stdout + found.stderr
    assert ("planted.a -> planted.b -> planted.c -> planted.a" in found.stdout) == loop


def test_a_loop_through_the_package_itself_breaks_the_check(tmp_path: Path) -> None:
    found = _lint(tmp_path, {"__init__": "from planted.a import x\n", "a": "import planted\nx = 1\n"})
    assert found.returncode == 1
    assert "planted -> planted.a -> planted" in found.stdout


def _lint(folder: Path, modules: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    package = folder / "planted"
    package.mkdir()
    for name, text in {"__init__": "", **modules}.items():
        (package / f"{name}.py").write_text(text)
    (folder / ".importlinter").write_text(CONFIG)
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}]; from importlinter.cli import lint_imports; "
    code += "sys.exit(lint_imports(config_filename='.importlinter', cache_dir=None))"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
