"""Access control. With a token, requests that carry it; without one, local programs and pages of this server.

A browser lets any web page send requests to 127.0.0.1. Without a token the server therefore refuses requests whose
Origin is another site, and those that name it by a host that is not this machine (DNS rebinding).
"""

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from undin.serve.metrics import Metrics
from undin.serve.refusal import Refusal

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Gate:
    """Middleware that checks the token or the origin, and counts answers.

    Args:
        app: the guarded application.
        token: None for no token.
        metrics: where answers are counted.
        paths: paths that are counted by their name; all others are counted as "other".
        free: paths that need no token: pages hold nothing secret, and ask for it.
    """

    def __init__(
        self, app: ASGIApp, token: str | None, metrics: Metrics, paths: frozenset[str], free: frozenset[str]
    ) -> None:
        self._app, self._token, self._metrics, self._paths, self._free = app, token, metrics, paths, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal here, or pass the request on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def counted(message: dict[str, object]) -> None:
            if "status" in message:
                path = scope["path"] if scope["path"] in self._paths else "other"
                self._metrics.add("undin_requests_total", path=path, status=message["status"])
            await send(message)

        try:
            self._check(scope)
        except Refusal as refusal:
            await refusal.response()(scope, receive, counted)  # type: ignore[arg-type]
        else:
            await self._app(scope, receive, counted)  # type: ignore[arg-type]

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._token is None:
            _check_origin(headers)
        elif scope["path"] not in self._free:
            self._check_token(scope, headers)

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            given = ""
        if not given and scope["type"] == "websocket":  # a browser cannot set headers there
            given = QueryParams(scope["query_string"]).get("token", "")
        assert self._token is not None
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            what = "wrong token" if given else "missing token"
            raise Refusal(401, "unauthorized", f"{what}: send the header  Authorization: Bearer TOKEN")


def _check_origin(headers: Headers) -> None:
    host = headers.get("host", "")
    if _name(host) not in LOOPBACK:
        raise Refusal(403, "wrong_host", f"without a token the server serves this machine only; got Host: {host}")
    origin = headers.get("origin")
    if origin not in (None, f"http://{host}", f"https://{host}"):
        raise Refusal(403, "wrong_origin", f"pages of {origin} may not use this server: start it with a token")


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
