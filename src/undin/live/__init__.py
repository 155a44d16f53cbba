"""Live sound: microphone -> method -> speaker or virtual microphone; see docs/live.md.

    capture callback --Ring--> worker thread: Stream --Ring--> playback callback

`line` is the path of the samples and knows no device, `devices` is the only user of sounddevice, `virtual` makes a
virtual microphone, `screen` and `keys` are the terminal, and `loop` joins them.
"""

from undin.live.devices import Device, SoundCard, sound_devices
from undin.live.line import Controls, Line, Status
from undin.live.loop import Quiet, run
from undin.live.virtual import virtual_microphone

__all__ = ["Controls", "Device", "Line", "Quiet", "SoundCard", "Status", "run", "sound_devices", "virtual_microphone"]
