"""`make fuzz`: hostile inputs to every door of undin, as long as asked; exit code 1 where one of them broke something.

    python -m tests.fuzz --minutes 60              all targets in turn
    python -m tests.fuzz --inputs 20000 readers    one target, this many inputs
    python -m tests.fuzz --replay build/fuzz/readers-7-31.pickle

targets/    the attacked interfaces, one file each: CASES draws an input, `attempt` gives it to undin
damage.py   strategies that damage files and cells
runner.py   a worker process under a watchdog; what broke becomes a reproducer
worker.py   the process: memory limited, one input after another
"""

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.fuzz.runner import TARGETS, Fuzzer
from tests.fuzz.worker import replay

HOME = Path("build/fuzz")


def main() -> int:
    """Fuzz until time or inputs are used up; print a line per target."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; all without any")
    parser.add_argument("--minutes", type=float, help="time limit; 10 unless --inputs is given")
    parser.add_argument("--inputs", type=int, help="number of inputs, over all targets")
    parser.add_argument("--seed", type=int, default=0, help="the first; every batch takes the next")
    parser.add_argument("--watchdog", type=float, default=20.0, help="seconds after which an input hangs")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one reproducer in this process")
    given = parser.parse_args()
    if given.replay:
        return replay(given.replay)
    minutes = given.minutes or (10 if given.inputs is None else float("inf"))
    fuzzer = Fuzzer(given.targets or TARGETS, HOME, watchdog_s=given.watchdog)
    start, seed = time.monotonic(), given.seed
    with suppress(KeyboardInterrupt):
        while time.monotonic() - start < 60 * minutes and fuzzer.n_inputs < (given.inputs or float("inf")):
            for target in fuzzer.counts:
                fuzzer.batch(target, seed)
            seed += 1
    fuzzer.close()
    print(fuzzer.table())
    print(f"seeds {given.seed} to {seed - 1}, {time.monotonic() - start:.0f} s")
    return 1 if fuzzer.findings else 0


if __name__ == "__main__":
    sys.exit(main())
