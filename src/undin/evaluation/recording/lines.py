"""Faults that a spectrum over the whole recording shows: mains hum, and a bandwidth below half the sample rate."""

import numpy as np
from numpy.typing import NDArray

from undin.checks import counted
from undin.evaluation.recording.probe import Finding, Recording, Values
from undin.spectrum import Array, StftStream

MAINS_HZ, N_HARMONICS = (50, 60), 6
LINE_DB, ALONE_DB = 12.0, 20.0  # over its surroundings: a line among several, and one alone
LEAST_DB = -62.0  # of full scale; hardly audible below
STEADY = 20  # percentile over time: a line that is there in four of five seconds, which no voice is
SWING_DB = 6.0  # from the 10th percentile to the median, 8 dB for noise; the line of a steady hum has 1 dB
NARROW_DB = 10.0  # from a line to the bins 3 Hz away, where a voice still has energy
N_SECONDS = 3
WELL_BELOW = 0.65  # of half the rate; above, microphones, MP3 encoders and the filters of converters end the band
STEEP_DB, WIDE_HZ = 25.0, 400.0  # a band that ends falls by so much within so much


class Hum:
    """Lines at 50 or 60 Hz and their harmonics, in frames of one second, in which bins are 1 Hz apart."""

    def __init__(self, recording: Recording) -> None:
        self.sr, self.n_fft = recording.sr, 2 * (recording.sr // 2)
        self.stream = StftStream(self.n_fft, self.n_fft // 2, window="hann")
        self.powers: list[Array] = []
        self.n = 0

    def update(self, x: Array) -> None:
        """Keep the lowest bins of every frame."""
        X = self.stream.process(x)[:, : (N_HARMONICS + 1) * MAINS_HZ[-1]]
        power: Array = np.mean(X.real**2 + X.imag**2, 0, dtype=np.float64)  # (n_freq, n_frames)
        # |X| = A n_fft / 4 for a line of amplitude A under a Hann window, whose power is A² / 2.
        self.powers.append((8 * power / self.n_fft**2).astype(np.float32))
        self.n += x.shape[-1]

    def findings(self) -> list[Finding]:
        """The mains whose lines are stronger."""
        power = np.concatenate(self.powers, -1)[:, 1:] if self.powers else np.zeros((1, 0))  # the first frame has zeros
        if power.shape[-1] < N_SECONDS or self.n < N_SECONDS * self.sr:
            return []
        steady: Array = np.percentile(power, STEADY, axis=-1)
        calm: NDArray[np.bool_] = np.percentile(power, 50, axis=-1) < 10 ** (SWING_DB / 10) * np.percentile(
            power, 10, axis=-1
        )
        found = {f0: self._lines(steady, calm, f0) for f0 in MAINS_HZ}
        f0, lines = max(found.items(), key=lambda each: sum(each[1].values()))
        level_db = 10 * np.log10(sum(lines.values()) + 1e-20)
        is_hum = len(lines) >= 2 and min(lines) <= 2
        if not (is_hum or self._is_alone(steady, calm, f0)) or level_db < LEAST_DB:
            return [Finding("hum", "fine", "no mains hum")]
        values: Values = {"hum_hz": f0, "hum_db": round(float(level_db), 1), "hum_lines": len(lines)}
        text = f"mains hum at {f0} Hz ({counted(len(lines), 'line')}), {level_db:.0f} dBFS".replace("-", "−")
        return [
            Finding(
                "hum", "fault", text, "undin enhance FILE reduces steady hum; check the cable and grounding", values
            )
        ]

    @staticmethod
    def _lines(steady: Array, calm: NDArray[np.bool_], f0: int, prominence_db: float = LINE_DB) -> dict[int, float]:
        """Harmonic -> power, for those above their surroundings that are narrow and do not swing."""
        lines = {}
        for k in range(1, N_HARMONICS + 1):
            f = k * f0
            at = f - 1 + int(steady[f - 1 : f + 2].argmax())
            line, beside = float(steady[at]), float(max(steady[at - 3], steady[at + 3]))
            around = float(np.median(np.concatenate([steady[f - 9 : f - 3], steady[f + 4 : f + 10]])))
            is_narrow = line > 10 ** (NARROW_DB / 10) * beside
            if line > 10 ** (prominence_db / 10) * around and line > 1e-10 and is_narrow and calm[at]:
                lines[k] = line
        return lines

    def _is_alone(self, steady: Array, calm: NDArray[np.bool_], f0: int) -> bool:
        return min(self._lines(steady, calm, f0, ALONE_DB), default=N_HARMONICS) <= 2


class Bandwidth:
    """Where the spectrum ends, if it ends steeply below half the sample rate."""

    def __init__(self, recording: Recording) -> None:
        self.sr = recording.sr
        n_fft = 4 * max(round(0.032 * recording.sr / 4), 8)
        self.stream = StftStream(n_fft, n_fft // 2, window="hann")
        self.power, self.hz = np.zeros(n_fft // 2 + 1), recording.sr / n_fft

    def update(self, x: Array) -> None:
        """Add up."""
        X = self.stream.process(x)
        self.power += np.sum(X.real**2 + X.imag**2, (0, 2), dtype=np.float64)

    def findings(self) -> list[Finding]:
        """The steepest end of the band, if there is one."""
        level_db = 10 * np.log10(self.power + 1e-20 + 1e-12 * self.power.max())
        n = max(round(WIDE_HZ / self.hz), 2)
        best, edge = STEEP_DB, None
        for k in range(2 * n, int(0.9 * len(level_db)) - n // 2):
            below, above = level_db[k - n : k].mean(), level_db[k + n // 2 :]
            drop = below - above[:n].mean()
            if drop > best and below - above.max() > STEEP_DB - 5:
                best, edge = drop, k
        nyquist = self.sr / 2000
        if edge is None or not self.power.any():
            return [Finding("bandwidth", "fine", f"full bandwidth up to {nyquist:g} kHz")]
        khz = (edge + n / 4) * self.hz / 1000
        values: Values = {"bandwidth_hz": round(1000 * khz)}
        text = f"band-limited to {khz:.1f} kHz; {self.sr} Hz allows {nyquist:g} kHz"
        if khz > WELL_BELOW * nyquist:
            return [Finding("bandwidth", "fine", text, values=values)]
        return [Finding("bandwidth", "fault", text, "use the original recording if its bandwidth is wider", values)]
