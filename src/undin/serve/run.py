"""The server process: one listening socket, one event loop."""

import errno
import gc
import ipaddress
import socket
import sys

import uvicorn
from starlette.types import ASGIApp

from undin.errors import InputError
from undin.serve.sockets import MOST_BYTES

SWITCH_S = 0.001  # a thread that computes lets others in after this: packets must not wait for files
PING_S = 20.0  # half-open sockets are found by pings
GRACE_S = 5  # for requests to end when the server stops


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 takes any that is free.

    Raises:
        InputError: no such address, or the port is taken.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        server = socket.create_server(address[:2], family=family, backlog=512)
        # asyncio turns Nagle's algorithm off where a socket says that it is TCP; else small answers wait for 40 ms.
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=server.detach())
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            cure = f"use another one, e.g. --port {port + 1}, or --port 0 for any free one"
            raise InputError(f"port {port} is already in use, perhaps by another undin serve: {cure}") from error
        why = str(getattr(error, "strerror", None) or error).partition(" (while")[0]  # asyncio names the address again
        raise InputError(f"cannot listen on {host} port {port}: {why}: choose another --host or --port") from error


def config(app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MOST_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,  # audio does not compress, and it would cost as much as a cheap method
        timeout_graceful_shutdown=GRACE_S,
    )


def run(app: ASGIApp, listening: socket.socket) -> None:
    """Serve until a signal comes."""
    sys.setswitchinterval(SWITCH_S)
    gc.freeze()  # modules stay: a collection that looks at them again takes 30 ms
    uvicorn.Server(config(app)).run(sockets=[listening])
