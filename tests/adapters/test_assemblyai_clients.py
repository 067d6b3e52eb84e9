"""What the clients send, and what they make of good answers and plain refusals."""

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator
from types import MappingProxyType
from typing import Any

import orjson
import pytest

from service.adapters.assemblyai import wire_transcripts
from service.adapters.assemblyai.client import open_client
from service.adapters.assemblyai.in_work import InWork
from service.adapters.assemblyai.transcripts import Transcripts
from service.domain.asking.completion import Finish
from service.domain.errors import (
    AccountTrouble,
    Code,
    RecordingReplaced,
    Rejected,
    Throttled,
    TranscriptMissing,
    Unavailable,
)
from service.domain.job import TranscriptId
from service.domain.transcript import State
from tests.adapters.canned_vendor import SILENCE, answer, canned_vendor
from tests.adapters.vendor_clients import (
    BILLED,
    COMPLETED,
    FREE,
    LOOKUP,
    SOME,
    Act,
    Clients,
    ask,
    chunks,
    clients,
    upload,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def wired() -> AsyncIterator[Clients]:
    async with clients() as made:
        yield made


async def test_an_upload_streams_its_announced_length_under_the_raw_key(wired: Clients) -> None:
    wired.vendor.will(answer(body={"upload_url": "https://cdn.example.com/upload/1"}))
    assert await upload(wired) == "https://cdn.example.com/upload/1"
    (asked,) = wired.vendor.asked
    assert (asked.line, asked.body) == ("POST /v2/upload HTTP/1.1", b"abcdef")
    assert asked.headers["content-length"] == "6"
    assert asked.headers["content-type"] == "application/octet-stream"
    assert asked.headers["authorization"] == "the-key"
    assert asked.headers["user-agent"].startswith("afterword/")


async def test_a_submission_is_posted_as_it_is(wired: Clients) -> None:
    wired.vendor.will(answer(body={"id": "t-9", "status": "queued"}))
    request = {"audio_url": "https://h/k?sig=1", "speech_models": ("universal-2",), "speaker_labels": True}
    assert await wired.transcripts.submit(request, within=5) == "t-9"
    assert wired.vendor.asked[0].line == "POST /v2/transcript HTTP/1.1"
    assert json.loads(wired.vendor.asked[0].body) == request | {"speech_models": ["universal-2"]}


@pytest.mark.parametrize("value", ["half a character \udc80", object()])
async def test_what_json_cannot_say_is_rejected_before_it_is_sent(wired: Clients, value: object) -> None:
    with pytest.raises(Rejected) as transcription:
        await wired.transcripts.submit({"prompt": value}, within=5)
    with pytest.raises(Rejected) as prompt:
        await wired.gateway.ask({"prompt": value}, within=5)
    assert transcription.value.code is Code.TRANSCRIPTION_REJECTED
    assert prompt.value.code is Code.PROMPT_REJECTED
    assert wired.vendor.asked == []


async def test_frozen_mappings_are_written_like_any_other(wired: Clients) -> None:
    wired.vendor.will(answer(body={"id": "t-9"}))
    options = MappingProxyType({"speaker_options": MappingProxyType({"max_speakers_expected": 2})})
    await wired.transcripts.submit(options, within=5)
    assert json.loads(wired.vendor.asked[0].body) == {"speaker_options": {"max_speakers_expected": 2}}


async def test_a_transcript_is_read(wired: Clients) -> None:
    wired.vendor.will(answer(body=COMPLETED))
    reading = await wired.transcripts.read(SOME)
    assert reading.state is State.COMPLETED
    assert wired.vendor.asked[0].line == "GET /v2/transcript/t-1 HTTP/1.1"


async def test_a_compressed_transcript_is_read(wired: Clients) -> None:
    packed = gzip.compress(orjson.dumps(COMPLETED))
    wired.vendor.will(answer(body=packed, headers=[("content-encoding", "gzip")]))
    assert (await wired.transcripts.read(SOME)).id == "t-1"


async def test_a_long_transcript_is_parsed_off_the_event_loop(wired: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    parse = wire_transcripts.reading

    def noting(body: bytearray) -> Any:
        threads.append(threading.current_thread())
        return parse(body)

    monkeypatch.setattr(wire_transcripts, "reading", noting)
    wired.vendor.will(answer(body=COMPLETED), answer(body=COMPLETED | {"text": "x" * (1 << 20)}))
    await wired.transcripts.read(SOME)
    await wired.transcripts.read(SOME)
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


@pytest.mark.parametrize(("ours", "created"), [(1_800_000_300.0, 1_800_000_290.0), (1_800_000_002.0, 1_799_999_990.0)])
async def test_listed_times_are_told_by_our_clock_where_it_differs(ours: float, created: float) -> None:
    item = {"id": "t-2", "status": "completed", "audio_url": "u", "created": "2027-01-15T07:59:50Z"}
    async with canned_vendor() as vendor, open_client() as client:
        vendor.will(answer(200, {"transcripts": [item]}, [("date", "Fri, 15 Jan 2027 08:00:00 GMT")]))
        (listed,) = await Transcripts(client, vendor.url, "k", clock=lambda: ours).recent()
    assert listed.created == created


async def test_the_recent_are_listed_back_from_one(wired: Clients) -> None:
    item = {"id": "t-2", "status": "queued", "created": "2026-06-10T15:38:23Z", "audio_url": "u", "completed": None}
    wired.vendor.will(answer(body={"transcripts": [item]}), answer(body={"transcripts": []}))
    assert [listed.id for listed in await wired.transcripts.recent()] == ["t-2"]
    assert await wired.transcripts.recent(TranscriptId("t-2")) == ()
    assert [asked.line for asked in wired.vendor.asked] == [
        "GET /v2/transcript?limit=200 HTTP/1.1",
        "GET /v2/transcript?limit=200&before_id=t-2 HTTP/1.1",
    ]


@pytest.mark.parametrize("reply", [answer(body=COMPLETED), answer(400, LOOKUP), answer(404, LOOKUP)])
async def test_deleting_what_is_gone_is_fine(wired: Clients, reply: bytes) -> None:
    wired.vendor.will(reply)
    await wired.transcripts.delete(SOME)
    assert wired.vendor.asked[0].line == "DELETE /v2/transcript/t-1 HTTP/1.1"


@pytest.mark.parametrize("given", ["", "..", "a/b", "a?b", "x" * 200, "a\r\nb"])
async def test_what_is_no_id_never_becomes_a_path(wired: Clients, given: str) -> None:
    with pytest.raises(TranscriptMissing):
        await wired.transcripts.read(TranscriptId(given))
    assert wired.vendor.asked == []


async def test_an_unknown_transcript_is_missing(wired: Clients) -> None:
    wired.vendor.will(answer(400, LOOKUP))
    with pytest.raises(TranscriptMissing):
        await wired.transcripts.read(SOME)


async def test_a_question_is_asked_and_its_headers_told(wired: Clients) -> None:
    choice = {"message": {"content": "Fine."}, "finish_reason": "end_turn"}
    wired.vendor.will(answer(body={"choices": [choice], "request_id": "r-1"}, headers=[("X-RateLimit-Remaining", "3")]))
    completion = await ask(wired)
    assert (completion.content, completion.finish, completion.model) == ("Fine.", Finish.STOP, "m-1")
    assert wired.vendor.asked[0].line == "POST /v1/chat/completions HTTP/1.1"
    ((model, headers),) = wired.heard
    assert (model, headers["x-ratelimit-remaining"]) == ("m-1", "3")


async def test_the_headers_of_a_refusal_are_told_too(wired: Clients) -> None:
    refused = {"message": "too many requests for this action", "request_id": "r-2"}
    wired.vendor.will(answer(429, refused, headers=[("retry-after", "4"), ("X-RateLimit-Remaining", "-7")]))
    with pytest.raises(Throttled) as raised:
        await ask(wired)
    assert (raised.value.retry_after, raised.value.request_id) == (4.0, "r-2")
    assert wired.heard[0][1]["x-ratelimit-remaining"] == "-7"


@pytest.mark.parametrize("act", FREE + BILLED)
async def test_a_refused_key_is_the_accounts_trouble(wired: Clients, act: Act) -> None:
    wired.vendor.will(answer(401, {"error": "Authentication error, API token missing/invalid"}))
    with pytest.raises(AccountTrouble) as raised:
        await act(wired)
    assert "the-key" not in str(raised.value)


@pytest.mark.parametrize("act", FREE + BILLED)
async def test_redirects_are_not_followed(wired: Clients, act: Act) -> None:
    wired.vendor.will(answer(307, headers=[("location", f"{wired.vendor.url}/elsewhere?sig=secret")]))
    with pytest.raises(Unavailable) as raised:
        await act(wired)
    assert len(wired.vendor.asked) == 1
    assert "secret" not in str(raised.value)


async def test_no_proxy_of_the_environment_stands_before_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with canned_vendor() as vendor, open_client() as client:
        vendor.will(answer(body=COMPLETED))
        assert (await Transcripts(client, vendor.url, "k").read(SOME)).id == "t-1"


@pytest.mark.parametrize("size", [5, 7])
async def test_a_recording_of_another_length_than_announced_is_not_uploaded(wired: Clients, size: int) -> None:
    wired.vendor.will(answer(body={"upload_url": "https://cdn.example.com/upload/1"}))
    with pytest.raises(RecordingReplaced):
        await wired.transcripts.upload(chunks(b"abc", b"def"), size)
    assert wired.vendor.asked == []


async def test_what_goes_wrong_with_the_recording_is_not_the_vendors_fault(wired: Clients) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"abc"
        raise RecordingReplaced("it grew")

    wired.vendor.will(SILENCE)
    with pytest.raises(RecordingReplaced, match="it grew"):
        await wired.transcripts.upload(breaking(), 6)


async def test_reads_take_turns_when_together_they_are_too_much() -> None:
    async with canned_vendor() as vendor, open_client() as client:
        in_work = InWork(100)
        vendor.will(answer(body=COMPLETED))
        async with in_work.hold(60):
            reading = asyncio.create_task(Transcripts(client, vendor.url, "k", in_work).read(SOME))
            await vendor.reached.wait()
            assert not (await asyncio.wait([reading], timeout=0.1))[0]
        assert (await reading).id == "t-1"
