"""Heads of requests are bounded in size and time."""

import asyncio
import contextlib

import pytest

from service.http.bounded import Bounded
from tests.receiver.conftest import Public
from tests.receiver.loopback import answered, request

pytestmark = pytest.mark.anyio


async def poured(port: int, at_most: int) -> int:
    """How many bytes of a head could be sent before the connection was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    taken = 0
    with contextlib.suppress(ConnectionError):
        while taken < at_most and not reader.at_eof():
            writer.write(b"X-Padding: " + b"a" * 1000 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
            taken += 1013
    writer.close()
    return taken


async def test_a_head_without_end_is_cut_off(public: Public) -> None:
    assert await poured(public.port, 64 * 1024 * 1024) < 32 * 1024 * 1024


@pytest.mark.parametrize("begun", [b"", b"GET /hea", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_takes_too_long_is_cut_off(
    public: Public, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bounded, "HEAD_WITHIN", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(begun)
    assert await reader.read() == b""
    writer.close()


async def test_the_second_head_of_a_connection_is_bounded_too(public: Public, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bounded, "HEAD_WITHIN", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(request("/healthz", method="GET"))
    assert (await answered(reader)).status == 200
    await asyncio.sleep(0.2)
    writer.write(request("/healthz", method="GET"))
    assert (await answered(reader)).status == 200
    writer.write(b"GET /hea")
    assert await reader.read() == b""
    writer.close()


async def test_an_answer_that_takes_longer_than_a_head_may_is_not_cut_off(
    public: Public, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bounded, "HEAD_WITHIN", 0.1)
    public.ears.trouble = lambda: asyncio.sleep(0.2)
    assert (await public.post()).status == 204


async def test_requests_sent_in_one_go_are_all_answered(public: Public) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    whole = request("/healthz", method="GET") * 3
    writer.write(whole[:-7])
    writer.write(whole[-7:])
    assert [(await answered(reader)).status for _ in range(3)] == [200, 200, 200]
    writer.close()
