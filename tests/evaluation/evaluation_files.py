"""Mixtures, methods and programs for the tests of evaluation: all made here, of the corpus inside undin."""

import csv
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from undin import corpora, mixing
from undin.evaluation import System, choose

WAV = "import sys,soundfile as f;x,sr=f.read(sys.argv[1]);"


@cache
def rows(n=6, seed=1):
    return tuple(mixing.make_manifest(corpora.mini(), n=n, seed=seed, snr_db=[0.0, 10.0]))


def program(name, code):
    """A command that reads a WAV as x, sr and runs `code`."""
    return f"{name}={shlex.join([sys.executable, '-c', WAV + code])} {{in}} {{out}}"


COPY = program("copy", "f.write(sys.argv[2],x,sr)")
LATE = program("late", "import numpy as n;f.write(sys.argv[2],n.r_[n.zeros(160),x[:-160]],sr)")
SHORT = program("short", "f.write(sys.argv[2],x[:-7],sr)")
SLOW = program("slow", "f.write(sys.argv[2],x,8000)")
NOTHING = program("nothing", "pass")
CRASH = program("crash", "sys.exit('no such weights')")


def si_sdr():
    return choose(["si_sdr_db"], 16000)[0]


@dataclass(frozen=True)
class Share(System):
    """Returns a share of each talker in the mixture, in an order that changes from call to call."""

    share: float
    fails_on: str = ""  # id of a mixture

    def answer(self):
        order = np.random.default_rng(0)

        def separate(mixture, sr):
            if mixture.row.id == self.fails_on:
                raise ValueError("not <this> one")
            s = self.share * mixture.sources + (1 - self.share) / len(mixture.sources) * mixture.noisy
            return s[order.permutation(len(s))]

        return separate

    def describe(self):
        return {"share": self.share, "fails_on": self.fails_on}


def kill_when_scored(command, scores, n):
    """Start undin, kill it when scores.csv has n rows; returns the rows it left."""
    process = subprocess.Popen([sys.executable, "-m", "undin", *map(str, command)])
    while process.poll() is None and len(scores_of(scores)) < n:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was finished before it could be killed"
    return len(scores_of(scores))


def scores_of(path):
    """(id, method) -> what does not change from run to run; complete lines of a table."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["key"]]
    for row in rows:
        row["seconds"] = ""
    return {(row["id"], row["method"]): row for row in rows}


def words(path):
    """The text of a page."""
    text = re.sub(r"<(style|script)>.*?</\1>", "", path.read_text("utf-8"), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())
