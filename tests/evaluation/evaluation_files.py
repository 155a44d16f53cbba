"""Mixtures, methods and programs for the tests of evaluation: all made here, of the corpus inside undin."""

import shlex
import sys
from functools import cache

from undin import corpora, mixing
from undin.evaluation import choose

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
