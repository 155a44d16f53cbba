"""Cost of each augmentation: python -m benchmarks.speed.augment [--table]

Every augmentation alone, redrawn each time, on 4 s of speech and noise at 16 kHz and one thread; the mean over the
draws, because costs depend on the draw, and the median of that over 7 runs, in processor time. Writes
results/augment_speed.csv.
"""

import csv
import os
import statistics
import time

from benchmarks.launch import parser

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded

import numpy as np

import undin
from benchmarks.scoring import RESULTS
from benchmarks.speed.methods import machine
from undin.mixing.augment import USUAL, Augment
from undin.mixing.mix import Samples

SR, SECONDS, RUNS, DRAWS = 16000, 4, 7, 30
PATH = RESULTS / "augment_speed.csv"
# category -> share -> effect, and effect on the target
WHAT = {
    "clean": ("speech alone", "–"),
    "noise_only": ("no speech", "silent"),
    "speed": ("talker faster or slower, pitch with it", "same"),
    "pitch": ("talker higher or lower at the same speed", "same"),
    "eq": ("talker with another spectral color: tilt and smooth curve", "same"),
    "noise_eq": ("noise with another spectral color", "–"),
    "silence": ("talker silent for stretches, noise continues", "same"),
    "synthetic": ("an additional synthetic noise", "–"),
    "babble": ("3 to 8 other people talking", "–"),
    "rooms": ("a room with a place for each source", "direct sound and 50 ms"),
    "band_limit": ("telephone, low-pass or high-pass", "same"),
    "floor": ("hiss of a microphone", "–"),
    "clip": ("hard or soft clipping", "–"),
    "gain_steps": ("level jumps or fades", "same"),
    "codec": ("a lossy codec, encoded and decoded", "– (GSM: its band)"),
    "dropouts": ("lost packets", "–"),
    "pause": ("digital silence for a stretch", "same"),
}


def sources() -> tuple[Samples, Samples]:
    """A talker and a noise, 4 s each."""
    corpus, n_samples = undin.corpora.mini(), SECONDS * SR
    return tuple(np.resize(corpus.load(clip), n_samples) for clip in (corpus.speech[0], corpus.noise[0]))


def augment_once(augment: Augment, speech: Samples, noise: Samples, rng: np.random.Generator) -> None:
    """All that one example goes through."""
    augment.kind(rng)
    voice, noise = augment.voice(speech, SR, rng), augment.noise(noise, SR, rng)
    noises = [noise, *augment.noises(len(noise), SR, rng, lambda: speech)]
    if responses := augment.room(rng, 1 + len(noises), SR):
        voice, wet = responses[0].early(voice), responses[0].wet(voice)
        noises = [response.wet(x) for response, x in zip(responses[1:], noises, strict=True)]
    else:
        wet = voice
    augment.channel(wet, voice, noises[0], SR, rng)


def cost_ms(augment: Augment, draws: int) -> float:
    """Mean over draws, median over runs."""
    speech, noise = sources()
    times = []
    for run in range(RUNS + 1):
        rng = np.random.default_rng(run)
        begin = time.process_time()
        for _ in range(draws):
            augment_once(augment, speech, noise, rng)
        times.append((time.process_time() - begin) / draws)
    return 1e3 * statistics.median(times[1:])


def table() -> str:
    with PATH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["| share | what it does | the target | cost | usual share |", "|---" * 5 + "|"]
    for row in rows[:-1]:
        cost = float(row["ms"])
        shown = f"{cost:.2f} ms" if cost >= 0.005 else "–"
        lines.append(f"| `{row['name']}` | {' | '.join(WHAT[row['name']])} | {shown} | {float(row['usual']):g} |")
    lines.append(f"| `USUAL` | all of these at their usual shares | | {float(rows[-1]['ms']):.2f} ms | |")
    note = f"Processor time per example of {SECONDS} s at 16 kHz with one noise; one thread of an {rows[0]['machine']},"
    note += f" median of {RUNS} runs of the mean over {DRAWS} draws (`USUAL`: {20 * DRAWS})."
    return "\n".join(lines) + f"\n\n{note}"


def main() -> None:
    if not parser(__doc__).parse_args().table:
        nothing = cost_ms(Augment(), DRAWS)
        rows: list[dict[str, object]] = []
        for name in WHAT:
            free = name in ("clean", "noise_only")
            ms = 0.0 if free else max(cost_ms(Augment(**{name: 1.0}), DRAWS) - nothing, 0)
            rows.append({"name": name, "ms": f"{ms:.3f}", "usual": getattr(USUAL, name), "machine": machine()})
            print(rows[-1], flush=True)
        rows.append({"name": "USUAL", "ms": f"{cost_ms(USUAL, 20 * DRAWS):.3f}", "usual": "", "machine": machine()})
        with PATH.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    print(table())


if __name__ == "__main__":
    main()
