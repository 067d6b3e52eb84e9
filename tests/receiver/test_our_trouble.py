"""Our own trouble, of every kind: never a 4xx, never a 2xx before it is durable."""

import asyncio

import pytest

from service.domain.tokens import token
from service.engine.errors import StoreTrouble
from service.engine.row import RowId
from tests.receiver.conftest import SECRETS, Public
from tests.receiver.loopback import request, sent, serving, until

pytestmark = pytest.mark.anyio

PROOF = [("X-Afterword-Token", token(SECRETS[0], "job_1"))]


async def test_a_slow_sender_gets_another_chance(public: Public) -> None:
    head = request("/callbacks/job_1", b"", [*PROOF, ("Content-Length", "80")], length=False)
    assert (await sent(public.port, head, b"{")).status == 503
    assert public.counts.by_result == {"slow": 1}


async def test_who_hangs_up_half_way_leaves_nothing_behind(public: Public) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(request("/callbacks/job_1", b"{", [*PROOF, ("Content-Length", "80")], length=False))
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await until(lambda: public.counts.by_result)
    assert public.counts.by_result == {"gone": 1}
    assert (await public.post()).status == 204


@pytest.mark.parametrize("error", [StoreTrouble("database is locked"), OSError(28, "no space"), RuntimeError, KeyError])
async def test_whatever_the_store_raises_the_vendor_tries_again(
    public: Public, error: Exception | type[Exception]
) -> None:
    async def trouble() -> None:
        raise error

    public.ears.trouble = trouble
    assert (await public.post()).status == 503
    assert public.woken == []
    public.ears.trouble = None
    assert (await public.post()).status == 204


async def test_a_store_that_hangs_is_not_waited_for_but_still_heard(public: Public) -> None:
    release = asyncio.Event()
    public.ears.trouble = release.wait  # type: ignore[assignment]
    assert (await public.post()).status == 503
    assert public.woken == []
    release.set()
    await until(lambda: public.woken)
    assert public.woken == ["job_1"]


async def test_beyond_what_it_can_carry_it_says_so_at_once_and_recovers(public: Public) -> None:
    release = asyncio.Event()
    public.ears.trouble = release.wait  # type: ignore[assignment]
    carried = [asyncio.create_task(public.post()) for _ in range(8)]
    while public.counts.by_result.get("overloaded", 0) == 0:
        beyond = await public.post()
    assert beyond.status == 503
    release.set()
    assert {(await task).status for task in carried} <= {204, 503}
    public.ears.trouble = None
    assert (await public.post()).status == 204


async def test_hanging_writes_keep_their_place_in_the_count(public: Public) -> None:
    release = asyncio.Event()
    public.ears.trouble = release.wait  # type: ignore[assignment]
    await asyncio.gather(*(public.post() for _ in range(8)))
    await public.post()
    assert public.counts.by_result == {"unstored": 8, "overloaded": 1}
    release.set()


async def test_while_stopping_it_takes_nothing(public: Public) -> None:
    public.stopping = True
    assert (await public.post()).status == 503
    assert (await public.post(b"not json")).status == 503
    assert public.ears.heard == []


async def test_a_nudge_that_fails_costs_no_callback(public: Public) -> None:
    def broken(_: RowId) -> None:
        raise RuntimeError

    public.woken = type("Broken", (list,), {"append": lambda _, row_id: broken(row_id)})()
    async with serving(public.app()) as public.port:
        assert (await public.post()).status == 204


async def test_whatever_breaks_on_our_side_the_vendor_tries_again(public: Public) -> None:
    class Broken(Public):
        @property
        def stopping(self) -> bool:  # type: ignore[override]
            raise ZeroDivisionError

        @stopping.setter
        def stopping(self, _: bool) -> None: ...

    async with serving(Broken().app()) as public.port:
        assert (await public.post()).status == 503
