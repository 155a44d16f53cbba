"""Rooms, telephone calls, predicted opinions: python -m benchmarks.quality.conditions [--only METHODS]

Two sets of test sentences of at least 3 s, from a seed alone, and one of mixtures:

  rooms        40 in rooms with an RT60 of 0.3 to 1 s, no noise; the reference is the direct sound with the reflections
               of the first 50 ms
  telephone    60 at 8 kHz with everyday noise at 0 to 20 dB, sent through G.711 (mu-law) or GSM by turns; the
               reference is the clean sentence at 8 kHz
  opinions     DNSMOS P.835 of the 120 mixtures of `benchmarks.quality.enhancement`; needs undin[mos]

    NAME=x.onnx     also weights that do not ship       --split NAME    of the corpus, test without it
    --only NAMES    these methods alone, by comma       --table         the tables from the results
    --set NAME      rooms, telephone or opinions alone
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import undin
from benchmarks.launch import parser
from benchmarks.peers import System, systems
from benchmarks.quality.classical import EVERYDAY
from benchmarks.quality.classical import SNRS_DB as MIX_SNRS_DB
from benchmarks.quality.enhancement import SEED as MIX_SEED
from benchmarks.scoring import MARKED, RESULTS, interval, mark, read_rows, real_data, update
from undin.corpora import Corpus
from undin.metrics import METRICS
from undin.mixing import make_manifest, render
from undin.mixing.augment.codecs import codec
from undin.mixing.rooms import draw_room

Array = NDArray[np.float32]

SEED, LEAST_S, PHONE_SR = 50, 3.0, 8000
RT60_S, CODECS, SNRS_DB = (0.3, 1.0), ("mu-law", "gsm"), [0.0, 5.0, 10.0, 15.0, 20.0]
LABELS = {"pesq_wb": "PESQ-WB", "pesq_nb": "PESQ-NB", "stoi": "STOI", "estoi": "ESTOI", "si_sdr_db": "SI-SDR (dB)"}
LABELS |= {"dnsmos_sig": "SIG", "dnsmos_bak": "BAK", "dnsmos_ovrl": "OVRL"}
SETS = {
    "rooms": ["pesq_wb", "stoi", "estoi", "si_sdr_db"],
    "telephone": ["pesq_nb", "stoi", "estoi", "si_sdr_db"],
    "opinions": ["dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl"],
}


def rooms(corpus: Corpus, split: str, n: int = 40) -> Iterator[tuple[str, Array, Array, int]]:
    """Id, reference, microphone signal, sample rate."""
    rng = np.random.default_rng(SEED)
    clips = [c for c in corpus.select(split=split).speech if c.duration_s >= LEAST_S]
    for i, k in enumerate(rng.permutation(len(clips))[:n]):
        x, response = corpus.load(clips[k]), draw_room(rng, 1, RT60_S).responses(corpus.sr)[0]
        yield f"rooms-{i:03d}", response.early(x), response.wet(x), corpus.sr


def telephone(corpus: Corpus, split: str, n: int = 60) -> Iterator[tuple[str, Array, Array, int]]:
    """Id, reference, what arrives, sample rate."""
    kinds = EVERYDAY if split == "test" else None
    rows = make_manifest(corpus, n=n, seed=SEED, snr_db=SNRS_DB, kinds=kinds, split=split, min_duration_s=LEAST_S)
    for i, row in enumerate(rows):
        made = render(row, corpus)
        speech, noisy = (undin.resample(x, corpus.sr, PHONE_SR) for x in (made.speech, made.noisy))
        scale = np.float32(min(1.0, 0.9 / np.abs(noisy).max()))
        yield f"telephone-{i:03d}", scale * speech, codec(scale * noisy, PHONE_SR, CODECS[i % 2]), PHONE_SR


def opinions(corpus: Corpus, split: str) -> Iterator[tuple[str, Array, Array, int]]:
    """Id, speech, mixture, sample rate; the mixtures of the test split, or as many of another."""
    rows = make_manifest(corpus, n=120, seed=MIX_SEED, snr_db=MIX_SNRS_DB, kinds=EVERYDAY, split=split)
    for i, row in enumerate(rows):
        made = render(row, corpus)
        yield f"opinions-{i:03d}", made.speech, made.noisy, corpus.sr


def run(chosen: list[System], split: str, only: str) -> None:
    """Score all, and write a row per method and file; rows of other methods stay."""
    corpus = real_data()
    ways = {s.name: s.enhance for s in chosen} | {"input": lambda x, _: x}
    for name, make in {"rooms": rooms, "telephone": telephone, "opinions": opinions}.items():
        if only not in ("", name):
            continue
        rows = []
        for id, ref, noisy, sr in make(corpus, split):
            for method, way in ways.items():
                scores = score(name, ref, way(noisy, sr), sr)
                rows.append({"method": method, "id": id} | {metric: round(v, 4) for metric, v in scores.items()})
            print(id, flush=True)
        update(path_of(split), rows, LABELS)


def score(name: str, ref: Array, est: Array, sr: int) -> dict[str, float]:
    """The metrics of a set."""
    if name != "opinions":
        return {metric: float(METRICS[metric](ref, est, sr)) for metric in SETS[name]}
    found = undin.metrics.dnsmos(est=est, sr=sr)  # all three at once
    return {metric: float(getattr(found, metric.removeprefix("dnsmos_"))) for metric in SETS[name]}


def path_of(split: str) -> Path:
    """Where the scores of a split lie."""
    return RESULTS / f"conditions_{split}.csv"


def table(split: str, name: str) -> str:
    """Markdown: the input's means in one set, then each method's mean change."""
    rows, metrics = [r for r in read_rows(path_of(split)) if r["id"].startswith(f"{name}-")], SETS[name]
    before = {r["id"]: r for r in rows if r["method"] == "input"}
    lines = [f"|  | {' | '.join(LABELS[m] for m in metrics)} |", "|---" * (len(metrics) + 1) + "|"]
    for method in dict.fromkeys(r["method"] for r in rows):
        mine, cells = [r for r in rows if r["method"] == method], []
        for m in metrics:
            changes = [r[m] - (0.0 if method == "input" else before[r["id"]][m]) for r in mine]
            (mean, half), digits = interval(changes), 1 if m.endswith("_db") else 3
            cells.append(f"{mean:{'' if method == 'input' else '+'}.{digits}f} ± {half:.{digits}f}{mark(method, m)}")
        lines.append(f"| {method if method == 'input' else f'`{method}`'} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"n = {len(before)} recordings of the {split} split; 95 % intervals. {MARKED}"])


def main() -> None:
    words = parser(__doc__)
    words.add_argument("weights", nargs="*", help="NAME=weights.onnx")
    words.add_argument("--split", default="test")
    words.add_argument("--only", default="")
    words.add_argument("--set", default="", choices=["", *SETS])
    options = words.parse_args()
    if options.table:
        print("\n\n".join(table(options.split, name) for name in SETS if options.set in ("", name)))
    else:
        run(systems(options.weights, options.only), options.split, options.set)


if __name__ == "__main__":
    main()
