"""A frame processor for livekit; needs the extra `livekit`.

rtc.AudioStream(track, noise_cancellation=UndinProcessor())
RoomInputOptions(noise_cancellation=UndinProcessor())  # livekit-agents
"""

from pathlib import Path

from undin.errors import require
from undin.methods import LIVE, load
from undin.packets import Packets

require("livekit.rtc", extra="livekit")
from livekit.rtc import AudioFrame, FrameProcessor  # noqa: E402


class UndinProcessor(FrameProcessor[AudioFrame]):  # type: ignore[misc]
    """Removes noise from received audio frames of any sample rate, size and number of channels.

    Args:
        method: an id of `undin.METHODS`, or the path of a model file.
        limit_db: maximum attenuation in dB; None for no limit.

    Raises:
        InputError: unknown method, or one that cannot run live.
    """

    def __init__(self, method: str | Path = LIVE, *, limit_db: float | None = None) -> None:
        self._method, self._limit_db = load(method), limit_db
        self._packets: Packets | None = None
        self._enabled = True

    @property
    def latency_ms(self) -> float:
        """Delay of the sound."""
        return self._method.latency_ms or 0.0

    @property
    def enabled(self) -> bool:
        """Whether livekit calls the processor; while it does not, sound is not delayed."""
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._enabled, self._packets = value, None

    def _process(self, frame: AudioFrame) -> AudioFrame:
        """Enhance a frame; the answer has as many samples. Another rate or number of channels begins another signal."""
        packets = self._packets
        if packets is None or (packets.sr, packets.n_channels) != (frame.sample_rate, frame.num_channels):
            packets = Packets(self._method, frame.sample_rate, frame.num_channels, limit_db=self._limit_db)
            self._packets = packets
        data = packets.process(bytes(frame.data.cast("B")))
        return AudioFrame(
            data, frame.sample_rate, frame.num_channels, frame.samples_per_channel, userdata=frame.userdata
        )

    def _close(self) -> None:
        self._packets = None
