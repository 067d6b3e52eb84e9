"""The vendor's transcription API behind `ports.Transcriber`."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

import httpx2
from pydantic import SecretStr

from service.adapters.assemblyai import wire_transcripts as wire
from service.adapters.assemblyai.exchange import Exchange, Request, as_json, ours
from service.adapters.assemblyai.in_work import InWork
from service.adapters.assemblyai.long_answers import long_answer
from service.adapters.assemblyai.refusals import Call, date
from service.domain.errors import RecordingReplaced, TranscriptMissing
from service.domain.job import TranscriptId
from service.domain.transcript import Listed, Reading

PAGE: Final = 200

CLOCKS_APART: Final = 5.0
"""Seconds that our clock and the vendor's may differ before its times are told by ours."""
_ORDINARY: Final = 60.0
_UPLOAD: Final = 300.0
_SLOWEST: Final = 100_000
"""Bytes a second below which an upload is given up."""


class Transcripts:
    """Implements `ports.Transcriber` for one account in one region.

    `in_work` bounds how many bytes of transcripts are read and parsed at once, over all who share it. By `clock`, ours
    (epoch seconds), the times of a list are told; without it they are told by the vendor's.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        base_url: str,
        key: SecretStr | str,
        in_work: InWork | None = None,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._exchange = Exchange(client, base_url, key)
        self._host = base_url
        self._in_work = in_work or InWork()
        self._clock = clock

    async def upload(self, body: AsyncIterator[bytes], size: int) -> str:
        """Also raises whatever `body` raises, and RecordingReplaced when it is not of `size` bytes."""
        request = Request(
            call=Call.UPLOAD,
            method="POST",
            path="/v2/upload",
            headers={"content-type": "application/octet-stream", "content-length": str(size)},
            content=_exactly(body, size),
            silence=_UPLOAD,
        )
        answer = await self._exchange.body(request, within=_UPLOAD + size / _SLOWEST)
        with ours(request.call, self._host):
            return wire.uploaded(answer)

    async def submit(self, request: Mapping[str, object], *, within: float) -> TranscriptId:
        sent = Request(
            call=Call.SUBMIT,
            method="POST",
            path="/v2/transcript",
            headers={"content-type": "application/json"},
            content=as_json(Call.SUBMIT, request),
            silence=within,
        )
        answer = await self._exchange.body(sent, within=within)
        with ours(sent.call, self._host):
            return wire.submitted(answer)

    async def read(self, transcript_id: TranscriptId) -> Reading:
        request = Request(call=Call.READ, method="GET", path=path_of(transcript_id))
        return await long_answer(self._exchange, request, self._in_work, wire.reading)

    async def recent(self, before: TranscriptId | None = None) -> Sequence[Listed]:
        params: dict[str, str | int] = {"limit": PAGE}
        if before is not None:
            params["before_id"] = before
        ahead = 0.0

        def heard(headers: Mapping[str, str]) -> None:
            nonlocal ahead
            ahead = self._ahead(headers.get("date"))

        request = Request(call=Call.LIST, method="GET", path="/v2/transcript", params=params, heard=heard)
        answer = await self._exchange.body(request, within=_ORDINARY)
        with ours(request.call, self._host):
            return wire.listed(answer, ahead)

    def _ahead(self, told: str | None) -> float:
        """Seconds that our clock is ahead of the vendor's; 0 where they agree."""
        # A clock that is wrong by more than the search for a lost submission allows would hide it, and it would be
        # paid for twice.
        theirs = date(told)
        if self._clock is None or theirs is None:
            return 0.0
        ahead = self._clock() - theirs.timestamp()
        return ahead if abs(ahead) > CLOCKS_APART else 0.0

    async def delete(self, transcript_id: TranscriptId) -> None:
        """A transcript that still runs is unknown to deletion and goes on: only a later `read` shows it gone."""
        try:
            request = Request(call=Call.DELETE, method="DELETE", path=path_of(transcript_id))
            await self._exchange.body(request, within=_ORDINARY)
        except TranscriptMissing:
            return


def path_of(transcript_id: TranscriptId) -> str:
    """Ids come from people too: what is none must not become another path."""
    if wire.identifier(transcript_id) is None:
        raise TranscriptMissing("that is not the form of a transcript id")
    return f"/v2/transcript/{transcript_id}"


async def _exactly(body: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    sent = 0
    async for chunk in body:
        sent += len(chunk)
        if sent > size:
            break
        yield chunk
    if sent != size:
        raise RecordingReplaced(f"it was announced with {size} bytes and is no longer that long")
