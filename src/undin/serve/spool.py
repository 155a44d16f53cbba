"""Bodies in and files out, through the disk: memory holds one chunk, whatever the size."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.requests import Request
from starlette.types import Send

from undin.serve.limits import Limits
from undin.serve.refusal import Refusal

CHUNK = 1 << 16  # bytes
TYPES = ("application/octet-stream", "application/ogg", "application/mp4")  # in addition to audio/* and video/*
NAMED = {"audio/aac": ".aac", "audio/aacp": ".aac", "audio/ac3": ".ac3", "audio/amr": ".amr"}  # not known by content
DRAIN_S = 1.0  # a refused body is read for so long, so that the client sees the answer and not a broken connection


def check_type(request: Request) -> str:
    """The body's media type, without parameters.

    Raises:
        Refusal: not sound, such as a form.
    """
    given = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if given.startswith(("audio/", "video/")) or given in TYPES:
        return given
    cure = "send the file itself as the body, with a type such as audio/wav or application/octet-stream"
    raise Refusal(415, "wrong_type", f"the body must be an audio file; got {given[:60]}: {cure}")


@contextmanager
def disk() -> Iterator[None]:
    """Reject uploads that do not fit on the disk (507)."""
    try:
        yield
    except OSError as error:
        raise Refusal(507, "no_space", f"the server cannot store the file: {error.strerror or error}") from error


async def spool(request: Request, path: Path, limits: Limits) -> None:
    """Write the body to a file.

    Raises:
        Refusal: it is too large (413), nothing came for `limits.idle_s` (408), or the disk is full (507).
        ClientDisconnect: the client has gone.
    """
    _check_length(int(request.headers.get("content-length") or 0), limits)
    n_bytes, chunks = 0, request.stream()
    with disk(), path.open("wb") as file:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks, None), limits.idle_s)
            except TimeoutError:
                raise Refusal(408, "idle", f"no data for {limits.idle_s:g} s: send the file again") from None
            if chunk is None:
                return
            n_bytes += len(chunk)
            _check_length(n_bytes, limits)
            file.write(chunk)


def _check_length(n_bytes: int, limits: Limits) -> None:
    if n_bytes > limits.body_bytes:
        message = f"the body must have at most {limits.body_mb:g} MB: send a shorter or a compressed file"
        raise Refusal(413, "too_large", message)


async def drain(request: Request) -> None:
    """Read and discard data that a rejected client still sends, for DRAIN_S at most."""
    end = time.monotonic() + DRAIN_S
    while (left := end - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(request.receive(), left)
        except TimeoutError:
            return
        if message["type"] != "http.request" or not message.get("more_body"):
            return


async def send_file(send: Send, path: Path, headers: dict[str, str], idle_s: float) -> None:
    """Answer with a file.

    Raises:
        TimeoutError: the client has taken nothing for `idle_s`.
    """
    raw = {**headers, "content-length": str(path.stat().st_size)}
    fields = [(name.encode(), value.encode("latin-1")) for name, value in raw.items()]
    with path.open("rb") as file:
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        while chunk := file.read(CHUNK):
            message = {"type": "http.response.body", "body": chunk, "more_body": True}
            await asyncio.wait_for(send(message), idle_s)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
