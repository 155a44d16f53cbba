"""All tests on one recording, in one pass."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from undin.audio import open_reader
from undin.errors import InputError
from undin.evaluation.recording.amplitude import Clipping, Gaps, Level, Offset
from undin.evaluation.recording.channels import Channels
from undin.evaluation.recording.lines import Bandwidth, Hum
from undin.evaluation.recording.noise import Noise
from undin.evaluation.recording.probe import Finding, Probe, Recording
from undin.spectrum import Array

PROBES: tuple[Callable[[Recording], Probe], ...] = (Noise, Level, Clipping, Offset, Hum, Bandwidth, Gaps, Channels)
BITS = {"PCM_S8": 8, "PCM_U8": 8, "ULAW": 14, "ALAW": 13, "PCM_24": 24, "PCM_32": 32, "FLOAT": 24, "DOUBLE": 24}
BLOCK = 1 << 18


@dataclass(frozen=True)
class Check:
    """Findings for a recording."""

    name: str
    sr: int
    n_channels: int
    seconds: float
    format: str
    findings: list[Finding]

    @property
    def faults(self) -> list[Finding]:
        """The findings that want something done."""
        return [finding for finding in self.findings if finding.status == "fault"]


def check_recording(path: str, *, progress: Callable[[float], object] | None = None) -> Check:
    """Find faults in a recording.

    Args:
        path: a sound file or a video; "-" for standard input. A file that ends too early is taken as far as it goes.
        progress: called with the seconds of audio done since the last call.

    Returns:
        the Check; nan and infinity in the file are a fault, and count as zero in the other tests.

    Raises:
        InputError: no such file, or it has no audio.
    """
    with open_reader(path, truncated="keep", nan="zero") as reader:
        format = reader.format
        recording = Recording(reader.name, format.sr, format.n_channels, BITS.get(format.subtype, 16))
        blocks = _report_seconds(reader.blocks(BLOCK), format.sr, progress)
        return _checked(recording, blocks, f"{format.container} {format.subtype}", _damage(path, format.subtype))


def _damage(path: str, subtype: str) -> list[Finding]:
    """Errors of a strict reader: a truncated file, or NaN."""
    if path == "-":
        return []  # a pipe is read once
    try:
        with open_reader(path) as reader:
            for _ in reader.blocks(BLOCK) if subtype in ("FLOAT", "DOUBLE") else ():
                pass
    except InputError as error:
        text, _, cure = str(error).removeprefix(path).lstrip(": ").partition(": ")
        return [Finding("damage", "fault", text, cure)]
    return []


def _checked(recording: Recording, blocks: Iterable[Array], format: str, damage: list[Finding]) -> Check:
    probes, n = [make(recording) for make in PROBES], 0
    for x in blocks:
        n += x.shape[-1]
        for probe in probes:
            probe.update(x)
    findings = damage + [finding for probe in probes for finding in probe.findings() if n or finding.status == "fault"]
    return Check(recording.name, recording.sr, recording.n_channels, n / recording.sr, format, findings)


def _report_seconds(blocks: Iterable[Array], sr: int, progress: Callable[[float], object] | None) -> Iterable[Array]:
    for x in blocks:
        yield x
        if progress:
            progress(x.shape[-1] / sr)
