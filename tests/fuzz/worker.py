"""The process that gives inputs to undin, in a separate folder and with limited memory; a line of JSON per input."""

import importlib
import json
import os
import pickle
import shutil
import sys
import time
import traceback
import warnings
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase

from undin.errors import UndinError

MEMORY = 6 << 30  # bytes of addresses, of which the libraries reserve more than they use
SLOW_S = 20.0  # of computing


def main() -> None:
    """Do the batches that standard input names: TARGET SEED N."""
    folder = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print goes elsewhere
    _limit_memory()
    for line in sys.stdin:
        target, seed, n = line.split()
        batch(importlib.import_module(f"tests.fuzz.targets.{target}"), int(seed), int(n), folder, answers)
        print(json.dumps(("end", "")), file=answers, flush=True)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def batch(target: Any, seed: int, n: int, folder: Path, answers: Any) -> None:
    """Draw n inputs and try each; it is on disk, under its number, before it is tried."""
    numbers = count(1)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=n,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(target.CASES)
    def each(case: Any) -> None:
        (folder / f"{next(numbers)}.pickle").write_bytes(pickle.dumps((target.__name__, case)))
        print(json.dumps(("drawn", "")), file=answers, flush=True)
        print(json.dumps(attempt(target, case, folder / "work")), file=answers, flush=True)

    each()


def attempt(target: Any, case: Any, work: Path) -> tuple[str, str]:
    """(verdict, details) of one input: errors of undin are right, all others are not, nor is what lies half-written."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    verdict, details, start = "processed", "", time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        try:
            target.attempt(case, work)
        except UndinError as error:
            verdict, details = "rejected", str(error)
        except Exception:
            verdict, details = "uncaught", traceback.format_exc()
    if parts := sorted(path.name for path in work.rglob(".undin-*.part")):
        verdict, details = "half-written", f"{', '.join(parts)}\n{details}"
    if time.process_time() - start > SLOW_S:
        verdict, details = "hung", f"took {time.process_time() - start:.0f} s of computing\n{details}"
    return verdict, details


def replay(reproducer: Path) -> int:
    """Try one kept input in this process and say what came of it."""
    name, case = pickle.loads(reproducer.read_bytes())
    verdict, details = attempt(importlib.import_module(name), case, Path("build/fuzz/work"))
    print(f"{repr(case)[:2000]}\n{verdict}\n{details}")
    return 0 if verdict in ("processed", "rejected") else 1


if __name__ == "__main__":
    main()
