"""POST /v1/enhance and /v1/separate: a file in, a file or a zip out, the same bytes that the command line writes."""

import asyncio
import json
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from undin.audio import VIDEO_EXTENSIONS, AudioFormat, info
from undin.audio.format import EXTENSIONS
from undin.errors import MissingExtraError, UndinError
from undin.jobs import FileReport, process_file
from undin.methods import Method, Talkers
from undin.serve.admission import FileQueue
from undin.serve.limits import Limits
from undin.serve.metrics import Metrics
from undin.serve.models import Models
from undin.serve.query import Query
from undin.serve.refusal import Refusal
from undin.serve.spool import NAMED, check_type, disk, drain, send_file, spool

NAME = "audio"  # of the file, as it is called in answers
FORMATS = tuple(extension[1:] for extension in (*EXTENSIONS, *VIDEO_EXTENSIONS))
MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".zip": "application/zip",
}
PRIVATE = ("source", "targets", "residual")  # paths in a report


@dataclass(frozen=True)
class Order:
    """What to do with a file."""

    method: Method
    limit_db: float | None
    format: str | None  # of the output; None for that of the input
    talkers: Talkers  # of a separation
    media_type: str  # of the body


class Cancelled(Exception):
    """The client has gone; stops the work at its next block."""


class FileWorker:
    """Processes files, `limits.jobs` at a time."""

    def __init__(self, limits: Limits, models: Models, metrics: Metrics) -> None:
        self.limits, self.models, self.metrics, self.queue = limits, models, metrics, FileQueue(limits)
        self.pool = ThreadPoolExecutor(limits.jobs, "undin-file")

    async def __call__(self, scope: Scope, receive: Receive, send: Send, read: Callable[[Query], Order]) -> None:
        """Answer one request, whose query is understood by `read`."""
        request, received = Request(scope, receive), False
        try:
            with self.queue.place(), TemporaryDirectory(prefix="undin-", ignore_cleanup_errors=True) as folder:
                order = replace(read(_query(request)), media_type=check_type(request))
                source = Path(folder, NAME + NAMED.get(order.media_type, ""))
                await spool(request, source, self.limits)
                received = True
                path, report = await self._process(request, order, source)
                self.metrics.add("undin_file_audio_seconds_total", report.seconds)
                await send_file(send, path, _headers(path, report), self.limits.idle_s)
        except Refusal:
            if not received:
                await drain(request)
            raise
        except ClientDisconnect:
            return

    def enhance(self, query: Query) -> Order:
        """Understand the query of /v1/enhance."""
        method = self.models.enhancer(query.text("method"))
        return Order(method, query.limit_db(), query.choice("format", FORMATS), "auto", "")

    def separate(self, query: Query) -> Order:
        """Understand the query of /v1/separate."""
        if query.text("limit_db") is not None:
            raise Refusal(422, "invalid_setting", "limit_db applies to /v1/enhance only")
        is_auto = query.text("talkers") in (None, "auto")
        talkers: Talkers = "auto" if is_auto else query.integer("talkers", 2, 2, 8)
        method = self.models.separator(query.text("method"), talkers)
        return Order(method, None, query.choice("format", FORMATS), talkers, "")

    async def _process(self, request: Request, order: Order, source: Path) -> tuple[Path, FileReport]:
        """Work in a thread; stop when the client goes."""
        gone, start = threading.Event(), time.monotonic()
        job = asyncio.wrap_future(self.pool.submit(_do, order, source, self.limits, gone))
        watch = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait((job, watch), return_when=asyncio.FIRST_COMPLETED)
            if not job.done():
                raise ClientDisconnect
            self.queue.follow(time.monotonic() - start)
            return job.result()
        finally:
            gone.set()
            watch.cancel()
            with suppress(Exception):
                await job  # its folder must stay until it has stopped


def _query(request: Request) -> Query:
    names = ("method", "limit_db", "format", *(("talkers",) if request.url.path.endswith("separate") else ()))
    return Query(request.query_params, names)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _do(order: Order, source: Path, limits: Limits, gone: threading.Event) -> tuple[Path, FileReport]:
    """Process a file; errors become refusals that do not name the server's paths."""
    try:
        with disk():
            return _write(order, source, limits, gone)
    except MissingExtraError as error:
        raise Refusal(415, "wrong_type", f"this server cannot read such files: {error}") from error
    except UndinError as error:
        raise Refusal(422, "bad_audio", str(error).replace(f"{source.parent}/", "")) from error


def _write(order: Order, source: Path, limits: Limits, gone: threading.Event) -> tuple[Path, FileReport]:
    if gone.is_set():
        raise Cancelled
    format = info(source)
    source = source.rename(source.with_name(NAME + _extension(format)))
    extension = source.suffix if order.format is None else f".{order.format}"
    n_src, seconds = order.method.n_src, 0.0

    def progress(block_s: float) -> None:
        nonlocal seconds
        seconds += block_s
        if gone.is_set():
            raise Cancelled
        if seconds * format.n_channels > limits.channel_hours * 3600:
            most = f"{limits.channel_hours:g} channel-hours (duration times channels)"
            raise Refusal(413, "too_long", f"the recording must not exceed {most}: send it in parts")

    progress(format.duration or 0)
    seconds = 0.0
    names = [f"{NAME}.{i + 1}{extension}" for i in range(n_src)] if n_src else [f"{NAME}.enhanced{extension}"]
    paths = [source.with_name(name) for name in names]
    target = [str(path) for path in paths] if n_src else str(paths[0])
    report = process_file(
        order.method, str(source), target, limit_db=order.limit_db, talkers=order.talkers, progress=progress
    )
    return (_zip(paths) if n_src else paths[0]), report


def _extension(format: AudioFormat) -> str:
    """The extension that a file of this format has."""
    if format.subtype == "OPUS" and format.container == "OGG":
        return ".opus"
    held = (extension for extension, containers in EXTENSIONS.items() if format.container in containers)
    return next(held, format.container if format.container.startswith(".") else "")


def _zip(paths: list[Path]) -> Path:
    archive = paths[0].with_name(f"{NAME}.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in paths:
            file.write(path, path.name)
            path.unlink()
    return archive


def _headers(path: Path, report: FileReport) -> dict[str, str]:
    facts = {name: value for name, value in asdict(report).items() if name not in PRIVATE}
    facts["near_silence"] = [Path(name).name for name in report.near_silence]  # as in the zip
    return {
        "content-type": MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        "content-disposition": f'attachment; filename="{path.name}"',
        "undin-report": json.dumps(facts),
    }
