"""Faults that single samples show: level, offset, clipping, gaps."""

import math

import numpy as np
from numpy.typing import NDArray

from undin.audio import active_level_db
from undin.checks import counted
from undin.evaluation.recording.probe import Finding, Recording, Values, at
from undin.spectrum import Array

QUIET_DB, LOUD_DB = -45.0, -12.0  # of active speech: beyond, steps of 16 bits or full scale come near
OFFSET = 0.003  # of full scale, -50 dB
OFFSET_SHARE = 0.05  # of the RMS
RUN = 3  # samples at the peak in a row that a wave clipped at full slope leaves
N_RUNS = 5  # of them: a single one may be a pulse that was meant
LEAST_PEAK = 0.01  # of full scale: below, 16 bits give equal samples anyway
GAP_S = 0.02  # zeros that no microphone gives for so long
PAUSE_S = 0.1  # or, where sound had faded before it, for so long: 16 bits of a quiet pause may be zeros for a while
CUT_DB = -50.0  # above it, sound that stops within a sample was cut, not faded


class Level:
    """How loud speech is while it speaks, from one value per millisecond, which an hour has 3.6 million of."""

    def __init__(self, recording: Recording) -> None:
        self.sr, self.step = recording.sr, recording.sr / 1000
        self.n, self.powers = 0, list[NDArray[np.float32]]()
        self.rest: NDArray[np.float64] = np.zeros(0)

    def update(self, x: Array) -> None:
        """Keep the mean power of every millisecond."""
        power = np.concatenate([self.rest, np.square(x, dtype=np.float64).mean(0)])
        edges = np.arange(round(self.n / self.step), round(self.n / self.step) + len(power) // self.step + 2)
        starts = np.rint(edges * self.step).astype(int) - self.n
        starts = starts[starts >= 0]
        whole = starts[starts <= len(power)]
        if len(whole) > 1:
            sums = np.add.reduceat(power[: whole[-1]], whole[:-1])
            self.powers.append((sums / np.diff(whole)).astype(np.float32))
            self.n += int(whole[-1])
            power = power[whole[-1] :]
        self.rest = power

    def findings(self) -> list[Finding]:
        """Active level by ITU-T P.56."""
        power = np.concatenate(self.powers) if self.powers else np.zeros(0, np.float32)
        level_db = active_level_db(np.sqrt(power), 1000) if len(power) else -math.inf
        if not math.isfinite(level_db):
            if not self.n and not self.rest.size:
                return [Finding("level", "fault", "it has no samples", "record it again")]
            return [Finding("level", "fault", "the recording is silent", "check the microphone and its channel")]
        values: Values = {"active_level_db": round(level_db, 1)}
        text = f"speech at {level_db:.0f} dBFS (active level)".replace("-", "−")
        if level_db < QUIET_DB:
            return [
                Finding(
                    "level", "fault", f"very quiet: {text}", "record it louder; amplifying raises the noise too", values
                )
            ]
        if level_db > LOUD_DB:
            return [Finding("level", "fault", f"very loud: {text}", "record it some 10 dB lower", values)]
        return [Finding("level", "fine", text, values=values)]


class Offset:
    """DC."""

    def __init__(self, recording: Recording) -> None:
        self.n, self.sums = 0, np.zeros(recording.n_channels)
        self.squares = np.zeros(recording.n_channels)

    def update(self, x: Array) -> None:
        """Add up."""
        self.n += x.shape[-1]
        self.sums += x.sum(-1, dtype=np.float64)
        self.squares += np.square(x, dtype=np.float64).sum(-1)

    def findings(self) -> list[Finding]:
        """The largest mean over a channel."""
        n = max(self.n, 1)
        mean, rms = self.sums / n, np.sqrt(self.squares / n)
        worst = int(np.argmax(np.abs(mean)))
        values: Values = {"offset": round(float(mean[worst]), 6)}
        if abs(mean[worst]) > max(OFFSET, OFFSET_SHARE * rms[worst]):
            text = f"DC offset of {100 * mean[worst]:+.1f} % of full scale".replace("-", "−")
            return [
                Finding(
                    "offset",
                    "fault",
                    text,
                    "a high-pass at 20 Hz removes it, e.g.  sox in.wav out.wav highpass 20",
                    values,
                )
            ]
        return [Finding("offset", "fine", "no DC offset", values=values)]


class Clipping:
    """Runs of equal samples at the highest value of a channel and sign, entered at full slope.

    A smooth top of a loud low tone gives equal samples too, but its last step before them is a step of the format's
    resolution; a wave that is cut off comes with the slope that it had.
    """

    def __init__(self, recording: Recording) -> None:
        self.sr, self.least_step = recording.sr, 4 * 2.0 ** (1 - recording.bits)
        self.peaks = np.zeros((recording.n_channels, 2))
        self.counts, self.first = np.zeros((recording.n_channels, 2), int), np.full((recording.n_channels, 2), -1)
        self.n, self.past = 0, np.zeros((recording.n_channels, 0), np.float32)

    def update(self, x: Array) -> None:
        """Count runs; a higher peak resets the count."""
        # A run that reaches the end of a block is counted there as far as it is: only its start matters.
        joined = np.concatenate([self.past, x], -1)
        offset = self.n - self.past.shape[-1]
        for c, channel in enumerate(joined):
            for s, y in enumerate((channel, -channel)):
                self._count(c, s, y, offset)
        self.n += x.shape[-1]
        self.past = joined[:, -RUN:].copy()

    def _count(self, c: int, s: int, y: Array, offset: int) -> None:
        peak = np.float32(y.max(initial=0))
        if len(y) <= RUN or peak < max(self.peaks[c, s], LEAST_PEAK):
            return
        if peak > self.peaks[c, s]:
            self.peaks[c, s], self.counts[c, s], self.first[c, s] = peak, 0, -1
        top = y >= peak
        runs = top[1:-2] & top[2:-1] & top[3:] & (peak - y[:-3] > self.least_step)
        if runs.any():
            self.counts[c, s] += int(runs.sum())
            if self.first[c, s] < 0:
                self.first[c, s] = offset + 1 + int(runs.argmax())

    def findings(self) -> list[Finding]:
        """How many runs, and where the first is."""
        n = int(self.counts.sum())
        values: Values = {"clipped_places": n, "peak_db": round(20 * math.log10(max(self.peaks.max(), 1e-9)), 1)}
        if n < N_RUNS:
            return [Finding("clipping", "fine", "no clipping", values=values)]
        first = int(self.first[self.counts > 0].min())
        text = f"clipped at {counted(n, 'place')}, first at {at(first, self.sr)}: peaks are cut off"
        return [Finding("clipping", "fault", text, "record it with less gain; undin does not restore peaks", values)]


class Gaps:
    """Digital silence: samples that are exactly zero, on all channels, for longer than any microphone gives."""

    def __init__(self, recording: Recording) -> None:
        self.sr, self.n = recording.sr, 0
        self.began: int | None = None  # of the run of zeros that is not over yet
        self.cut = False  # whether it began within sound
        self.gaps: list[tuple[int, int, bool]] = []  # start, stop, cut
        self.tail: Array = np.zeros((recording.n_channels, 0), np.float32)

    def update(self, x: Array) -> None:
        """Collect runs of zeros."""
        zero = ~x.any(0)
        edges = np.diff(np.concatenate([[False], zero, [False]]).astype(np.int8))
        starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        if self.began is not None and not (len(starts) and starts[0] == 0):
            self._close(self.began, self.n, self.cut)
            self.began = None
        long = (stops - starts >= GAP_S * self.sr) | (starts == 0) | (stops == x.shape[-1])
        for start, stop in zip(starts[long].tolist(), stops[long].tolist(), strict=True):
            if self.began is None:
                self.began, self.cut = self.n + start, self._is_loud(x[:, :start])
            if stop < x.shape[-1]:
                self._close(self.began, self.n + stop, self.cut)
                self.began = None
        self.n += x.shape[-1]
        self.tail = np.concatenate([self.tail, x], -1)[:, -max(self.sr // 200, 1) :]

    def _is_loud(self, before: Array) -> bool:
        last = np.concatenate([self.tail, before], -1)[:, -max(self.sr // 200, 1) :]  # 5 ms
        return bool(last.size and np.mean(np.square(last, dtype=np.float64)) > 10 ** (CUT_DB / 10))

    def _close(self, start: int, stop: int, cut: bool) -> None:
        if (
            start > 0 and stop - start >= (GAP_S if cut else PAUSE_S) * self.sr
        ):  # silence before the first sound is not a gap
            self.gaps.append((start, stop, cut))

    def findings(self) -> list[Finding]:
        """Gaps between the first sound and the last."""
        seconds, n_cut = sum(stop - start for start, stop, _ in self.gaps) / self.sr, sum(cut for *_, cut in self.gaps)
        values: Values = {"gaps": len(self.gaps), "gap_seconds": round(seconds, 3), "cut_gaps": n_cut}
        if not self.gaps:
            return [Finding("gaps", "fine", "no gaps", values=values)]
        start, stop, _ = max(self.gaps, key=lambda gap: gap[1] - gap[0])
        text = (
            f"digital silence in {counted(len(self.gaps), 'place')}, {seconds:.2f} s in all, the longest "
            f"{(stop - start) / self.sr:.2f} s at {at(start, self.sr)}"
        )
        if n_cut:
            text += f"; {n_cut} {'cuts' if n_cut == 1 else 'cut'} into sound"
            return [Finding("gaps", "fault", text, "look for lost packets or an editing error", values)]
        text += ": a noise gate, or joined segments"
        return [Finding("gaps", "fault", text, "record without the gate; gated sound cannot be restored", values)]
