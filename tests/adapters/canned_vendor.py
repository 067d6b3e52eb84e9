"""A server on loopback that answers each request with the next of the answers it was given."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

RESET = b"reset"
SILENCE = b"silence"
DRIP = b"drip"


@dataclass
class Asked:
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class CannedVendor:
    url: str = ""
    answers: list[bytes] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def will(self, *answers: bytes) -> None:
        self.answers.extend(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *lines = head.decode("latin-1").strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, value in (item.split(":", 1) for item in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.asked.append(Asked(line, headers, body))
                self.reached.set()
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer == SILENCE:
                    await reader.read()
                    return
                if answer == DRIP:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                    while not writer.transport.is_closing():
                        writer.write(b" ")
                        await asyncio.sleep(0.05)
                    return
                if answer == RESET:
                    raw = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                    return
                writer.write(answer)
                await writer.drain()
                if b"connection: close" in answer.partition(b"\r\n\r\n")[0]:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def canned_vendor() -> AsyncIterator[CannedVendor]:
    vendor = CannedVendor()
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0, limit=1 << 20)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield vendor
    finally:
        server.close()


def answer(
    status: int = 200, body: object = b"", headers: Sequence[tuple[str, str]] = (), *, length: int | None = None
) -> bytes:
    """A whole HTTP answer; JSON of anything but bytes. `length` may lie."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = len(payload) if length is None else length
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {told}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload
