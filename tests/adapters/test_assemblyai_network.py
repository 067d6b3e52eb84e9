"""The clients against a real server that breaks off, stays silent or was never there."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from service.adapters.assemblyai import long_answers
from service.domain.errors import (
    OutcomeUnknown,
    Unavailable,
)
from tests.adapters.canned_vendor import DRIP, RESET, SILENCE, answer
from tests.adapters.vendor_clients import BILLED, COMPLETED, FREE, SOME, Act, Clients, clients

pytestmark = pytest.mark.anyio


@pytest.fixture
async def wired() -> AsyncIterator[Clients]:
    async with clients() as made:
        yield made


BROKEN = {
    "reset": RESET,
    "500": answer(500),
    "half": answer(body=b'{"id":', length=100),
    "garbage": b"\x00\x01 not http\r\n\r\n",
    "html": answer(body=b"<html>"),
    "empty": answer(body={}),
    "204": b"HTTP/1.1 204 No\r\nconnection: close\r\n\r\n",
    "bad gzip": answer(body=b"no gzip", headers=[("content-encoding", "gzip")]),
    "huge": answer(body=b" " * (4 * 1024 * 1024 + 1)),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("act", BILLED)
async def test_a_paid_request_without_a_usable_answer_may_have_happened(wired: Clients, act: Act, broken: str) -> None:
    wired.vendor.will(BROKEN[broken])
    with pytest.raises(OutcomeUnknown):
        await act(wired)
    assert len(wired.vendor.asked) == 1


@pytest.mark.parametrize("broken", ["reset", "500", "half", "garbage", "bad gzip"])
@pytest.mark.parametrize("act", FREE)
async def test_a_free_request_without_a_usable_answer_can_be_repeated(wired: Clients, act: Act, broken: str) -> None:
    wired.vendor.will(BROKEN[broken])
    with pytest.raises(Unavailable):
        await act(wired)


@pytest.mark.parametrize("billed", ["submit", "ask"])
async def test_silence_ends_within_the_time_given_and_proves_nothing(wired: Clients, billed: str) -> None:
    wired.vendor.will(SILENCE)
    act = wired.transcripts.submit if billed == "submit" else wired.gateway.ask
    started = asyncio.get_running_loop().time()
    with pytest.raises(OutcomeUnknown):
        await act({"model": "m"}, within=0.4)
    assert 0.3 < asyncio.get_running_loop().time() - started < 10


async def test_an_answer_that_drips_ends_within_the_time_given(wired: Clients) -> None:
    wired.vendor.will(DRIP)
    with pytest.raises(OutcomeUnknown):
        await wired.gateway.ask({"model": "m"}, within=0.3)


@pytest.mark.parametrize("act", FREE + BILLED)
async def test_where_nobody_listens_nothing_was_started(act: Act) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with clients(f"http://127.0.0.1:{port}") as nowhere:
        with pytest.raises(Unavailable):
            await act(nowhere)


@pytest.mark.parametrize("act", BILLED)
async def test_a_connection_that_never_comes_about_started_nothing(act: Act) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        waiting = [socket.socket() for _ in range(4)]
        for caller in waiting:
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        async with clients(url) as nowhere:
            with pytest.raises(Unavailable):
                await act(nowhere)
        for caller in waiting:
            caller.close()


async def test_a_question_that_finds_no_free_connection_was_not_asked() -> None:
    async with clients(connections=1) as wired:
        wired.vendor.will(SILENCE)
        first = asyncio.create_task(wired.gateway.ask({"model": "m"}, within=30))
        await wired.vendor.reached.wait()
        with pytest.raises(Unavailable):
            await wired.gateway.ask({"model": "m"}, within=2)
        first.cancel()
        await asyncio.wait([first])
        assert len(wired.vendor.asked) == 1


async def test_a_transcript_beyond_all_measure_is_not_read(wired: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_answers, "MOST", 1000)
    wired.vendor.will(answer(body=COMPLETED | {"text": "x" * 1000}))
    with pytest.raises(Unavailable, match="longer than 1000 bytes"):
        await wired.transcripts.read(SOME)
