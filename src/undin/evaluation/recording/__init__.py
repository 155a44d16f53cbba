"""Faults of a recording, found without a reference, block by block in constant memory.

    blocks --probe.update--> probe.findings() -> Check

    probe.py        Finding, Probe: what every test for a fault is
    amplitude.py    level, DC offset, clipping, gaps
    channels.py     silent, identical and inverted channels
    lines.py        mains hum, bandwidth
    noise.py        signal-to-noise ratio

Reverberation is left out: without a reference, an estimate of it on a few seconds of noisy speech is a guess.
"""

from undin.evaluation.recording.check import Check, check_recording
from undin.evaluation.recording.probe import Finding

__all__ = ["Check", "Finding", "check_recording"]
