"""A server: files by HTTP, live sound by WebSocket; see docs/server.md.

    request --gate--> files    spool -> jobs.process_file -> answer
                      sockets  packets -> Stream -> packets

`gate` authenticates requests, `admission` limits concurrency, `limits` holds the limits, and `refusal` is the format of
every error. Only this package imports starlette and uvicorn.
"""

from undin.serve.app import make_app, openapi
from undin.serve.limits import Limits
from undin.serve.run import is_loopback, listen, run

__all__ = ["Limits", "is_loopback", "listen", "make_app", "openapi", "run"]
