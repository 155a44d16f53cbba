"""Every refusal has one shape: {"error": {"code": ..., "message": ...}}, with the HTTP status that fits."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

CLOSE_REASON = 123  # bytes that a WebSocket close frame can carry


class Refusal(Exception):
    """The server rejects a request.

    Args:
        status: HTTP status.
        code: one word for programs, such as "too_large".
        message: one line for people: what is wrong, the rule, the cure.
        retry_after_s: seconds after which to try again, for the header Retry-After.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, " ".join(message.split())
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        if status == HTTPStatus.UNAUTHORIZED:
            self.headers["WWW-Authenticate"] = "Bearer"

    @property
    def body(self) -> dict[str, dict[str, str]]:
        """The JSON body."""
        return {"error": {"code": self.code, "message": self.message}}

    @property
    def reason(self) -> str:
        """The message, truncated to fit a close frame."""
        return self.message.encode()[:CLOSE_REASON].decode(errors="ignore")

    def response(self) -> JSONResponse:
        """The HTTP answer."""
        return JSONResponse(self.body, self.status, self.headers)


async def on_refusal(connection: HTTPConnection, error: Exception) -> JSONResponse:
    """Answer a `Refusal`; before its handshake a WebSocket gets the same answer over HTTP."""
    assert isinstance(error, Refusal)
    return error.response()


async def on_http_exception(connection: HTTPConnection, error: Exception) -> JSONResponse:
    """Give starlette's own refusals (404, 405) the same shape, with the cure."""
    assert isinstance(error, HTTPException)
    code, path, headers = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_"), connection.url.path, {}
    message = f"{path}: {error.detail}: see /openapi.json for what this server offers"
    if path == "/v1/stream":
        message = f"{path} is a WebSocket: connect to it with ws:// instead of http://; see /openapi.json"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
        sent = " -X POST -T noisy.wav -o out.wav" if allowed == "POST" else ""
        message = (
            f"{path} does not accept {connection.scope['method']}: use {allowed}, e.g. curl{sent} {connection.url}"
        )
        headers = {"Allow": allowed}
    response = Refusal(error.status_code, code, message).response()
    response.headers.update(headers)
    return response


async def on_bug(connection: HTTPConnection, error: Exception) -> JSONResponse:
    """Answer an unexpected error without its details, which go to the server's log."""
    message = "internal error: the server's log has the traceback; please report it"
    return Refusal(500, "internal", message).response()
