"""Base of all fault tests: process a recording block by block and return the findings at the end."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from undin.spectrum import Array

Values = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Finding:
    """Something about a recording.

    Attributes:
        what: "clipping", "hum", ...
        status: "fault", or "fine" where the test found nothing.
        text: description of the finding.
        cure: what helps; "" for nothing to do.
        values: the numbers behind it.
    """

    what: str
    status: Literal["fault", "fine"]
    text: str
    cure: str = ""
    values: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """What probes know before the first block."""

    name: str
    sr: int
    n_channels: int
    bits: int  # of a sample: the step of its values is 2^(1 - bits)


class Probe(Protocol):
    """A test."""

    def __init__(self, recording: Recording) -> None: ...

    def update(self, x: Array) -> None:
        """Hear the next block, (n_channels, n_samples)."""

    def findings(self) -> list[Finding]:
        """Return the findings."""


def at(sample: int, sr: int) -> str:
    """A place in the recording: 1:02.5.

    >>> at(16000 * 62 + 8000, 16000)
    '1:02.5'
    """
    tenths = round(10 * sample / sr)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
