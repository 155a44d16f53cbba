"""The routes, wired to what answers them."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from undin.native import Compiled, page_files
from undin.serve.files import FileWorker
from undin.serve.gate import Gate
from undin.serve.limits import Limits
from undin.serve.metrics import Metrics
from undin.serve.models import Models
from undin.serve.refusal import Refusal, on_bug, on_http_exception, on_refusal
from undin.serve.sockets import SocketWorker
from undin.version import __version__

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'",
    "X-Content-Type-Options": "nosniff",
}


class Service:
    """Everything that answers requests, for one process.

    Args:
        limits: maximum sizes and counts.
        compiled: networks whose live streams run in C.
        locked: whether requests need a token.
    """

    def __init__(self, limits: Limits, compiled: Sequence[Compiled], *, locked: bool) -> None:
        self.limits, self.locked, self.models, self.metrics = limits, locked, Models(compiled), Metrics()
        self.assets = page_files()
        self.files = FileWorker(limits, self.models, self.metrics)
        self.sockets = SocketWorker(limits, self.models, self.metrics)

    async def home(self, request: Request) -> Response:
        """GET /: the page that processes sound in the browser, or the upload page where the package lacks it."""
        if "lull.wasm" not in self.assets:
            return await self.upload(request)
        html = self.assets["index.html"].read_text("utf-8")
        html = html.replace(" hidden data-served", "")  # the choice between this computer and the server
        html = html.replace(" data-open", "" if self.locked else " hidden")  # the field for the token
        return HTMLResponse(html, headers=PAGE_HEADERS)

    async def asset(self, request: Request) -> Response:
        """GET /{name}: a file of that page."""
        return self._asset(request.path_params["name"])

    def _asset(self, name: str) -> Response:
        if name not in self.assets:
            raise HTTPException(404)
        return FileResponse(self.assets[name], headers=PAGE_HEADERS)

    async def upload(self, request: Request) -> Response:
        """GET /upload."""
        html, policy = _page()
        return HTMLResponse(html, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})

    async def methods(self, request: Request) -> Response:
        """GET /v1/methods."""
        return JSONResponse({"methods": await run_in_threadpool(self.models.rows)})

    async def health(self, request: Request) -> Response:
        """GET /healthz."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def metrics_text(self, request: Request) -> Response:
        """GET /metrics."""
        gate = self.sockets.gate
        gauges = {
            "undin_files": self.files.queue.n_taken,
            "undin_sockets": gate.n_open,
            "undin_sockets_load": gate.load,
        }
        return PlainTextResponse(self.metrics.text(gauges), media_type="text/plain; version=0.0.4")

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        return JSONResponse(openapi())

    async def stream(self, socket: Any) -> None:
        """WS /v1/stream."""
        await self.sockets(socket)

    def close(self) -> None:
        """End the threads."""
        for pool in (self.files.pool, self.sockets.pool):
            pool.shutdown(wait=False, cancel_futures=True)


class FileEndpoint:
    """An ASGI endpoint: starlette calls a plain function with a parsed request, but this streams the answer itself."""

    def __init__(self, service: Service, kind: str) -> None:
        self._answer = partial(service.files, read=getattr(service.files, kind))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._answer(scope, receive, send)


def make_app(limits: Limits | None = None, token: str | None = None, *, compiled: Sequence[Compiled] = ()) -> Starlette:
    """Make the ASGI application.

    Args:
        limits: maximum sizes and counts.
        token: what clients must send; None serves programs of this machine only.
        compiled: networks whose live streams run in C.
    """
    service = Service(limits or Limits(), compiled, locked=token is not None)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.close()

    routes: list[Route | WebSocketRoute] = [
        Route("/", service.home),
        Route("/upload", service.upload),
        Route("/v1/enhance", FileEndpoint(service, "enhance"), methods=["POST"]),
        Route("/v1/separate", FileEndpoint(service, "separate"), methods=["POST"]),
        WebSocketRoute("/v1/stream", service.stream),
        Route("/v1/methods", service.methods),
        Route("/healthz", service.health),
        Route("/metrics", service.metrics_text),
        Route("/openapi.json", service.openapi),
        Route("/{name}", service.asset),
    ]
    paths = frozenset(route.path for route in routes)
    free = frozenset(["/", "/upload", "/healthz", *(f"/{name}" for name in service.assets)])
    return Starlette(
        routes=routes,
        middleware=[Middleware(Gate, token=token, metrics=service.metrics, paths=paths, free=free)],
        exception_handlers={Refusal: on_refusal, HTTPException: on_http_exception, Exception: on_bug},
        lifespan=lifespan,
    )


@cache
def openapi() -> dict[str, Any]:
    """The description of the server, with this version in it."""
    text = resources.files("undin.serve").joinpath("openapi.json").read_text("utf-8")
    description: dict[str, Any] = json.loads(text)
    description["info"]["version"] = __version__
    return description


@cache
def _page() -> tuple[str, str]:
    """The upload page and its content security policy, which allows its own script and style by their digests."""
    html = resources.files("undin.serve").joinpath("page.html").read_text("utf-8")
    digests = {}
    for kind in ("script", "style"):
        found = re.search(rf"<{kind}>(.*?)</{kind}>", html, re.S)
        assert found
        digests[kind] = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    rules = [f"{kind}-src 'sha256-{digest}'" for kind, digest in digests.items()]
    rules = ["default-src 'none'", *rules, "connect-src 'self'", "media-src blob:", "img-src data:"]
    return html, "; ".join([*rules, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])
