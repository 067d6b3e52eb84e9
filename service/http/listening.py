"""How we listen: a server whose every step is bounded, for both listeners."""

from importlib.util import find_spec
from typing import Final

import uvicorn
from starlette.types import ASGIApp

KEEP_ALIVE: Final = 75
"""Seconds that an idle connection is kept: longer than balancers keep theirs (60), or they post into a closing one."""


def listening(app: ASGIApp, *, connections: int = 2000, last_answers: int = 2) -> uvicorn.Config:
    """The server's settings: whom it answers is bounded, what it logs is our own affair.

    Beyond so many `connections` every further request is answered 503 at once. Once told to stop, it waits
    `last_answers` seconds for the answers that it still owes. Binding is the caller's.
    """
    return uvicorn.Config(
        app,
        # Where there is no httptools, h11 bounds the size of heads itself.
        http="service.http.bounded:Bounded" if find_spec("httptools") else "h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=connections,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=last_answers,
    )
