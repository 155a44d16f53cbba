"""The path of live samples between two callbacks, with a worker thread for the method.

The capture callback only stores samples and the playback callback only takes them: a callback that computes would make
the sound card wait. Playback starts when a reserve of finished samples is there, which covers a worker that is late. If
the reserve runs out the listener gets silence until it is there again: one dropout.

A device that starts, or resumes after a pause, calls in bursts while it fills its buffer and reports inaudible losses.
Playback therefore starts once both callbacks have come without a pause for SETTLE_S; earlier samples are dropped.

Two devices have two clocks, 10 to 100 ppm apart, so that the reserve grows or shrinks slowly. The least reserve of
every ten seconds is compared with that of the first ten; if they differ, a block is made one sample shorter or longer
from time to time.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from undin.live.ring import Ring, Samples
from undin.stream import MAX_LEVEL, Startable

ROOM_S = 1.0  # of samples that the rings hold
PIECE_S = 0.1  # of samples that are processed at once
DRIFT_S = 0.01  # that the reserve may change
DRIFT = 2e-4  # of the samples may be added or dropped to bring it back: more than clocks differ
SURPLUS_S = 0.05  # a greater surplus is dropped at once: what came while playback stalled
LOOK_S = 1.0  # between looks at the reserve
N_LOOKS = 10  # whose least reserve is compared with that of the first ones
LEAST_RESIZED = 64  # samples of a block that may change its length
FOLLOW = 0.05  # how quickly the load follows
PAUSE_S = 0.1  # without a callback, or twice the reserve if that is longer, the device has to settle again
SETTLE_S = 0.3
STALL_S = 2.0  # without a callback, the device is lost
Alive = Callable[[], bool]


@dataclass
class Controls:
    """Controls the user changes while audio runs; kept when a device is unplugged.

    Attributes:
        muted: play silence.
        raw: play the unprocessed sound, with the same delay.
        limit_db: maximum attenuation in dB.
        drop_outs: interruptions so far.
        repaired: whether the microphone has sent NaN, infinite or huge samples, which are replaced with zeros.
        reported: whether a message has said so.
    """

    muted: bool = False
    raw: bool = False
    limit_db: float | None = None
    drop_outs: int = 0
    repaired: bool = False
    reported: bool = False


@dataclass(frozen=True)
class Status:
    """Status shown in the terminal.

    Attributes:
        input, output: peaks since the last look, full scale 1.
        load: processing time by duration; above 1 the machine is too slow.
        drop_outs: interruptions so far.
    """

    input: float
    output: float
    load: float
    drop_outs: int


class Line:
    """Sound from a capture callback, through a `Stream`, to a playback callback; a context manager that runs a thread.

    Args:
        method: a causal method that enhances.
        sr: sample rate of both devices in Hz.
        n_channels: of both callbacks' blocks.
        controls: the user's controls.
        reserve_s: seconds of finished samples that playback keeps waiting.

    Raises:
        InputError: the method is not causal, or it separates.
    """

    def __init__(
        self, method: Startable, sr: int, n_channels: int, controls: Controls | None = None, *, reserve_s: float = 0.02
    ) -> None:
        self.sr, self.n_channels, self.controls = sr, n_channels, controls or Controls()
        self._stream = method.stream(sr, limit_db=self.controls.limit_db)
        self.delay_s = self._stream.latency / sr + reserve_s  # without that of the devices
        self._reserve, self._pause_s = round(reserve_s * sr), max(PAUSE_S, 2 * reserve_s)
        size = round(ROOM_S * sr)
        self._captured, self._finished = Ring(size, n_channels), Ring(size, n_channels)
        self._arrived, self._stop = threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="undin-live", daemon=True)
        self._playing, self._least, self._aim = False, size, -1  # least reserve since the last look, and at the first
        self._leasts: list[int] = []
        self._drift = self._resize = 0.0  # part of the samples to add, and samples still to add
        self._gain, self._load, self._peaks = 1.0, 0.0, [0.0, 0.0]
        self._error: BaseException | None = None
        self._looked = self._opened = time.monotonic()
        self._called, self._steady_from = [-math.inf, -math.inf], math.inf  # the latest callbacks: capture, playback

    def __enter__(self) -> "Line":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._arrived.set()
        self._thread.join()

    def capture(self, x: Samples, *, lost: bool = False) -> None:
        """Take samples from the microphone; for the capture callback.

        Args:
            x: (n, n_channels) float32.
            lost: whether the device says that samples before these are missing.
        """
        steady = self._is_steady(0)
        if not self._captured.write(x) or (lost and steady):
            self.controls.drop_outs += 1
        self._arrived.set()

    def play(self, y: Samples, *, lost: bool = False) -> None:
        """Fill the speaker's buffer; for the playback callback.

        Args:
            y: (n, n_channels) float32, overwritten.
            lost: whether the device says that it had to play silence before.
        """
        steady, n_ready = self._is_steady(1), len(self._finished)
        self.controls.drop_outs += lost and steady
        if steady and n_ready >= len(y) + (0 if self._playing else self._reserve):
            if not self._playing:
                self._finished.read(n_ready - len(y) - self._reserve)
                n_ready = len(y) + self._reserve
            y[:] = self._finished.read(len(y))
            self._least = min(self._least, n_ready - len(y)) if self._playing else n_ready
            self._playing = True
        else:
            y[:] = 0
            self.controls.drop_outs += self._playing
            self._playing, self._aim, self._leasts = False, -1, []

    def _is_steady(self, side: int) -> bool:
        """Note a callback, 0 of capture or 1 of playback; whether the devices have settled."""
        now = time.monotonic()
        if now - self._called[side] > self._pause_s:
            self._steady_from = now + SETTLE_S
        self._called[side] = now
        return now >= self._steady_from

    def is_alive(self) -> bool:
        """Whether both callbacks are called.

        Raises:
            UndinError: the method failed.
        """
        if self._error is not None:
            raise self._error
        return time.monotonic() - max(min(self._called), self._opened) < STALL_S

    def status(self) -> Status:
        """Figures since the last look."""
        (input_, output), self._peaks = self._peaks, [0.0, 0.0]
        return Status(input_, output, self._load, self.controls.drop_outs)

    def _work(self) -> None:
        piece = round(PIECE_S * self.sr)
        try:
            while not self._stop:
                self._arrived.wait()
                self._arrived.clear()
                while not self._stop and len(x := self._captured.read(piece)):
                    self._pass_on(self._process(x))
        except BaseException as error:
            self._error = error

    def _process(self, x: Samples) -> Samples:
        start, controls = time.perf_counter(), self.controls
        if not np.abs(x).max() <= MAX_LEVEL:  # NaN is not either
            x, controls.repaired = np.where(np.abs(x) <= MAX_LEVEL, x, np.float32(0)), True
        self._stream.limit_db = 0 if controls.raw else controls.limit_db
        y: Samples = self._stream.process(np.ascontiguousarray(x.T), equal=True).T
        target = 0.0 if controls.muted else 1.0
        if not self._gain == target == 1:
            y = y * np.linspace(self._gain, target, len(y), dtype=np.float32)[:, None]  # a fade, without a click
            self._gain = target
        load = (time.perf_counter() - start) * self.sr / len(x)
        self._load += FOLLOW * (load - self._load)
        self._peaks = [max(peak, float(np.abs(z).max())) for peak, z in zip(self._peaks, (x, y), strict=True)]
        return y

    def _pass_on(self, y: Samples) -> None:
        if self._playing and time.monotonic() - self._looked > LOOK_S:
            self._look()
        self._resize += self._drift * len(y)
        if abs(self._resize) >= 1 and len(y) >= LEAST_RESIZED:
            step = 1 if self._resize > 0 else -1
            y, self._resize = resized(y, len(y) + step), self._resize - step
        if not self._finished.write(y) and self._playing:
            self.controls.drop_outs += 1

    def _look(self) -> None:
        """Watch the reserve, once a second."""
        leasts, least = self._leasts, self._least  # the playback callback replaces them when the sound drops out
        leasts.append(least)
        self._least, self._looked = len(self._finished), time.monotonic()
        surplus = least - self._reserve
        if surplus > SURPLUS_S * self.sr:
            self._finished.read(surplus)
            self._leasts, self._aim, self._drift = [], -1, 0.0
        elif len(leasts) == N_LOOKS:
            least, self._leasts = min(leasts), []
            self._aim = least if self._aim < 0 else self._aim
            change = least - self._aim
            self._drift = -math.copysign(DRIFT, change) if abs(change) > DRIFT_S * self.sr else 0.0


def resized(y: Samples, n: int) -> Samples:
    """Stretch (n_before, n_channels) samples to n by linear interpolation; the first and last samples are kept.

    Args:
        y: at least 2 samples.
        n: samples to give.
    """
    at = np.linspace(0, len(y) - 1, n)
    return np.stack([np.interp(at, np.arange(len(y)), channel) for channel in y.T], 1).astype(np.float32)
