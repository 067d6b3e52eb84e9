"""Runs the stand-in: one listener, connections that it can cut, a file that says where it listens."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.simulator.app import create_app
from service.simulator.options import Options

Ready = Callable[[str], None]
HIGHEST_PORT: Final = 65_535


class ListenError(Exception):
    """The address cannot be had; the message says which and why."""


class _CuttableProtocol(HttpToolsProtocol):
    """Hands the application its connection's transport, so that a fault can reset it."""

    def on_message_begin(self) -> None:
        self.app_state = {**self.app_state, "transport": self.transport}
        super().on_message_begin()


class StandIn(uvicorn.Server):
    """A server on a socket of `listen`; `ready` gets its URL once it accepts connections. `should_exit` ends it."""

    def __init__(self, options: Options, listener: socket.socket, ready: Ready) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(options),
                http=_CuttableProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._listener = listener
        self._ready = ready
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready(self.url)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets or [self._listener])


def listen(host: str, port: int) -> socket.socket:
    """Port 0 takes a free one. Raises ListenError."""
    if not 0 <= port <= HIGHEST_PORT:
        raise ListenError(f"cannot listen on {host}:{port}: a port is a number from 0 to {HIGHEST_PORT}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # Python appends the address a second time, in brackets.
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise ListenError(f"cannot listen on {host}:{port}: {reason}") from error


def run(
    options: Options, *, host: str, port: int, ready_file: Path | None = None, ready: Ready = lambda _: None
) -> None:
    """Serves until SIGINT or SIGTERM, then returns. The ready file gets the URL, whole or not at all.

    Raises ListenError before anything is served.
    """

    def told(url: str) -> None:
        if ready_file is not None:
            write_ready_file(ready_file, url)
        ready(url)

    with listen(host, port) as listener:
        # uvicorn raises the signal again once it has shut down; to be asked to stop is no failure.
        before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            StandIn(options, listener, told).run()
        finally:
            for number, heeded in before.items():
                signal.signal(number, heeded)


def write_ready_file(path: Path, url: str) -> None:
    """One line, put in place atomically: who sees the file may read it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(f"{url}\n", encoding="utf-8")
    beside.replace(path)


async def serve(options: Options, *, host: str, port: int, ready: Ready, stop: asyncio.Event) -> None:
    """Serves inside a running loop until `stop` is set. Raises ListenError."""
    with listen(host, port) as listener:
        server = StandIn(options, listener, ready)
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        server.should_exit = True
        await serving
