"""What the vendor makes of a finished transcript, behind `ports.Renditions`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import httpx2
from pydantic import SecretStr

from service.adapters.assemblyai import wire_transcripts as wire
from service.adapters.assemblyai.client import CONNECT_WITHIN
from service.adapters.assemblyai.exchange import Exchange, Request, ours, read_all
from service.adapters.assemblyai.in_work import InWork
from service.adapters.assemblyai.json_values import Garbled
from service.adapters.assemblyai.long_answers import length, long_answer
from service.adapters.assemblyai.refusals import Call
from service.adapters.assemblyai.transcripts import path_of
from service.domain.errors import Code, Rejected, Unavailable
from service.domain.job import TranscriptId
from service.domain.transcript import Paragraph

MOST_CAPTIONS: Final = 16 * 1024 * 1024
MOST_AUDIO: Final = 1024 * 1024 * 1024
"""Bytes of redacted audio that are taken at most."""
AT_ONCE: Final = 4
"""Redacted recordings fetched at the same time: pieces of each are in memory, and may be megabytes where they go."""
PIECE: Final = 256 * 1024

_ORDINARY: Final = 60.0
_SILENCE: Final = 30.0
_SLOWEST: Final = 100_000
"""Bytes a second below which a download is given up."""
_FORMS: Final = frozenset({"srt", "vtt"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Renditions:
    """Implements `ports.Renditions` for one account in one region; `in_work` as for Transcripts, and the same one."""

    def __init__(
        self, client: httpx2.AsyncClient, base_url: str, key: SecretStr | str, in_work: InWork | None = None
    ) -> None:
        self._exchange = Exchange(client, base_url, key)
        self._client = client
        self._host = base_url
        self._in_work = in_work or InWork()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def captions(self, transcript_id: TranscriptId, form: str) -> str:
        if form not in _FORMS:
            raise Rejected(Code.TRANSCRIPTION_REJECTED, f"{form!r} is no form of captions; there are srt and vtt")
        request = Request(call=Call.READ, method="GET", path=f"{path_of(transcript_id)}/{form}")
        answer = await self._exchange.body(request, within=_ORDINARY, most=MOST_CAPTIONS)
        return answer.decode(errors="replace")

    async def paragraphs(self, transcript_id: TranscriptId) -> Sequence[Paragraph]:
        request = Request(call=Call.READ, method="GET", path=f"{path_of(transcript_id)}/paragraphs")
        return await long_answer(self._exchange, request, self._in_work, wire.paragraphs)

    async def redacted_audio(self, transcript_id: TranscriptId) -> str | None:
        request = Request(call=Call.READ, method="GET", path=f"{path_of(transcript_id)}/redacted-audio")
        async with self._exchange.opened(request, within=_ORDINARY) as response:
            if response.status_code == HTTPStatus.ACCEPTED:
                return None
            async with asyncio.timeout(_ORDINARY):
                return wire.redacted_audio(await read_all(response, wire.LONGEST_URL * 8))

    @asynccontextmanager
    async def sound(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Nothing of ours goes there: no key, and no redirect is followed to anywhere else."""
        host = _host(url)
        async with self._turns:
            with ours(Call.READ, host):
                async with asyncio.timeout(_SILENCE):
                    response = await self._client.send(self._built(url), stream=True, auth=None, follow_redirects=False)
            try:
                yield _whole(response, host, _size(response, host))
            finally:
                await response.aclose()

    def _built(self, url: str) -> httpx2.Request:
        timeout = httpx2.Timeout(_SILENCE, connect=CONNECT_WITHIN, pool=CONNECT_WITHIN)
        return self._client.build_request("GET", url, headers={"accept-encoding": "identity"}, timeout=timeout)


def _host(url: str) -> str:
    """Scheme and host, fit to be told. Raises Unavailable for what must not be fetched."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise Unavailable("the vendor names no URL for the redacted audio") from None
    if parsed.userinfo or not parsed.host or parsed.scheme not in {"https", "http"}:
        raise Unavailable("the vendor's URL for the redacted audio is none that may be fetched")
    if parsed.scheme == "http" and parsed.host not in _LOOPBACK:
        raise Unavailable(f"the redacted audio lies at {parsed.host} without encryption, and is not fetched there")
    return f"{parsed.scheme}://{parsed.host}"


def _size(response: httpx2.Response, host: str) -> int:
    """Bytes to come. Raises Unavailable unless the answer is a whole recording, Rejected where it is too much."""
    if response.status_code != HTTPStatus.OK:
        # The URL's time may be over; the next one is made afresh.
        raise Unavailable(f"{host} answers {response.status_code} instead of the redacted audio")
    size = length(response)
    if not size:
        raise Unavailable(f"{host} does not tell how long the redacted audio is")
    if size > MOST_AUDIO:
        words = f"the redacted audio has {size} bytes, and at most {MOST_AUDIO} are taken"
        raise Rejected(Code.TRANSCRIPTION_REJECTED, words)
    return size


async def _whole(response: httpx2.Response, host: str, size: int) -> AsyncIterator[bytes]:
    """The bytes, none missing: Unavailable is raised instead of an end that comes too early, or too late."""
    clock = asyncio.get_running_loop().time
    until, got = clock() + _ORDINARY + size / _SLOWEST, 0
    with ours(Call.READ, host):
        async for piece in response.aiter_raw(PIECE):
            got += len(piece)
            if got > size:
                break
            if clock() > until:
                raise TimeoutError
            yield piece
        if got != size:
            raise Garbled("it is not as long as it said")
