"""Make the mini corpus that is shipped inside undin: speech by free synthesizers, noise by numpy, as Ogg Opus.

    apt-get install espeak-ng flite festival festvox-kallpc16k festvox-us-slt-hts
    python scripts/make_mini_corpus.py            writes src/undin/mini/{speech,noise}/ and its two tables

The sentences were written for this corpus. Noise is the same to the bit for the same seeds until it is encoded (babble
as far as the synthesizers are). `card.md` next to the tables is written by hand: update it when something here changes.
"""

import csv
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from undin.audio import read, resample

SR = 16000
GAP_S = 0.1  # silence between the utterances of one file
LEVEL_DB, PEAK = -26.0, 0.65  # RMS in dBFS; the peak leaves room for what Opus adds
BITRATE = {"speech": 20_000, "noise": 16_000}
MINI = Path(__file__).parents[1] / "src" / "undin" / "mini"


class Voice(NamedTuple):
    """One speaker: what the synthesizer calls the voice, and what it says."""

    speaker: str
    gender: str
    language: str
    split: str
    engine: str
    voice: str
    sentences: str  # one a line


VOICES = [
    Voice("kal", "M", "en", "train", "festival", "kal_diphone", """\
        The ferry leaves the harbour at quarter past seven.
        She planted four rows of beans behind the shed.
        Our train was held up by snow near the bridge.
        Please put the blue folder back on the shelf.
        Half the choir had forgotten the second verse.
        A young fox crossed the yard before sunrise."""),
    Voice("rms", "M", "en", "train", "flite", "rms", """\
        The baker opens his shop while the town still sleeps.
        My uncle keeps thirteen clocks in a narrow hallway.
        You should oil the hinge before the gate jams.
        They measured the width of the river with a rope.
        Fresh paint dries slowly when the air is damp.
        Nobody noticed the small boat drifting out to sea."""),
    Voice("annie", "F", "en", "train", "espeak-ng", "en-us+Annie", """\
        Every Thursday we share a pot of onion soup.
        The yellow kite got caught in a chestnut tree.
        Could you check whether the oven is switched off?
        He whistled a slow tune that none of us knew.
        Two judges argued about the shape of the vase.
        The path gets steep just beyond the old mill."""),
    Voice("frieda", "F", "de", "train", "espeak-ng", "de+f2", """\
        Der Zug nach Lübeck fährt heute von Gleis neun.
        Im Garten blühen schon die ersten Kirschbäume.
        Meine Nachbarin backt jeden Freitag frisches Brot.
        Kannst du bitte das Fenster in der Küche schließen?
        Wir haben den Schlüssel unter der Matte gefunden.
        Die Kinder spielten bis spät am Abend im Hof."""),
    Voice("mateo", "M", "es", "dev", "espeak-ng", "es+m5", """\
        El barco sale del puerto a las siete y cuarto.
        Mi hermana guarda las llaves en una caja verde.
        Ayer llovió toda la tarde sobre los tejados.
        El panadero abre su tienda antes del amanecer.
        Los niños buscaban conchas cerca del faro.
        Hay un reloj muy viejo en la plaza del pueblo."""),
    Voice("awb", "M", "en", "test", "flite", "awb", """\
        The museum is closed on the first Monday of June.
        A gust of wind blew the letters off the desk.
        He fixed the leaking tap with a piece of string.
        Six geese were standing in the middle of the road.
        Choose a ripe melon and cut it into thin slices.
        The village school has only eleven pupils this year."""),
    Voice("slt", "F", "en", "test", "festival", "cmu_us_slt_arctic_hts", """\
        The engineer drew a quick sketch of the valve.
        Warm milk with honey helps me fall asleep.
        Both of the brothers learned to juggle in Spain.
        We hung the wet coats beside the kitchen stove.
        Why did the pharmacist change the label again?
        The last bus goes past the football ground."""),
    Voice("lucia", "F", "es", "test", "espeak-ng", "es+f4", """\
        La abuela prepara sopa de pescado los domingos.
        Perdimos el último tren por culpa de la nieve.
        El gato duerme encima de la mesa del despacho.
        ¿Puedes traer otra silla para nuestro invitado?
        Un zorro joven cruzó el patio antes del alba.
        Compramos queso, aceitunas y un pan muy grande."""),
]  # fmt: skip

# Babble: other sentences than the clean ones, spoken by the voices of the same split and by three more.
GUESTS = {"train": ["en-us+m3", "en-us+f1", "en-us+m7"], "test": ["en-us+steph", "en-us+Andy", "en-us+f5"]}
CHATTER = {
    "en": """\
        I told them the meeting was moved to the larger room, but hardly anybody read the message.
        Well, the garden needs a new fence, and the gate has been broken since the storm in March.
        Then we took the wrong turn at the lighthouse and drove along the coast for an hour.
        They are selling the house next to the library, the one with the green door and the porch.
        Honestly, the soup was cold, the music was loud, and still everyone had a lovely evening.""",
    "de": """\
        Gestern wollten wir ins Kino gehen, aber dann kam der Besuch viel früher als erwartet.""",
    "es": """\
        Después de comer fuimos a pasear por la orilla del río, porque hacía un tiempo estupendo.""",
}


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def say(engine: str, voice: str, text: str) -> np.ndarray:
    """Synthesize one sentence, (n_samples,) at SR with its silent edges cut to 50 ms and its length on 10 ms."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out.wav"
        if engine == "festival":
            script = f'(voice_{voice}) (utt.save.wave (utt.synth (Utterance Text "{text}")) "{out}" \'riff)'
            subprocess.run(["festival", "--pipe"], input=script, text=True, check=True)
        elif engine == "flite":
            slower = ["--setf", "duration_stretch=1.12"] if voice == "awb" else []
            subprocess.run(["flite", "-voice", voice, *slower, "-t", text, "-o", out], check=True)
        else:
            words_per_minute = "145" if voice.startswith("en") else "165"
            subprocess.run(["espeak-ng", "-v", voice, "-s", words_per_minute, "-w", out, text], check=True)
        x = resample(*read(out, dtype=np.float64), SR)
    hop = SR // 100
    frames = x[: len(x) // hop * hop].reshape(-1, hop)
    loud = np.flatnonzero(frames.std(1) > 0.01 * frames.std(1).max())  # within 40 dB of the loudest 10 ms
    x = frames[max(loud[0] - 5, 0) : loud[-1] + 6].ravel().copy()
    x[:hop] *= np.linspace(0, 1, hop)
    x[-hop:] *= np.linspace(1, 0, hop)
    return x - x.mean()


# Noise: each function gives (n,) of any level from its own generator; the keywords are what differs between recordings.


def colored(n: int, rng: np.random.Generator, gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Gaussian noise with the magnitude response gain(f in Hz)."""
    f = np.fft.rfftfreq(n, 1 / SR)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * gain(np.maximum(f, 20.0)), n)


def unit(x: np.ndarray) -> np.ndarray:
    return x / x.std()


def drift(n: int, rng: np.random.Generator, cutoff: float) -> np.ndarray:
    """A slow random curve with unit variance: cosine steps between random knots, 2 * cutoff of them a second."""
    t = np.arange(n) / SR * 2 * cutoff
    knots = rng.standard_normal(int(t[-1]) + 2)
    k, u = t.astype(int), (1 - np.cos(np.pi * (t % 1))) / 2
    return unit(knots[k] * (1 - u) + knots[k + 1] * u)


def tones(n: int, f0: np.ndarray | float, amplitudes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Harmonics 1, 2, ... of f0 (a number or a curve) with random phases."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0, n)) / SR
    starts = rng.uniform(0, 2 * np.pi, len(amplitudes))
    return sum(a * np.sin((k + 1) * phase + starts[k]) for k, a in enumerate(amplitudes))


def ring(f: float, decay_s: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """One knock: a decaying tone of f Hz with decaying noise."""
    t = np.arange(n) / SR
    return np.exp(-t / decay_s) * (np.sin(2 * np.pi * f * t) + 0.4 * rng.standard_normal(n))


def add(x: np.ndarray, at: int, piece: np.ndarray) -> None:
    x[at : at + len(piece)] += piece[: max(len(x) - at, 0)]


def white(n, rng):
    return rng.standard_normal(n)


def pink(n, rng):
    return colored(n, rng, lambda f: f**-0.5)


def hum(n, rng, *, mains=50.0, buzz=1.0):
    k = np.arange(1, 81)
    strength = k**-buzz * np.exp(-k / 20) * np.where(k % 2, 1.0, 0.5)  # odd harmonics lead: a saturated core
    return unit(tones(n, mains + 0.02 * drift(n, rng, 0.5), strength, rng)) + 0.02 * unit(pink(n, rng))


def engine(n, rng, *, rev_hz=27.0, wobble=0.02):
    f0 = rev_hz * (1 + wobble * drift(n, rng, 0.6))
    firing = tones(n, 2 * f0, np.exp(-np.arange(12) / 4), rng)  # a four-stroke four fires twice a turn
    body = 0.5 * tones(n, f0, 1 / np.arange(1, 9), rng)
    intake = colored(n, rng, lambda f: 1 / (1 + (f / 700) ** 2)) * (1.3 + np.sin(4 * np.pi * np.cumsum(f0) / SR))
    return firing + body + 0.6 * unit(intake) + 0.05 * white(n, rng)


def rain(n, rng, *, drops_per_s=500, roof_hz=2500.0):
    x = 0.25 * unit(colored(n, rng, lambda f: (f / (f + 1500)) / (1 + (f / 6000) ** 2)))
    for at in rng.integers(0, n, int(drops_per_s * n / SR)):
        f = roof_hz * np.exp(0.5 * rng.standard_normal())
        add(x, at, 0.5 * rng.lognormal(0, 0.5) * ring(min(f, 7000), 0.0012, 120, rng))
    return x


def keyboard(n, rng, *, keys_per_s=7.0, case_hz=420.0):
    x, at = 0.003 * unit(pink(n, rng)), int(0.1 * SR)
    while at < n - SR // 5:
        loud = rng.lognormal(0, 0.2)
        add(x, at, loud * 0.5 * ring(rng.uniform(2500, 4500), 0.002, 320, rng))  # the cap meets the finger
        down = at + int(rng.uniform(0.015, 0.03) * SR)
        add(x, down, loud * ring(case_hz * rng.uniform(0.8, 1.3), 0.008, 1200, rng))  # the key meets the case
        add(x, down + int(rng.uniform(0.06, 0.1) * SR), 0.35 * loud * ring(rng.uniform(1800, 3500), 0.003, 480, rng))
        at += int(SR * (rng.gamma(4, 1 / (4 * keys_per_s)) + (rng.random() < 0.08) * 0.4))  # and a thought now and then
    return x


def siren(n, rng, *, low=600.0, high=1350.0, period_s=3.4):
    sweep = (1 - np.cos(2 * np.pi * (np.arange(n) / SR / period_s + rng.random()))) / 2
    x = tones(n, low * (high / low) ** sweep, np.array([1, 0.35, 0.4, 0.1, 0.12]), rng)
    return x * (1 + 0.2 * drift(n, rng, 1.5)) + 0.08 * unit(pink(n, rng))


def fan(n, rng, *, blade_hz=96.0, flutter=0.15):
    air = colored(n, rng, lambda f: (f / (f + 80)) / (1 + (f / 900) ** 1.3))
    f0 = blade_hz * (1 + 0.002 * drift(n, rng, 0.5))
    beat = 1 + flutter * np.sin(2 * np.pi * np.cumsum(f0) / SR)
    return unit(air) * beat + 0.25 * tones(n, f0, np.array([1, 0.6, 0.3, 0.2]), rng)


def wind(n, rng, *, gusts_hz=0.7, whistle_hz=480.0):
    gust = np.exp(0.6 * drift(n, rng, gusts_hz))
    low = colored(n, rng, lambda f: 1 / (1 + (f / 90) ** 1.5))
    high = colored(n, rng, lambda f: np.exp(-0.5 * (np.log(f / whistle_hz) / 0.25) ** 2))
    return gust * unit(low) + 0.25 * gust**2 * unit(high) + 0.01 * white(n, rng)


def babble(n, rng, *, split, per_voice=2):
    """Sum talkers who never stop, each at its own level, from random places in what they say."""
    talkers = [(v.engine, v.voice, v.language) for v in VOICES if v.split == split] * per_voice
    talkers += [("espeak-ng", voice, "en") for voice in GUESTS[split]] * per_voice
    x = np.zeros(n)
    for i, (name, voice, language) in enumerate(talkers):
        said = lines(CHATTER[language])
        y = np.concatenate([say(name, voice, said[(i + k) % len(said)]) for k in range(min(2, len(said)))])
        y = np.roll(y, -rng.integers(len(y)))
        x += np.resize(unit(y), n) * 10 ** (rng.uniform(-2, 2) / 20)
    return x


# kind -> split -> (seed, seconds, what differs)
NOISES: dict[Callable, dict[str, tuple[int, float, dict]]] = {
    white: {"train": (11, 6.0, {}), "test": (12, 6.0, {})},
    pink: {"train": (21, 6.0, {}), "dev": (23, 6.0, {}), "test": (22, 6.0, {})},
    hum: {"train": (31, 6.0, {}), "test": (32, 6.0, {"mains": 60.0, "buzz": 0.7})},
    babble: {"train": (41, 8.0, {"split": "train"}), "test": (42, 8.0, {"split": "test"})},
    engine: {
        "train": (51, 6.0, {}),
        "dev": (53, 6.0, {"rev_hz": 18.0}),
        "test": (52, 6.0, {"rev_hz": 41.0, "wobble": 0.04}),
    },
    rain: {"train": (61, 6.0, {}), "test": (62, 6.0, {"drops_per_s": 250, "roof_hz": 1700.0})},
    keyboard: {
        "train": (71, 6.0, {}),
        "dev": (73, 6.0, {"keys_per_s": 4.0}),
        "test": (72, 6.0, {"keys_per_s": 9.0, "case_hz": 650.0}),
    },
    siren: {"train": (81, 7.0, {}), "test": (82, 6.0, {"low": 700.0, "high": 1600.0, "period_s": 0.45})},
    fan: {"train": (91, 6.0, {}), "test": (92, 6.0, {"blade_hz": 141.0, "flutter": 0.3})},
    wind: {"train": (101, 7.0, {}), "test": (102, 7.0, {"gusts_hz": 1.2, "whistle_hz": 650.0})},
}


def make_noise(kind: Callable, split: str) -> np.ndarray:
    """Synthesize one recording of NOISES, (n_samples,) at the corpus's level, on the grid of 16 bits."""
    seed, seconds, settings = NOISES[kind][split]
    x = levelled(kind(int(seconds * SR), np.random.default_rng(seed), **settings))
    return np.round(x * 2**15) / 2**15


def levelled(x: np.ndarray) -> np.ndarray:
    x = x - x.mean()
    return x * min(10 ** (LEVEL_DB / 20) / x.std(), PEAK / np.abs(x).max())


def encode(path: Path, pieces: list[np.ndarray], bitrate: int) -> list[dict]:
    """Write the pieces to one Opus file with GAP_S between, at the level that they have after decoding."""
    path.parent.mkdir(parents=True, exist_ok=True)
    starts = np.cumsum([0] + [len(x) + int(GAP_S * SR) for x in pieces]).tolist()
    spans = [slice(at, at + len(piece)) for at, piece in zip(starts, pieces, strict=False)]
    level = 1 - (bitrate - 6000) / 250_000  # libsndfile maps compression_level 1 ... 0 to 6 ... 256 kbit/s a channel
    for _ in range(3):  # Opus takes up to 3 dB from noise: encode, measure, correct
        x = np.zeros(spans[-1].stop)
        for span, piece in zip(spans, pieces, strict=True):
            x[span] = piece
        soundfile.write(path, x, SR, format="OGG", subtype="OPUS", compression_level=level)
        y, _ = soundfile.read(path)
        pieces = [piece * levelled(y[span]).std() / y[span].std() for span, piece in zip(spans, pieces, strict=True)]
    return [{"offset_s": f"{s.start / SR:.4f}", "duration_s": f"{(s.stop - s.start) / SR:.4f}"} for s in spans]


def make_speech() -> list[dict]:
    rows = []
    for v in VOICES:
        path = f"speech/{v.split}/{v.speaker}.opus.ogg"
        said = lines(v.sentences)
        spans = encode(MINI / path, [levelled(say(v.engine, v.voice, text)) for text in said], BITRATE["speech"])
        for i, (span, text) in enumerate(zip(spans, said, strict=True)):
            rows.append(
                {"path": path, **span, "split": v.split, "corpus": "mini", "speaker": v.speaker, "gender": v.gender}
                | {"language": v.language, "licence": "CC0-1.0", "source": f"{v.engine} {v.voice}"}
                | {"original": f"{v.speaker}-{i + 1}", "text": text}
            )
    return rows


def make_noises() -> list[dict]:
    rows = []
    for kind, recordings in NOISES.items():
        for split in recordings:
            path = f"noise/{split}/{kind.__name__}.opus.ogg"
            (span,) = encode(MINI / path, [make_noise(kind, split)], BITRATE["noise"])
            rows.append(
                {"path": path, **span, "split": split, "corpus": "mini", "noise_type": kind.__name__}
                | {"licence": "CC0-1.0", "source": "make_mini_corpus.py"}
                | {"original": f"seed {recordings[split][0]}"}
            )
    return rows


def main() -> None:
    for name, make in {"speech": make_speech, "noise": make_noises}.items():
        shutil.rmtree(MINI / name, ignore_errors=True)
        rows = make()
        with (MINI / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        print(f"{name}: {len(rows)} rows, {sum(float(row['duration_s']) for row in rows):.1f} s")
    print(f"{sum(p.stat().st_size for p in MINI.rglob('*') if p.is_file()):,} bytes")


if __name__ == "__main__":
    main()
