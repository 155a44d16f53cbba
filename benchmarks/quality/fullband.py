"""Speech and noise up to 24 kHz, ours against DeepFilterNet: python -m benchmarks.quality.fullband [--split dev]

UNDIN_DATA names a corpus at 44.1 kHz or more whose clips say where their sound ends (`bandwidth_hz`); only voices that
reach 14 kHz take part. Two sets, from a seed alone:

  mixtures    40 of 6 s with recorded noise at -5 to 15 dB: PESQ at 16 kHz, SI-SDR at the full rate, log-spectral
              distance between 8 and 20 kHz, DNSMOS
  hiss        20 of 6 s with white or pink noise up to half the sample rate. At 10 dB, above 8 kHz, in the frames of
              20 ms that hold noise alone there: the range of the gain (5th to 95th percentile) and its median; at
              20 dB: the voice's energy there, relative to the clean voice's

    NAME=x.onnx     also weights that do not ship, any number of them
    --split NAME    of the corpus, test without it      --only NAMES    these methods alone, by comma
    --table         the tables from the results         --set NAME      mixtures or hiss alone
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import undin
from benchmarks.launch import parser
from benchmarks.peers import System, systems
from benchmarks.scoring import MARKED, RESULTS, Scores, interval, mark, read_rows, real_data, skip, update
from undin.audio import active_level_db
from undin.corpora import Clip, Corpus
from undin.metrics import METRICS, lsd

Array = NDArray[np.float32]

SEED, SECONDS, GAP_S = 22, 6.0, 0.3
REACH_HZ, LEAST_RATE = 14000.0, 44100
SNRS_DB, HISS_DB, QUIET_DB = (-5.0, 0.0, 5.0, 10.0, 15.0), 10.0, 20.0
LOW_HZ, HIGH_HZ = 8000.0, 20000.0
RARE = 0.05  # of the noise's power, or of the voice's strongest frame: below this the voice is absent from a frame
MIXTURES = {
    "pesq_wb": "PESQ-WB",
    "si_sdr_db": "SI-SDR (dB)",
    "lsd_high_db": "LSD 8 to 20 kHz (dB)",
    "dnsmos_ovrl": "DNSMOS",
}
HISS = {"range_db": "range of the gain (dB)", "median_db": "median gain (dB)", "voice_db": "voice energy (dB)"}
SETS = {"mixtures": MIXTURES, "hiss": HISS}


class Voices:
    """Sentences of `SECONDS` by the voices of a split that reach high enough, each of one voice."""

    def __init__(self, corpus: Corpus, split: str) -> None:
        self.corpus = corpus
        clips = [c for c in corpus.select(split=split).speech if (c.bandwidth_hz or corpus.sr / 2) >= REACH_HZ]
        names = sorted({c.speaker for c in clips})
        self.clips = {name: [c for c in clips if c.speaker == name] for name in names}
        if not names:
            skip(f"no voice of the split {split!r} reaches {REACH_HZ:g} Hz")

    def draw(self, rng: np.random.Generator) -> Array:
        """Clips of one voice, with gaps between them."""
        clips, parts, n = self.clips[str(rng.choice(list(self.clips)))], [], round(SECONDS * self.corpus.sr)
        while sum(map(len, parts)) < n:
            parts += [self.corpus.load(_one(clips, rng)), np.zeros(round(GAP_S * self.corpus.sr), np.float32)]
        return np.concatenate(parts)[:n]


def _one(clips: Sequence[Clip], rng: np.random.Generator) -> Clip:
    return clips[int(rng.integers(len(clips)))]


def mixtures(corpus: Corpus, split: str, n: int = 40) -> Iterator[tuple[str, Array, Array]]:
    """Id, clean and noise, with recordings of every kind in turn and every SNR."""
    rng, voices = np.random.default_rng(SEED), Voices(corpus, split)
    recordings = corpus.select(split=split).noise
    for i in range(n):
        speech, x = voices.draw(rng), corpus.load(recordings[i % len(recordings)])
        start = int(rng.integers(max(len(x) - len(speech), 1)))
        noise = np.resize(x[start:], len(speech))
        yield f"mixtures-{i:03d}", speech, _at(noise, speech, SNRS_DB[i // 2 % len(SNRS_DB)], corpus.sr)


def hiss(corpus: Corpus, split: str, n: int = 20) -> Iterator[tuple[str, Array, Array]]:
    """Id, clean and noise at `HISS_DB`: white and pink by turns."""
    rng, voices = np.random.default_rng(SEED + 1), Voices(corpus, split)
    for i in range(n):
        speech = voices.draw(rng)
        N = np.fft.rfft(rng.standard_normal(len(speech)))
        noise = np.fft.irfft(N / np.sqrt(np.maximum(np.arange(len(N)), 1.0)) if i % 2 else N, len(speech))
        yield f"hiss-{i:03d}", speech, _at(noise.astype(np.float32), speech, HISS_DB, corpus.sr)


def _at(noise: Array, speech: Array, snr_db: float, sr: int) -> Array:
    """The noise, scaled to an SNR over the time that the voice speaks."""
    noise_db = 10 * np.log10(np.mean(np.square(noise, dtype=float)) + 1e-20)
    scaled: Array = noise * np.float32(10 ** ((active_level_db(speech, sr) - snr_db - noise_db) / 20))
    return scaled


def score_mixture(enhance: Callable[[Array], Array], speech: Array, noise: Array, sr: int) -> Scores:
    """The columns of `MIXTURES`."""
    y = enhance(speech + noise)
    scores = {name: METRICS[name](speech, y, sr) for name in MIXTURES if name in METRICS}
    high = [_between(x, sr, LOW_HZ, HIGH_HZ) for x in (speech, y)]
    return scores | {"lsd_high_db": lsd(ref=high[0], est=high[1], sr=sr)}


def _between(x: Array, sr: int, low_hz: float, high_hz: float) -> Array:
    """The signal between two frequencies."""
    X, f = np.fft.rfft(x), np.fft.rfftfreq(len(x), 1 / sr)
    y: Array = np.fft.irfft(X * ((f >= low_hz) & (f <= high_hz)), len(x)).astype(np.float32)
    return y


def score_hiss(enhance: Callable[[Array], Array], speech: Array, noise: Array, sr: int) -> Scores:
    """The columns of `HISS`; the first half second is left out, in which a method may settle."""
    quiet = noise * np.float32(10 ** ((HISS_DB - QUIET_DB) / 20))
    x, s, d = (_power_high(v, sr) for v in (speech + noise, speech, noise))
    y, y_quiet = (_power_high(enhance(v), sr) for v in (speech + noise, speech + quiet))
    alone, voiced = s < RARE * d, s > RARE * s.max()
    alone[: round(0.5 / 0.01)] = False
    gain_db = 10 * np.log10(y[alone] / x[alone] + 1e-12)
    low, median, high = np.percentile(gain_db, (5, 50, 95))
    return {
        "range_db": float(high - low),
        "median_db": float(median),
        "voice_db": float(10 * np.log10(y_quiet[voiced].sum() / s[voiced].sum())),
    }


def _power_high(x: Array, sr: int) -> NDArray[np.float64]:
    """Power above `LOW_HZ` in frames of 20 ms every 10 ms."""
    n = 2 * round(0.01 * sr)
    power = np.square(np.abs(undin.stft(x, n, n // 2))[round(LOW_HZ * n / sr) + 4 :]).sum(0, dtype=float)
    return np.asarray(power)


def run(chosen: Sequence[System], corpus: Corpus, split: str, only: str) -> None:
    """Score all, and write a row per method and file; rows of other methods stay."""
    rows: list[Scores] = []
    score = {"mixtures": score_mixture, "hiss": score_hiss}
    for name, make in {"mixtures": mixtures, "hiss": hiss}.items():
        if only in ("", name):
            for id, speech, noise in make(corpus, split):
                ways = {s.name: s.enhance for s in chosen} | {"input": lambda x, _: x}
                for method, way in ways.items():
                    found = score[name](lambda x, way=way: way(x, corpus.sr), speech, noise, corpus.sr)
                    rows.append({"method": method, "id": id} | {k: round(v, 4) for k, v in found.items()})
                print(id, flush=True)
    update(path_of(split), rows, [*MIXTURES, *HISS])


def path_of(split: str) -> Path:
    """Where the scores of a split lie."""
    return RESULTS / f"fullband_{split}.csv"


def table(split: str, name: str) -> str:
    """Markdown: every method's mean in one set, the input's first."""
    columns, rows = SETS[name], [r for r in read_rows(path_of(split)) if r["id"].startswith(f"{name}-")]
    lines = [f"|  | {' | '.join(columns.values())} |", "|---" * (len(columns) + 1) + "|"]
    for method in dict.fromkeys(r["method"] for r in rows):
        of = {c: interval([r[c] for r in rows if r["method"] == method]) for c in columns}
        label = method if method == "input" else f"`{method}`"
        cells = [f"{mean:.2f} ± {half:.2f}{mark(method, c)}" for c, (mean, half) in of.items()]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    n = len({r["id"] for r in rows})
    return "\n".join([*lines, "", f"n = {n} recordings of the {split} split; 95 % intervals. {MARKED}"])


def main() -> None:
    words = parser(__doc__)
    words.add_argument("weights", nargs="*", help="NAME=weights.onnx")
    words.add_argument("--split", default="test")
    words.add_argument("--only", default="")
    words.add_argument("--set", default="", choices=["", *SETS])
    options = words.parse_args()
    if options.table:
        print("\n\n".join(table(options.split, name) for name in SETS if options.set in ("", name)))
        return
    corpus = real_data()
    if corpus.sr < LEAST_RATE:
        skip(f"UNDIN_DATA has sound at {corpus.sr} Hz; this benchmark needs a corpus at {LEAST_RATE} Hz or more")
    run(systems(options.weights, options.only), corpus, options.split, options.set)


if __name__ == "__main__":
    main()
