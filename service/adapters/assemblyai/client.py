"""The one HTTP client that all calls to the vendor share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx2

import service

LOOPBACK: Final = ("all://127.0.0.1", "all://localhost", "all://[::1]")
CONNECT_WITHIN: Final = 10.0
KEEP_ALIVE: Final = 5.0
"""Seconds an idle connection is kept: shorter than servers keep theirs, so that no paid request meets a closing one."""


@asynccontextmanager
async def open_client(*, connections: int = 256) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of at most so many connections, for as long as the block lasts.

    The environment's proxies (HTTPS_PROXY, NO_PROXY) and certificate authorities (SSL_CERT_FILE) are honoured, for
    operators whose only way out they are; loopback is always reached directly.
    """
    limits = httpx2.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=KEEP_ALIVE
    )
    direct = httpx2.AsyncHTTPTransport(limits=limits)
    async with httpx2.AsyncClient(
        headers={"user-agent": f"afterword/{service.__version__}", "accept": "*/*"},
        timeout=httpx2.Timeout(30.0, connect=CONNECT_WITHIN),
        limits=limits,
        mounts=dict.fromkeys(LOOPBACK, direct),
    ) as client:
        yield client
