"""`undin serve`: files by HTTP, live sound by WebSocket."""

from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from undin.cli import options as o
from undin.cli import show
from undin.errors import InputError, require

limit = o.panel("Limits")
LEAST_TOKEN = 8  # characters


def serve(
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on, e.g. 0.0.0.0 for all interfaces; needs --token.",
            show_default="this machine only",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 for any free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="UNDIN_TOKEN",
            metavar="TEXT",
            help=f"Secret that clients must send, at least {LEAST_TOKEN} characters.",
            show_default="none",
        ),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compiled",
            help="Run live streams of lull as compiled C, which takes less CPU. The first start needs a C compiler.",
        ),
    ] = False,
    max_mb: Annotated[float, limit(metavar="MB", help="Maximum size of an upload.")] = 256,
    jobs: Annotated[int, limit(min=1, metavar="N", help="Files processed at the same time.")] = 1,
    queue: Annotated[int, limit(min=0, metavar="N", help="Files that may wait in the queue; more are rejected.")] = 8,
    max_sockets: Annotated[
        int,
        limit(min=0, metavar="N", help="Maximum number of live connections; fewer if the CPU cannot keep up."),
    ] = 256,
    idle: Annotated[float, limit(metavar="SECONDS", help="Close connections after this long without traffic.")] = 60,
) -> None:
    """Serve enhancement and separation over HTTP, and live enhancement over WebSocket.

    [dim]On this machine; open http://127.0.0.1:8000 in a browser:[/]  undin serve

    [dim]For other machines:[/]  UNDIN_TOKEN=... undin serve --host 0.0.0.0
    """
    for module in ("starlette", "uvicorn", "websockets"):
        require(module, extra="serve")
    from undin.native import Compiled, page_files
    from undin.serve import Limits, is_loopback, listen, make_app, run

    address = host or "127.0.0.1"
    if token is not None and len(token) < LEAST_TOKEN:
        raise InputError(f"a token must have at least {LEAST_TOKEN} characters; got {len(token)}: choose a longer one")
    if token is None and not is_loopback(address):
        raise InputError(f"--host {address} accepts other machines: set UNDIN_TOKEN or --token")
    limits = Limits(body_mb=max_mb, jobs=jobs, queue=queue, sockets=max_sockets, idle_s=idle)
    networks = [Compiled(say=partial(show.say, stderr=True))] if compiled else []
    with listen(address, port) as listening:
        name = f"[{address}]" if ":" in address else address
        if "lull.wasm" not in page_files():
            show.say("undin: / is the upload page; make wasm builds the page for browsers", stderr=True)
        print(f"serving on http://{name}:{listening.getsockname()[1]} (Ctrl-C to stop)", flush=True)
        with suppress(KeyboardInterrupt):
            run(make_app(limits, token, compiled=networks), listening)
