"""How much NMF helps at 0 dB: python -m benchmarks.nmf_quality [--table | --dev]

40 mixtures of test speakers with test recordings of 20 kinds of noise. "known" noise bases are learned from other
recordings of the same kind (train and dev splits), "blind" ones from the mixture itself; "oracle" ones from the very
noise of the mixture, as an upper bound that no user has. Speech bases are the shipped ones throughout.
Settings were chosen with --dev: development speakers and recordings, noise bases from the train split alone.
"""

import sys
from collections.abc import Iterator
from functools import cache, partial

import undin
from benchmarks.scoring import METRICS, RESULTS, Scores, labelled, read, real_data, run, score, table, table_by
from undin.corpora import Corpus
from undin.methods.nmf import NMF
from undin.mixing import MixtureRow, make_manifest, render

KINDS = [
    "airplane",
    "baby_cry",
    "birds",
    "car_horn",
    "church_bells",
    "clock",
    "crickets",
    "engine",
    "fire",
    "helicopter",
]
KINDS += [
    "keyboard",
    "laughing",
    "rain",
    "sea_waves",
    "siren",
    "snoring",
    "thunderstorm",
    "train",
    "vacuum_cleaner",
    "wind",
]
PRIORS = {"nmf": None, "nmf-exp": "exponential", "nmf-gamma": "gamma"}
LEARN_S = 60.0  # of noise, spread over the recordings of a kind
PATH = RESULTS / "nmf_quality.csv"


@cache
def known_noise(corpus: Corpus, kind: str, splits: tuple[str, ...]) -> NMF:
    """The shipped speech bases with noise bases of a kind."""
    clips = corpus.select(kind=kind, split=splits).noise
    share = max(round(LEARN_S / len(clips) * corpus.sr), corpus.sr)
    return NMF.pretrained(prior="exponential").fit_noise([corpus.load(clip)[:share] for clip in clips], corpus.sr)


def work(corpus: Corpus, row: MixtureRow) -> Iterator[Scores]:
    made, sr = render(row, corpus), corpus.sr
    yield labelled(row, "input", score(made.speech, made.noisy, sr))
    yield labelled(row, "log-mmse", score(made.speech, undin.enhance(made.noisy, sr, method="log-mmse"), sr))
    known = known_noise(corpus, row.kind, ("train",) if row.split == "dev" else ("train", "dev"))
    forms = {"known": known, "blind": NMF.pretrained(prior="exponential")}
    for form, model in forms.items():
        for method, prior in PRIORS.items():
            y = model.with_settings(prior=prior)(made.noisy, sr)
            yield labelled(row, f"{method}, {form}", score(made.speech, y, sr))
    oracle = NMF.pretrained(prior="exponential").fit_noise(made.noise, sr)
    yield labelled(row, "nmf-exp, oracle", score(made.speech, oracle(made.noisy, sr), sr))


def main() -> None:
    split = "dev" if "--dev" in sys.argv else "test"
    path = PATH.with_stem("nmf_quality_dev") if split == "dev" else PATH
    if "--table" in sys.argv:
        results = read(path)
    else:
        corpus = real_data()
        rows = make_manifest(corpus, n=40, seed=2027, snr_db=0.0, kinds=KINDS, split=split)
        results = run(rows, partial(work, corpus), path)
    print(table(results, [metric for metric in METRICS if any(metric in r for r in results)]))
    methods = ["log-mmse", "nmf, known", "nmf-exp, known", "nmf-exp, blind", "nmf-exp, oracle"]
    for metric in ("si_sdr_db", "stoi"):
        print(f"\n{METRICS[metric]} per kind\n\n{table_by(results, 'kind', methods, metric)}")


if __name__ == "__main__":
    main()
