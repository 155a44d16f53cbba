"""An audio filter for pipecat; needs the extra `pipecat`.

    transport = SomeTransport(params=TransportParams(audio_in_enabled=True, audio_in_filter=UndinFilter()))

Disabled by a FilterEnableFrame, it passes the input through with the same delay, so that nothing is cut or repeated.
"""

from pathlib import Path

from undin.errors import require
from undin.methods import LIVE, load
from undin.packets import Packets

require("pipecat", extra="pipecat")
from pipecat.audio.filters.base_audio_filter import BaseAudioFilter  # noqa: E402
from pipecat.frames.frames import FilterControlFrame, FilterEnableFrame  # noqa: E402


class UndinFilter(BaseAudioFilter):  # type: ignore[misc]
    """Removes noise from the audio a transport receives, packet by packet, at any sample rate.

    Args:
        method: an id of `undin.METHODS`, or the path of a model file.
        limit_db: maximum attenuation in dB; None for no limit.
        n_channels: of the transport (`audio_in_channels`).

    Raises:
        InputError: unknown method, or one that cannot run live.
    """

    def __init__(self, method: str | Path = LIVE, *, limit_db: float | None = None, n_channels: int = 1) -> None:
        self._method, self._limit_db, self._n_channels = load(method), limit_db, n_channels
        self._packets: Packets | None = None
        self._enabled = True

    @property
    def latency_ms(self) -> float:
        """Delay of the sound."""
        return self._method.latency_ms or 0.0

    async def start(self, sample_rate: int) -> None:
        """Begin a signal.

        Args:
            sample_rate: of the transport, in Hz.
        """
        self._packets = Packets(self._method, sample_rate, self._n_channels)
        self._set_limit()

    async def stop(self) -> None:
        """End the signal; its last samples, which are still delayed, are dropped."""
        self._packets = None

    async def process_frame(self, frame: FilterControlFrame) -> None:
        """Obey a control frame.

        Args:
            frame: a FilterEnableFrame turns the filter on or off; others are ignored.
        """
        if isinstance(frame, FilterEnableFrame):
            self._enabled = frame.enable
            self._set_limit()

    async def filter(self, audio: bytes) -> bytes:
        """Enhance a packet; the answer has as many bytes.

        Args:
            audio: 16-bit samples.
        """
        return audio if self._packets is None else self._packets.process(audio)

    def _set_limit(self) -> None:
        if self._packets is not None:
            self._packets.stream.limit_db = self._limit_db if self._enabled else 0
