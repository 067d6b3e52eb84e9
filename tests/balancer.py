"""A load balancer on loopback: connections go to the replicas in turn, past those that do not listen."""

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

PIECE = 65_536


@contextmanager
def balancing(port: int, replicas: Sequence[int]) -> Iterator[None]:
    """Listens on `port` until the block ends; a connection that no replica takes is closed."""
    loop = asyncio.new_event_loop()
    turns = itertools.cycle(range(len(replicas)))

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        first = next(turns)
        for number in range(len(replicas)):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", replicas[(first + number) % len(replicas)])
        return None

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await connect()
        if there is not None:
            await asyncio.gather(_passed(reader, there[1]), _passed(there[0], writer))
        writer.close()

    async def listen() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
            ready.set()
            with suppress(asyncio.CancelledError):
                await server.serve_forever()

    ready = threading.Event()
    listening = loop.create_task(listen())
    thread = threading.Thread(target=loop.run_forever, name="balancer")
    thread.start()
    try:
        if not ready.wait(10):
            raise RuntimeError(f"the balancer cannot listen on {port}")
        yield
    finally:
        loop.call_soon_threadsafe(_stop, loop, listening)
        thread.join(10)
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop, listening: "asyncio.Task[None]") -> None:
    rest = asyncio.all_tasks(loop) | {listening}
    for each in rest:
        each.cancel()
    asyncio.gather(*rest, return_exceptions=True).add_done_callback(lambda _: loop.stop())


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    writer.close()
