"""How fast mixtures are made on one core, from FLAC to FLAC at 16 kHz: python -m benchmarks.speed.mixing

The shipped corpus is written as FLAC, one file per utterance; then mixtures of it are written with their clean speech
and noise (three files each). Seconds of mixtures per second of processor time, each run on new rows and a new folder;
into results/mixing_speed.csv.
"""

import csv
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.launch import parser
from benchmarks.scoring import RESULTS
from undin import audio, corpora
from undin.corpora import Corpus
from undin.mixing import Drawing, Settings
from undin.mixing.draw import join_short
from undin.mixing.write import MixtureWriter

N, RUNS = 200, 5
PATH = RESULTS / "mixing_speed.csv"
CASES = {
    "speech and noise": Settings(),
    "speech and noise, SNR over active speech": Settings(snr_over="active"),
    "speech and 3 noises": Settings(noises=3),
    "2 talkers": Settings(talkers=2),
}


def as_flac(root: Path) -> Corpus:
    """The shipped corpus as one FLAC file per utterance or recording."""
    mini, clips = corpora.mini(), []
    for k, clip in enumerate([*join_short(mini.speech, 2.5), *mini.noise]):
        name = f"{k}.flac"
        audio.write(root / name, mini.load(clip), mini.sr)
        clips.append(replace(clip, path=name, offset_s=0.0))
    return Corpus(root, clips)


def measure(corpus: Corpus, settings: Settings) -> list[dict[str, float]]:
    rows = []
    for seed in range(RUNS):
        with tempfile.TemporaryDirectory() as out:
            job = MixtureWriter(corpus, Path(out), drawing=Drawing(corpus, settings, seed=seed), n=N)
            start, wall = time.process_time(), time.perf_counter()
            made = list(job.run())
            spent, wall = time.process_time() - start, time.perf_counter() - wall
            seconds = sum(each.row.duration_s for each in made if each.row)
            rows.append({"seconds": seconds, "cpu": seconds / spent, "wall": seconds / wall})
    return rows


def main() -> None:
    parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder, PATH.open("w", newline="") as file:
        corpus = as_flac(Path(folder))
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["case", "run", "n", "seconds", "times_real_time_cpu", "times_real_time_wall", "machine"])
        for name, settings in CASES.items():
            runs = measure(corpus, settings)
            for k, run in enumerate(runs):
                machine = f"{platform.machine()}, one core, {sys.platform}"
                table.writerow([name, k, N, f"{run['seconds']:.1f}", round(run["cpu"]), round(run["wall"]), machine])
            median = {key: statistics.median(run[key] for run in runs) for key in ("cpu", "wall")}
            print(f"{name}: {median['cpu']:.0f} x real time (processor), {median['wall']:.0f} x (clock)")


if __name__ == "__main__":
    main()
