"""Limits of the server."""

import os
from dataclasses import dataclass, field

from undin.errors import InputError


def cores() -> int:
    """CPU cores that this process may use."""
    ask = getattr(os, "sched_getaffinity", None)
    return len(ask(0)) if ask else os.cpu_count() or 1


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        body_mb: largest request body, in 10^6 bytes.
        channel_hours: longest recording, in hours times channels: a small compressed file can hold days of silence.
        jobs: files processed at the same time.
        queue: files that may wait for their turn, beyond `jobs`.
        sockets: most live sockets; fewer are admitted when the machine cannot carry them.
        idle_s: seconds without a byte from a client, or to a client, until the server ends the request or socket.
        threads: threads for live sockets.
    """

    body_mb: float = 256.0
    channel_hours: float = 12.0
    jobs: int = 1
    queue: int = 8
    sockets: int = 256
    idle_s: float = 60.0
    threads: int = field(default_factory=cores)

    def __post_init__(self) -> None:
        for name in ("body_mb", "channel_hours", "idle_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0; got {getattr(self, name)!r}")
        for name, least in {"jobs": 1, "queue": 0, "sockets": 0, "threads": 1}.items():
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}; got {getattr(self, name)!r}")

    @property
    def body_bytes(self) -> int:
        """Largest request body in bytes."""
        return round(self.body_mb * 1e6)
