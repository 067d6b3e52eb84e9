"""Renewals before paid requests: one serves all who asked before it began, and none who asked after."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from service.adapters.jobs.sqlite import open_store
from service.adapters.jobs.sqlite_table import SqliteTable
from service.domain.job import STEPS, Status
from service.engine.errors import LeaseLost, StoreTrouble
from service.engine.hold import Hold
from service.engine.row import Row, RowId, Save, Token

pytestmark = pytest.mark.anyio

LEASE = 30.0
NOW = 1_000.0


class Slow:
    """A table whose renewals are held up until they are let go; `began` is how many have begun."""

    def __init__(self, table: SqliteTable) -> None:
        self._table = table
        self.began = 0
        self.go = asyncio.Event()
        self.trouble = False

    async def renew(self, row_id: RowId, token: Token, *, progress: bool = False) -> Row:
        self.began += 1
        await self.go.wait()
        if self.trouble:
            raise StoreTrouble("the store is away")
        return await self._table.renew(row_id, token, progress=progress)

    async def save(self, row_id: RowId, token: Token, save: Save) -> Row:
        return await self._table.save(row_id, token, save)


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[tuple[Slow, Hold]]:
    async with open_store(tmp_path / "jobs.db", steps=STEPS, lease=LEASE, clock=lambda: NOW, random=Random(1)) as store:
        row = Row(id=RowId("a"), status=Status.TRANSCRIBED, created_at=NOW, updated_at=NOW, due_at=NOW)
        await store.table.add(row)
        (held,) = await store.table.claim(1)
        table = Slow(store.table)
        yield table, Hold(held, table, lease=LEASE, since=monotonic(), monotonic=monotonic)


async def begun(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_one_renewal_serves_all_who_asked_before_it_began_and_another_those_after(
    slow: tuple[Slow, Hold],
) -> None:
    table, hold = slow
    first = [asyncio.ensure_future(hold.renew()) for _ in range(4)]
    await begun(5)
    assert table.began == 1
    after = [asyncio.ensure_future(hold.renew()) for _ in range(3)]
    await begun(5)
    assert table.began == 1
    table.go.set()
    left = await asyncio.gather(*first, *after)
    assert table.began == 2
    assert all(LEASE - 5 < seconds <= LEASE for seconds in left)


async def test_a_renewal_that_fails_fails_all_that_it_served_and_the_next_is_another(slow: tuple[Slow, Hold]) -> None:
    table, hold = slow
    table.trouble = True
    table.go.set()
    failed = await asyncio.gather(*(hold.renew() for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in failed] == [StoreTrouble] * 3
    table.trouble = False
    assert await hold.renew() > LEASE - 5


async def test_one_who_stops_waiting_takes_no_renewal_from_the_others(slow: tuple[Slow, Hold]) -> None:
    table, hold = slow
    one, two = (asyncio.ensure_future(hold.renew()) for _ in range(2))
    await begun(3)
    one.cancel()
    table.go.set()
    assert await two > LEASE - 5
    assert one.cancelled()


async def test_without_the_lease_nobody_is_served(slow: tuple[Slow, Hold]) -> None:
    table, hold = slow
    table.go.set()
    await table.save(hold.row.id, hold.row.token, Save(status=Status.TRANSCRIBED, facts={}, due_at=NOW + 9))
    for _ in range(2):
        with pytest.raises(LeaseLost):
            await hold.renew()
