"""Benchmarks by name, each in a separate process.

python -m benchmarks            run all; those that lack data, packages or a run folder are skipped and named
python -m benchmarks speed      run a folder; or a module, as speed.nmf
python -m benchmarks --list     the benchmarks, one line each
python -m benchmarks --table    print tables from benchmarks/results, measure nothing
"""

import argparse
import ast
import pkgutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("speed", "quality")
SKIPPED = 77  # exit status of a benchmark that lacks what it needs


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark; its module's text is the help.

    Args:
        doc: the module's __doc__.
    """
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if "--table" in (doc or ""):
        made.add_argument("--table", action="store_true", help="print the tables of earlier results")
    return made


def found(folder: str = "") -> dict[str, str]:
    """Name of a benchmark -> what it measures, from the first line of its module."""
    names = [
        f"{each}.{module.name}"
        for each in ([folder] if folder else FOLDERS)
        for module in pkgutil.iter_modules([str(ROOT / "benchmarks" / each)])
        if module.name != "__main__"
    ]
    return {name: _summary(name) for name in names}


def _source(name: str) -> str:
    return (ROOT / "benchmarks" / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")


def _summary(name: str) -> str:
    first = (ast.get_docstring(ast.parse(_source(name))) or "").partition("\n")[0]
    return first.partition("python -m ")[0].strip().rstrip(":")


def chosen(names: Sequence[str], folder: str = "") -> list[str]:
    """The benchmarks that names ask for: all without names, those of a folder, one with or without its folder.

    Args:
        names: from the command line.
        folder: that they are looked for in; all when empty.
    """
    every = list(found(folder))
    picked: dict[str, None] = {}
    for name in names or [""]:
        fitting = [each for each in every if not name or name in (each, *each.split("."))]
        if not fitting:
            raise SystemExit(f"unknown benchmark {name!r}; python -m benchmarks --list lists them")
        picked |= dict.fromkeys(fitting)
    return list(picked)


def main(folder: str = "") -> None:
    """Run what the command line says."""
    words = parser(__doc__)
    words.add_argument("names", nargs="*", metavar="NAME", help="a folder or a module, as speed.nmf; all without it")
    words.add_argument("--list", action="store_true", help="list what can be run")
    options = words.parse_args()
    names = chosen(options.names, folder)
    if options.list:
        summaries = found(folder)
        width = max(map(len, names))
        print("\n".join(f"{name:{width}}  {summaries[name]}" for name in names))
        return
    if options.table:
        names = [name for name in names if "--table" in _source(name)]
    ended = {name: _run(name, ["--table"] if options.table else []) for name in names}
    skipped = [name for name, status in ended.items() if status == SKIPPED]
    failed = [name for name, status in ended.items() if status not in (0, SKIPPED)]
    counts = [f"{len(ended) - len(skipped) - len(failed)} of {len(ended)} benchmarks run"]
    counts += [f"{what}: {', '.join(them)}" for what, them in (("skipped", skipped), ("failed", failed)) if them]
    print(f"\n{'; '.join(counts)}")
    sys.exit(bool(failed))


def _run(name: str, options: list[str]) -> int:
    print(f"\n== {name}", flush=True)
    return subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], cwd=ROOT).returncode
