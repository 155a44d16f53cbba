"""Faults between channels: silent, identical, inverted."""

import numpy as np

from undin.evaluation.recording.probe import Finding, Recording, Values
from undin.spectrum import Array

SILENT_DB = -90.0  # of full scale, RMS
ALIKE_DB = -60.0  # of the difference against the louder of two
INVERTED = -0.6  # correlation; channels of one microphone with independent noise, not two spaced microphones


class Channels:
    """Products of every two channels."""

    def __init__(self, recording: Recording) -> None:
        self.n, self.products = 0, np.zeros((recording.n_channels, recording.n_channels))

    def update(self, x: Array) -> None:
        """Add up."""
        y = x.astype(np.float64)
        self.n += x.shape[-1]
        self.products += y @ y.T

    def findings(self) -> list[Finding]:
        """Nothing for one channel."""
        if len(self.products) < 2:
            return []
        power = np.diag(self.products)
        floor = max(self.n, 1) * 10 ** (SILENT_DB / 10)
        found = []
        if (silent := np.flatnonzero(power < floor)).size and silent.size < len(power):
            names = ", ".join(str(c + 1) for c in silent)
            values: Values = {"silent_channels": names}
            cure = "keep the channel that has audio, e.g.  sox in.wav out.wav remix 1"
            found.append(Finding("channels", "fault", f"channel {names} is silent", cure, values))
        found += self._pairs(power, floor)
        return found or [Finding("channels", "fine", "channels differ and are in phase")]

    def _pairs(self, power: Array, floor: float) -> list[Finding]:
        """Compare every channel with the first that has sound."""
        loud = np.flatnonzero(power >= floor)
        for a, b in ((loud[0], c) for c in loud[1:]):
            p, q, r = power[a], power[b], self.products[a, b]
            correlation = r / np.sqrt(p * q)
            names, values = f"channels {a + 1} and {b + 1}", Values(correlation=round(float(correlation), 4))
            if p + q - 2 * r < max(p, q) * 10 ** (ALIKE_DB / 10):
                cure = "one channel is enough, e.g.  sox in.wav out.wav remix 1"
                return [Finding("channels", "fault", f"{names} are identical: this is mono", cure, values)]
            if correlation < INVERTED:
                cure = "invert one, e.g.  sox in.wav out.wav remix 1 2i"
                return [Finding("channels", "fault", f"{names} are inverted: they cancel in mono", cure, values)]
        return []
