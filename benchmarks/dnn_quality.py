"""How much the shipped `dnn` helps, and each of its parts: python -m benchmarks.dnn_quality [RUN] [--table]

The mixtures of `classical_quality`: 100 of test speakers with test recordings of twelve everyday noises, and 100 with
every kind of noise there is, at -5, 0, 5, 10 and 15 dB. RUN is the folder of `undin train dnn-xu2015 --preset
ablation`: with it, its variants are scored on the second hundred instead.
"""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import undin
from benchmarks.classical_quality import SETS, SNRS_DB
from benchmarks.scoring import RESULTS, Scores, labelled, mixture, read, real_data, run, score, table, table_by
from undin.mixing import MixtureRow, make_manifest

METHODS = {"log-mmse": "log-mmse", "dnn": "dnn"}
ABLATION = RESULTS / "dnn_ablation.csv"


def work(corpus: undin.corpora.Corpus, methods: dict[str, str], row: MixtureRow) -> Iterator[Scores]:
    clean, noisy, sr = mixture(row, corpus)
    yield labelled(row, "input", score(clean, noisy, sr))
    for name, method in methods.items():
        yield labelled(row, name, score(clean, undin.enhance(noisy, sr, method=method), sr))


def measure(kinds: list[str] | None, methods: dict[str, str], path: Path) -> list[Scores]:
    corpus = real_data()
    rows = make_manifest(corpus, n=100, seed=2026, snr_db=SNRS_DB, kinds=kinds, split="test")
    return run(rows, partial(work, corpus, methods), path)


def main() -> None:
    show = "--table" in sys.argv
    run_folder = next((Path(word) for word in sys.argv[1:] if not word.startswith("-")), None)
    if run_folder:
        variants = {path.stem: str(path) for path in sorted((run_folder / "train").glob("*.onnx"))}
        print(table(measure(None, variants, ABLATION)))
        return
    for name, kinds in SETS.items():
        path = RESULTS / f"dnn_{name}.csv"
        results = read(path) if show else measure(kinds, METHODS, path)
        print(f"\n**{name} noise**, 100 mixtures, -5 to 15 dB\n\n{table(results)}")
        for metric in ("pesq_wb", "stoi", "si_sdr_db"):
            print(f"\n{metric} per SNR\n\n{table_by(results, 'snr_db', list(METHODS), metric)}")
    if show:
        print(f"\n**what each part is worth**, all noise, 450 steps each\n\n{table(read(ABLATION))}")


if __name__ == "__main__":
    main()
