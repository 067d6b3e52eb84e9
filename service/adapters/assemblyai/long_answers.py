"""Answers that may be hundreds of megabytes: taken in turn, parsed where they hold nobody up."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import anyio
import httpx2

from service.adapters.assemblyai.exchange import Exchange, Request, read_all
from service.adapters.assemblyai.in_work import InWork
from service.adapters.assemblyai.json_values import count

T = TypeVar("T")

MOST: Final = 256 * 1024 * 1024
"""Bytes that are read of one at most."""

_INLINE: Final = 1024 * 1024
"""Bytes of JSON that are parsed where they arrive; more would hold up everybody else."""
_HEAD: Final = 60.0
_BODY: Final = 300.0


async def long_answer(
    exchange: Exchange, request: Request, in_work: InWork, read: Callable[[bytes | bytearray], T]
) -> T:
    """What `read` makes of the answer's body, within the bounds of `in_work`. Raises as Exchange.opened."""
    async with exchange.opened(request, within=_HEAD) as response, in_work.hold(length(response)):
        async with asyncio.timeout(_BODY):
            body = await read_all(response, MOST)
        return await anyio.to_thread.run_sync(read, body) if len(body) > _INLINE else read(body)


def length(response: httpx2.Response) -> int | None:
    """The bytes to come; a compressed answer does not tell."""
    told = response.headers.get("content-length", "")
    compressed = response.headers.get("content-encoding", "identity") != "identity"
    return None if compressed or not told.isascii() or not told.isdigit() else count(int(told[:12]))
