"""A real server on loopback and a client that sends exactly the bytes it is told to."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterable

import uvicorn
from starlette.types import ASGIApp

from service.http.listening import listening


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[int]:
    """The port that the app is served on."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = listening(app)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Started and stopped by hand: the server's own loop and its end rest for a tenth of a second each.
    await server.startup(sockets=[listener])
    try:
        yield listener.getsockname()[1]
    finally:
        for socket_server in server.servers:
            socket_server.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        tasks = list(server.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def until(holds: Callable[[], object]) -> None:
    """Waits for something that is bound to become true; the test's own timeout is the bound."""
    while not holds():
        await asyncio.sleep(0.002)


def request(
    path: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = (), *, method: str = "POST", length: bool = True
) -> bytes:
    """The bytes of a request; with `length` its Content-Length is told."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers)]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(pieces: Iterable[bytes]) -> bytes:
    """Pieces in HTTP/1.1's chunked coding, the end included."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Answer:
    """A whole HTTP response."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *rest = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        self.body = body


async def answered(reader: asyncio.StreamReader) -> Answer:
    """The next response on the connection."""
    head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
    length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
    return Answer(head, await reader.readexactly(int(length)))


async def sent(port: int, *pieces: bytes) -> Answer:
    """The answer to these bytes on a connection of their own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await answered(reader)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
