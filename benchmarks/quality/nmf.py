"""How much NMF helps at 0 dB: python -m benchmarks.quality.nmf [--table | --dev]

40 mixtures of test speakers with test recordings of 20 kinds of noise. "known" noise bases are learned from other
recordings of the same kind (train and dev splits), "blind" ones from the mixture itself; "oracle" ones from the very
noise of the mixture, as an upper bound that no user has. Speech bases are the shipped ones throughout.
Settings were chosen with --dev: development speakers and recordings, noise bases from the train split alone.
"""

from functools import cache, partial

from benchmarks.launch import parser
from benchmarks.scoring import METRICS, RESULTS, methods, read, real_data, run, table, table_by
from undin.corpora import Corpus
from undin.evaluation import Oracle, System
from undin.methods.nmf import NMF
from undin.mixing import Mixture, make_manifest
from undin.spectrum import Array

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


def enhanced(corpus: Corpus, form: str, prior: str | None, mixture: Mixture, sr: int) -> Array:
    """What NMF with one form of noise bases returns."""
    model = NMF.pretrained(prior="exponential")
    if form == "known":
        splits = ("train",) if mixture.row.split == "dev" else ("train", "dev")
        model = known_noise(corpus, mixture.row.kind, splits)
    if form == "oracle":
        model = model.fit_noise(mixture.noise, sr)
    return model.with_settings(prior=prior)(mixture.noisy, sr)


def compared(corpus: Corpus) -> list[System]:
    """Every form with every prior, and log-MMSE."""
    ways = [(form, name) for form in ("known", "blind") for name in PRIORS] + [("oracle", "nmf-exp")]
    return [
        *methods(["log-mmse"]),
        *(Oracle(f"{name}, {form}", partial(enhanced, corpus, form, PRIORS[name])) for form, name in ways),
    ]


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--dev", action="store_true", help="the development split instead of the test split")
    options = words.parse_args()
    split = "dev" if options.dev else "test"
    path = PATH.with_stem("nmf_quality_dev") if split == "dev" else PATH
    if options.table:
        results = read(path)
    else:
        corpus = real_data()
        rows = make_manifest(corpus, n=40, seed=2027, snr_db=0.0, kinds=KINDS, split=split)
        results = run(rows, corpus, compared(corpus), path)
    print(table(results, [metric for metric in METRICS if any(metric in r for r in results)]))
    shown = ["log-mmse", "nmf, known", "nmf-exp, known", "nmf-exp, blind", "nmf-exp, oracle"]
    for metric in ("si_sdr_db", "stoi"):
        print(f"\n{METRICS[metric]} per kind\n\n{table_by(results, 'kind', shown, metric)}")


if __name__ == "__main__":
    main()
