"""Talkers pulled apart -> scores: in the order that suits the estimates, beside the mixture's and the ideal masks'.

make_separators                methods by name, where all of them separate
score_talkers                  one mixture: SI-SDR and SDR, gained over the mixture; who got which bin
ideal_masks                    what masks that know the talkers reach: IBM, IRM, PSM
evaluate_talkers               methods x mixtures -> scores.csv, summary.json, summary.md
"""

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from undin.corpora import Corpus
from undin.errors import InputError, UndinError
from undin.evaluation.runners import named
from undin.evaluation.statistics import mean_of
from undin.methods import Method, load
from undin.metrics import best_permutation, sdr, si_sdr
from undin.metrics.permutation import permute_best
from undin.mixing import MixtureRow, render
from undin.spectrum import Array, istft, stft

FRAME_S = 0.032
IDEAL = ("ideal binary mask", "ideal ratio mask", "ideal phase-sensitive mask")
COLUMNS = {
    "si_sdr_gain_db": "SI-SDRi (dB)", "sdr_gain_db": "SDRi (dB)", "si_sdr_db": "SI-SDR (dB)",
    "mixture_si_sdr_db": "mixture's (dB)", "accuracy": "bins right", "chance": "all to one",
}  # fmt: skip
SLICES = {"all": "all", "different": "of different gender", "same": "of the same gender"}

Separate = Callable[[Array, int], Array]


def make_separators(methods: Sequence[str]) -> dict[str, Method]:
    """Load methods, ids or paths or "name=id"; nothing where one of them enhances."""
    found = {name: load(source) for name, source in map(named, methods)}
    return found if all(method.n_src for method in found.values()) else {}


@dataclass(frozen=True)
class TalkerScore:
    """How one method did on one mixture; means over its talkers.

    Attributes:
        id: of the mixture.
        method: its name.
        genders: "same", "different", or "" where they are not known.
        si_sdr_gain_db: SI-SDR over the mixture's.
        sdr_gain_db: SDR (BSS-eval, 512 taps) over the mixture's; NaN without scipy.
        si_sdr_db: of the estimates.
        mixture_si_sdr_db: of the mixture.
        accuracy: share of the energy in bins that were given to the talker who is loudest there.
        chance: the same share were all bins given to one talker: what no knowledge reaches.
        error: why there are no scores.
    """

    id: str
    method: str
    genders: str
    si_sdr_gain_db: float = math.nan
    sdr_gain_db: float = math.nan
    si_sdr_db: float = math.nan
    mixture_si_sdr_db: float = math.nan
    accuracy: float = math.nan
    chance: float = math.nan
    error: str = ""


def score_talkers(*, ref: Array, est: Array, noisy: Array, sr: int) -> dict[str, float]:
    """Score one mixture.

    Args:
        ref: (n_src, n_samples) the talkers.
        est: (n_src, n_samples) their estimates, in any order.
        noisy: (n_samples,) the mixture.
        sr: Hz.

    Returns:
        the fields of `TalkerScore` that are numbers.

    Raises:
        InputError: shapes differ, or a talker is silent.

    >>> s = np.random.default_rng(0).standard_normal((2, 8000))
    >>> scores = score_talkers(ref=s, est=s[::-1] + 0.1 * s, noisy=s.sum(0), sr=8000)
    >>> round(scores["si_sdr_gain_db"]), scores["accuracy"] > 0.99
    (20, True)
    """
    mixture = np.broadcast_to(noisy, ref.shape)
    gains: dict[str, float] = {}
    before = np.asarray(si_sdr(ref=ref, est=mixture))
    after, _ = best_permutation(si_sdr, ref=ref, est=est)
    gains |= {"si_sdr_gain_db": float((after - before).mean()), "si_sdr_db": float(after.mean())}
    gains["mixture_si_sdr_db"] = float(before.mean())
    try:
        was, now = np.asarray(sdr(ref=ref, est=mixture)), best_permutation(sdr, ref=ref, est=est)[0]
        gains["sdr_gain_db"] = float((now - was).mean())
    except ImportError:  # scipy is not there
        gains["sdr_gain_db"] = math.nan
    return gains | dict(zip(("accuracy", "chance"), mask_accuracy(ref=ref, est=est, noisy=noisy, sr=sr), strict=True))


def mask_accuracy(*, ref: Array, est: Array, noisy: Array, sr: int) -> tuple[float, float]:
    """Share of the mixture's energy in bins that the estimates and the talkers agree about, and its chance level.

    The best order of the estimates is taken, which alone lifts guessing above one half; the chance level is what one
    estimate that is louder everywhere gets.
    """
    frame = _frame(sr)
    weight = np.square(np.abs(stft(noisy, *frame)))
    right, given = (np.abs(stft(x, *frame)).argmax(0) for x in (ref, est))  # (n_freq, n_frames)
    numbers = range(len(ref))
    agree = np.array([[weight[(right == i) & (given == j)].sum() for j in numbers] for i in numbers], float)
    total = max(float(weight.sum()), 1e-30)
    return float(agree[numbers, permute_best(agree)].sum()) / total, float(agree.sum(1).max()) / total


def ideal_masks(sources: Array, noisy: Array, sr: int) -> dict[str, Array]:
    """What masks with knowledge of the talkers give: name -> (n_src, n_samples), in the order of the sources.

    Args:
        sources: (n_src, n_samples).
        noisy: (n_samples,) the mixture.
        sr: Hz.
    """
    frame = _frame(sr)
    S, X = stft(sources, *frame), stft(noisy, *frame)
    magnitude = np.abs(S)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = magnitude / magnitude.sum(0)
        phase_sensitive = np.clip((S / X).real, 0, 2)
    binary = magnitude.argmax(0) == np.arange(len(S)).reshape(-1, 1, 1)
    masks = dict(zip(IDEAL, (binary, ratio, phase_sensitive), strict=True))
    return {name: istft(np.nan_to_num(M) * X, *frame, length=noisy.shape[-1]) for name, M in masks.items()}


def _frame(sr: int) -> tuple[int, int]:
    hop_length = max(round(FRAME_S * sr / 2), 1)
    return 2 * hop_length, hop_length


def evaluate_talkers(
    rows: Sequence[MixtureRow],
    corpus: Corpus,
    methods: Mapping[str, Separate],
    folder: Path,
    *,
    ideal: bool = True,
    progress: Callable[[int, int], object] | None = None,
) -> list[TalkerScore]:
    """Score methods that separate, and the ideal masks, on mixtures of several talkers.

    Args:
        rows: of a manifest.
        corpus: the one it was made from.
        methods: name -> (x, sr) -> (n_src, n_samples).
        folder: where scores.csv, summary.json and summary.md are left.
        ideal: score the ideal masks as well.
        progress: called with (mixtures done, of all).

    Returns:
        the scores. A method that fails on a mixture has its reason in the row.

    Raises:
        InputError: a row has one talker only.
    """
    genders = {clip.speaker: clip.gender for clip in corpus.rows}
    scores: list[TalkerScore] = []
    for n, row in enumerate(rows, 1):
        if len(row.speech) < 2:
            raise InputError(f"mixture {row.id} has one talker: mix with talkers = 2, or evaluate methods that enhance")
        mixture, pair = render(row, corpus), _pair([genders.get(source.label, "") for source in row.speech])
        oracle = ideal_masks(mixture.sources, mixture.noisy, corpus.sr) if ideal else {}
        for name in (*methods, *oracle):
            try:
                est = oracle[name] if name in oracle else methods[name](mixture.noisy, corpus.sr)
                values = score_talkers(ref=mixture.sources, est=est, noisy=mixture.noisy, sr=corpus.sr)
                scores.append(TalkerScore(row.id, name, pair, **values))  # type: ignore[arg-type]
            except UndinError as error:
                scores.append(TalkerScore(row.id, name, pair, error=" ".join(str(error).split())))
        if progress:
            progress(n, len(rows))
    _write(scores, folder)
    return scores


def _pair(genders: Sequence[str]) -> str:
    if "" in genders:
        return ""
    return "same" if len(set(genders)) == 1 else "different"


def summarise(scores: Sequence[TalkerScore]) -> list[dict[str, Any]]:
    """Means with intervals: a row per method and slice (all, different and same gender)."""
    table = []
    for method in dict.fromkeys(score.method for score in scores):
        for part in SLICES:
            of = [s for s in scores if s.method == method and part in ("all", s.genders)]
            means = {name: mean_of([v for s in of if math.isfinite(v := getattr(s, name))]) for name in COLUMNS}
            if any(means.values()):
                failed = sum(bool(s.error) for s in of)
                table.append({"method": method, "talkers": part, "failed": failed, **_plain(means)})
    return table


def _plain(means: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if mean is None else asdict(mean) for name, mean in means.items()}


def markdown(table: Sequence[Mapping[str, Any]]) -> str:
    """The summary as a table: means ± half of the 95 % interval."""
    lines = ["| | talkers | n | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 3) + "|"]
    for row in table:
        n = max(mean["n"] for name in COLUMNS if (mean := row[name]))
        cells = [row["method"], SLICES[row["talkers"]], str(n), *(_cell(row[name], name) for name in COLUMNS)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(mean: Mapping[str, Any] | None, name: str) -> str:
    if mean is None:
        return "–"
    digits = 2 if name.endswith("_db") else 3
    half = "" if mean["half"] is None else f" ± {mean['half']:.{digits}f}"
    return f"{mean['mean']:.{digits}f}{half}"


def _write(scores: Sequence[TalkerScore], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(TalkerScore.__dataclass_fields__), lineterminator="\n")
        table.writeheader()
        table.writerows({k: _rounded(v) for k, v in asdict(score).items()} for score in scores)
    summary = summarise(scores)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    (folder / "summary.md").write_text(markdown(summary), encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else round(value, 4)
    return value
