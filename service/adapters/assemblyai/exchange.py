"""One request and its answer: bounded in size and time, every foreign error turned into ours."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import httpx2
import orjson
from pydantic import SecretStr

from service.adapters.assemblyai.client import CONNECT_WITHIN
from service.adapters.assemblyai.json_values import Garbled
from service.adapters.assemblyai.redaction import redacted
from service.adapters.assemblyai.refusals import Call, classify, lost
from service.domain.errors import Code, Rejected, Unavailable

MOST: Final = 4 * 1024 * 1024
"""Bytes that are read of an ordinary answer."""

_UNSENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """`content` is sent as it is; `silence` is how long the other side may say nothing.

    `heard` is given the headers of whatever answer comes, refusals included.
    """

    call: Call
    method: str
    path: str
    params: Mapping[str, str | int] | None = None
    headers: Mapping[str, str] | None = None
    content: bytes | AsyncIterator[bytes] | None = None
    silence: float = 30.0
    heard: Callable[[Mapping[str, str]], None] | None = None


def as_json(call: Call, document: Mapping[str, object]) -> bytes:
    """The body of a request. Raises Rejected for what JSON cannot say, half characters of odd file names among it."""
    try:
        return orjson.dumps(dict(document), default=_plain)
    except orjson.JSONEncodeError as error:
        code = Code.PROMPT_REJECTED if call is Call.ASK else Code.TRANSCRIPTION_REJECTED
        raise Rejected(code, f"the request cannot be written as JSON: {redacted(str(error))}") from error


class Exchange:
    """A host of the vendor's under one key."""

    def __init__(self, client: httpx2.AsyncClient, base_url: str, key: SecretStr | str) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._key = key if isinstance(key, SecretStr) else SecretStr(key)

    async def body(self, request: Request, *, within: float, most: int = MOST) -> bytearray:
        """The whole body of a success, all of it `within` so many seconds. Raises as `opened`."""
        with ours(request.call, self._base_url):
            async with asyncio.timeout(within), self.opened(request, within=within) as response:
                return await read_all(response, most)

    @asynccontextmanager
    async def opened(self, request: Request, *, within: float) -> AsyncIterator[httpx2.Response]:
        """A success whose body is still to be read; its head came `within` so many seconds.

        Raises what `refusals.classify` makes of anything else, Unavailable when nothing was sent, and what
        `refusals.lost` says when the answer was not seen; so do errors within the block.
        """
        with ours(request.call, self._base_url):
            async with asyncio.timeout(within):
                response = await self._client.send(self._built(request, within), stream=True, follow_redirects=False)
            try:
                if request.heard is not None:
                    request.heard(response.headers)
                if not response.is_success:
                    async with asyncio.timeout(within):
                        body = await read_all(response, MOST)
                    raise classify(response.status_code, response.headers, bytes(body), request.call)
                yield response
            finally:
                await response.aclose()

    def _built(self, request: Request, within: float) -> httpx2.Request:
        # Waiting for a connection, making it and its TLS each take a share, so that the whole never ends first: an
        # end by them is known to have sent nothing.
        share = min(CONNECT_WITHIN, within / 4)
        return self._client.build_request(
            request.method,
            self._base_url + request.path,
            params=request.params,
            headers={"authorization": self._key.get_secret_value(), **(request.headers or {})},
            content=request.content,
            timeout=httpx2.Timeout(request.silence, connect=share, pool=share),
        )


@contextmanager
def ours(call: Call, host: str) -> Iterator[None]:
    """Turns foreign errors within the block into ours."""
    try:
        yield
    except _UNSENT as error:
        raise Unavailable(f"{host} cannot be reached: {_reason(error)}") from error
    except httpx2.HTTPError as error:
        raise lost(call, f"the connection to {host} broke: {_reason(error)}") from error
    except TimeoutError as error:
        raise lost(call, f"{host} did not answer in time") from error
    except Garbled as error:
        raise lost(call, f"the answer of {host} cannot be used: {error}") from error


async def read_all(response: httpx2.Response, most: int) -> bytearray:
    """The decoded body. Raises Garbled when it is longer than `most` bytes."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > most:
            raise Garbled(f"it is longer than {most} bytes")
    return body


def _reason(error: Exception) -> str:
    words = redacted(str(error))
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")
