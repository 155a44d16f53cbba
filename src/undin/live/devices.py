"""Sound devices by PortAudio: the only user of sounddevice."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from undin.errors import InputError, require
from undin.live.line import Alive, Line

BLOCK_S = 0.01  # that a callback brings
CLOSE_S = 2.0  # a device that takes longer to close is left to the end of the process
Side = Literal["input", "output"]


class DeviceLostError(InputError):
    """A device is missing, or does not work at the moment."""


@dataclass(frozen=True)
class Device:
    """A device as PortAudio lists it.

    Attributes:
        index: its number.
        name: of the device.
        host: the system's sound interface, such as ALSA, Core Audio or Windows WASAPI.
        n_in, n_out: channels.
        sr: its own sample rate in Hz.
        is_default: whether it is the default input or output.
    """

    index: int
    name: str
    host: str
    n_in: int
    n_out: int
    sr: int
    is_default: tuple[bool, bool] = (False, False)

    def channels(self, side: Side) -> int:
        """Channels of one side."""
        return self.n_in if side == "input" else self.n_out


def sounddevice() -> Any:
    """Import the module, or name the missing library.

    Raises:
        MissingExtraError: sounddevice is not installed.
        InputError: the PortAudio library is not installed.
    """
    try:
        return require("sounddevice", extra="live")
    except OSError as error:
        raise InputError("the PortAudio library is missing: install it, e.g. apt install libportaudio2") from error


def sound_devices() -> list[Device]:
    """All devices of this machine."""
    sd = sounddevice()
    hosts, defaults = sd.query_hostapis(), sd.default.device
    return [
        Device(
            row["index"],
            row["name"],
            hosts[row["hostapi"]]["name"],
            row["max_input_channels"],
            row["max_output_channels"],
            round(row["default_samplerate"]),
            (row["index"] == defaults[0], row["index"] == defaults[1]),
        )
        for row in sd.query_devices()
    ]


def find(name: str | None, side: Side, known: Sequence[Device]) -> Device:
    """Choose a device.

    Args:
        name: its number, or a part of its name that fits one device alone; None for the default.
        side: "input" or "output".
        known: the devices there are.

    Raises:
        DeviceLostError: no device fits, or several do.
    """
    known = [device for device in known if device.channels(side)]
    if name is None:
        fits = [device for device in known if device.is_default[side == "output"]] or list(known[:1])
        what = f"no {side} device"
    else:
        fits = [device for device in known if name in (str(device.index), device.name)]
        fits = fits or [device for device in known if name.lower() in device.name.lower()]
        what = f"no {side} device is called {name!r}" if not fits else f"{len(fits)} {side} devices fit {name!r}"
    if len(fits) != 1:
        raise DeviceLostError(f"{what}: undin live --list shows the devices and their numbers")
    return fits[0]


def own_rate(device: Device) -> int:
    """The rate at which an input device runs: ALSA lists 44.1 kHz for all, and 48 kHz is what sound servers use."""
    sd = sounddevice()
    if device.host != "ALSA":
        return device.sr
    try:
        sd.check_input_settings(device.index, channels=min(device.n_in, 2), samplerate=48_000)
    except sd.PortAudioError:
        return device.sr
    return 48_000


class SoundCard:
    """A pair of devices.

    Args:
        input, output: number or part of the name; None for the default.
        sr: sample rate in Hz; None for the input's own.
        n_channels: 1 or 2; None for the input's, at most 2.
        buffer_s: seconds of sound that each device may hold.
    """

    def __init__(
        self,
        input: str | None = None,
        output: str | None = None,
        *,
        sr: int | None = None,
        n_channels: int | None = None,
        buffer_s: float = 0.02,
    ) -> None:
        self._names, self._sr, self._n_channels, self._buffer_s = (input, output), sr, n_channels, buffer_s
        self.refresh(first=True)

    def refresh(self, *, first: bool = False) -> None:
        """Find the devices.

        Args:
            first: whether PortAudio's list is still fresh; it does not notice hot-plugged devices.

        Raises:
            DeviceLostError: one is missing, or the sound system does not answer.
        """
        if not first:
            _restart()
        known = sound_devices()
        self.input, self.output = find(self._names[0], "input", known), find(self._names[1], "output", known)
        self.sr = self._sr or own_rate(self.input)
        self.n_channels = self._n_channels or min(self.input.n_in, 2)
        self.delay_s = 0.0

    @property
    def text(self) -> str:
        """The devices in words."""
        channels = "mono" if self.n_channels == 1 else "stereo"
        return f"{self.input.name} -> {self.output.name}, {self.sr / 1000:g} kHz {channels}"

    @contextmanager
    def open(self, line: Line) -> Iterator[Alive]:
        """Let sound run through a line; gives a function that says whether it still does.

        Raises:
            DeviceLostError: a device does not work, or not at this rate.
        """
        sd = sounddevice()
        n_out = min(max(self.n_channels, 2), self.output.n_out)
        play = _play(line, n_out)

        def capture(x: Any, n: int, time: Any, status: Any) -> None:
            line.capture(x, lost=status.input_overflow)

        with ExitStack() as stack:
            try:
                source = sd.InputStream(channels=self.n_channels, callback=capture, **self._settings(self.input))
                stack.callback(_end, source)
                sink = sd.OutputStream(channels=n_out, callback=play, **self._settings(self.output))
                stack.callback(_end, sink)
                sink.start()
                source.start()
            except sd.PortAudioError as error:
                raise DeviceLostError(f"cannot open {self.text} ({error}): try another device or --rate") from error
            self.delay_s = source.latency + sink.latency + BLOCK_S
            yield lambda: source.active and sink.active and line.is_alive()

    def _settings(self, device: Device) -> dict[str, Any]:
        wasapi = "WASAPI" in device.host  # its shared mode has one rate, unless asked to convert
        return {
            "samplerate": self.sr,
            "device": device.index,
            "dtype": "float32",
            "blocksize": round(BLOCK_S * self.sr),
            "latency": self._buffer_s,
            "extra_settings": sounddevice().WasapiSettings(auto_convert=True) if wasapi else None,
        }


def _restart() -> None:
    """Reload the list of devices of PortAudio."""
    sd = sounddevice()
    try:
        sd._terminate()
        sd._initialize()
    except sd.PortAudioError as error:
        raise DeviceLostError(f"the sound system does not answer ({error}): start it, or restart undin") from error


def _end(stream: Any) -> None:
    """Close a stream without playing its remaining samples: some devices never finish."""
    closing = threading.Thread(target=lambda: (stream.abort(ignore_errors=True), stream.close()), daemon=True)
    closing.start()
    closing.join(CLOSE_S)


def _play(line: Line, n_out: int) -> Any:
    """The playback callback; mono is copied to both channels; for a mono device, stereo is averaged."""

    def play(y: Any, n: int, time: Any, status: Any) -> None:
        block = y if n_out == line.n_channels else np.empty((n, line.n_channels), np.float32)
        line.play(block, lost=status.output_underflow)
        if block is not y:
            y[:] = block.mean(1, keepdims=True)

    return play
