"""Who talks when, and how many: python -m benchmarks.quality.conversations [NAME=x.onnx ...] [--table]

Separators as `undin separate` uses them: on conversations of two people over 10 minutes (turns with pauses and
overlaps; utterances are repeated where there are too few), on 8 s with nobody, one and two talkers, and, where a method
recognizes voices, on 8 s of two talkers with a sample of one of them and of a stranger. Half of the short recordings
have noise at 5 to 15 dB. The times at which somebody talks are those of the clean voice by the rules of
`undin.activity`.

    --split NAME      of speakers and noise; dev. The test split is scored once, and nothing is chosen by it
    --share SHARE     of the recordings; 1
    --only NAMES      these methods, by comma; results of others are kept
"""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

import undin
from benchmarks.launch import parser
from benchmarks.scoring import RESULTS, interval, read_table, real_data, skip, write_table
from undin.activity import Activity
from undin.corpora import Corpus
from undin.errors import InputError
from undin.methods import SEPARATOR, Method, Separator
from undin.methods.separator import describe_voice
from undin.mixing.mix import cut
from undin.mixing.scenes import in_turns, overlapping

PATH = RESULTS / "conversations.csv"
SEED, N_TALKS, N_COUNTS, N_VOICES = 23, 20, 300, 200
TALK_S, SCENE_S, SHORT_S, SAMPLE_S = 600.0, 30.0, 8.0, 4.0
GAP_S, LEVEL_DB, SNR_DB = (-1.5, 1.0), (-5.0, 0.0), (5.0, 15.0)
FRAME_S, COLLAR_S = 0.01, 0.25
VALUES = {
    "solo": "solo speech on one track",
    "der": "diarization error rate",
    "der_one": "of one talker throughout",
    "count_0": "nobody counted",
    "count_1": "one talker counted",
    "count_2": "two talkers counted",
    "lone_db": "lone talker: second output (dB)",
    "lone": "at least 30 dB below",
    "voice": "right talker by voice",
    "stranger": "voice of a stranger is not found",
}
Samples = NDArray[np.float32]
Turns = list[list[tuple[float, float]]]


class Scenes:
    """Draws recordings of one corpus and split."""

    def __init__(self, corpus: Corpus, split: str, seed: int) -> None:
        part = corpus.select(split=split)
        self.corpus, self.sr, self.rng = corpus, corpus.sr, np.random.default_rng([SEED, seed])
        self._noises = part.noise
        self._clips: dict[str, list[Any]] = {}
        for clip in part.speech:
            self._clips.setdefault(clip.speaker, []).append(clip)
        self._clips = {k: v for k, v in self._clips.items() if sum(clip.duration_s for clip in v) >= SHORT_S}

    def voices(self, n: int, seconds: float) -> Samples:
        """Utterances of n people one after another, (n, n_samples), levels 5 dB apart at most."""
        names = self.rng.permutation(sorted(self._clips))[:n]
        return np.stack([self._voice(name, round(seconds * self.sr)) for name in names])

    def _voice(self, name: str, n_samples: int) -> Samples:
        clips = [self.corpus.load(clip) for clip in self._clips[name]]
        x = np.concatenate([clips[k] for k in self.rng.permutation(len(clips))])
        x *= 0.05 * 10 ** (self.rng.uniform(*LEVEL_DB) / 20) / np.sqrt(np.mean(x**2))
        return cut(x, n_samples, 0)

    def noise(self, n_samples: int) -> Samples:
        """Noise at 5 to 15 dB under a level of 0.05."""
        x = self.corpus.load(self._noises[int(self.rng.integers(len(self._noises)))])
        gain = 0.05 * 10 ** (-self.rng.uniform(*SNR_DB) / 20) / max(float(np.sqrt(np.mean(x**2))), 1e-6)
        return cut(np.float32(gain) * x, n_samples, 0)

    def talk(self, seconds: float) -> Samples:
        """A conversation of two, (2, n_samples)."""
        s = self.voices(2, seconds)
        n = round(SCENE_S * self.sr)
        for start in range(0, s.shape[-1], n):
            scene = s[:, start : start + n]
            spans = in_turns(2, scene.shape[-1], self.sr, GAP_S, self.rng)
            scene *= np.stack([_within(each, scene.shape[-1]) for each in spans])
        return s

    def short(self, n_talkers: int, *, noisy: bool) -> Samples:
        """The sum of up to two talkers who start and stop at their own times, and of noise."""
        n = round(SHORT_S * self.sr)
        x = np.zeros(n, np.float32)
        if n_talkers:
            s = self.voices(n_talkers, SHORT_S)
            spans = overlapping(2, n, self.sr, GAP_S, self.rng) if n_talkers == 2 else [[(0, n)]]
            x += sum(each * _within(span, n) for each, span in zip(s, spans, strict=True))
        return x + self.noise(n) if noisy else x


def _within(spans: list[tuple[int, int]], n: int) -> Samples:
    kept = np.zeros(n, np.float32)
    for start, end in spans:
        kept[start:end] = 1
    return kept


def separated(method: Method, x: Samples, sr: int, **options: Any) -> tuple[Samples, Separator]:
    """The outputs, and the separator that knows who talks when."""
    separator = Separator(method, sr, **options)
    return np.concatenate([separator.process(x), separator.flush()], -1), separator


def frames(turns: Turns, n_frames: int) -> NDArray[np.bool_]:
    """Who talks in each frame, (n_src, n_frames)."""
    talks = np.zeros((len(turns), n_frames), bool)
    for row, spans in zip(talks, turns, strict=True):
        for start, end in spans:
            row[round(start / FRAME_S) : round(end / FRAME_S)] = True
    return talks


def error_rate(ref: NDArray[np.bool_], est: NDArray[np.bool_]) -> float:
    """Diarization error rate: missed, false and confused time re the time talked, except near the ends of turns."""
    n = round(COLLAR_S / FRAME_S)
    counts = np.ones(ref.shape[1], bool)
    for at in np.unique(np.flatnonzero(np.diff(ref, axis=1).any(0))):
        counts[max(at + 1 - n, 0) : at + 1 + n] = False
    ref, est = ref[:, counts], est[:, counts]
    right = max(int((ref & est[list(order)]).sum()) for order in permutations(range(len(est)), len(ref)))
    return float((np.maximum(ref.sum(0), est.sum(0)).sum() - right) / max(ref.sum(), 1))


def on_one_track(ref: NDArray[np.bool_], y: Samples) -> float:
    """Share of the time in which one talks alone that is on this talker's output, in the best order."""
    n = y.shape[-1] // ref.shape[1]
    level = np.square(y[:, : n * ref.shape[1]], dtype=float).reshape(2, -1, n).sum(-1)
    alone, first = ref.sum(0) == 1, level[0] > level[1]
    share = float((first[alone] == ref[0, alone]).mean())
    return max(share, 1 - share)


def scores(method: Method, corpus: Corpus, split: str, share: float) -> Iterator[tuple[str, float]]:
    """Name and value of each measurement."""
    sr = corpus.sr
    for i in range(max(round(share * N_TALKS), 1)):
        s = Scenes(corpus, split, i).talk(TALK_S * min(1, 5 * share))
        y, separator = separated(method, s.sum(0), sr)
        n_frames = s.shape[-1] // round(FRAME_S * sr)
        ref = frames([_turns(x, sr) for x in s], n_frames)
        yield "solo", on_one_track(ref, y)
        yield "der", error_rate(ref, frames(separator.turns, n_frames))
        yield "der_one", error_rate(ref, np.stack([ref.any(0), np.zeros(n_frames, bool)]))
    for i in range(round(share * N_COUNTS)):
        n = i % 3
        y, separator = separated(method, Scenes(corpus, split, 1000 + i).short(n, noisy=i % 2 == 0), sr)
        yield f"count_{n}", separator.n_talkers == n
        if n == 1 and i % 2:
            energy = np.square(y, dtype=float).sum(-1)
            yield "lone_db", max(10 * np.log10(max(energy.min() / energy.max(), 1e-10)), -100.0)
            yield "lone", energy.min() <= 1e-3 * energy.max()
    for i in range(round(share * N_VOICES) if method.has_voice else 0):
        yield from by_voice(method, Scenes(corpus, split, 2000 + i), noisy=i % 2 == 0)


def _turns(x: Samples, sr: int) -> list[tuple[float, float]]:
    activity = Activity(1, sr)
    activity.process(x[None])
    activity.flush()
    return activity.turns[0]


def by_voice(method: Method, scenes: Scenes, *, noisy: bool) -> Iterator[tuple[str, float]]:
    """Whether the output for a sample of one of two talkers is that talker, and whether a third person is not found."""
    n, k = round(SAMPLE_S * scenes.sr), int(scenes.rng.integers(2))
    voices = scenes.voices(3, SHORT_S + SAMPLE_S)
    samples, s = voices[:, :n], voices[:2, n:]
    x = s.sum(0) + (scenes.noise(s.shape[-1]) if noisy else np.float32(0))
    found = []
    for sample in (samples[k], samples[2]):
        try:
            found.append(separated(method, x, scenes.sr, voice=describe_voice(method, sample, scenes.sr))[0][0])
        except InputError:
            found.append(None)
    likeness = [0.0, 0.0] if found[0] is None else np.abs(s @ found[0]) / np.linalg.norm(s, axis=1)
    yield "voice", found[0] is not None and np.argmax(likeness) == k
    yield "stranger", found[1] is None


def measure(methods: dict[str, Method], corpus: Corpus, split: str, share: float) -> None:
    """Write a row per method and measurement; rows of others stay."""
    for name, method in methods.items():
        rows = [row for row in read_table(PATH) if (row["method"], row["split"]) != (name, split)]
        for key, value in scores(method, corpus, split, share):
            rows.append({"method": name, "split": split, "name": key, "value": f"{float(value):.4f}"})
            print(f"{name}: {key} {float(value):.3f}", flush=True)
        write_table(PATH, rows)


def show() -> None:
    """The table."""
    if not PATH.exists():
        skip(f"{PATH.name} has not been measured: run it without --table")
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in read_table(PATH):
        found.setdefault((row["method"], row["split"]), {}).setdefault(row["name"], []).append(float(row["value"]))
    print("| | " + " | ".join(f"{method}, {split}" for method, split in found) + " |")
    print("|---" * (len(found) + 1) + "|")
    for key, words in VALUES.items():
        print(f"| {words} | {' | '.join(_cell(each.get(key, [])) for each in found.values())} |")


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    mean, half = interval(values)
    return f"{mean:.3f} ± {half:.3f} (n = {len(values)})"


def main() -> None:
    words = parser(__doc__)
    words.add_argument("weights", nargs="*", metavar="NAME=FILE", help="weights that do not ship")
    words.add_argument("--split", default="dev", help="of speakers and noise")
    words.add_argument("--share", type=float, default=1.0, help="of the recordings")
    words.add_argument("--only", type=lambda text: text.split(","), help="these methods, by comma")
    options = words.parse_args()
    if not options.table:
        methods = {SEPARATOR: undin.load(SEPARATOR)}
        methods |= {name: undin.load(path) for name, _, path in (w.partition("=") for w in options.weights)}
        methods = {name: method for name, method in methods.items() if options.only is None or name in options.only}
        measure(methods, real_data(), options.split, options.share)
    show()


if __name__ == "__main__":
    main()
