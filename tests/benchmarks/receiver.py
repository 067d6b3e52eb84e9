"""What a callback costs the server's processor, as a ratio to a server that does nothing, in the same run.

    python -m tests.benchmarks.receiver [--seconds 3] [--connections 32]

Three rounds of each, in turn: `bare` answers and does nothing, `deaf` is the receiver without a store, `sqlite` the
receiver on the embedded one. The processor's time is counted, so that what else the machine does matters little.
"""

import argparse
import asyncio
import contextlib
import io
import multiprocessing
import socket
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import psutil
import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from service import telemetry
from service.adapters.jobs.sqlite import open_store
from service.domain.job import STEPS, Status
from service.domain.tokens import token
from service.engine.row import Callback, Heard, Row, RowId
from service.http.listening import listening
from service.http.readiness import Readiness
from service.http.receiver import receiver
from service.ops.metrics import Metrics

SECRET = "s" * 40
ROWS = 200
KINDS = ("bare", "deaf", "sqlite")
ROUNDS = 3


async def bare(_: Scope, receive: Receive, send: Send) -> None:
    """The least that answers a callback."""
    await receive()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def hearing(call_back: object) -> ASGIApp:
    return receiver(
        call_back=call_back,  # type: ignore[arg-type]
        secrets=[SECRET],
        public_url="https://hooks.example.com",
        ready=Readiness({}, clock=time.monotonic),
        tally=Metrics.create(),
        woken=lambda _: None,
        stopping=lambda: False,
    )


async def deaf(_: Callback) -> Heard:
    return Heard.COUNTED


async def serve(kind: str, listener: socket.socket, ready: Connection) -> None:
    async with contextlib.AsyncExitStack() as stack:
        app: ASGIApp = bare
        if kind == "deaf":
            app = hearing(deaf)
        if kind == "sqlite":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            opening = open_store(folder / "jobs.db", steps=STEPS, lease=30.0, clock=time.time, random=Random(1))
            store = await stack.enter_async_context(opening)
            for number in range(ROWS):
                row = Row(id=RowId(f"job_{number}"), status=Status.SUBMITTED, created_at=0, updated_at=0, due_at=2e9)
                await store.table.add(row)
            app = hearing(store.table.call_back)
        ready.send(None)
        await uvicorn.Server(listening(app)).serve(sockets=[listener])


def serving(kind: str, listener: socket.socket, ready: Connection) -> None:
    telemetry.configure("json", "info", io.StringIO())
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(kind, listener, ready))


async def posting(port: int, number: int, until: float) -> tuple[int, float]:
    """Posts on one connection; how many were answered 204, and the longest wait."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"transcript_id":"5551722-f677-48a6-9287-39c0aafd9ac1","status":"completed"}'
    job_id = f"job_{number % ROWS}"
    head = f"POST /callbacks/{job_id} HTTP/1.1\r\nHost: x\r\nX-Afterword-Token: {token(SECRET, job_id)}\r\n"
    request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    done, longest = 0, 0.0
    while (began := time.monotonic()) < until:
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 204"):
            raise SystemExit(f"not a 204: {answer[:60]!r}")
        done, longest = done + 1, max(longest, time.monotonic() - began)
    writer.close()
    return done, longest


async def measured(port: int, connections: int, seconds: float) -> tuple[int, float]:
    until = time.monotonic() + seconds
    counts = await asyncio.gather(*(posting(port, number, until) for number in range(connections)))
    return sum(done for done, _ in counts), max(longest for _, longest in counts)


def round_of(kind: str, connections: int, seconds: float) -> tuple[float, float, float]:
    """Requests a second, microseconds of processor each, the longest wait in seconds."""
    ours, theirs = multiprocessing.Pipe()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        process = multiprocessing.Process(target=serving, args=(kind, listener, theirs))
        process.start()
        try:
            ours.recv()
            server = psutil.Process(process.pid)
            before = server.cpu_times()
            done, longest = uvloop.run(measured(listener.getsockname()[1], connections, seconds))
            after = server.cpu_times()
        finally:
            process.terminate()
            process.join(10)
    spent = after.user + after.system - before.user - before.system
    return done / seconds, spent / done * 1e6, longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=32)
    asked = parser.parse_args()
    for number in range(ROUNDS):
        least = 0.0
        for kind in KINDS:
            rate, cost, longest = round_of(kind, asked.connections, asked.seconds)
            least = least or cost
            told = f"{rate:6.0f}/s  {cost:4.0f} µs each  ratio {least / cost:4.2f}  longest {longest * 1e3:4.0f} ms"
            sys.stdout.write(f"round {number + 1}  {kind:7} {told}\n")


if __name__ == "__main__":
    main()
